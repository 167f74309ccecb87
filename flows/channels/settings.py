"""Settings of the channels: the tables ``[channels.NAME]`` of the settings file.

A channel is one source: the raw topic that has its payloads as they came, the mapping that makes records of
them, and for whom. One with a ``signature`` may be posted to, at ``/hooks/NAME``; how others are fetched is in
``ways.py``. Secrets are in files or in the environment, by the name that is set here; neither the settings nor
a message ever holds one.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.channels.ways import FolderSettings, MqttSettings, PollSettings
from flows.secrets import read_secrets


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Scheme(StrEnum):
    """How a platform signs what it posts; each is described in ``flows/hooks/signatures.py``."""

    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"
    AFTERSHIP = "aftership"
    EASYPOST = "easypost"
    TRACK17 = "17track"
    KUAIDI100 = "kuaidi100"
    STANDARD = "standard"
    BEARER = "bearer"
    NONE = "none"


_FIXED = {Scheme.KUAIDI100, Scheme.STANDARD, Scheme.NONE}
"""Schemes whose signature is not in one header that could be called otherwise."""


class Signature(_Model):
    """How it is known who has posted."""

    scheme: Scheme = Field(description="`none` lets everybody post: say so only behind a gateway.")
    header: str | None = Field(
        default=None,
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        description="That has the signature; the platform's own without.",
    )
    secret_file: Path | None = Field(
        default=None, description="One secret a line, each good; read again every few seconds."
    )
    secret_env: str | None = Field(default=None, description="A variable that has the same.")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        given = [self.secret_file, self.secret_env].count(None)
        if self.scheme is Scheme.NONE and given != 2:
            raise ValueError("scheme none has no secret")
        if self.scheme is not Scheme.NONE and given != 1:
            raise ValueError(f"scheme {self.scheme}: set one of secret_file and secret_env")
        if self.scheme in _FIXED and self.header is not None:
            raise ValueError(f"scheme {self.scheme} has no header to choose")
        return self

    def secrets(self) -> list[str]:
        """The secrets, of which each is good: two while they are changed.

        Raises:
            InputError: there is none, or its file cannot be read.
        """
        if self.scheme is Scheme.NONE:
            return []
        return read_secrets(self.secret_file, self.secret_env)


class ChannelSettings(_Model):
    """One channel."""

    mapping: str = Field(min_length=1, description="A shipped one by its name, or a TOML file.")
    maps: dict[str, dict[str, str]] = Field(
        default={},
        description="Your own codes (SKUs, nodes), by table of the mapping; before those that it has.",
    )
    maps_file: Path | None = Field(
        default=None, description="A TOML file of such tables; `maps` counts for more."
    )
    topic: str = Field(
        pattern="^[A-Za-z0-9._-]{1,249}$", description="That has its payloads; no other channel's."
    )
    keep_days: float = Field(
        default=7,
        gt=0,
        description="Its topic keeps what was posted so long, personal data with it: longer than "
        "ingest may be away.",
    )
    sealed: bool = Field(
        default=False,
        description="What is posted or fetched is sealed before it is on the topic, if anything in it may "
        "be personal; needs [vault].",
    )
    source: str | None = Field(
        default=None, min_length=1, description="Of its records; the channel's name without."
    )
    tenant: str = Field(min_length=1, description="Of its records.")
    network: str = Field(min_length=1, description="Of its records, unless the mapping says.")
    signature: Signature | None = Field(
        default=None, description="Of what is posted; without, nothing can be."
    )
    folder: FolderSettings | None = Field(
        default=None, description="Whose files are read by crossdock inlet run."
    )
    poll: PollSettings | None = Field(
        default=None, description="An address that crossdock inlet run asks."
    )
    mqtt: MqttSettings | None = Field(
        default=None, description="Topics of devices that crossdock inlet run subscribes to."
    )

    @model_validator(mode="after")
    def _keeps_files_unless_sealed(self) -> Self:
        if self.folder is None:
            return self
        if self.sealed and self.folder.done is not None:
            raise ValueError(
                "folder.done: files of a sealed channel would be kept as they came; without, a file "
                "is removed once its rows are durable"
            )
        if not self.sealed and self.folder.done is None:
            raise ValueError("folder.done: say where a file goes once its rows are durable")
        return self

    @property
    def is_fetched(self) -> bool:
        """Whether there is anything that ``crossdock inlet run`` does for it."""
        return any(way is not None for way in (self.folder, self.poll, self.mqtt))


ChannelName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
Channels = dict[ChannelName, ChannelSettings]


def refuse_shared_topics(channels: Channels, others: list[str]) -> None:
    """See that each channel has a topic of its own.

    Args:
        channels: by name.
        others: topics that have records, or are ours.

    Raises:
        ValueError: two have the same; the message names it.
    """
    owners = dict.fromkeys(others, "[kafka]")
    for name, channel in channels.items():
        if channel.topic in owners:
            raise ValueError(
                f"channels.{name}.topic: {channel.topic} is that of {owners[channel.topic]} already"
            )
        owners[channel.topic] = f"channels.{name}"
