"""The route flow: a log's slices through the router into the lake.

::

    read_log ──► advance_partition ──► write_lake
    slices of      the fold, keyed       one writer, on a
    each           by log partition      thread of its own
    partition

Run it by ``crossdock replay``, or as any Bytewax flow:
``python -m bytewax.run "flows.route:replay('LOG', 'LAKE')"``.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Self

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.operators import StatefulBatchLogic

from flows.checkpoint_store import store_of
from flows.checkpoints import Checkpoint, Checkpoints, Origin
from flows.guard import Guard, GuardedSink, run_guarded
from flows.kafka.client import KafkaSettings
from flows.lake.layout import Identity
from flows.lake.writer import LakeWriter, create_or_open_writer
from flows.logs.log import Log, ReadSlice
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.metrics import Metrics
from flows.settings import Settings
from flows.tracking import TrackingTopic
from models.inference import ARTIFACTS, Model, load_model, runtime_fingerprint
from models.policy.document import Policy, parse_policy
from models.routing.fold import RouteState, advance
from schemas.errors import CrossdockError, InputError, LogError
from schemas.tables import SCHEMAS, Effects, Measured, Table

Progress = Callable[[int], None]
"""Told how many records were taken each time some were."""

Read = tuple[str, ReadSlice]


def build(source: Source[Read], job: "RouteJob") -> Dataflow:
    """The flow; source and job differ between replay and live."""
    flow = Dataflow("route")
    add_steps(flow, source, job)
    return flow


def add_steps(flow: Dataflow, source: Source[Read], job: "RouteJob") -> None:
    """The steps in order, in a flow of their own or beside others."""
    slices = op.input("read_log", flow, source)
    effects = op.stateful_batch("advance_partition", slices, lambda _resumed: _Fold(job))
    rows = op.key_rm("drop_key", effects)
    op.output("write_lake", rows, GuardedSink(job.guard, job.writer.put, job.writer.close))
    if job.tracking is not None:
        op.output("write_tracking", rows, GuardedSink(job.guard, job.tracking.put))


def replay(log: str, lake: str, policy: str = "") -> Dataflow:
    """The flow over a recorded log at full speed, for ``python -m bytewax.run``."""
    try:
        recorded = ParquetLog(Path(log))
        job = RouteJob.open(recorded, Path(lake), policy_file=Path(policy) if policy else None)
    except CrossdockError as error:
        sys.stderr.write(f"flows.route: {error}\n")
        raise SystemExit(2) from error
    return build(LogSource(recorded, job.starts), job)


def run(source: Source[Read], job: "RouteJob") -> None:
    """Run the flow on one worker until its source ends; raises what kept a step from going on."""
    run_guarded(build(source, job), job.guard)
    job.finish()


class RouteJob:
    """One run over one log into one lake: what the steps of the flow share."""

    def __init__(
        self,
        log: Log,
        writer: LakeWriter,
        checkpoints: Checkpoints,
        checkpointed: Sequence[Checkpoint],
        model_dirs: Sequence[Path],
        tracking: TrackingTopic | None,
        guard: Guard | None,
    ) -> None:
        self.log = log
        self.writer = writer
        self.checkpoints = checkpoints
        self.states = {found.state.partition: found.state for found in checkpointed}
        self.starts = {p: state.position + 1 for p, state in self.states.items()}
        self.tracking = tracking
        self.scorer_of = cache(lambda sha256: _load(model_dirs, sha256))
        self.progress: Progress = lambda _records: None
        self.metrics = Metrics()
        self.guard = guard or Guard()

    @classmethod
    def open(
        cls,
        log: Log,
        lake_path: Path,
        *,
        policy_file: Path | None = None,
        partitions: Iterable[int] | None = None,
        settings: Settings | None = None,
        tracking: KafkaSettings | None = None,
        guard: Guard | None = None,
    ) -> Self:
        """Open log and lake and take up where the lake left off.

        Args:
            log: recorded or live.
            lake_path: a lake of this log, or a place for a new one.
            policy_file: decides in place of the log's own policies.
            partitions: of the log; all without.
            settings: of the surroundings; read from the environment without.
            tracking: the cluster whose tracking topic is to have every decision; none without.
            guard: of the flow.

        Raises:
            CrossdockError: log, lake, policy or model cannot be used; the message says why.
        """
        chosen = settings or Settings()
        override, override_sha256 = read_override(policy_file)
        mine = range(log.partitions) if partitions is None else sorted(set(partitions))
        for partition in mine:
            if not 0 <= partition < log.partitions:
                raise InputError(
                    f"{log.name} has partitions 0 to {log.partitions - 1}, no {partition}"
                )
        origin = Origin(log.id, override_sha256, runtime_fingerprint())
        writer = create_or_open_writer(
            lake_path,
            Identity(log.id, log.partitions, override_sha256),
            mine,
            catalogue=chosen.lake_catalogue,
        )
        try:
            place = store_of(lake_path, chosen.checkpoints)
            store = Checkpoints(place, origin, chosen.checkpoint_seconds)
            for partition in mine:
                _check_end(log, partition, writer.high_water(partition))
            found = [store.load(p, writer.high_water(p), override) for p in mine]
            topic = (
                TrackingTopic(tracking, log.id, [f.tracking_ends for f in found], guard)
                if tracking is not None
                else None
            )
        except BaseException:
            writer.abort()
            raise
        return cls(log, writer, store, found, [*chosen.model_dirs, ARTIFACTS], topic, guard)

    def remaining(self) -> int:
        """Records that are still to be read."""
        return sum(self.log.end(p) - state.position - 1 for p, state in self.states.items())

    def advance(self, read: ReadSlice) -> Effects:
        """Take a slice: decide, measure, and take a checkpoint now and then."""
        state = self.states[read.piece.partition]
        self._checkpoint(state)
        effects = advance(state, read.piece, self.scorer_of)
        if read.refused is not None:
            effects = _with_refused(effects, read)
            state.position = effects.position
        elapsed_ms = (time.monotonic() - read.read_at) * 1e3
        self.progress(len(read.piece))
        refused = read.refused.num_rows if read.refused is not None else 0
        self.metrics.advanced(effects, len(read.piece), refused, elapsed_ms / 1e3)
        decisions = effects.count(Table.DECISIONS)
        measured = Measured(read.first, len(read.piece), decisions, elapsed_ms)
        return replace(effects, measured=measured)

    def _checkpoint(self, state: RouteState) -> None:
        """Take a checkpoint if one is due, once the tracking topic has all effects up to it."""
        partition = state.partition
        if state.position < self.starts[partition] or not self.checkpoints.is_due(partition):
            return
        if self.tracking is not None and self.tracking.given(partition) < state.position:
            return  # effects are on their way to the topic's step: after the next slice
        self.checkpoints.take(self._whole(state), self.writer.high_water(partition))

    def _whole(self, state: RouteState) -> Checkpoint:
        if self.tracking is None:
            return Checkpoint(state)
        self.tracking.flush()
        return Checkpoint(state, self.tracking.ends())

    def watch(self, metrics: Metrics) -> None:
        """Count in these metrics, and let them ask how far lake and state are."""
        self.metrics = metrics
        metrics.watch(
            "uncommitted_records",
            "Records taken whose effects are not in the lake yet.",
            lambda: sum(
                max(0, state.position - self.writer.high_water(p))
                for p, state in self.states.items()
            ),
        )
        metrics.watch(
            "open_orders",
            "Orders that the state remembers.",
            lambda: sum(
                len(network.names["orders"])
                for state in list(self.states.values())
                for network in list(state.networks.values())
            ),
        )
        metrics.watch(
            "networks_decided_by_rules",
            "Networks with no model activated.",
            lambda: sum(
                not network.model_sha256
                for state in list(self.states.values())
                for network in list(state.networks.values())
            ),
        )

    def finish(self) -> None:
        """Keep the states for the next run, once every step has ended in order.

        No step may do this when it is closed: others may have something to write yet, and Bytewax
        closes them as well when an interrupt left a slice half done.
        """
        for state in self.states.values():
            if state.position >= self.starts[state.partition]:
                self.checkpoints.save(self._whole(state), self.writer.high_water(state.partition))
        if self.tracking is not None:
            self.tracking.close()

    def abort(self) -> None:
        """Stop as a crash would; what was committed stays."""
        self.writer.abort()


class _Fold(StatefulBatchLogic[ReadSlice, Effects, None]):
    """Hosts the fold; the state itself lives in the job, since Bytewax's recovery is off."""

    def __init__(self, job: RouteJob) -> None:
        self.job = job

    def on_batch(self, values: list[ReadSlice]) -> tuple[Iterable[Effects], bool]:
        made: list[Effects] = []
        if self.job.guard.failure is None:
            with self.job.guard:
                made += [self.job.advance(read) for read in values]
        return made, StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        """Nothing: see ``flows.checkpoints``."""


def _check_end(log: Log, partition: int, high_water: int) -> None:
    """Refuse a log that ends before the lake does: what is written to it next would be dropped."""
    end = log.end(partition)
    if end <= high_water:
        raise LogError(
            f"{log.name}: partition {partition} ends at position {end}, but the lake holds effects "
            f"up to {high_water}: records are missing; restore them, or begin a new lake"
        )


def _with_refused(effects: Effects, read: ReadSlice) -> Effects:
    """The effects with what was no record among them."""
    assert read.refused is not None
    given = {Table.DEAD_LETTERS: read.refused.cast(SCHEMAS[Table.DEAD_LETTERS])}
    return replace(effects, position=read.last, given=given)


def _load(model_dirs: Sequence[Path], sha256: str) -> Model:
    return load_model(model_dirs, sha256)


def read_override(file: Path | None) -> tuple[Policy | None, str]:
    """The policy in a file and its sha256; nothing without a file."""
    if file is None:
        return None, ""
    try:
        content = file.read_bytes()
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"policy {file} cannot be read: {error}") from error
    return parse_policy(text, str(file)), hashlib.sha256(content).hexdigest()
