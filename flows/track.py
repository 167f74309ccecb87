"""The track flow: the tracking log's slices through the tracking fold into the lake.

Its steps are those of folding.py; its partitions are counted from 10,000 in the lake. Live, what is wanted of
the router is on its way to the journal before the lake is given the effects (reroutes.py). Run it by
``crossdock replay`` on a tracking log, beside the others by ``crossdock run``, or as any Bytewax flow:
``python -m bytewax.run "flows.track:replay('LOG', 'LAKE')"``.
"""

from functools import cache
from pathlib import Path
from typing import Self, Unpack

from bytewax.dataflow import Dataflow

from flows.checkpoints import TRACK_FORM
from flows.folding import FoldJob, Opened, Opening, Steps, build_replay
from flows.lake.layout import Flow
from flows.logs.log import Log
from flows.metrics import Metrics
from flows.reroutes import Reroutes, reroutes
from models.inference import ARTIFACTS, load_model
from models.tracking.fold import advance
from models.tracking.state import TrackState
from schemas.codes import ModelOf
from schemas.slices import Slice
from schemas.tables import Effects
from schemas.topics import LogOf


def replay(log: str, lake: str, policy: str = "") -> Dataflow:
    """The flow over a recorded tracking log at full speed, for ``python -m bytewax.run``."""
    return build_replay(TrackJob, log, lake, policy)


class TrackJob(FoldJob[TrackState]):
    """One run over one tracking log into one lake."""

    flow = Flow.TRACK
    reads = LogOf.TRACKING
    form = TRACK_FORM
    steps = Steps("read_tracking", "advance_orders", "drop_order_key", "write_facts")

    def __init__(self, opened: Opened, wishes: Reroutes | None = None) -> None:
        super().__init__(opened)
        model_dirs = [*opened.settings.model_dirs, ARTIFACTS]
        self.scorer_of = cache(lambda sha256: load_model(model_dirs, sha256, ModelOf.ARRIVAL))
        self._wishes = wishes
        self._in_lake = {p: self.writer.high_water(p) for p in self.states}

    @classmethod
    def open(
        cls, log: Log, lake_path: Path, *, wishes: Reroutes | None = None, **how: Unpack[Opening]
    ) -> Self:
        """See ``FoldJob``; ``wishes``: who brings what is to be decided again to the journal, if anybody."""
        return cls(cls._open(log, lake_path, **how), wishes)

    def fold(self, state: TrackState, piece: Slice) -> Effects:
        """See ``FoldJob``; what is wanted of the router is durable before anybody has the effects."""
        effects = advance(state, piece, self.scorer_of)
        if self._wishes is not None:
            wanted = list(reroutes(effects, self.log.id, self._in_lake[state.partition]))
            for record in wanted:
                self._wishes.put(record)
            if wanted:
                self._wishes.flush()
        return effects

    def watch(self, metrics: Metrics) -> None:
        """See ``FoldJob``."""
        super().watch(metrics)
        metrics.watch(
            "tracked_orders",
            "Orders that the tracking state remembers.",
            lambda: sum(len(state.keys) for state in list(self.states.values())),
        )
        metrics.watch(
            "networks_estimated_by_lanes",
            "Networks whose arrivals no model estimates.",
            lambda: sum(state.models.count("") for state in list(self.states.values())),
        )
