"""The route flow: a journal's slices through the router into the lake, and to the tracking topic.

Its steps are those of folding.py. Run it by ``crossdock replay``, or as any Bytewax flow:
``python -m bytewax.run "flows.route:replay('LOG', 'LAKE')"``.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, Unpack

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source

from flows.checkpoints import ROUTE_FORM, Checkpoint
from flows.folding import FoldJob, Opened, Opening, Read, Steps, build_replay
from flows.guard import GuardedSink
from flows.kafka.client import KafkaSettings
from flows.lake.layout import Flow
from flows.logs.log import Log
from flows.metrics import Metrics
from flows.tracking import TrackingTopic
from models.inference import ARTIFACTS, Model, load_model
from models.routing.fold import RouteState, advance
from schemas.slices import Slice
from schemas.tables import Effects
from schemas.topics import LogOf


class Publisher(Protocol):
    """Whoever writes decisions to the tracking log."""

    def put(self, effects: Effects) -> None:
        """Write what is public of these effects."""

    def given(self, partition: int) -> int:
        """Position of the journal's partition up to which effects were put; -1 before the first."""

    def flush(self) -> None:
        """Wait until everything put so far is durable."""

    def ends(self) -> Mapping[int, int]:
        """Where the tracking log's partitions end now."""

    def close(self) -> None:
        """Leave."""


def replay(log: str, lake: str, policy: str = "") -> Dataflow:
    """The flow over a recorded journal at full speed, for ``python -m bytewax.run``."""
    return build_replay(RouteJob, log, lake, policy)


class RouteJob(FoldJob[RouteState]):
    """One run over one journal into one lake."""

    flow = Flow.ROUTE
    reads = LogOf.JOURNAL
    form = ROUTE_FORM
    steps = Steps()

    def __init__(self, opened: Opened, publisher: Publisher | None = None) -> None:
        super().__init__(opened)
        model_dirs = [*opened.settings.model_dirs, ARTIFACTS]
        self.scorer_of = cache(lambda sha256: _load(model_dirs, sha256))
        self.publisher = publisher

    @classmethod
    def open(
        cls,
        log: Log,
        lake_path: Path,
        *,
        tracking: KafkaSettings | None = None,
        publisher: Publisher | None = None,
        **how: Unpack[Opening],
    ) -> Self:
        """See ``FoldJob``.

        Args:
            log: recorded or live.
            lake_path: a lake of this log, or a place for a new one.
            tracking: the cluster whose tracking topic is to have every decision; none without.
            publisher: who else is to have them, in place of a topic.
            **how: see ``Opening``.
        """
        opened = cls._open(log, lake_path, **how)
        try:
            if tracking is not None:
                floors = [found.tracking_ends for found in opened.found]
                publisher = TrackingTopic(tracking, log.id, floors, opened.guard)
        except BaseException:
            if opened.is_own:
                opened.writer.abort()
            raise
        return cls(opened, publisher)

    def add_steps(self, flow: Dataflow, source: Source[Read]) -> Stream[Effects]:
        """See ``FoldJob``; decisions go to the tracking log as well."""
        rows = super().add_steps(flow, source)
        if self.publisher is not None:
            op.output("write_tracking", rows, GuardedSink(self.guard, self.publisher.put))
        return rows

    def fold(self, state: RouteState, piece: Slice) -> Effects:
        """See ``FoldJob``."""
        return advance(state, piece, self.scorer_of)

    def is_published(self, state: RouteState) -> bool:
        """See ``FoldJob``; effects that are on their way to the publisher's step are not."""
        return self.publisher is None or self.publisher.given(state.partition) >= state.position

    def whole(self, state: RouteState) -> Checkpoint[RouteState]:
        """See ``FoldJob``."""
        if self.publisher is None:
            return Checkpoint(state)
        self.publisher.flush()
        return Checkpoint(state, self.publisher.ends())

    def watch(self, metrics: Metrics) -> None:
        """See ``FoldJob``."""
        super().watch(metrics)
        metrics.watch(
            "open_orders",
            "Orders that the state remembers.",
            lambda: sum(len(network.names["orders"]) for network in self._networks()),
        )
        metrics.watch(
            "networks_decided_by_rules",
            "Networks with no model activated.",
            lambda: sum(not network.model_sha256 for network in self._networks()),
        )

    def _networks(self) -> list[Any]:
        states = list(self.states.values())
        return [network for state in states for network in list(state.networks.values())]

    def finish(self) -> None:
        """See ``FoldJob``."""
        super().finish()
        if self.publisher is not None:
            self.publisher.close()


def _load(model_dirs: Sequence[Path], sha256: str) -> Model:
    return load_model(model_dirs, sha256)
