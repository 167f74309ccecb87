"""``crossdock record``: a topic to a recorded log."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.config import Config, kafka_of
from flows.commands.output import counting, error_console
from flows.guard import Guard, ending_in_order
from flows.logs.kafka import KafkaLog
from flows.recording import record as record_topic
from flows.settings import load_settings
from schemas.topics import LogOf


def record(
    out: Annotated[Path, typer.Option(help="The recorded log; made if it is not there.")],
    config: Config = None,
    of: Annotated[LogOf, typer.Option("--log", help="Which of the two logs.")] = LogOf.JOURNAL,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until SIGTERM or Ctrl-C.")
    ] = False,
) -> None:
    """Archive a log's topic as a recorded log. A recording that was stopped goes on.

    Example: crossdock record --config crossdock.toml --out archive/journal --follow
    or: crossdock record --config crossdock.toml --log tracking --out archive/tracking
    """
    kafka = kafka_of(load_settings(config))
    topic = kafka.journal if of is LogOf.JOURNAL else kafka.tracking
    log, guard = KafkaLog(kafka, topic, of), Guard()
    with ending_in_order(guard), counting("recording", None) as advance:
        taken = record_topic(log, out, guard=guard, to_end=not follow, progress=advance)
    error_console().print(f"{taken:,} records of {log.name} added to {out}", markup=False)
