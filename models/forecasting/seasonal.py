"""A seasonal forecast of demand by SKU, region and hour of the week.

``expected(sku, region, hour) = rate(sku) x share(region | sku) x profile(hour of the week)``. Each factor is a
ratio of counted units, smoothed so that what was seen rarely leans on what was seen often.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WEEK_HOURS = 168
REGION_PRIOR = 20.0
"""Units of a SKU at which its own region shares count as much as those of all SKUs."""

HOUR_PRIOR = 2.0
"""Mean weeks of history at which an hour of the week counts as much as the mean hour."""

_EPOCH_HOUR_OF_WEEK = 72  # 1970-01-01 was a Thursday; weeks begin on Monday
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class History:
    """Units ordered, one row per line or sum of lines.

    Attributes:
        sku: (n,) codes.
        region: (n,) codes.
        hour: (n,) whole hours since 1970, UTC.
        units: (n,) units.
        skus: how many codes there are.
        regions: how many codes there are.
        first_hour: the history is complete from here on.
        end_hour: and up to here, exclusive.
    """

    sku: Ints
    region: Ints
    hour: Ints
    units: Ints
    skus: int
    regions: int
    first_hour: int
    end_hour: int

    def between(self, first_hour: int, end_hour: int) -> "History":
        """The history of these hours alone."""
        rows = (self.hour >= first_hour) & (self.hour < end_hour)
        return History(
            self.sku[rows],
            self.region[rows],
            self.hour[rows],
            self.units[rows],
            self.skus,
            self.regions,
            first_hour,
            end_hour,
        )


def forecast(history: History, first_hour: int, end_hour: int) -> Floats:
    """Expected units from ``first_hour`` to ``end_hour`` (exclusive), hours since 1970.

    Returns:
        (skus, regions) units; all zero without history or horizon.
    """
    hours = history.end_hour - history.first_hour
    if hours <= 0 or end_hour <= first_hour:
        return np.zeros((history.skus, history.regions))
    per_hour = np.bincount(history.sku, history.units, history.skus) / hours
    weight = profile(history)[_hour_of_week(np.arange(first_hour, end_hour))].sum()
    return np.asarray(per_hour[:, None] * region_shares(history) * weight, np.float64)


def region_shares(history: History) -> Floats:
    """(skus, regions) which share of a SKU each region orders; rows add up to 1."""
    size = history.skus * history.regions
    cell = history.sku * history.regions + history.region
    counted = np.bincount(cell, history.units, size).reshape(history.skus, history.regions)
    overall = counted.sum(axis=0)
    overall = (
        overall / overall.sum()
        if overall.sum()
        else np.full(history.regions, 1 / max(1, history.regions))
    )
    smoothed = counted + REGION_PRIOR * overall
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True), np.float64)


def profile(history: History) -> Floats:
    """(168,) how busy each hour of the week is, Monday 00:00 UTC first; 1 is the mean hour."""
    hours = history.end_hour - history.first_hour
    seen = np.bincount(
        _hour_of_week(np.arange(history.first_hour, history.end_hour)), minlength=WEEK_HOURS
    )
    counted = np.bincount(_hour_of_week(history.hour), history.units, WEEK_HOURS)
    mean = counted.sum() / hours if hours > 0 else 0.0
    if mean == 0.0:
        return np.ones(WEEK_HOURS)
    return np.asarray((counted + HOUR_PRIOR * mean) / ((seen + HOUR_PRIOR) * mean), np.float64)


def _hour_of_week(hour: Ints) -> Ints:
    return (hour + _EPOCH_HOUR_OF_WEEK) % WEEK_HOURS
