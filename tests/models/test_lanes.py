"""The history of a lane, what it expects, and the inputs of an arrival model that are worked out of it."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.intake.columns import NO_TIME
from models.tracking import lanes
from models.tracking.features import MOST, N_INPUTS, Group, Input, fill, planned_hours
from models.tracking.lanes import BOUND, BUCKETS, COLUMNS, HOUR_US, LONGEST, NO_PLAN, SHORTEST

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.uint32]
MONDAY = 4 * 24 * HOUR_US  # 1970-01-05
BUCKET = math.exp(lanes.STEP)  # one bucket up


def nothing() -> Counts:
    return np.zeros(COLUMNS, np.uint32)


def history(hours: list[float]) -> Counts:
    row = nothing()
    for h in hours:
        lanes.add(row, h, False)
    return row


def blend(own: Counts, planned: float = NO_PLAN, network: Counts | None = None) -> Floats:
    weights = np.empty((2, BUCKETS))
    known = nothing() if network is None else network
    lanes.blend(own, known, nothing(), planned, weights)
    return weights


def draw(n: int, median: float, spread: float = 0.5, seed: int = 7) -> list[float]:
    normal = np.random.default_rng(seed).standard_normal(n)
    return [float(h) for h in median * np.exp(spread * normal)]


def test_the_order_of_durations_does_not_matter_up_to_the_bound() -> None:
    hours = draw(BOUND - 1, 90.0)

    assert history(hours).tobytes() == history(sorted(hours)).tobytes()


def test_a_history_stays_bounded_and_follows_a_lane_that_became_slower() -> None:
    row = history(draw(2000, 24.0) + draw(3 * BOUND, 96.0))

    assert lanes.seen(row) < BOUND
    assert lanes.quantile(blend(row), 0.5) == pytest.approx(96, rel=0.15)


@pytest.mark.parametrize("hours", [0.0, 0.001, SHORTEST, 1.0, 8000.0, LONGEST, 1e7])
def test_every_span_has_a_bucket(hours: float) -> None:
    row = history([hours])

    assert lanes.seen(row) == 1


def test_quantiles_are_those_of_the_deliveries() -> None:
    hours = draw(BOUND - 1, 90.0)

    weights = blend(history(hours))

    for share in (0.1, 0.5, 0.9):
        actual = float(np.quantile(hours, share))
        assert actual / BUCKET < lanes.quantile(weights, share) < actual * BUCKET


@pytest.mark.parametrize("elapsed", [20.0, 60.0, 90.0, 150.0])
def test_what_remains_is_that_of_deliveries_that_took_longer(elapsed: float) -> None:
    hours = draw(BOUND - 1, 90.0)

    left = lanes.remaining(blend(history(hours)), elapsed, 0.5)

    actual = float(np.median([h for h in hours if h > elapsed]))
    assert actual / BUCKET < elapsed + left < actual * BUCKET


@pytest.mark.parametrize(("elapsed", "more"), [(0.0, 90.0), (60.0, 30.0), (90.0, 60.0)])
def test_the_chance_of_more_is_the_share_of_deliveries_that_took_longer(
    elapsed: float, more: float
) -> None:
    hours = draw(BOUND - 1, 90.0)

    chance = lanes.chance_of_more(blend(history(hours)), elapsed, more)

    left = [h for h in hours if h > elapsed]
    assert chance == pytest.approx(sum(h > elapsed + more for h in left) / len(left), abs=0.1)


def test_what_is_overdue_already_is_late_for_certain() -> None:
    assert lanes.chance_of_more(blend(history([10.0] * 20)), 12.0, -3.0) == 1.0


@given(
    hours=st.lists(st.floats(0.01, 9000), max_size=30),
    planned=st.sampled_from([NO_PLAN, 3.0, 300.0]),
    elapsed=st.floats(0, 8000),
    later=st.floats(0, 500),
)
@settings(deadline=None)
def test_the_more_has_passed_the_later_is_the_arrival(
    hours: list[float], planned: float, elapsed: float, later: float
) -> None:
    weights = blend(history(hours), planned)

    p50, p90 = (lanes.remaining(weights, elapsed, share) for share in (0.5, 0.9))

    assert 0 <= p50 <= p90
    assert elapsed + p50 <= elapsed + later + lanes.remaining(weights, elapsed + later, 0.5) + 1e-6


def test_what_is_later_than_anything_before_is_still_expected() -> None:
    weights = blend(history([10.0] * 100))

    assert lanes.remaining(weights, 40.0, 0.5) == pytest.approx(40 * 2 ** (1 / 3.5) - 40, rel=0.2)


def test_a_new_lane_goes_by_its_plan() -> None:
    assert lanes.quantile(blend(nothing(), 200.0), 0.5) == pytest.approx(200, rel=0.02)


def test_without_anything_known_an_arrival_is_still_expected() -> None:
    ratios, weights = history([0.5] * 9), np.empty((2, BUCKETS))

    lanes.blend(nothing(), nothing(), ratios, NO_PLAN, weights)

    assert lanes.quantile(weights, 0.5) == pytest.approx(lanes.UNKNOWN_HOURS, rel=0.02)


def test_a_new_lane_without_a_plan_goes_by_the_network() -> None:
    weights = blend(nothing(), network=history([10.0] * 50))

    assert lanes.quantile(weights, 0.5) == pytest.approx(10, rel=0.15)


def test_the_network_tells_a_new_lane_what_its_plans_are_worth() -> None:
    ratios, weights = nothing(), np.empty((2, BUCKETS))
    for planned in (10.0, 50.0, 400.0) * 10:
        lanes.add_ratio(ratios, planned / 2, planned)
        lanes.add_ratio(ratios, 5.0, NO_PLAN)

    lanes.blend(nothing(), history([1.0] * 30), ratios, 120.0, weights)

    assert lanes.quantile(weights, 0.5) == pytest.approx(60, rel=0.15)
    assert lanes.seen(ratios) == 30


def test_a_plan_alone_is_worth_what_became_of_others() -> None:
    ratios, weights = nothing(), np.empty((2, BUCKETS))
    for _ in range(100):
        lanes.add_ratio(ratios, 10.0, 20.0)

    lanes.blend_plan(ratios, 90.0, weights)

    assert lanes.quantile(weights, 0.5) == pytest.approx(45, rel=0.15)
    assert lanes.quantile(weights, 0.9) < 55


def test_own_deliveries_soon_outweigh_what_others_do() -> None:
    weights = blend(history([100.0] * 30), network=history([5.0] * 100))

    assert lanes.quantile(weights, 0.5) == pytest.approx(100, rel=0.15)


@given(start=st.integers(0, 2000), hours=st.integers(0, 2000))
def test_weekends_are_left_out(start: int, hours: int) -> None:
    took = lanes.hours_without_weekends(start * HOUR_US, hours + 0.5)

    passed = range(start, start + math.floor(took))
    assert sum(not lanes.is_weekend(hour * HOUR_US) for hour in passed) == hours
    assert not lanes.is_weekend((start + math.floor(took)) * HOUR_US)


def test_deliveries_at_weekends_are_a_share_that_leans_on_the_network() -> None:
    own, network = nothing(), nothing()
    for day in range(5):
        lanes.add(own, 30.0, lanes.is_weekend(MONDAY + day * 24 * HOUR_US))
    for day in range(7):
        lanes.add(network, 30.0, lanes.is_weekend(MONDAY + day * 24 * HOUR_US))

    assert lanes.weekend_share(nothing(), nothing()) == pytest.approx(2 / 7)
    assert lanes.weekend_share(nothing(), network) == pytest.approx(2 / 7)
    assert 0 < lanes.weekend_share(own, network) < 2 / 7


class Parcel(NamedTuple):
    """What is known of one; by default it was handed over ten hours ago on a lane of 40 hours."""

    group: Group = Group.MOVING
    handed_over: int = -10
    to_hand_over: int | None = None
    heard: int = -4
    promise: int | None = 60
    located: int | None = None
    progress: float = math.nan
    late: float = math.nan


def row_of(parcel: Parcel) -> tuple[npt.NDArray[np.float32], float]:
    """Hours from now become instants."""

    def instant(hours: int | None) -> int:
        return NO_TIME if hours is None else MONDAY + hours * HOUR_US

    own, row = history([40.0] * 100), np.full(N_INPUTS, np.nan, np.float32)
    scale = fill(
        row,
        np.empty((2, BUCKETS)),
        (own, own, nothing()),
        int(parcel.group),
        MONDAY,
        instant(parcel.handed_over),
        instant(parcel.to_hand_over),
        instant(parcel.heard),
        instant(parcel.promise),
        (instant(parcel.located), parcel.progress),
        parcel.late,
    )
    return row, scale


def test_spans_are_multiples_of_the_lanes_median() -> None:
    row, scale = row_of(Parcel())

    assert scale == pytest.approx(40, rel=0.15)
    assert math.expm1(row[Input.ELAPSED_LOG]) * scale == pytest.approx(10)
    assert math.expm1(row[Input.NEWS_LOG]) * scale == pytest.approx(4)
    left = row[Input.REMAINING_P50] * scale
    assert left == pytest.approx(30, rel=0.2)
    assert row[Input.REMAINING_P50] <= row[Input.REMAINING_P90]
    assert math.exp(row[Input.TOLD_P50]) * left == pytest.approx(
        60, rel=0.15
    )  # as none was kept yet
    assert row[Input.IS_MOVING] == row[Input.HAS_PROMISE] == 1
    assert row[[Input.IS_BEFORE, Input.HAS_POSITION, Input.HAS_LATE]].max() == 0


def test_before_the_hand_over_its_plan_is_waited_for() -> None:
    row, scale = row_of(Parcel(group=Group.BEFORE, to_hand_over=20))

    assert row[Input.ELAPSED_LOG] == 0
    left = row[Input.REMAINING_P50] * scale
    assert left == pytest.approx(20 + scale, rel=0.01)
    assert row[Input.HAND_OVER] * left == pytest.approx(20)


def test_a_position_tells_the_pace_of_the_way_so_far() -> None:
    row, scale = row_of(Parcel(handed_over=-10, located=-2, progress=0.25))

    assert row[Input.PROGRESS] == 0.25
    left = row[Input.REMAINING_P50] * scale
    assert math.exp(row[Input.PACE]) * left == pytest.approx(4 * 8 - 10)


def test_a_lane_that_rests_at_weekends_is_expected_after_them() -> None:
    own, row = history([40.0] * 100), np.empty(N_INPUTS, np.float32)
    friday = MONDAY + 4 * 24 * HOUR_US
    where = (friday, friday, NO_TIME, friday, NO_TIME, (NO_TIME, math.nan), math.nan)

    scale = fill(row, np.empty((2, BUCKETS)), (own, own, nothing()), int(Group.MOVING), *where)

    left = row[Input.REMAINING_P50] * scale
    assert row[Input.CLOSED] > 0.9
    assert math.exp(row[Input.WEEKEND] / row[Input.CLOSED]) * left == pytest.approx(left / 1.4 + 48)


@given(
    parcel=st.builds(
        Parcel,
        group=st.sampled_from(list(Group)),
        handed_over=st.integers(-(10**6), 10**6),
        to_hand_over=st.one_of(st.none(), st.integers(-(10**6), 10**6)),
        heard=st.integers(-(10**6), 10**6),
        promise=st.one_of(st.none(), st.integers(-(10**6), 10**6)),
        located=st.one_of(st.none(), st.integers(-(10**6), 10**6)),
        progress=st.floats(),
        late=st.floats(),
    )
)
@settings(deadline=None)
def test_a_row_is_finite_whatever_is_known(parcel: Parcel) -> None:
    row, scale = row_of(parcel)

    assert np.isfinite(row).all()
    assert 0 <= row[Input.REMAINING_P50] <= row[Input.REMAINING_P90] <= MOST
    assert scale > 0
    groups = row[Input.IS_BEFORE : Input.IS_DOOR + 1]
    assert groups.sum() == groups[parcel.group] == 1


def test_a_plan_is_known_only_with_both_its_ends() -> None:
    assert planned_hours(MONDAY + 5 * HOUR_US, MONDAY) == 5
    assert planned_hours(MONDAY, MONDAY + HOUR_US) == NO_PLAN
    assert planned_hours(NO_TIME, MONDAY) == planned_hours(MONDAY, NO_TIME) == NO_PLAN
