"""The simulated world of deliveries: seeded, broad, and late as often as real deliveries are."""

import numpy as np
import pytest

from models.routing.features import N_FEATURES, Feature
from models.simulation import delivery_statistics as known
from models.simulation.deliveries import (
    Deliveries,
    Mode,
    draw_deliveries,
    median_handling_hours,
    parcel_transit_hours,
)

ROWS = 120_000


@pytest.fixture(scope="module")
def world() -> Deliveries:
    return draw_deliveries(ROWS, np.random.default_rng(7))


def test_the_same_seed_draws_the_same_world() -> None:
    first = draw_deliveries(500, np.random.default_rng(3))
    second = draw_deliveries(500, np.random.default_rng(3))

    for name, column in vars(first).items():
        assert np.array_equal(column, vars(second)[name]), name


def test_another_seed_draws_another_world() -> None:
    first = draw_deliveries(500, np.random.default_rng(3))
    second = draw_deliveries(500, np.random.default_rng(4))

    assert not np.array_equal(first.features, second.features)


def test_features_have_the_shape_and_type_of_the_contract(world: Deliveries) -> None:
    assert world.features.shape == (ROWS, N_FEATURES)
    assert world.features.dtype == np.float32
    assert np.isfinite(world.features).all()
    assert (world.transit_hours > 0).all()
    assert (world.handling_hours > 0).all()


@pytest.mark.parametrize(
    ("feature", "low", "high"),
    [
        (Feature.DISTANCE_LOG, 0.0, np.log1p(3500)),
        (Feature.LANE_TRANSIT_LOG, 0.0, np.log1p(1000)),
        (Feature.WEIGHT_LOG, 0.0, np.log1p(200)),
        (Feature.UNITS_LOG, np.log(2), np.log1p(500)),
        (Feature.LINES_LOG, np.log(2), np.log1p(50)),
        (Feature.NODE_LOAD, 0.0, 1.0),
        (Feature.WAIT_LOG, 0.0, np.log1p(24 * 14)),
        (Feature.HOUR_SIN, -1.0, 1.0),
        (Feature.HOUR_COS, -1.0, 1.0),
        (Feature.WEATHER, 0.0, 1.0),
        (Feature.PROMOTION, 0.0, 1.0),
        (Feature.SLACK, -1.0, 1.0),
    ],
)
def test_what_a_real_network_asks_lies_within_the_world(
    world: Deliveries, feature: Feature, low: float, high: float
) -> None:
    column = world.features[:, feature]

    assert column.min() <= np.float32(low)
    assert column.max() >= np.float32(high)


@pytest.mark.parametrize(
    ("mode", "share"),
    [(Mode.ROAD, 0.0453), (Mode.AIR, 0.0904), (Mode.SEA, 0.2117), (Mode.RAIL, 0.1492)],
)
def test_dates_promised_from_the_lane_are_missed_as_often_as_real_ones(
    world: Deliveries, mode: Mode, share: float
) -> None:
    promised = (world.mode == mode) & world.is_lane_promise & ~world.is_haul

    assert world.is_late[promised].mean() == pytest.approx(share, abs=0.012)


def test_road_parcels_take_the_published_median_of_their_distance(world: Deliveries) -> None:
    calm = (world.features[:, Feature.WEATHER] == 0) & (world.features[:, Feature.PROMOTION] == 0)
    parcels = (world.mode == Mode.ROAD) & ~world.is_haul & calm
    distance = np.expm1(world.features[parcels, Feature.DISTANCE_LOG].astype(np.float64))
    ratio = world.transit_hours[parcels] / parcel_transit_hours(distance)

    assert np.median(ratio) == pytest.approx(1.0, abs=0.03)


def test_a_delivery_is_late_if_handling_and_transit_exceed_the_slack(world: Deliveries) -> None:
    inside = np.abs(world.features[:, Feature.SLACK]) < 1
    slack = world.features[inside, Feature.SLACK].astype(np.float64) * 240
    over = (world.handling_hours + world.transit_hours)[inside] - slack

    # float32 keeps slack to within 0.0001 hours; rows nearer than that may fall on either side.
    clear = np.abs(over) > 1e-3
    assert np.array_equal(over[clear] > 0, world.is_late[inside][clear])


def test_waiting_for_a_dispatch_slot_changes_nothing_else() -> None:
    features = np.zeros((2, N_FEATURES))
    features[1, Feature.WAIT_LOG] = 5

    hours = median_handling_hours(features)

    assert hours[0] == hours[1]


@pytest.mark.parametrize(
    "feature",
    [
        Feature.UNITS_LOG,
        Feature.LINES_LOG,
        Feature.WEIGHT_LOG,
        Feature.NODE_LOAD,
        Feature.IS_WEEKEND,
        Feature.PROMOTION,
    ],
)
def test_handling_grows_with_what_burdens_the_node(feature: Feature) -> None:
    features = np.zeros((2, N_FEATURES))
    features[:, Feature.STOCK_COVER] = 1
    features[1, feature] = 3 if feature in (Feature.WEIGHT_LOG, Feature.UNITS_LOG) else 1

    easy, hard = median_handling_hours(features)

    assert hard > easy


def test_handling_grows_as_stock_runs_out() -> None:
    features = np.zeros((2, N_FEATURES))
    features[0, Feature.STOCK_COVER] = known.SCARCE_BELOW_COVER

    ample, scarce = median_handling_hours(features)

    assert scarce > ample


def test_knots_of_the_parcel_tables_match_and_rise() -> None:
    assert len(known.PARCEL_DISTANCE_KM) == len(known.PARCEL_TRANSIT_HOURS)
    assert len(known.PARCEL_DISTANCE_KM) == len(known.PARCEL_LOG_SPREAD)
    assert (np.diff(known.PARCEL_DISTANCE_KM) > 0).all()
    assert (np.diff(known.PARCEL_TRANSIT_HOURS) >= 0).all()
