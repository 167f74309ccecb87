"""A seeded world of deliveries: what a node, a lane and a moment looked like, and what came of it.

The model is trained on this world and on nothing else. Transit and handling are lognormal around a
median that the inputs explain; a delivery is late if handling plus transit exceeds the hours from
dispatch to the date the customer expects. Waiting for a dispatch slot passes through: it widens the
trained range and changes nothing else. Marginals are broad rather than typical, so that what a real
network asks lies inside them. Constants live in ``delivery_statistics``.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from models.routing.features import N_FEATURES, Feature
from models.simulation import delivery_statistics as known

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
SLACK_SCALE_HOURS = 240.0  # of the contract: slack is cut where 10 days are left


class Mode(IntEnum):
    """How a lane travels; road and rail look alike to the model but for their transit."""

    ROAD = 0
    AIR = 1
    SEA = 2
    RAIL = 3


MODE_SHARES = (0.70, 0.14, 0.08, 0.08)  # assumed; enough of each to learn from
HAUL_SHARE = 0.25  # of road: direct trucks rather than a parcel network; assumed
PROMISE_SHARES = (0.65, 0.27, 0.08)  # from the lane, regardless of it, about now; assumed
DISTANCE_KM = ((1.0, 6000.0), (150.0, 16000.0), (300.0, 23000.0), (100.0, 11000.0))
"""Lowest and highest per mode, log-uniform between; assumed. One road lane in fifty is 0 km."""


@dataclass(frozen=True, eq=False)
class Deliveries:
    """Columns of ``n`` deliveries."""

    features: npt.NDArray[np.float32]  # (n, 16), order of ``Feature``
    mode: npt.NDArray[np.int64]  # (n,), codes of ``Mode``
    transit_hours: Floats  # (n,)
    handling_hours: Floats  # (n,)
    is_late: Flags  # (n,)
    is_haul: Flags  # (n,), direct trucks among the road
    is_lane_promise: Flags  # (n,), the date was promised from the lane, not set regardless of it


@dataclass(frozen=True, eq=False)
class _Lanes:
    mode: npt.NDArray[np.int64]
    distance_km: Floats
    usual_hours: Floats
    published_hours: Floats  # never 0, also where the lane does not show it
    log_spread: Floats
    is_published: Flags
    is_haul: Flags


def draw_deliveries(n: int, generator: np.random.Generator) -> Deliveries:
    """Draw ``n`` independent deliveries; the same generator state gives the same columns."""
    lanes = _draw_lanes(n, generator)
    features = np.zeros((n, N_FEATURES), np.float64)
    _fill_lanes(features, lanes)
    _fill_orders(features, lanes.mode, generator)
    _fill_nodes(features, generator)
    _fill_moments(features, generator)
    transit = _median_transit_hours(features, lanes) * np.exp(
        lanes.log_spread * generator.standard_normal(n)
    )
    usual_handling = median_handling_hours(features)
    handling = usual_handling * np.exp(known.HANDLING_LOG_SPREAD * generator.standard_normal(n))
    slack, is_lane_promise = _draw_slack_hours(lanes, usual_handling, generator)
    features[:, Feature.SLACK] = np.clip(slack / SLACK_SCALE_HOURS, -1, 1)
    late = handling + transit > slack
    return Deliveries(
        features.astype(np.float32),
        lanes.mode,
        transit,
        handling,
        late,
        lanes.is_haul,
        is_lane_promise,
    )


def parcel_transit_hours(distance_km: Floats) -> Floats:
    """Median transit of a road parcel, from published Olist medians: hours, shape of the input."""
    return np.interp(
        np.log1p(distance_km),
        np.log1p(known.PARCEL_DISTANCE_KM),
        np.asarray(known.PARCEL_TRANSIT_HOURS, np.float64),
    )


def _grown(logs: Floats, most: float) -> Floats:
    """How far ln(1 + count) is above that of one, no farther than the published data reach."""
    grown: Floats = np.minimum(logs, np.log1p(most)) - np.log(2)
    return grown


def median_handling_hours(features: Floats) -> Floats:
    """Median hours from decision to hand-over: (n,) for ``features: (n, 16)``."""
    wave_sine, wave_cosine = known.HOUR_HANDLING_WAVE
    heavy_low, heavy_high = np.log1p(known.HEAVY_FROM_KG), np.log1p(known.HEAVY_UP_TO_KG)
    heavy = np.clip(features[:, Feature.WEIGHT_LOG], heavy_low, heavy_high) - heavy_low
    scarce = np.maximum(1 - features[:, Feature.STOCK_COVER] / known.SCARCE_BELOW_COVER, 0)
    log_median = (
        np.log(known.HANDLING_HOURS)
        + known.UNITS_HANDLING_POWER
        * _grown(features[:, Feature.UNITS_LOG], known.MOST_UNITS_KNOWN)
        + known.LINES_HANDLING_POWER
        * _grown(features[:, Feature.LINES_LOG], known.MOST_LINES_KNOWN)
        + known.HEAVY_HANDLING_POWER * heavy
        + wave_sine * features[:, Feature.HOUR_SIN]
        + wave_cosine * features[:, Feature.HOUR_COS]
        + np.log(known.WEEKEND_HANDLING) * features[:, Feature.IS_WEEKEND]
        + np.log(known.PEAK_HANDLING) * features[:, Feature.PROMOTION]
        + np.log1p(known.LOADED_HANDLING * features[:, Feature.NODE_LOAD] ** 2)
        + np.log1p(known.SCARCE_HANDLING * scarce)
    )
    return np.asarray(np.exp(log_median), np.float64)


def _draw_lanes(n: int, generator: np.random.Generator) -> _Lanes:
    mode = generator.choice(len(MODE_SHARES), size=n, p=MODE_SHARES)
    low, high = np.log(np.asarray(DISTANCE_KM, np.float64)).T
    distance = np.exp(generator.uniform(low[mode], high[mode]))
    distance[(mode == Mode.ROAD) & (generator.random(n) < 0.02)] = 0.0
    is_haul = (mode == Mode.ROAD) & (generator.random(n) < HAUL_SHARE)
    plan, spread = _plan(mode, is_haul, distance)
    usual = plan * np.exp(known.LANE_LOG_SPREAD * generator.standard_normal(n))
    published = usual * np.exp(known.PUBLISHED_LOG_ERROR * generator.standard_normal(n))
    # Long-haul fleets publish their plan, which most of their trips miss.
    usual[is_haul] *= np.exp(known.HAUL_LATE_SHARE_Z * known.HAUL_LOG_SPREAD)
    is_published = generator.random(n) >= known.UNPUBLISHED_SHARE
    return _Lanes(mode, distance, usual, published, spread, is_published, is_haul)


def _plan(mode: npt.NDArray[np.int64], is_haul: Flags, km: Floats) -> tuple[Floats, Floats]:
    """Typical hours and log spread of the distance, by mode: each (n,)."""
    options = [mode == Mode.AIR, mode == Mode.SEA, mode == Mode.RAIL, is_haul]
    others = [ends + km * pace for ends, pace in (known.AIR_HOURS, known.SEA_HOURS)]
    others += [known.RAIL_HOURS[0] + km * known.RAIL_HOURS[1], km * known.HAUL_HOURS_PER_KM]
    hours = np.select(options, others, parcel_transit_hours(km))
    parcel = np.interp(
        np.log1p(km), np.log1p(known.PARCEL_DISTANCE_KM), np.asarray(known.PARCEL_LOG_SPREAD)
    )
    spread = np.select(options, [*known.OTHER_LOG_SPREAD, known.HAUL_LOG_SPREAD], parcel)
    return np.maximum(hours, known.TRANSIT_HOURS_MIN), spread


def _median_transit_hours(features: Floats, lanes: _Lanes) -> Floats:
    at_worst = np.asarray(known.WEATHER_TRANSIT)[lanes.mode]
    stretch = (
        (1 + (at_worst - 1) * features[:, Feature.WEATHER])
        * (1 + (known.WEEKEND_TRANSIT - 1) * features[:, Feature.IS_WEEKEND])
        * (1 + (known.PEAK_TRANSIT - 1) * features[:, Feature.PROMOTION])
    )
    return lanes.usual_hours * stretch


def _draw_slack_hours(
    lanes: _Lanes, usual_handling_hours: Floats, generator: np.random.Generator
) -> tuple[Floats, Flags]:
    """Hours from dispatch to the date expected, and which of the dates were promised from the lane.

    An order has one date and many candidate lanes, so the model must also meet dates that have
    nothing to do with the lane: 1 to 40 days ahead, or within 300 hours of now, past or to come.
    """
    n = len(lanes.mode)
    location = np.asarray(known.PROMISE_LOG_MARGIN)[lanes.mode]
    margin = np.exp(location + known.PROMISE_LOG_SPREAD * generator.standard_normal(n))
    from_lane = (lanes.published_hours + usual_handling_hours) * margin
    regardless = np.exp(generator.uniform(np.log(24), np.log(960), n))
    near = generator.uniform(-300, 300, n)
    kind = generator.choice(3, size=n, p=PROMISE_SHARES)
    return np.choose(kind, [from_lane, regardless, near]), kind == 0


def _fill_lanes(features: Floats, lanes: _Lanes) -> None:
    features[:, Feature.DISTANCE_LOG] = np.log1p(lanes.distance_km)
    features[:, Feature.LANE_TRANSIT_LOG] = np.log1p(lanes.published_hours * lanes.is_published)
    features[:, Feature.IS_AIR] = lanes.mode == Mode.AIR
    features[:, Feature.IS_SEA] = lanes.mode == Mode.SEA


def _fill_orders(
    features: Floats, mode: npt.NDArray[np.int64], generator: np.random.Generator
) -> None:
    """Parcels on the road, half of them freight elsewhere; one order in fifty has no weight."""
    n = len(features)
    is_freight = (mode != Mode.ROAD) & (generator.random(n) < 0.5)
    noise = generator.standard_normal(n)
    (parcel, parcel_spread), (freight, freight_spread) = (
        known.PARCEL_WEIGHT_KG,
        known.FREIGHT_WEIGHT_KG,
    )
    kg = np.where(
        is_freight, freight * np.exp(freight_spread * noise), parcel * np.exp(parcel_spread * noise)
    )
    kg[generator.random(n) < 0.02] = 0.0
    # Discrete and skewed: two in five orders are one unit, the tail reaches wholesale.
    lines = np.floor(np.exp(generator.exponential(0.7, n))).clip(1, 200)
    units = lines * np.floor(np.exp(generator.exponential(0.8, n))).clip(1, 500)
    features[:, Feature.WEIGHT_LOG] = np.log1p(np.minimum(kg, 60_000.0))
    features[:, Feature.UNITS_LOG] = np.log1p(units)
    features[:, Feature.LINES_LOG] = np.log1p(lines)


def _fill_nodes(features: Floats, generator: np.random.Generator) -> None:
    """A quarter of nodes are unbounded (load 0), two fifths well stocked (cover 1), half free."""
    n = len(features)
    load, cover = _severity(n, generator), generator.random(n) ** 2
    wait = np.exp(generator.uniform(0, np.log(24 * 16), n))
    features[:, Feature.NODE_LOAD] = np.where(generator.random(n) < 0.25, 0, load)
    features[:, Feature.STOCK_COVER] = np.where(generator.random(n) < 0.4, 1, cover)
    features[:, Feature.WAIT_LOG] = np.log1p(np.where(generator.random(n) < 0.5, 0, wait))


def _fill_moments(features: Floats, generator: np.random.Generator) -> None:
    """An hour of the week, and calm (most of the time) or any severity of weather and promotion."""
    n = len(features)
    hour = generator.integers(0, 24, n) * (2 * np.pi / 24)
    features[:, Feature.HOUR_SIN] = np.sin(hour)
    features[:, Feature.HOUR_COS] = np.cos(hour)
    features[:, Feature.IS_WEEKEND] = generator.random(n) < 2 / 7
    for signal in (Feature.WEATHER, Feature.PROMOTION):
        severity = _severity(n, generator)
        features[:, signal] = np.where(generator.random(n) < 0.7, 0, severity)


def _severity(n: int, generator: np.random.Generator) -> Floats:
    """Uniform from 0 to 1 with the upper end itself in it: one in twenty is exactly 1."""
    return np.minimum(generator.random(n) / 0.95, 1)
