"""What devices report, as the tracking fold tells it: bands, stretches, gaps, ways, stays."""

from collections import Counter

import pytest

from schemas.codes import ExceptionCode, SensorException, TempClass, UnitOfMeasure
from schemas.tables import Table
from tests.support.devices import (
    MINUTE,
    PLACES,
    bound,
    located,
    planned,
    released,
    report_of,
    reported,
    sensed,
    series,
)
from tests.support.tracks import Tracked, feedback, policy, step, tick, track


def raised(tracked: Tracked) -> list[str]:
    """Codes that were raised, in order."""
    return [code for code, change in tracked.exceptions() if change == "raised"]


def states(tracked: Tracked) -> list[str]:
    """What was made of each report."""
    return [row["state"] for row in tracked.rows(Table.READINGS)]


def test_one_position_may_join_all_stays_that_there_were() -> None:
    inside, outside = (50.5, 8.5), (50.4, 8.4)
    short, long = (
        policy(f'version: "{minutes}"\nroad: {{stay_minutes: {minutes}, left_after_minutes: 0.5}}', minutes)
        for minutes in ("1", "10000")
    )  # fmt: skip
    visits = [located(1 + 2 * n * MINUTE, *(outside if n % 2 else inside)) for n in range(200)]
    events = [short, planned("arrived", 5, *inside), step("handed_over", 0.05), *visits, long]

    tracked = track([*events, located(1 + MINUTE, *inside)])

    told = [row for row in tracked.rows(Table.TIMELINE) if row["source"] == "crossdock/geofence"]
    holds = Counter((row["step"], row["at"]) for row in told if row["classifier"] == "ACT")
    holds.subtract((row["step"], row["at"]) for row in told if row["classifier"] == "RET")
    assert sum(row["classifier"] == "RET" for row in told) > 4 * max(ExceptionCode)
    assert [step for step, _ in +holds] == ["ARRIVED", "DEPARTED"]
    assert min(holds.values()) == 0


def test_every_reading_is_kept_with_the_band_that_it_was_judged_by() -> None:
    tracked = track([bound(0), sensed(1, 5.0), sensed(2, 9.0), sensed(3, 1.0)])

    rows = tracked.rows(Table.READINGS)
    assert states(tracked) == ["IN_BAND", "HIGH", "LOW"]
    assert {(row["band_low"], row["band_high"]) for row in rows} == {(2.0, 8.0)}
    assert [row["package"] for row in rows] == ["1", "1", "1"]


def test_the_limits_of_a_device_go_before_those_of_the_class() -> None:
    tracked = track([bound(0, low=-30, high=-10), sensed(1, -12.5), sensed(2, -9.9)])

    assert states(tracked) == ["IN_BAND", "HIGH"]


def test_without_a_class_or_limits_nothing_is_judged() -> None:
    assert states(track([sensed(0, 99.0), bound(1, temp_class=None), sensed(2, 99.0)])) == [
        "UNJUDGED",
        "UNJUDGED",
    ]


@pytest.mark.parametrize(
    ("value", "uom", "state"),
    [
        (41.0, UnitOfMeasure.FAHRENHEIT, "IN_BAND"),
        (47.0, UnitOfMeasure.FAHRENHEIT, "HIGH"),
        (278.15, UnitOfMeasure.KELVIN, "IN_BAND"),
        (5.0, UnitOfMeasure.PERCENT, "WRONG_UNIT"),
    ],
)
def test_units_are_converted_and_wrong_ones_told(
    value: float, uom: UnitOfMeasure, state: str
) -> None:
    assert states(track([bound(0), sensed(1, value, uom=uom)])) == [state]


def test_an_excursion_is_raised_by_the_reading_that_proves_it() -> None:
    events = [bound(0), *series([9.0] * 10)]

    tracked = track(events)

    assert raised(tracked) == ["TEMP_EXCURSION_MINOR"]
    (row,) = tracked.rows(Table.EXCEPTIONS)
    assert row["position"] == row["evidence"] == 1 + 6  # half an hour after the first
    assert row["package"] == "1"


def test_a_longer_excursion_becomes_a_major_one_and_is_still_one() -> None:
    tracked = track([bound(0), *series([9.0] * 30)])

    assert tracked.exceptions() == [
        ("TEMP_EXCURSION_MINOR", "raised"),
        ("TEMP_EXCURSION_MINOR", "resolved"),
        ("TEMP_EXCURSION_MAJOR", "raised"),
    ]


def test_what_freezes_is_lost_at_once() -> None:
    assert raised(track([bound(0), sensed(1, -0.6)])) == ["TEMP_EXCURSION_MAJOR"]


def test_short_peaks_are_no_excursion_however_many() -> None:
    values = [5.0, 9.0, 5.0, 5.0, 5.0, 5.0] * 10  # every half hour, each far from the next

    assert raised(track([bound(0), *series(values)])) == []


def test_an_error_of_the_device_is_no_excursion() -> None:
    failed = [sensed(n / 12, 85.0, exception=SensorException.ERROR) for n in range(30)]

    tracked = track([bound(0), *failed, sensed(2.6, None)])

    assert raised(tracked) == []
    assert set(states(tracked)) == {"FAILED"}


def test_extremes_within_a_report_count() -> None:
    report = report_of(5.0, 1)
    hot = type(report)(type=report.type, uom=report.uom, value=5.0, min_value=4.0, max_value=16.0)

    assert raised(track([bound(0), reported(1, [hot])])) == ["TEMP_EXCURSION_MAJOR"]


def test_a_logger_that_is_read_out_tells_the_whole_way_at_once() -> None:
    reports = [report_of(9.0 if 20 <= n < 40 else 5.0, n / 12) for n in range(60)]

    tracked = track([bound(0), reported(6, reports)])

    assert raised(tracked) == ["TEMP_EXCURSION_MINOR"]
    rows = tracked.rows(Table.READINGS)
    assert [row["index"] for row in rows] == list(range(60))
    assert len({row["at"] for row in rows}) == 60
    (exception,) = tracked.rows(Table.EXCEPTIONS)
    assert exception["index"] == 60


def test_what_a_logger_measures_after_its_release_is_nobodys_excursion() -> None:
    before, after = series([5.0] * 12), series([22.0] * 24, begin=1.0)

    assert raised(track([bound(0), *before, released(1), *after])) == []
    assert raised(track([bound(0), *before, *after]))


def test_nor_what_it_measures_after_the_delivery() -> None:
    events = [bound(0), step("delivered", 1), *series([12.0] * 36, begin=1.05)]

    assert raised(track(events)) == []


def test_a_late_release_takes_the_excursion_back() -> None:
    events = [bound(0), *series([22.0] * 12, begin=1.0), released(0.9)]

    assert track(events).exceptions()[-1][1] == "resolved"


def test_an_excursion_stays_until_the_order_is_closed() -> None:
    warm = [bound(0), step("handed_over", 0), *series([9.0] * 10), sensed(2, 5.0)]
    closed = [step("delivered", 5), step("signed", 5), feedback(6, nps=9)]

    assert raised(track(warm)) == ["TEMP_EXCURSION_MINOR"]
    assert track([*warm, *closed]).exceptions()[-1] == ("TEMP_EXCURSION_MINOR", "resolved")


def test_a_silent_sensor_is_told_of_once_and_forgiven_when_it_speaks() -> None:
    tracked = track([tick(0), bound(0), sensed(0.5), tick(1.4), tick(1.6), tick(2), sensed(2.1)])

    assert tracked.exceptions() == [("SENSOR_GAP", "raised"), ("SENSOR_GAP", "resolved")]


def test_a_device_that_gives_errors_alone_is_silent() -> None:
    failed = [sensed(n / 2, 85.0, exception=SensorException.ERROR) for n in range(5)]

    assert raised(track([bound(0), *failed, tick(2)])) == ["SENSOR_GAP"]


def test_a_released_device_may_be_silent() -> None:
    assert raised(track([bound(0), sensed(0.5), released(0.6), tick(9)])) == []


def test_shock_light_and_damp_have_limits_of_their_own() -> None:
    damp = [
        sensed(n / 6, 90.0, what="RelativeHumidity", uom=UnitOfMeasure.PERCENT) for n in range(8)
    ]
    fall = sensed(2, 80.0, what="Acceleration", uom=UnitOfMeasure.METRE_PER_SECOND_SQUARED)
    opened = sensed(3, 400.0, what="Illuminance", uom=UnitOfMeasure.LUX)

    tracked = track([bound(0), *damp, fall, opened])

    assert raised(tracked) == ["HUMIDITY_EXCURSION", "SHOCK", "DOOR_OPEN"]


def test_many_devices_may_be_bound_before_any_of_them_speaks() -> None:
    bindings = [
        bound(0, f"o{n}", f"logger-{n}") for n in range(3_000)
    ]  # more than a new window holds

    assert len(track(bindings).rows(Table.TIMELINE)) == 3_000


def test_a_repeated_reading_is_told_once() -> None:
    reading = sensed(1, 5.0)

    assert len(states(track([bound(0), reading, reading]))) == 1


def test_a_policy_says_how_long_it_may_be_warm() -> None:
    document = "version: strict\ncold_chain:\n  refrigerated:\n    minor_minutes: 10\n"

    tracked = track([policy(document, "strict"), bound(0), *series([9.0] * 4)])

    assert raised(tracked) == ["TEMP_EXCURSION_MINOR"]
    (row,) = tracked.rows(Table.EXCEPTIONS)
    assert row["position"] == 2 + 2


# On the road ---------------------------------------------------------------------------------------

WAY = [
    planned(name, hour, *place)
    for name, hour, place in zip(
        ("departed", "arrived", "delivered"), (1.0, 4.0, 8.0), PLACES, strict=True
    )
]


def between(share: float) -> tuple[float, float]:
    """A point on the first leg."""
    (a, b), (c, d) = PLACES[:2]
    return a + share * (c - a), b + share * (d - b)


def test_progress_grows_along_the_way() -> None:
    fixes = [located(n, *between(n / 4)) for n in range(5)]

    rows = track([*WAY, *fixes]).rows(Table.LOCATIONS)

    progress = [row["progress"] for row in rows]
    assert progress[0] == pytest.approx(0, abs=1e-6)
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(0.4695, abs=0.001)
    assert all(row["off_route_km"] < 0.1 for row in rows)
    assert rows[0]["remaining_km"] == pytest.approx(101.6, abs=1)


def test_without_a_plan_a_position_is_kept_as_it_is() -> None:
    (row,) = track([located(1, 40, 20)]).rows(Table.LOCATIONS)

    assert (row["progress"], row["remaining_km"], row["device"]) == (None, None, "truck")


def told(tracked: Tracked) -> list[tuple[str, str]]:
    """What positions showed."""
    rows = tracked.rows(Table.TIMELINE)
    return [
        (row["step"], row["classifier"]) for row in rows if row["source"] == "crossdock/geofence"
    ]


def test_a_place_is_reached_and_left() -> None:
    hub = PLACES[1]
    fixes = [
        located(0, *PLACES[0]),
        located(2, *between(0.5)),
        located(4, *hub),
        located(4.2, *hub),
    ]

    tracked = track([*WAY, step("handed_over", 0.5), *fixes, located(5, 40.45, 20.65)])

    assert told(tracked) == [("DEPARTED", "ACT"), ("ARRIVED", "ACT"), ("DEPARTED", "ACT")]
    assert tracked.phase() == "IN_TRANSIT"
    arrived = [row for row in tracked.rows(Table.TIMELINE) if row["step"] == "ARRIVED"][-1]
    assert (arrived["latitude"], arrived["longitude"], arrived["package"]) == (*hub, "1")


def test_an_earlier_position_moves_the_arrival() -> None:
    hub = PLACES[1]

    tracked = track([*WAY, located(4.2, *hub), located(4.0, *hub)])

    assert told(tracked) == [("ARRIVED", "ACT"), ("ARRIVED", "RET"), ("ARRIVED", "ACT")]


def test_who_stays_too_long_is_told_of_until_it_leaves() -> None:
    hub = PLACES[1]
    stay = [located(4 + n / 2, *hub) for n in range(30)]

    tracked = track([*WAY, step("handed_over", 0), *stay, tick(17), located(19.2, 40.45, 20.65)])

    assert [e for e in tracked.exceptions() if e[0] == "DWELL_LONG"] == [
        ("DWELL_LONG", "raised"),
        ("DWELL_LONG", "resolved"),
    ]


def test_who_strays_is_told_of_until_it_is_back() -> None:
    away = [located(1 + n / 12, 40.5, 20.1) for n in range(8)]

    tracked = track([*WAY, *away, located(2, *between(0.5))])

    assert tracked.exceptions() == [("GPS_OFF_ROUTE", "raised"), ("GPS_OFF_ROUTE", "resolved")]


def test_a_silent_truck_is_told_of() -> None:
    tracked = track(
        [*WAY, located(1, *between(0.2)), tick(1.5), tick(2.5), located(2.6, 40.2, 20.2)]
    )

    assert tracked.exceptions() == [("GPS_STALE", "raised"), ("GPS_STALE", "resolved")]


def test_the_later_word_on_a_place_counts() -> None:
    anew = planned("arrived", 9.5, *PLACES[1], told=2.0)  # after the customer, now

    rows = track([*WAY, anew, located(3, *between(1.0))]).rows(Table.LOCATIONS)

    assert rows[0]["progress"] == pytest.approx(1.0, abs=0.35)
    assert rows[0]["remaining_km"] < 60


def test_a_class_that_is_frozen_may_be_as_cold_as_it_likes() -> None:
    cold = [bound(0, temp_class=TempClass.FROZEN), sensed(1, -60.0), sensed(2, -17.0)]

    assert states(track(cold)) == ["IN_BAND", "HIGH"]


def test_readings_a_minute_apart_are_one_stretch_across_a_good_one() -> None:
    values = [9.0, 9.0, 5.0] * 20

    assert raised(track([bound(0), *series(values, every=MINUTE)])) == ["TEMP_EXCURSION_MINOR"]
