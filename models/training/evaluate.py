"""How good forecasts are: pinball loss, coverage, calibration, and a distance-only rival.

Knows nothing of files or of the network: columns in, figures out. Times are in hours.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.routing.features import N_FEATURES, Feature
from models.simulation.deliveries import SLACK_SCALE_HOURS, Floats, parcel_transit_hours
from models.training.layers import pinball

Quantiles = tuple[float, float]
SHARES: Quantiles = (0.5, 0.9)
GROUPS = 10  # of equal size, by forecast, in a reliability table
GOLDEN = (5**0.5 - 1) / 2
SEARCH_STEPS = 60  # shrinks the interval of slopes by 1e-12


@dataclass(frozen=True)
class IntervalScore:
    """Of forecasts of the median and of the 0.9 quantile."""

    pinball_p50: float  # hours
    pinball_p90: float  # hours
    below_p50: float  # share of actual values at or below the median forecast; 0.5 is right
    below_p90: float  # 0.9 is right


@dataclass(frozen=True)
class Group:
    """One row of a reliability table."""

    rows: int
    forecast: float  # mean probability
    observed: float  # share that came true


@dataclass(frozen=True)
class Calibration:
    """Of probabilities of being late."""

    brier: float
    brier_constant: float  # of always saying the share that came true here
    expected_error: float  # |forecast - observed|, weighted by rows over the groups (ECE)
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class DistanceRival:
    """Quantiles that are linear in distance alone."""

    lines: tuple[tuple[float, float], tuple[float, float]]  # hours, hours per km; p50, then p90

    def forecast(self, distance_km: Floats) -> tuple[Floats, Floats]:
        """Hours at p50 and p90: each the shape of ``distance_km``."""
        (a, b), (c, d) = self.lines
        return a + b * distance_km, c + d * distance_km


def score_intervals(actual: Floats, p50: Floats, p90: Floats) -> IntervalScore:
    """Compare actual hours with two quantile forecasts: each (n,)."""
    middle, high = SHARES
    return IntervalScore(
        pinball(actual - p50, middle),
        pinball(actual - p90, high),
        float(np.mean(actual <= p50)),
        float(np.mean(actual <= p90)),
    )


def score_probabilities(is_late: npt.NDArray[np.bool_], forecast: Floats) -> Calibration:
    """Calibration of ``forecast: (n,)``, with groups of equal size from least to most likely."""
    observed = is_late.astype(np.float64)
    order = np.argsort(forecast, kind="stable")
    groups = tuple(
        Group(len(rows), float(forecast[rows].mean()), float(observed[rows].mean()))
        for rows in np.array_split(order, GROUPS)
        if len(rows)
    )
    gap = sum(g.rows * abs(g.forecast - g.observed) for g in groups) / len(observed)
    return Calibration(
        brier=float(np.mean((forecast - observed) ** 2)),
        brier_constant=float(np.mean((observed.mean() - observed) ** 2)),
        expected_error=gap,
        groups=groups,
    )


def fit_distance_rival(distance_km: Floats, hours: Floats) -> DistanceRival:
    """Least pinball loss among lines in distance, for each of the two quantiles."""
    p50, p90 = (_quantile_line(distance_km, hours, share) for share in SHARES)
    return DistanceRival((p50, p90))


def olist_features(deliveries: pl.DataFrame) -> npt.NDArray[np.float32]:
    """What the router would have asked about each Olist delivery: (n, 16) float32.

    Olist has no lanes: the published transit is the median of its distance in the earlier half.
    Load, weather, promotions and dispatch slots are unknown and left calm; stock counts as ample.
    """
    columns = np.zeros((len(deliveries), N_FEATURES), np.float64)
    distance = deliveries["distance_km"].to_numpy()
    columns[:, Feature.DISTANCE_LOG] = np.log1p(distance)
    columns[:, Feature.LANE_TRANSIT_LOG] = np.log1p(parcel_transit_hours(distance))
    columns[:, Feature.WEIGHT_LOG] = np.log1p(deliveries["weight_kg"].to_numpy())
    columns[:, Feature.UNITS_LOG] = np.log1p(deliveries["units"].to_numpy())
    columns[:, Feature.LINES_LOG] = np.log1p(deliveries["lines"].to_numpy())
    columns[:, Feature.STOCK_COVER] = 1
    angle = deliveries["approved_at"].dt.hour().to_numpy() * (2 * np.pi / 24)
    columns[:, Feature.HOUR_SIN], columns[:, Feature.HOUR_COS] = np.sin(angle), np.cos(angle)
    columns[:, Feature.IS_WEEKEND] = deliveries["approved_at"].dt.weekday().to_numpy() >= 6
    slack = deliveries["slack_hours"].to_numpy() / SLACK_SCALE_HOURS
    columns[:, Feature.SLACK] = np.clip(slack, -1, 1)
    return columns.astype(np.float32)


def _quantile_line(x: Floats, y: Floats, share: float) -> tuple[float, float]:
    """Intercept and slope. The loss is convex in the slope once the intercept is at its best."""
    low, high = 0.0, float(y.max() / max(x.std(), 1e-9))
    for _ in range(SEARCH_STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if _line_loss(x, y, left, share) <= _line_loss(x, y, right, share):
            high = right
        else:
            low = left
    slope = (low + high) / 2
    return float(np.quantile(y - slope * x, share)), slope


def _line_loss(x: Floats, y: Floats, slope: float, share: float) -> float:
    rest = y - slope * x
    return pinball(rest - np.quantile(rest, share), share)
