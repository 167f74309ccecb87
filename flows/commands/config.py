"""The option ``--config`` of every command that needs a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from flows.kafka.client import KafkaSettings
from flows.settings import Settings
from schemas.errors import InputError

Config = Annotated[
    Path | None, typer.Option(help="A TOML file; CROSSDOCK_... in the environment counts for more.")
]


def kafka_of(settings: Settings) -> KafkaSettings:
    """The cluster.

    Raises:
        InputError: none is named.
    """
    if settings.kafka is None:
        raise InputError(
            "no cluster is named: set bootstrap under [kafka], or CROSSDOCK_KAFKA__BOOTSTRAP"
        )
    return settings.kafka


def with_channels(settings: Settings) -> KafkaSettings:
    """The cluster, the topics of the channels among its raw ones.

    Raises:
        InputError: none is named.
    """
    kafka = kafka_of(settings)
    raw = [*kafka.raw, *(channel.topic for channel in settings.channels.values())]
    return kafka.model_copy(update={"raw": raw})
