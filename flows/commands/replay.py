"""``crossdock replay``: a recorded log through the route flow into a lake."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.config import Config, kafka_of
from flows.commands.output import counting, error_console
from flows.commands.rerun import rerun_decision, rerun_sample
from flows.commands.summary import print_summary, summarise
from flows.commands.tracked import print_tracked
from flows.folding import FoldJob, run
from flows.guard import ending_in_order
from flows.journals import KafkaJournal
from flows.lake.connection import has_many_writers
from flows.lake.diagnosis import CATALOG
from flows.lake.layout import Flow
from flows.lake.lock import WriterLock
from flows.logs.log import SLICE_RECORDS
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.recording import send
from flows.route import RouteJob
from flows.settings import load_settings
from flows.track import TrackJob
from flows.warmup import warm_up
from schemas.errors import InputError, LakeError
from schemas.topics import LogOf


class Target(StrEnum):
    """Where records may be sent."""

    KAFKA = "kafka"


def replay(
    log: Annotated[Path, typer.Argument(help="A recorded log (a directory).")],
    lake: Annotated[
        Path | None, typer.Option(help="The lake to write; made if it is not there.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Decide by this policy in place of the log's own.")
    ] = None,
    speed: Annotated[
        str, typer.Option(help="max, or event time over wall time: 1 is live, 60 an hour a minute.")
    ] = "max",
    slice_records: Annotated[
        int, typer.Option(min=1, help="Most records per slice; changes nothing but the speed.")
    ] = SLICE_RECORDS,
    partition: Annotated[
        list[int] | None, typer.Option(help="Only these partitions of the log; repeatable.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Start anew: remove the lake first.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as one JSON object.")
    ] = False,
    to: Annotated[
        Target | None, typer.Option(help="Send the records to their topic; nothing is folded.")
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(
            help="Re-execute this one and compare it with the lake: partition/position/index, or "
            "an order for its latest."
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Re-execute so many decisions, chosen by chance.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    config: Config = None,
) -> None:
    """Route every order of a recorded journal, or track those of a tracking log, into a lake.

    A replay that was stopped goes on where its lake left off. With --decision or --sample nothing is
    written: what the lake holds is compared with what the log says; exit code 1 if it differs.

    Example: crossdock replay examples/online-retail/log --lake out/lake
    """
    pace = _speed(speed)
    if decision is not None or sample is not None:
        if lake is None or (decision is not None and sample is not None):
            raise InputError("say --lake LAKE, and either --decision ID or --sample N")
        if decision is not None:
            rerun_decision(log, lake, policy, decision, as_json=as_json)
        elif sample is not None:
            rerun_sample(log, lake, policy, sample, seed, as_json=as_json)
        return
    if to is Target.KAFKA and lake is None:
        _send(ParquetLog(log), config, pace)
        return
    if lake is None or to is not None:
        raise InputError("say either --lake LAKE, to route, or --to kafka, to send")
    if fresh:
        _remove(lake)
    recorded = ParquetLog(log)
    kind: type[FoldJob[Any]] = TrackJob if recorded.of is LogOf.TRACKING else RouteJob
    job = kind.open(recorded, lake, policy_file=policy, partitions=partition)
    if not job.remaining():
        error_console().print(f"{lake} is up to date: {log} holds nothing new.", markup=False)
    try:
        with ending_in_order(job.guard):
            _run(job, LogSource(recorded, job.starts, slice_records, pace, guard=job.guard))
    except BaseException:
        job.abort()
        raise
    if job.guard.is_over:
        left = job.remaining()
        error_console().print(f"stopped with {left:,} records to go; the same command goes on")
        raise KeyboardInterrupt
    if recorded.of is LogOf.TRACKING:
        print_tracked(lake, as_json=as_json)
    else:
        print_summary(summarise(lake, log), as_json=as_json)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1e9:
        raise InputError(f"--speed {text}: say max, or a number above 0 such as 1 or 60")
    return speed


def _remove(lake: Path) -> None:
    """Remove a lake, and nothing that is not one."""
    if not lake.exists():
        return
    if lake.is_dir() and not any(lake.iterdir()):
        return
    if has_many_writers(lake):
        raise LakeError(
            f"--fresh: {lake} has its catalogue in PostgreSQL; drop that database and remove the "
            "directory yourself, or choose a new one"
        )
    if not (lake / CATALOG).is_file():
        raise LakeError(f"--fresh: {lake} is no lake (it has no {CATALOG}); remove it yourself")
    lock = WriterLock(lake)  # a job that writes it is not to find it gone
    try:
        shutil.rmtree(lake)
    finally:
        lock.release()


def _run(job: FoldJob[Any], source: LogSource) -> None:
    """Run the flow with a bar on standard error."""
    with error_console().status("compiling the kernels (once per version)…"):
        warm_up([job.flow])
    what = "tracking" if job.flow is Flow.TRACK else "routing"
    with counting(what, job.remaining()) as advance:
        job.progress = advance
        run(source, job)


def _send(log: ParquetLog, config: Path | None, speed: float | None) -> None:
    """Write the log to its topic."""
    settings = load_settings(config)
    journal = KafkaJournal(kafka_of(settings), of=log.of)
    with counting("sending", len(log)) as advance:
        sent = send(log, journal, speed, advance)
    error_console().print(f"{sent:,} records sent to the {log.of}", markup=False)
