"""Every kind of record in any order, repeats among them: Hypothesis looks for what the naive router decides
otherwise, and shrinks what it finds to the fewest records.
"""

from random import Random

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from models.heap import Slot
from models.routing.fold import RouteState, advance
from schemas.envelope import Event
from tests.support import builders as b
from tests.support.reference import Reference
from tests.support.worlds import Shape, new_world

SHAPE = Shape(dates=False, gaps=False, most_lines=4, stock=12)
WHAT = (
    "order", "amendment", "cancellation", "contradiction", "payment", "count", "adjustment", "supply",
    "receipt", "comeback", "hand_over", "refusal", "short_pick", "progress", "review", "wish",
    "proposal", "tick", "change", "price", "signal",
)  # fmt: skip
MOST_RECORDS = 200
"""The view that the model reads is not refreshed before: the naive router knows no view."""


class Router(RuleBasedStateMachine):
    """The router and the naive one, record by record."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.naive = RouteState(0), Reference()
        self.events: list[Event] = []
        self.now = 0.0

    @initialize(seed=st.integers(0, 2**16))
    def open_the_network(self, seed: int) -> None:
        self.world = new_world(Random(seed), SHAPE)
        for event in self.world.opening(self.now):
            self.take(event)

    @rule(what=st.sampled_from(WHAT), seed=st.integers(0, 2**16), pause=st.integers(0, 7_200))
    def something_happens(self, what: str, seed: int, pause: int) -> None:
        self.now += pause
        self.world.random, self.world.position = Random(seed), len(self.events)
        self.take(getattr(self.world, what)(self.now))

    @rule(back=st.integers(1, 12))
    def something_is_said_again(self, back: int) -> None:
        again = self.events[-back:][0]
        self.take(msgspec.structs.replace(again, recordedtime=b.instant(self.now)))

    def take(self, event: Event) -> None:
        if len(self.events) == MOST_RECORDS:
            return
        position = len(self.events)
        (event,) = b.named(event, first=position)
        self.events.append(event)
        self.world.told.append(event)
        before = len(self.naive.decisions)
        self.naive.take(position, event)
        effects = advance(self.state, b.journal(event, first=position), b.rules_only)
        made = [
            (d["position"], d["order_id"], d["outcome"], d["nodes"], d["total_minor"],
             d["units_served"], d["units_backordered"], d["units_unserved"])
            for d in b.Rows([effects]).decisions
        ]  # fmt: skip
        assert made == self.naive.decisions[before:], event

    @invariant()
    def no_unit_is_reserved_twice_or_lost(self) -> None:
        for network in self.state.networks.values():
            cells = network.heap[Slot.CELLS]
            allocations = network.heap[Slot.ALLOCATIONS]
            held = allocations[(allocations["line"] >= 0) & (allocations["supply"] < 0)]
            assert int(cells["reserved"].sum()) == int(held["qty"].sum())
            assert not network.heap[Slot.ORDERS]["in_again"][: len(network.names["orders"])].any()


TestRouter = Router.TestCase
TestRouter.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
