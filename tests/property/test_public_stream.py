"""What the router publishes is what the tracking fold reads: every record, and what it comes to."""

import pytest

from flows.public_records import public_records
from models.lifecycle.transitions import phase_name
from models.routing.fold import RouteState
from models.routing.fold import advance as route
from models.tracking.fold import advance as track
from models.tracking.state import TrackState
from schemas.codec import Refusal, decode_line, to_slice
from schemas.ids import LogId
from schemas.tables import Table
from schemas.topics import LogOf, belongs
from tests.support.builders import journal, rules_only
from tests.support.worlds import Shape, world

PHASES = {
    "BACKORDERED": {"BACKORDERED"},
    "UNROUTABLE": {"HELD"},
    "HELD_FOR_REVIEW": {"HELD", "ROUTED"},
    "FULLY_ROUTED": {"ROUTED"},
    "PARTIALLY_ROUTED": {"ROUTED"},
    "CANCELLED": {"CANCELLED"},
}


@pytest.mark.parametrize("seed", range(12))
def test_every_public_record_is_a_record_of_the_tracking_log(seed: int) -> None:
    effects = route(RouteState(0), journal(*world(seed, Shape(records=300))), rules_only)

    decoded = [decode_line(r.value, 1) for r in public_records(effects, LogId("log"))]

    events = [event for event in decoded if not isinstance(event, Refusal)]
    assert len(events) == len(decoded) > 100
    assert all(belongs(event, LogOf.TRACKING) for event in events)

    state = TrackState(0)
    track(state, to_slice(events, 0, 0))
    latest = dict(effects.plain(Table.DECISIONS, ("order_id", "outcome")))
    for key, row in zip(state.keys, state.orders, strict=False):
        order = key.rpartition("/")[2]
        if order in latest:
            assert phase_name(int(row["phase"])) in PHASES[latest[order]], order
