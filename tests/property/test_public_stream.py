"""What the router publishes is what the tracking fold reads: every record, and what it comes to."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from flows.public_records import public_records
from models.lifecycle.transitions import phase_name
from models.routing.fold import RouteState
from models.routing.fold import advance as route
from models.tracking.fold import advance as track
from models.tracking.state import TrackState
from schemas.codec import Refusal, decode_line, to_slice
from schemas.decisions import Decision, WorkOffered
from schemas.envelope import Event
from schemas.ids import LogId
from schemas.orders import Order, OrderAmended, OrderReceived
from schemas.tables import Table
from schemas.topics import LogOf, belongs
from tests.support.builders import journal, rules_only
from tests.support.worlds import Shape, world

PHASES = {
    "BACKORDERED": {"BACKORDERED"},
    "UNROUTABLE": {"HELD"},
    "HELD_FOR_REVIEW": {"HELD"},
    "FULLY_ROUTED": {"ROUTED"},
    "PARTIALLY_ROUTED": {"BACKORDERED"},
    "CANCELLED": {"CANCELLED"},
}


@pytest.mark.parametrize("seed", range(12))
def test_every_public_record_is_a_record_of_the_tracking_log(seed: int) -> None:
    effects = route(RouteState(0), journal(*world(seed, Shape(records=300))), rules_only)

    decoded = [decode_line(r.value, 1) for r in public_records(effects, LogId("log"))]

    events = [event for event in decoded if not isinstance(event, Refusal)]
    assert len(events) == len(decoded) > 100
    assert all(belongs(event, LogOf.TRACKING) for event in events)
    assert all(event.data.ship_by_at for event in events if isinstance(event, WorkOffered))

    state = TrackState(0)
    track(state, to_slice(events, 0, 0))
    latest = dict(effects.plain(Table.DECISIONS, ("order_id", "outcome")))
    for key, row in zip(state.keys, state.orders, strict=False):
        order = key.rpartition("/")[2]
        if order in latest:
            assert phase_name(int(row["phase"])) in PHASES[latest[order]], order


FORGETFUL = Shape(records=700, forgetful=True, step=400.0)


def personal(events: Iterable[Event]) -> list[Event]:
    """The same events; every revision of every order has a customer, a price and wishes of its own."""
    return [_personal(e) if isinstance(e, OrderReceived | OrderAmended) else e for e in events]


def _personal(event: OrderReceived | OrderAmended) -> Event:
    said, n = event.data, event.data.revision
    data = msgspec.structs.replace(
        said,
        customer="" if n % 5 == 0 else f"{event.subject}-{n}",
        tier=("standard", "vip", "gold")[n % 3],
        currency=("EUR", "CNY")[n % 2],
        installation=n % 2 == 0,
        acceptance=n % 3 == 0,
        lines=[msgspec.structs.replace(line, unit_price_minor=n) for line in said.lines],
    )
    return msgspec.structs.replace(event, data=data)


def content(data: Order | Decision) -> tuple[Any, ...]:
    """What both an order and a decision about it say of it."""
    if isinstance(data, Order):
        worth = sum(line.qty * line.unit_price_minor for line in data.lines)
    else:
        worth = data.value_minor
    words = data.customer or None, data.tier, data.currency, data.channel, data.region
    return (*words, worth, data.installation, data.acceptance)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", [Shape(records=300), FORGETFUL], ids=["long", "forgetful"])
def test_every_decision_says_what_the_revision_of_its_order_says(seed: int, shape: Shape) -> None:
    events = personal(world(seed, shape))
    said: dict[tuple[str, int], set[tuple[Any, ...]]] = defaultdict(set)
    for event in events:
        if isinstance(event, OrderReceived | OrderAmended):
            said[event.subject, event.data.revision].add(content(event.data))

    effects = route(RouteState(0), journal(*events), rules_only)

    decided = [decode_line(record.value, 1) for record in public_records(effects, LogId("log"))]
    told = [e for e in decided if isinstance(e, Event) and isinstance(e.data, Decision)]  # type: ignore[attr-defined]
    assert len(told) > 50
    for decision in told:
        assert content(decision.data) in said[decision.subject, decision.data.revision]  # type: ignore[attr-defined]
