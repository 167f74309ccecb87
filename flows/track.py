"""The track flow: the tracking log's slices through the tracking fold into the lake.

Its steps are those of folding.py; its partitions are counted from 10,000 in the lake. Run it by
``crossdock replay`` on a tracking log, beside the others by ``crossdock run``, or as any Bytewax flow:
``python -m bytewax.run "flows.track:replay('LOG', 'LAKE')"``.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from bytewax.dataflow import Dataflow
from bytewax.inputs import Source

from flows.checkpoints import TRACK_FORM
from flows.folding import FoldJob, Read, Steps, add_fold
from flows.guard import Guard, run_guarded
from flows.lake.layout import Flow
from flows.lake.writer import LakeWriter
from flows.logs.log import Log
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.metrics import Metrics
from flows.settings import Settings
from models.tracking.fold import advance
from models.tracking.state import TrackState
from schemas.errors import CrossdockError, LogError
from schemas.slices import Slice
from schemas.tables import Effects
from schemas.topics import LogOf

STEPS = Steps("read_tracking", "advance_orders", "drop_order_key", "write_facts")


def build(source: Source[Read], job: "TrackJob") -> Dataflow:
    """The flow; source and job differ between replay and live."""
    flow = Dataflow("track")
    add_steps(flow, source, job)
    return flow


def add_steps(flow: Dataflow, source: Source[Read], job: "TrackJob") -> None:
    """The steps in order, in a flow of their own or beside others."""
    add_fold(flow, source, job, STEPS)


def replay(log: str, lake: str, policy: str = "") -> Dataflow:
    """The flow over a recorded log at full speed, for ``python -m bytewax.run``."""
    try:
        recorded = ParquetLog(Path(log))
        job = TrackJob.open(recorded, Path(lake), policy_file=Path(policy) if policy else None)
    except CrossdockError as error:
        sys.stderr.write(f"flows.track: {error}\n")
        raise SystemExit(2) from error
    return build(LogSource(recorded, job.starts), job)


def run(source: Source[Read], job: "TrackJob") -> None:
    """Run the flow on one worker until its source ends; raises what kept a step from going on."""
    run_guarded(build(source, job), job.guard)
    job.finish()


class TrackJob(FoldJob[TrackState]):
    """One run over one tracking log into one lake."""

    flow = Flow.TRACK
    form = TRACK_FORM
    gauges = "track_"

    @classmethod
    def open(
        cls,
        log: Log,
        lake_path: Path,
        *,
        policy_file: Path | None = None,
        partitions: Iterable[int] | None = None,
        settings: Settings | None = None,
        guard: Guard | None = None,
        writer: LakeWriter | None = None,
    ) -> Self:
        """Open log and lake and take up where the lake left off.

        Args:
            log: recorded or live.
            lake_path: a lake of this log, or a place for a new one.
            policy_file: counts in place of the log's own policies.
            partitions: of the log; all without.
            settings: of the surroundings; read from the environment without.
            guard: of the flow.
            writer: of the lake, if others write it too; a new one without.

        Raises:
            CrossdockError: log, lake or policy cannot be used; the message says why.
        """
        if log.of is not LogOf.TRACKING:
            raise LogError(f"{log.name} is a {log.of}, not a tracking log")
        return cls(
            cls._open(
                log,
                lake_path,
                policy_file=policy_file,
                partitions=partitions,
                settings=settings,
                guard=guard,
                writer=writer,
            )
        )

    def fold(self, state: TrackState, piece: Slice) -> Effects:
        """See ``FoldJob``."""
        return advance(state, piece)

    def watch(self, metrics: Metrics) -> None:
        """See ``FoldJob``."""
        super().watch(metrics)
        metrics.watch(
            "tracked_orders",
            "Orders that the tracking state remembers.",
            lambda: sum(len(state.keys) for state in list(self.states.values())),
        )
