"""The deployed job: ingest and route as one dataflow of one process, or either alone.

::

    read_raw ──► check_records ──► write_journal        (flows/ingest.py)
    read_log ──► advance_partition ──► write_lake        (flows/route.py)
                                  └──► write_tracking

They meet in the journal alone, so it does not matter whether one process runs both. SIGTERM and Ctrl-C
end it in order, also while it starts: what was read is finished, the lake committed, a checkpoint
written. A second Ctrl-C ends it at once, as a crash would.
"""

from dataclasses import dataclass

from bytewax.dataflow import Dataflow
from bytewax.inputs import Source

from flows import ingest, route
from flows.guard import Guard, run_guarded
from flows.ingest import IngestJob
from flows.metrics import Metrics, serve
from flows.route import Read, RouteJob


@dataclass
class LiveJob:
    """What one process does; at least one of the two.

    Attributes:
        ingest: raw topics to the journal.
        route: the journal to lake and tracking topic, and where it is read from.
        guard: of the whole flow; every part is built with it.
    """

    guard: Guard
    ingest: IngestJob | None = None
    route: tuple[RouteJob, Source[Read]] | None = None

    def serve_metrics(self, host: str, port: int) -> None:
        """Let an operator's tools ask how the job is doing.

        Raises:
            InputError: the port cannot be had.
        """
        metrics = Metrics()
        if self.ingest is not None:
            self.ingest.metrics = metrics
        if self.route is not None:
            self.route[0].watch(metrics)
        serve(metrics, self.guard, host, port)

    def run(self) -> None:
        """Work until asked to stop; raises what kept a part from going on."""
        flow = Dataflow("live")
        if self.ingest is not None:
            ingest.add_steps(flow, self.ingest)
        if self.route is not None:
            job, source = self.route
            route.add_steps(flow, source, job)
        try:
            run_guarded(flow, self.guard)
        except BaseException:
            if self.route is not None:
                self.route[0].abort()
            raise
        if self.route is not None:
            self.route[0].finish()
