"""What platforms send, in any order, repeated, late and in batches of any size, comes to the same facts.

The payloads are a shop's orders with changes, notes, payments and cancellations, its parcels and its stock, and
the growing histories of a carrier, through the shipped mappings. What is promised (design.md, section 1): the
same records; of an order what its highest revision says; of stock the latest count; of a life cycle the same
rows whatever came first. Who gets the last unit may differ, so there is enough of everything from the start.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any

import msgspec
import pytest

from flows.channels.engine import Channel
from models.policy.document import Policy, Windows
from schemas.codec import Refusal, decode_line
from schemas.crossref import Assignment, CrossReference, foreign_of, resolved
from schemas.envelope import Event
from schemas.kinds import KIND_OF
from schemas.tables import Table
from schemas.topics import LogOf, is_sent_to
from tests.support.builders import (
    HOUR,
    START,
    Rows,
    effects_of,
    instant,
    journal,
    lane,
    node,
    policy,
    tick,
)
from tests.support.channels import shipped
from tests.support.tracks import tick as tracking_tick
from tests.support.tracks import track

SEEDS = range(10)
ITEMS = {"39072856": "IPOD2008GREEN", "49148385": "IPOD2008RED"}
PLACE = "487838322"
CHECKPOINTS = ("InTransit_002", "InTransit_003", "OutForDelivery_001", "Delivered_001")
Payload = tuple[str, dict[str, Any]]
Facts = dict[str, Any]


def at(hours: float) -> str:
    """So many hours after the beginning, as platforms write it."""
    return (START + timedelta(hours=hours)).isoformat()


def order(number: int, made: float, changed: float, **changes: Any) -> Payload:
    """An order of the shop, as it is at some time."""
    lines = [
        {"sku": sku, "quantity": qty, "price": "9.90", "grams": 200}
        for sku, qty in changes.pop("lines").items()
    ]
    body = {
        "id": number,
        "created_at": at(made),
        "updated_at": at(changed),
        "currency": "USD",
        "financial_status": "paid",
        "fulfillment_status": None,
        "cancelled_at": None,
        "shipping_address": {"country_code": "US"},
        "line_items": lines,
    }
    return "shopify", body | changes


def life(chance: Random, number: int) -> Iterator[Payload]:
    """All that is said of one order."""
    made, (green, red) = number / 4, ITEMS.values()
    first, last = chance.randint(1, 5), chance.randint(1, 5)
    yield order(number, made, made, lines={green: first}, financial_status="pending")
    if number == 9:  # made and paid for in one second, and that is all
        yield order(number, made, made, lines={green: first})
        return
    yield order(number, made, made + 1, lines={green: first, red: 1})
    for touched in (1.5, 2):
        yield order(number, made, made + touched, lines={green: first, red: 1}, note="a gift")
    if number % 4 == 0:
        gone = {"cancelled_at": at(made + 3), "cancel_reason": "customer"}
        yield order(number, made, made + 3, lines={green: first}, **gone)
        return
    yield order(number, made, made + 4, lines={green: last, red: 2})
    parcel = f"T{number}"
    yield (
        "shopify",
        {
            "id": 1000 + number,
            "order_id": number,
            "status": "success",
            "created_at": at(made + 8),
            "updated_at": at(made + 8),
            "location_id": PLACE,
            "tracking_company": "ups",
            "tracking_numbers": [parcel],
        },
    )
    said = [
        {"checkpoint_time": at(made + 10 * n), "subtag": subtag, "slug": "ups"}
        for n, subtag in enumerate(CHECKPOINTS[: 4 - number % 3], start=1)
    ]
    for history in accumulate(([one] for one in said), lambda before, new: before + new):
        yield "aftership", {"msg": {"tracking_number": parcel, "checkpoints": history}}


def levels(n: int) -> list[Payload]:
    """The stock, counted for the n-th time."""
    count = {"location_id": PLACE, "available": 900 + n, "updated_at": at(n - 1)}
    return [("shopify", count | {"inventory_item_id": item}) for item in ITEMS]


def stream(seed: int) -> list[Payload]:
    """What a day brings after the first count, in the order in which it happens."""
    chance = Random(seed)
    counts = [payload for n in range(1, 6) for payload in levels(n)]
    return counts + [payload for number in range(1, 10) for payload in life(chance, number)]


def disturbed(payloads: Sequence[Payload], seed: int) -> list[Payload]:
    """Shuffled, a third of it twice, and some of it long after everything else."""
    chance = Random(seed)
    mixed = [*payloads, *chance.choices(payloads, k=len(payloads) // 3)]
    chance.shuffle(mixed)
    late = [n for n in range(len(mixed)) if chance.random() < 0.1]
    return [p for n, p in enumerate(mixed) if n not in late] + [mixed[n] for n in late]


@cache
def channel(name: str) -> Channel:
    return shipped(name)


def mapped(payloads: Sequence[Payload], chance: Random) -> list[Event]:
    """Their records in that order, of batches of any size, each of what is next of one channel."""
    made: list[list[bytes]] = [[] for _ in payloads]
    for name in ("shopify", "aftership"):
        places = [n for n, (of, _) in enumerate(payloads) if of == name]
        while places:
            batch = places[: chance.choice([1, 5, 20, 100])]
            taken = channel(name).take([json.dumps(payloads[n][1]).encode() for n in batch])
            assert not taken.troubles
            for record in taken.records:
                made[batch[record.payload]].append(record.line)
            places = places[len(batch) :]
    return [found(line) for lines in made for line in lines]


def found(line: bytes) -> Event:
    """A record of the order that it is about, which a carrier knows by its parcel alone."""
    foreign = foreign_of(line)
    if foreign is not None:
        subject = foreign.xref.removeprefix("tracking:T")
        known = Assignment(tenant="acme", network="eu", subjects=[subject])
        (line,) = resolved(line, foreign, CrossReference(assignments=[known]))
    event = decode_line(line, 0)
    assert not isinstance(event, Refusal), event.detail
    return event


def learnt_in_turn(events: Sequence[Event], hours: float = 90) -> list[Event]:
    """Each was learnt a second after the one before, when all of it had happened."""
    return [
        msgspec.structs.replace(event, recordedtime=instant(hours * HOUR + n))
        for n, event in enumerate(events)
    ]


def reserved(events: Sequence[Event], again_hours: Sequence[float] = ()) -> Facts:
    """What the router holds for each order at the end, what was said of it last, and the stock.

    Args:
        events: in the order in which they are learnt.
        again_hours: when the same is learnt once more, all of it.
    """
    told = [e for e in events if is_sent_to(e, LogOf.JOURNAL)]
    log = [policy(Policy(version="p", windows=Windows(dedupe_hours=24))), node(PLACE)]
    log += [lane(PLACE, region="US"), *learnt_in_turn(told), tick(100 * HOUR)]
    for hours in again_hours:
        log += [*learnt_in_turn(told, hours), tick((hours + 1) * HOUR)]
    rows = Rows(effects_of(journal(*log)))
    assert not rows.dead_letters
    last = {d["order_id"]: d for d in rows.decisions}
    return {
        "held": rows.held(),
        "orders": {name: (d["outcome"], d["units_ordered"]) for name, d in last.items()},
        "stock": {(s["node"], s["sku"]): (s["on_hand"], s["reserved"]) for s in rows.stock},
    }  # fmt: skip


def lived(events: Sequence[Event]) -> Facts:
    """Where tracking sees each order and each parcel at the end, and all that it has taken note of."""
    told = [e for e in events if is_sent_to(e, LogOf.TRACKING)]
    tracked = track([*learnt_in_turn(told), tracking_tick(100)])
    assert not tracked.rows(Table.DEAD_LETTERS)
    timeline = tracked.rows(Table.TIMELINE)
    names = {row["order_id"] for row in timeline}
    learnt = [(r["source"], r["event_id"]) for r in timeline if r["event_id"] is not None]
    assert len(learnt) == len(set(learnt)), "nothing is taken note of twice"
    return {
        "phases": {name: tracked.phase(name) for name in names},
        "exceptions": {name: raised(tracked.exceptions(name)) for name in names},
        "learnt": set(learnt),
    }


def raised(changes: Sequence[tuple[str, str]]) -> set[str]:
    """What holds at the end."""
    newest = dict(changes)
    return {code for code, change in newest.items() if change != "resolved"}


def lines_of(events: Sequence[Event]) -> set[bytes]:
    return {msgspec.json.encode((KIND_OF[type(event)].tag, event)) for event in events}


@pytest.mark.parametrize("seed", SEEDS)
def test_payloads_in_any_order_repeated_late_and_in_any_batches_come_to_the_same(seed: int) -> None:
    payloads = stream(seed)
    plain = mapped(levels(0) + payloads, Random(seed))

    mixed = mapped(levels(0) + disturbed(payloads, seed), Random(seed + 1))

    assert lines_of(mixed) == lines_of(plain)
    assert len(mixed) > len(lines_of(mixed)), "some of it came twice"
    assert reserved(mixed) == reserved(plain)
    assert lived(mixed) == lived(plain)


@pytest.mark.parametrize(
    "every",
    [12, 60],
    ids=["within the window", "when the window has forgotten them"],
)
def test_what_is_fetched_again_for_weeks_counts_once(every: int) -> None:
    events = mapped(levels(0) + stream(1), Random(1))

    again = reserved(events, range(100, 1_000, every))

    assert again == reserved(events)


def test_a_day_comes_to_what_its_payloads_say() -> None:
    """So that equal is not equally empty."""
    events = mapped(levels(0) + stream(1), Random(1))

    routed, tracked = reserved(events), lived(events)

    assert {name: said[0] for name, said in routed["orders"].items()} == {
        str(n): "CANCELLED" if n % 4 == 0 else "FULLY_ROUTED" for n in range(1, 10)
    }
    assert [on_hand for on_hand, _ in routed["stock"].values()] == [905, 905]
    assert {tracked["phases"][str(n)] for n in (3, 6)} == {"DELIVERED"}
    assert {tracked["phases"][str(n)] for n in (1, 7)} == {"OUT_FOR_DELIVERY"}
