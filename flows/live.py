"""The deployed job: ingest, route and track as one dataflow of one process, or any of them alone.

::

    read_raw ──► check_records ──► write_journal                    (flows/ingest.py)
    read_log ──► advance_partition ──► write_lake                    (flows/route.py)
                                  └──► write_tracking
    read_tracking ──► advance_orders ──► write_facts                 (flows/track.py)

They meet in the two logs alone, so it does not matter whether one process runs all of them; in the
lake they meet in its one writer. SIGTERM and Ctrl-C end it in order, also while it starts: what was read
is finished, the lake committed, a checkpoint written. A second Ctrl-C ends it at once, as a crash would.
"""

from dataclasses import dataclass
from typing import Any

from bytewax.dataflow import Dataflow
from bytewax.inputs import Source

from flows import ingest
from flows.folding import FoldJob, Read
from flows.guard import Guard, run_guarded
from flows.ingest import IngestJob
from flows.lake.writer import LakeWriter
from flows.metrics import Metrics, serve
from flows.route import RouteJob
from flows.track import TrackJob


@dataclass
class LiveJob:
    """What one process does; at least one of the three.

    Attributes:
        ingest: raw topics to journal and tracking log.
        route: the journal to lake and tracking log, and where it is read from.
        track: the tracking log to the lake, and where it is read from.
        writer: of the lake, if it is for both.
        guard: of the whole flow; every part is built with it.
    """

    guard: Guard
    ingest: IngestJob | None = None
    route: tuple[RouteJob, Source[Read]] | None = None
    track: tuple[TrackJob, Source[Read]] | None = None
    writer: LakeWriter | None = None

    @property
    def folds(self) -> list[FoldJob[Any]]:
        """The jobs that have a state."""
        return [part[0] for part in (self.route, self.track) if part is not None]

    def serve_metrics(self, host: str, port: int) -> None:
        """Let an operator's tools ask how the job is doing.

        Raises:
            InputError: the port cannot be had.
        """
        metrics = Metrics()
        if self.ingest is not None:
            self.ingest.metrics = metrics
        for job in self.folds:
            job.watch(metrics)
        serve(metrics, self.guard, host, port)

    def run(self) -> None:
        """Work until asked to stop; raises what kept a part from going on."""
        flow = Dataflow("live")
        if self.ingest is not None:
            ingest.add_steps(flow, self.ingest)
        for part in (self.route, self.track):
            if part is not None:
                part[0].add_steps(flow, part[1])
        try:
            run_guarded(flow, self.guard)
            if self.writer is not None:
                self.writer.close()
        except BaseException:
            for job in self.folds:
                job.abort()
            raise
        for job in self.folds:
            job.finish()
