"""``crossdock run``, ``retire`` and ``topics``: the deployed job, and the topics it stands on."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.config import Config, kafka_of
from flows.commands.group import group_of_commands
from flows.commands.output import console, error_console, print_json, table
from flows.crossref import CrossReferences
from flows.embedded import EmbeddedBroker, Feed, embedded_job
from flows.guard import Guard, ending_in_order
from flows.ingest import IngestJob
from flows.ingest_clock import source_of, tick
from flows.journals import KafkaJournal
from flows.kafka import topics
from flows.lake.connection import has_many_writers
from flows.lake.layout import Flow
from flows.live import LiveJob
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.logs.parquet import ParquetLog
from flows.reroutes import KafkaReroutes
from flows.route import RouteJob
from flows.settings import Settings, load_settings
from flows.shared_lake import ending_on_failure, open_for_both
from flows.supervisor import supervise
from flows.track import TrackJob
from flows.warmup import warm_up
from schemas.errors import InputError
from schemas.topics import LogOf

app = group_of_commands("Make and check the topics that a job stands on.")
TRACK_PAUSE_SECONDS = 0.1
"""A slice of the tracker takes 8 ms however small it is, in which no order is decided (measured)."""


class Part(StrEnum):
    """Parts of the job that may run apart."""

    INGEST = "ingest"
    ROUTE = "route"
    TRACK = "track"


def run(
    config: Config = None,
    only: Annotated[
        Part | None, typer.Option(help="Only this part; all without, in one process.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="So many processes on this machine, started again when they end."),
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Everything in this process: broker, feed, lake.")
    ] = False,
    home: Annotated[
        Path, typer.Option(help="With --embedded: where journal and lake are kept.")
    ] = Path("out/live"),
    feed: Annotated[
        Path, typer.Option(help="With --embedded: the recorded log whose records are fed.")
    ] = Path("examples/online-retail/log"),
    per_second: Annotated[
        float, typer.Option(min=0.001, help="With --embedded: records fed a second.")
    ] = 50.0,
) -> None:
    """Run the live job until SIGTERM or Ctrl-C: raw topics in, decisions and lake out.

    Example: crossdock run --embedded
    """
    settings, guard = load_settings(config), Guard()
    if embedded and (only or processes or settings.kafka or settings.processes > 1):
        raise InputError("--embedded is one process and its own broker: leave out the others")
    with ending_in_order(guard):
        with error_console().status("compiling the kernels (once per version)…"):
            warm_up()
        if processes is not None:
            _run_processes(processes, config, only, settings, guard)
        elif embedded:
            _run_embedded(home, ParquetLog(feed), per_second, settings, guard)
        else:
            job = _live_job(settings, only, guard)
            _serve_metrics(job, settings)
            _say(f"running {only or 'ingest, route and track'}; Ctrl-C ends it")
            job.run()


def _run_embedded(
    home: Path, recorded: ParquetLog, per_second: float, settings: Settings, guard: Guard
) -> None:
    broker = EmbeddedBroker()
    job, fed = embedded_job(home, broker, settings, guard)
    _serve_metrics(job, settings)
    _say(f"broker at {broker.settings.bootstrap}, lake in {home / 'lake'}; Ctrl-C ends it")
    _say(f'in another terminal: crossdock sql "SELECT * FROM routing_summary" --lake {home}/lake')
    with Feed(recorded, broker, fed, per_second, guard):
        job.run()
    broker.close()


def _run_processes(
    processes: int, config: Path | None, only: Part | None, settings: Settings, guard: Guard
) -> None:
    kafka = kafka_of(settings)
    partitions = topics.describe(kafka, kafka.journal).partitions
    if processes > partitions:
        raise InputError(
            f"--processes {processes}: {kafka.journal} has {partitions} partitions, and each process "
            "needs one"
        )
    if only is not Part.INGEST:
        _check_lake(settings, processes)
    command = [sys.executable, "-m", "flows.cli", "run"]
    command += ["--config", str(config)] if config is not None else []
    command += ["--only", only.value] if only is not None else []
    surroundings = []
    for ordinal in range(processes):
        mine = {"CROSSDOCK_PROCESSES": str(processes), "CROSSDOCK_ORDINAL": str(ordinal)}
        if settings.metrics_port is not None:
            mine["CROSSDOCK_METRICS_PORT"] = str(settings.metrics_port + ordinal)
        surroundings.append(mine)
    _say(f"running {processes} processes; Ctrl-C ends them")
    if not supervise(command, surroundings, guard):
        raise InputError("not every process ended in order; nothing is lost, start again to go on")


def _check_lake(settings: Settings, processes: int) -> Path:
    """The lake, if so many can write it."""
    if settings.lake is None:
        raise InputError("lake is not set: say where the lake is, in the file or CROSSDOCK_LAKE")
    shared = settings.lake_catalogue is not None or has_many_writers(settings.lake)
    if processes > 1 and not shared:
        raise InputError(
            f"{processes} processes need a lake with its catalogue in PostgreSQL: set lake_catalogue"
        )
    return settings.lake


def _serve_metrics(job: LiveJob, settings: Settings) -> None:
    if settings.metrics_port is not None:
        job.serve_metrics(settings.metrics_host, settings.metrics_port)
        _say(f"metrics at http://{settings.metrics_host}:{settings.metrics_port}/metrics")


def _live_job(settings: Settings, only: Part | None, guard: Guard) -> LiveJob:
    kafka, job = kafka_of(settings), LiveJob(guard)
    topics.refuse_disorder(kafka)
    if only in (None, Part.INGEST):
        references = CrossReferences(kafka, settings, guard)
        tracking = KafkaJournal(kafka, guard, LogOf.TRACKING)
        job.ingest = IngestJob(
            kafka, KafkaJournal(kafka, guard), settings, guard, references, tracking
        )
    if only is Part.INGEST:
        return job
    lake = _check_lake(settings, settings.processes)
    logs = {
        Flow.ROUTE: KafkaLog(kafka, kafka.journal),
        Flow.TRACK: KafkaLog(kafka, kafka.tracking, LogOf.TRACKING),
    }
    if only is None:
        job.writer = open_for_both(lake, logs, settings)
    with ending_on_failure(job.writer):
        if only is not Part.TRACK:
            job.route = _routing(logs[Flow.ROUTE], lake, settings, job)
        if only is not Part.ROUTE:
            job.track = _tracking(logs[Flow.TRACK], lake, settings, job)
    return job


def _routing(
    log: KafkaLog, lake: Path, settings: Settings, live: LiveJob
) -> tuple[RouteJob, KafkaSource]:
    job = RouteJob.open(
        log,
        lake,
        partitions=_mine(log, settings),
        settings=settings,
        tracking=log.settings,
        guard=live.guard,
        writer=live.writer,
    )
    return job, KafkaSource(log, job.starts, guard=live.guard, done=job.high_water)


def _tracking(
    log: KafkaLog, lake: Path, settings: Settings, live: LiveJob
) -> tuple[TrackJob, KafkaSource]:
    job = TrackJob.open(
        log,
        lake,
        partitions=_mine(log, settings),
        settings=settings,
        wishes=KafkaReroutes(log.settings, live.guard),
        guard=live.guard,
        writer=live.writer,
    )
    pause = TRACK_PAUSE_SECONDS if live.route is not None else 0.0
    source = KafkaSource(
        log, job.starts, guard=live.guard, done=job.high_water, pause_seconds=pause
    )
    return job, source


def _mine(log: KafkaLog, settings: Settings) -> list[int]:
    """The partitions of this process; there must be one."""
    mine = settings.mine(log.partitions)
    if not mine:
        raise InputError(
            f"ordinal {settings.ordinal}: {log.name} has {log.partitions} partitions, none is left"
        )
    return mine


def _say(text: str) -> None:
    error_console().print(text, markup=False, soft_wrap=True)


def retire(
    ordinal: Annotated[int, typer.Argument(min=0, help="Of the ingest process that was.")],
    config: Config = None,
) -> None:
    """Say that an ingest process will not come back, so that it no longer holds the clock back.

    After scaling down from 4 processes to 2: crossdock retire 2, and crossdock retire 3.

    Example: crossdock retire 3 --config crossdock.toml
    """
    settings = load_settings(config)
    if ordinal < settings.processes:
        raise InputError(
            f"{ordinal}: {settings.processes} processes are set, and it is one of them"
        )
    name = source_of(settings.ingest, ordinal)
    for of in LogOf:
        log = KafkaJournal(kafka_of(settings), of=of)
        tick(log, name, datetime.now(UTC), retired=True)
        log.flush()
    _say(f"{name} is retired; if it ticks again, it is back in service")


@app.command()
def create(
    config: Config = None,
    partitions: Annotated[int, typer.Option(min=1, help="Of each topic.")] = 12,
    replicas: Annotated[int, typer.Option(min=1, help="Copies of each partition.")] = 1,
) -> None:
    """Make the topics that are not there yet.

    Example: crossdock topics create --config crossdock.toml --partitions 12 --replicas 3
    """
    settings = load_settings(config)
    made = topics.create(kafka_of(settings), partitions, replicas, _kept_days(settings))
    _say(f"made {', '.join(made)}" if made else "every topic was there already")


@app.command()
def check(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """See that no topic would lose records or their order. Exit code 2 if one would.

    Example: crossdock topics check --config crossdock.toml
    """
    settings = load_settings(config)
    faults = topics.check(kafka_of(settings), _kept_days(settings))
    if as_json:
        print_json(faults)
    else:
        rows = [(name, "\n".join(found) or "good") for name, found in faults.items()]
        console().print(table("Topics", ("topic", ""), rows))
    if any(faults.values()):
        raise InputError("some topics would lose records or their order; see above")


def _kept_days(settings: Settings) -> dict[str, float]:
    """For how long the topic of each channel keeps what is posted."""
    return {channel.topic: channel.keep_days for channel in settings.channels.values()}
