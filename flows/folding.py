"""What route and track share: a fold hosted by Bytewax, from the slices of a log to the lake.

::

    read_log ──► advance_partition ──► write_lake
    slices of      the fold, keyed       one writer, on a
    each           by log partition      thread of its own
    partition

The state of a partition lives in the job, since Bytewax's own recovery is off; checkpoints.py keeps it.
"""

import hashlib
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypedDict, TypeVar, Unpack

import bytewax.operators as op
import pyarrow as pa
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source
from bytewax.operators import StatefulBatchLogic

from flows.checkpoint_store import store_of
from flows.checkpoints import Checkpoint, Checkpoints, FoldState, Form, Origin
from flows.guard import Guard, GuardedSink, ending_in_order, run_guarded
from flows.lake.layout import Flow, Identity
from flows.lake.writer import LakeWriter, create_or_open_writer
from flows.logs.log import Log, ReadSlice
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.metrics import Metrics
from flows.settings import Settings
from models.inference import runtime_fingerprint
from models.policy.document import Policy, parse_policy
from schemas.errors import CrossdockError, InputError, LogError
from schemas.slices import Slice
from schemas.tables import SCHEMAS, Effects, Measured, Table
from schemas.topics import LogOf

Progress = Callable[[int], None]
"""Told how many records were taken each time some were."""

Read = tuple[str, ReadSlice]
S = TypeVar("S", bound=FoldState)


class Steps(NamedTuple):
    """Names of the steps; they are permanent, and differ where two folds are in one flow."""

    read: str = "read_log"
    advance: str = "advance_partition"
    drop: str = "drop_key"
    write: str = "write_lake"


class Opening(TypedDict, total=False):
    """What may be said of how a job is opened.

    Attributes:
        policy_file: counts in place of the log's own policies.
        partitions: of the log; all without.
        settings: of the surroundings; read from the environment without.
        guard: of the flow; one of its own without.
        writer: of the lake, if others write it too; a new one without.
    """

    policy_file: Path | None
    partitions: Iterable[int] | None
    settings: Settings | None
    guard: Guard | None
    writer: LakeWriter | None


class Opened(NamedTuple):
    """What a job stands on.

    Attributes:
        log: recorded or live.
        writer: of the lake.
        is_own: whether the job is to close the writer.
        checkpoints: of the partitions.
        found: the newest of each partition.
        settings: of the surroundings.
        guard: of the flow.
    """

    log: Log
    writer: LakeWriter
    is_own: bool
    checkpoints: Checkpoints[Any]
    found: Sequence[Checkpoint[Any]]
    settings: Settings
    guard: Guard


class FoldJob(ABC, Generic[S]):
    """One run over one log into one lake: what the steps of the flow share.

    Partitions are counted from ``flow.first_partition`` in the lake and in the state, from 0 in the log.

    Attributes:
        states: by partition.
        starts: position to read on from, by partition of the log.
    """

    flow: ClassVar[Flow]
    reads: ClassVar[LogOf]
    form: ClassVar[Form[Any]]
    steps: ClassVar[Steps]

    def __init__(self, opened: Opened) -> None:
        self.log = opened.log
        self.writer = opened.writer
        self.guard = opened.guard
        self.checkpoints: Checkpoints[S] = opened.checkpoints
        self.states: dict[int, S] = {one.state.partition: one.state for one in opened.found}
        first = self.flow.first_partition
        self.starts = {p - first: state.position + 1 for p, state in self.states.items()}
        self.progress: Progress = lambda _records: None
        self.metrics = Metrics()
        self._is_own = opened.is_own

    @classmethod
    def open(cls, log: Log, lake_path: Path, **how: Unpack[Opening]) -> Self:
        """Open log and lake and take up where the lake left off.

        Args:
            log: recorded or live.
            lake_path: a lake of this log, or a place for a new one.
            **how: see ``Opening``.

        Raises:
            CrossdockError: log, lake or policy cannot be used; the message says why.
        """
        return cls(cls._open(log, lake_path, **how))

    @classmethod
    def _open(cls, log: Log, lake_path: Path, **how: Unpack[Opening]) -> Opened:
        """What ``open`` opens."""
        if log.of is not cls.reads:
            raise LogError(f"{log.name} is a log of the kind {log.of}, not {cls.reads}")
        chosen, writer = how.get("settings") or Settings(), how.get("writer")
        override, override_sha256 = read_override(how.get("policy_file"))
        mine = partitions_of(log, how.get("partitions"))
        identity = Identity(log.id, log.partitions, override_sha256, cls.flow)
        held = [cls.flow.first_partition + p for p in mine]
        opened = writer or create_or_open_writer(
            lake_path, identity, held, catalogue=chosen.lake_catalogue
        )
        try:
            origin = Origin(log.id, override_sha256, runtime_fingerprint())
            place = store_of(lake_path, chosen.checkpoints)
            store = Checkpoints(place, origin, chosen.checkpoint_seconds, cls.form)
            for partition, in_lake in zip(mine, held, strict=True):
                _check_end(log, partition, opened.high_water(in_lake))
            found = [store.load(p, opened.high_water(p), override) for p in held]
        except BaseException:
            if writer is None:
                opened.abort()
            raise
        guard = how.get("guard") or Guard()
        return Opened(log, opened, writer is None, store, found, chosen, guard)

    @abstractmethod
    def fold(self, state: S, piece: Slice) -> Effects:
        """Take a slice; the state is changed in place."""

    def add_steps(self, flow: Dataflow, source: Source[Read]) -> Stream[Effects]:
        """Add the steps in order, in a flow of their own or beside others; returns the effects."""
        slices = op.input(self.steps.read, flow, source)
        effects = op.stateful_batch(self.steps.advance, slices, lambda _resumed: _Fold(self))
        rows = op.key_rm(self.steps.drop, effects)
        sink = GuardedSink(self.guard, self.writer.put, self.close_lake)
        op.output(self.steps.write, rows, sink)
        return rows

    def remaining(self) -> int:
        """Records that are still to be read."""
        return sum(self.log.end(p) - start for p, start in self.starts.items())

    def high_water(self, partition: int) -> int:
        """How far the lake is with a partition of the log."""
        return self.writer.high_water(self.flow.first_partition + partition)

    def advance(self, read: ReadSlice) -> Effects:
        """Take a slice: decide, measure, and take a checkpoint now and then."""
        state = self.states[self.flow.first_partition + read.piece.partition]
        self._checkpoint(state)
        effects = self.fold(state, read.piece)
        if read.refused is not None:
            effects = _with_refused(effects, read, state.partition)
            state.position = effects.position
        elapsed_ms = (time.monotonic() - read.read_at) * 1e3
        self.progress(len(read.piece))
        refused = read.refused.num_rows if read.refused is not None else 0
        self.metrics.advanced(self.flow, effects, len(read.piece), refused, elapsed_ms / 1e3)
        decisions = effects.count(Table.DECISIONS)
        measured = Measured(read.first, len(read.piece), decisions, elapsed_ms)
        return replace(effects, measured=measured)

    def _has_begun(self, state: S) -> bool:
        return state.position >= self.starts[state.partition - self.flow.first_partition]

    def _checkpoint(self, state: S) -> None:
        """Take a checkpoint if one is due, once whoever else has to has all effects up to it."""
        partition = state.partition
        if not self._has_begun(state) or not self.checkpoints.is_due(partition):
            return
        if self.is_published(state):
            self.checkpoints.take(self.whole(state), self.writer.high_water(partition))

    def is_published(self, state: S) -> bool:
        """Whether the effects up to the state's position were given to everybody who is to have them."""
        return True

    def whole(self, state: S) -> Checkpoint[S]:
        """What a checkpoint keeps."""
        return Checkpoint(state)

    def watch(self, metrics: Metrics) -> None:
        """Count in these metrics, and let them ask how far lake and state are."""
        self.metrics = metrics
        metrics.watch_uncommitted(
            self.flow,
            lambda: sum(
                max(0, state.position - self.writer.high_water(p))
                for p, state in self.states.items()
            ),
        )

    def close_lake(self) -> None:
        """Commit what was put; others may have something to put yet, if the writer is theirs too."""
        if self._is_own:
            self.writer.close()
        else:
            self.writer.flush()

    def finish(self) -> None:
        """Keep the states for the next run, once every step has ended in order.

        No step may do this when it is closed: others may have something to write yet, and Bytewax
        closes them as well when an interrupt left a slice half done.
        """
        for state in self.states.values():
            if self._has_begun(state):
                self.checkpoints.save(self.whole(state), self.writer.high_water(state.partition))

    def abort(self) -> None:
        """Stop as a crash would; what was committed stays."""
        self.writer.abort()


def build(source: Source[Read], job: FoldJob[Any]) -> Dataflow:
    """The flow of one fold; source and job differ between replay and live."""
    flow = Dataflow(job.flow.value)
    job.add_steps(flow, source)
    return flow


def run(source: Source[Read], job: FoldJob[Any]) -> None:
    """Run the flow on one worker until its source ends; raises what kept a step from going on."""
    run_guarded(build(source, job), job.guard)
    job.finish()


def run_through(kind: type[FoldJob[Any]], log: ParquetLog, lake: Path) -> None:
    """A whole recorded log into a lake, without a word; an interrupt ends it in order and goes on."""
    job = kind.open(log, lake)
    try:
        with ending_in_order(job.guard):
            run(LogSource(log, job.starts, guard=job.guard), job)
    except BaseException:
        job.abort()
        raise
    if job.guard.is_over:
        raise KeyboardInterrupt


def build_replay(kind: type[FoldJob[Any]], log: str, lake: str, policy: str) -> Dataflow:
    """The flow over a recorded log at full speed, for ``python -m bytewax.run``."""
    try:
        recorded = ParquetLog(Path(log))
        job = kind.open(recorded, Path(lake), policy_file=Path(policy) if policy else None)
    except CrossdockError as error:
        sys.stderr.write(f"flows.{kind.flow}: {error}\n")
        raise SystemExit(2) from error
    return build(LogSource(recorded, job.starts), job)


class _Fold(StatefulBatchLogic[ReadSlice, Effects, None]):
    """Hosts the fold."""

    def __init__(self, job: FoldJob[Any]) -> None:
        self.job = job

    def on_batch(self, values: list[ReadSlice]) -> tuple[Iterable[Effects], bool]:
        made: list[Effects] = []
        if self.job.guard.failure is None:
            with self.job.guard:
                made += [self.job.advance(read) for read in values]
        return made, StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        """Nothing: see ``flows.checkpoints``."""


def partitions_of(log: Log, partitions: Iterable[int] | None) -> list[int]:
    """The partitions asked for; all without.

    Raises:
        InputError: the log has no such partition.
    """
    mine = list(range(log.partitions)) if partitions is None else sorted(set(partitions))
    for partition in mine:
        if not 0 <= partition < log.partitions:
            raise InputError(f"{log.name} has partitions 0 to {log.partitions - 1}, no {partition}")
    return mine


def _check_end(log: Log, partition: int, high_water: int) -> None:
    """Refuse a log that ends before the lake does: what is written to it next would be dropped."""
    end = log.end(partition)
    if end <= high_water:
        raise LogError(
            f"{log.name}: partition {partition} ends at position {end}, but the lake holds effects "
            f"up to {high_water}: records are missing; restore them, or begin a new lake"
        )


def _with_refused(effects: Effects, read: ReadSlice, partition: int) -> Effects:
    """The effects with what was no record among them."""
    assert read.refused is not None
    numbers = [partition] * read.refused.num_rows
    place = read.refused.schema.get_field_index("partition")
    letters = read.refused.cast(SCHEMAS[Table.DEAD_LETTERS])
    letters = letters.set_column(place, letters.schema.field(place), pa.array(numbers, pa.int32()))
    given = {**effects.given, Table.DEAD_LETTERS: letters}
    return replace(effects, position=read.last, given=given)


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
