"""Whose goods a device speaks of: bindings that are confirmed, corrected and shared."""

from schemas.codes import TempClass
from schemas.envelope import Event
from schemas.tables import Table
from tests.support.devices import (
    MINUTE,
    PLACES,
    bound,
    located,
    planned,
    released,
    sensed,
    series,
)
from tests.support.tracks import Tracked, renamed, step, tick, track

WARM = [step("handed_over", 0.5), bound(0.6), *series([12.0] * 40, begin=1)]


def again(at: float, n: int = 1, **given: object) -> Event:
    """The logger is bound once more."""
    return renamed(bound(at, **given), f"again-{n}")  # type: ignore[arg-type]


def held(tracked: Tracked) -> set[str]:
    """Exceptions that hold in the end."""
    last = dict(tracked.exceptions())
    return {code for code, change in last.items() if change != "resolved"}


def test_a_binding_that_is_confirmed_forgives_nothing() -> None:
    tracked = track([*WARM, tick(5), again(6), sensed(6.1), tick(6.2)])

    assert held(tracked) == {"TEMP_EXCURSION_MAJOR"}
    assert held(track([again(6), *WARM])) == {"TEMP_EXCURSION_MAJOR"}


def test_however_often_it_is_confirmed() -> None:
    often = [again(6 + n * MINUTE, n) for n in range(60)]

    tracked = track([*WARM, *often, sensed(8)])

    assert held(tracked) == {"TEMP_EXCURSION_MAJOR"}
    assert tracked.state.orders[0]["entries"] < 40


def test_a_binding_with_another_band_corrects_the_one_before() -> None:
    corrected = again(6, temp_class=TempClass.AMBIENT)

    assert held(track([*WARM, corrected])) == set()
    assert held(track([corrected, *WARM])) == set()


def test_what_a_logger_found_before_its_release_counts_after_it_is_bound_anew() -> None:
    tracked = track([*WARM, released(5), again(8), sensed(8.1)])

    assert held(tracked) == {"TEMP_EXCURSION_MAJOR"}


def test_what_it_found_between_is_nobodys() -> None:
    events = [bound(0.6), sensed(1), released(2), *series([12.0] * 40, begin=2.5), again(8)]

    assert held(track([step("handed_over", 0.5), *events, sensed(8.1)])) == set()


def test_one_logger_speaks_of_two_parcels_until_each_is_delivered() -> None:
    parcels = [step("handed_over", 1, package=name) for name in ("p1", "p2")]
    shared = [bound(1.2, package="p1"), again(1.21, package="p2")]
    events = [*parcels, *shared, *series([5.0] * 6, begin=1.3), step("delivered", 2, package="p2")]
    warm = series([12.0] * 40, begin=2.1)

    tracked = track([*events, *warm])

    assert held(tracked) == {"TEMP_EXCURSION_MAJOR"}
    rows = [row for row in tracked.rows(Table.EXCEPTIONS) if row["change"] == "raised"]
    assert {row["package"] for row in rows} == {"p1"}
    both = track([*events, step("delivered", 2.05, package="p1"), *warm])
    assert held(both) == set()


def test_the_signature_comes_later_than_the_delivery() -> None:
    events = [bound(0.6), step("delivered", 1), *series([12.0] * 40, begin=1.05)]

    assert held(track([*events, step("signed", 9)])) == set()


def test_one_truck_brings_two_parcels() -> None:
    plans = [planned("arrived", 4, *PLACES[1], package=name) for name in ("p1", "p2")]
    trucks = [bound(0, device="truck", package="p1"), again(0.1, device="truck", package="p2")]

    tracked = track([*plans, *trucks, located(4, *PLACES[1]), located(5, 40.45, 20.65)])

    told = [row for row in tracked.rows(Table.TIMELINE) if row["source"] == "crossdock/geofence"]
    steps = [(row["package"], row["step"]) for row in told]
    assert sorted(steps) == [
        ("p1", "ARRIVED"),
        ("p1", "DEPARTED"),
        ("p2", "ARRIVED"),
        ("p2", "DEPARTED"),
    ]
