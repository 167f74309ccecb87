"""``cold_chain`` and ``trace``: each reading is counted for the parcels that its device went with then."""

from typing import Any

import pytest

from schemas.envelope import Event
from tests.support.devices import MINUTE, bound, released, sensed, series
from tests.support.facts import rows_in, tracked_facts
from tests.support.tracks import renamed, step, tick

NAMES = "package, device, readings, above, max_c"


def measured(events: list[Event]) -> list[tuple[Any, ...]]:
    """Rows of the view, by parcel and device."""
    found = tracked_facts(events)
    return [
        tuple(row.values())
        for row in rows_in(found, f"SELECT {NAMES} FROM cold_chain ORDER BY ALL")
    ]


def test_a_logger_that_changes_parcels_is_counted_for_each() -> None:
    first, second = (
        series([value] * 12, begin=begin) for value, begin in ((5.0, 1.0), (20.0, 4.0))
    )
    moved = [released(2.5, package="p1"), renamed(bound(3, package="p2"), "moved")]

    assert measured([bound(0.1, package="p1"), *first, *moved, *second]) == [
        ("p1", "logger", 12, 0, 5.0),
        ("p2", "logger", 12, 12, 20.0),
    ]


def test_a_logger_that_goes_with_two_parcels_is_counted_for_both() -> None:
    events = [bound(0.1, package="p1"), renamed(bound(1.5, package="p2"), "too")]

    assert measured([*events, *series([5.0] * 12, begin=1)]) == [
        ("p1", "logger", 12, 0, 5.0),
        ("p2", "logger", 6, 0, 5.0),
    ]


@pytest.mark.parametrize("end", ["delivered", "released"])
def test_what_it_measures_afterwards_is_nobodys(end: str) -> None:
    ended = step("delivered", 2.0) if end == "delivered" else released(2.0)
    events = [step("handed_over", 0.5), bound(0.6), *series([5.0] * 12, begin=1), ended]
    desk = series([30.0] * 48, begin=2.2)

    found = tracked_facts([*events, *desk, tick(8)])

    (row,) = rows_in(found, "SELECT readings, above, mkt_c FROM cold_chain")
    assert (row["readings"], row["above"]) == (12, 0)
    assert row["mkt_c"] == pytest.approx(5.0)
    (traced,) = rows_in(found, "SELECT package, readings, above, max_c FROM trace")
    assert traced == {"package": "1", "readings": 12, "above": 0, "max_c": 5.0}


def test_between_a_release_and_the_next_binding_it_counts_for_nobody() -> None:
    ways = [bound(0.5), released(1.25), renamed(bound(1.5), "again")]

    assert measured([*ways, *series([5.0] * 12, begin=1)]) == [("1", "logger", 9, 0, 5.0)]


def test_readings_of_a_device_that_was_never_bound_are_of_no_parcel() -> None:
    assert measured([step("handed_over", 0.5), sensed(1), sensed(1 + MINUTE)]) == [
        (None, "logger", 2, 0, 5.0)
    ]
