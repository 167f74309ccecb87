"""What devices report comes to the same however rarely they do."""

import pytest

from schemas.codes import UnitOfMeasure
from schemas.envelope import Event
from schemas.tables import Table
from tests.support.devices import MINUTE, PLACES, bound, located, planned, sensed, series
from tests.support.tracks import Tracked, step, tick, track


def in_time(*events: Event) -> list[Event]:
    """By when they happened."""
    return sorted(events, key=lambda event: event.time)


def hourly(until: int) -> list[Event]:
    return [tick(n) for n in range(1, until)]


def codes(tracked: Tracked) -> set[str]:
    return {code for code, _ in tracked.exceptions()}


@pytest.mark.parametrize("minutes", [5, 15, 16, 20, 30, 60, 61, 120, 240])
def test_goods_that_are_warm_for_long_are_told_of_by_any_logger(minutes: int) -> None:
    count = 24 * 60 // minutes
    readings = series([5.0, 5.0, 5.0, *[12.0] * count], begin=1, every=minutes * MINUTE)

    tracked = track(in_time(step("handed_over", 0.5), bound(0.6), *readings))

    assert tracked.exceptions()[-1] == ("TEMP_EXCURSION_MAJOR", "raised")


@pytest.mark.parametrize("minutes", [5, 20, 30, 60])
def test_good_readings_between_bad_ones_part_them(minutes: int) -> None:
    readings = series([12.0, 5.0] * 24, begin=1, every=max(minutes, 16) * MINUTE)

    assert codes(track([bound(0.6), *readings])) == set()
    assert codes(track([bound(0.6), *readings[::2], *readings[1::2]])) <= {
        "TEMP_EXCURSION_MINOR",
        "TEMP_EXCURSION_MAJOR",
    }


def test_a_good_reading_that_comes_late_takes_the_excursion_back() -> None:
    first, good, second = series([12.0, 5.0, 12.0], begin=1, every=0.5)

    tracked = track([bound(0.6), first, second, good])

    assert tracked.exceptions() == [
        ("TEMP_EXCURSION_MINOR", "raised"),
        ("TEMP_EXCURSION_MINOR", "resolved"),
    ]


def test_bad_readings_before_and_after_a_silence_are_no_excursion() -> None:
    before, after = series([5.0] * 6 + [12.0] * 3), series([12.0] * 3, begin=9)

    assert codes(track([bound(0), *before, *after])) == set()


def test_a_logger_of_a_month_keeps_no_more_than_a_day_of_readings() -> None:
    readings = series([5.0] * 240 + [12.0] * 240 + [5.0] * 240, begin=1, every=1)

    tracked = track([step("handed_over", 0.5), bound(0.6), *readings])

    assert tracked.state.orders[0]["entries"] < 40
    assert codes(tracked) == {"TEMP_EXCURSION_MINOR", "TEMP_EXCURSION_MAJOR"}


@pytest.mark.parametrize("minutes", [5, 20, 30])
def test_damp_is_told_of_by_any_logger(minutes: int) -> None:
    damp = [
        sensed(1 + n * minutes * MINUTE, 95.0, what="RelativeHumidity", uom=UnitOfMeasure.PERCENT)
        for n in range(14)
    ]

    assert codes(track([bound(0.6), *damp])) == {"HUMIDITY_EXCURSION"}


@pytest.mark.parametrize("late", [0, 1, 10])
def test_a_logger_that_is_a_little_late_every_other_hour_is_not_silent(late: int) -> None:
    readings = [sensed(1 + n + n % 2 * late * MINUTE) for n in range(24)]
    ticks = [tick(1 + n * 5 * MINUTE) for n in range(23 * 12)]

    assert codes(track(in_time(step("handed_over", 0.5), bound(0.6), *readings, *ticks))) == set()


def test_a_logger_that_reports_rarely_is_silent_until_that_is_known() -> None:
    readings = [sensed(1 + 3 * n) for n in range(12)]
    ticks = [tick(1 + n / 2) for n in range(100)]

    tracked = track(in_time(step("handed_over", 0.5), bound(0.6), *readings, *ticks))

    assert tracked.exceptions() == [
        *[("SENSOR_GAP", "raised"), ("SENSOR_GAP", "resolved")] * 2,
        ("SENSOR_GAP", "raised"),  # after the last one
    ]


WAY = [
    planned(name, hour, *place)
    for name, hour, place in zip(
        ("departed", "arrived", "delivered"), (1.0, 4.0, 40.0), PLACES, strict=True
    )
]


@pytest.mark.parametrize("minutes", [5, 35, 60, 120])
def test_who_strays_is_told_of_by_any_device(minutes: int) -> None:
    fixes = [located(1 + n * minutes * MINUTE, 42.0 + 0.001 * n, 20.0) for n in range(12)]

    tracked = track([*WAY, step("handed_over", 0.5), *fixes])

    assert codes(tracked) == {"GPS_OFF_ROUTE"}


@pytest.mark.parametrize("minutes", [10, 60, 65, 300])
def test_who_is_seen_nowhere_else_has_not_left(minutes: int) -> None:
    count = 26 * 60 // minutes
    fixes = [located(4 + n * minutes * MINUTE, *PLACES[1]) for n in range(count)]

    tracked = track(in_time(*WAY, step("handed_over", 0.5), *fixes, *hourly(30)))

    told = [row for row in tracked.rows(Table.TIMELINE) if row["source"] == "crossdock/geofence"]
    assert [(row["step"], row["classifier"]) for row in told] == [("ARRIVED", "ACT")]
    assert ("DWELL_LONG", "raised") in tracked.exceptions()


def test_a_position_elsewhere_that_comes_late_makes_two_stays_of_one() -> None:
    hub, way = PLACES[1], (40.45, 20.65)
    fixes = [located(4, *hub), located(6, *hub), located(8, *way), located(5, *way)]

    tracked = track([*WAY, step("handed_over", 0.5), *fixes])

    told = [row for row in tracked.rows(Table.TIMELINE) if row["source"] == "crossdock/geofence"]
    assert [(row["step"], row["classifier"], row["at"].hour) for row in told] == [
        ("ARRIVED", "ACT", 13),
        ("DEPARTED", "ACT", 15),
        ("ARRIVED", "ACT", 15),
        ("DEPARTED", "ACT", 13),
    ]
