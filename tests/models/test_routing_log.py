"""What holds of a log as a whole: its records' places, its networks, its time, its repeats."""

import pytest

from schemas.envelope import Event
from tests.support.builders import (
    HOUR,
    Rows,
    When,
    capacity,
    cause_of,
    counted,
    instant,
    lane,
    node,
    route,
    tick,
)

ONE_NODE = (node("A"), lane("A"), counted("A", {"S1": 100}))


def test_dead_letters_of_control_records_and_of_others_share_a_table() -> None:
    rows = route(capacity("nowhere", 5), counted("nowhere"))

    assert rows.reasons() == ["UNKNOWN_NODE", "UNKNOWN_NODE"]
    assert [d["kind"] for d in rows.dead_letters] == ["capacity.set", "inventory.counted"]
    assert [d["subject"] for d in rows.dead_letters] == ["nowhere", "nowhere"]


def places(rows: Rows) -> list[tuple[int, int]]:
    return [cause_of(row) for held in rows.tables.values() for row in held]


def in_networks(*names: str) -> list[Event]:
    """A node with stock in every network."""
    events: list[Event] = []
    for name in names:
        when = When(network=name)
        events += [node("A", when), lane("A", when=when), counted("A", {"S1": 9}, when=when)]
    return events


def test_one_tick_makes_effects_in_many_networks_and_each_has_its_own_place() -> None:
    log = [*in_networks("eu", "us", "asia"), tick(60), tick(2 * HOUR)]

    rows = route(*log)

    assert {(s["network"], s["position"]) for s in rows.stock} == {
        ("eu", 9),
        ("us", 9),
        ("asia", 9),
    }
    assert len(places(rows)) == len(set(places(rows)))
    assert route(*log, cut=1).tables == rows.tables


@pytest.mark.parametrize("ticking", ["eu", "us", "system"])
def test_a_network_hears_the_ticks_after_its_first_record_only(ticking: str) -> None:
    when = When(network=ticking)
    log = [tick(10 * HOUR, when=when), *in_networks("eu", "us"), tick(20 * HOUR, "late", when)]

    rows = route(*log)

    assert {(s["network"], s["at"]) for s in rows.stock} == {
        ("eu", instant(20 * HOUR)),
        ("us", instant(20 * HOUR)),
    }
    for cut in (1, 2, 4):
        assert route(*log, cut=cut).tables == rows.tables
