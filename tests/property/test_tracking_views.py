"""Whatever the order in which records come, the views of the lake say the same in the end."""

from collections.abc import Iterable
from typing import Any

import duckdb
import msgspec
import pytest

from schemas.envelope import Event
from tests.support.devices import journey
from tests.support.facts import facts_from, rows_in
from tests.support.journeys import disturbed, records, with_ticks
from tests.support.tracks import tick, track

SEEDS = range(20)
LEARNT = {
    "shipments": {"known_at", "position"},
    "order_states": {"known_at", "position", "late_records"},
    "order_health": {"position", "exceptions"},
    "exceptions_open": {"position", "evidence", "raised_at", "episode"},
    "twin": {"state_at", "position", "expected_at", "expected_by_at"},
}
"""Columns that say when something was learnt or raised, how often, by what, or what was expected then."""


def of_world(seed: int, events: Iterable[Event]) -> list[Event]:
    """The same about orders that no other world has."""
    return [msgspec.structs.replace(e, subject=f"{seed}-{e.subject}") for e in events]


def views_of(facts: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """What every view says, but for what its columns by definition owe to the order of arrival."""
    return {
        view: rows_in(
            facts, f"SELECT * EXCLUDE ({', '.join(sorted(left))}) FROM {view} ORDER BY ALL"
        )
        for view, left in LEARNT.items()
    }


def milestones(hours: int, shuffle: int = 0) -> duckdb.DuckDBPyConnection:
    """Worlds of several parcels to an order, with corrections that name other parcels; 0: in order."""
    worlds = []
    for seed in SEEDS:
        told = of_world(seed, records(seed, hours=hours))
        mixed = disturbed(told, 100 * seed + shuffle) if shuffle else told
        ticked = with_ticks(mixed, range(0, 200, 50 if shuffle else 10))
        worlds.append(track([*ticked, tick(24 * 12)]))
    return facts_from(worlds)


@pytest.mark.parametrize("hours", [120, 6], ids=["spread", "many at the same instant"])
def test_shuffled_repeated_and_late_records_come_to_the_same_views(hours: int) -> None:
    facts = milestones(hours)
    in_order = views_of(facts)
    wronged = rows_in(facts, "SELECT * FROM timeline WHERE step = 'RETRACTED'")
    assert len(wronged) > 20

    for shuffle in (1, 2):
        for view, said in views_of(milestones(hours, shuffle)).items():
            assert said == in_order[view], (view, shuffle)


def devices(shuffle: int = 0) -> duckdb.DuckDBPyConnection:
    """Worlds of readings and positions; 0: in order."""
    worlds = []
    for seed in SEEDS:
        known, happened = (of_world(seed, part) for part in journey(seed))
        mixed = disturbed(happened, 100 * seed + shuffle) if shuffle else happened
        ticked = with_ticks(mixed, range(0, 10, 3 if shuffle else 1))
        worlds.append(track([*known, *ticked, tick(12)]))
    return facts_from(worlds)


def test_shuffled_repeated_and_late_telemetry_comes_to_the_same_views() -> None:
    in_order = views_of(devices())

    for view, said in views_of(devices(1)).items():
        assert said == in_order[view], view
