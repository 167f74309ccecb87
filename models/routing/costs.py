"""The numbers of a policy as the kernels take them, and what a package costs."""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from models.heap import Addresses, Heap, Slot, opener
from models.jit import kernel
from models.policy.document import Policy
from schemas.codes import Mode
from schemas.tables import COMPONENTS

FREIGHT, HANDLING, TIME, LATE, CARBON, SHADOW, SPLIT = range(len(COMPONENTS))
TOTAL = len(COMPONENTS)
HOUR_US = 3_600_000_000
NO_BAND = -1.0
_NORMAL = NormalDist()


TERMS = np.dtype(
    [
        ("late_minor", np.float64),
        ("hour_minor", np.float64),
        ("carbon_kg_minor", np.float64),
        ("package_minor", np.float64),
        ("max_distance_km", np.float64),
        ("max_packages", np.int64),
        ("horizon_days", np.int64),
        ("allow_partial", np.int64),
        ("standard_us", np.int64),
        ("dedupe_us", np.int64),
        ("dedupe_max", np.int64),
        ("publish_us", np.int64),
        ("assume_us", np.int64),  # 0: never
        ("accept_us", np.int64),  # 0: nodes may take their time
        ("max_attempts", np.int64),
        ("saving_minor", np.int64),  # that a proposed plan must bring
        ("confidence", np.float64),  # 0: the median, 1: the 90 % quantile
        ("rounding_us", np.int64),  # 0: dates are told to the second
        ("level_points", np.int64),
        ("urgency_points", np.int64),
        ("value_points", np.float64),  # a minor unit
        ("value_most", np.int64),
    ],
    align=True,
)
"""A policy without its words; a table of one row."""

open_terms = opener(Slot.TERMS, TERMS)
open_weights = opener(Slot.WEIGHTS, np.float64)  # (7,) by component
open_carbon_factors = opener(Slot.CARBON_FACTORS, np.float64)  # (4,) g per tonne-kilometre, by Mode


def put_policy(heap: Heap, policy: Policy) -> None:
    """Let the kernels decide by this policy."""
    factors, costs, limits = policy.carbon_g_per_tkm, policy.costs, policy.limits
    windows = policy.windows
    row = (
        costs.late_delivery_minor,
        costs.delivery_hour_minor,
        costs.carbon_kg_minor,
        costs.extra_package_minor,
        limits.max_distance_km,
        limits.max_packages,
        limits.booking_horizon_days,
        limits.allow_partial,
        round(policy.promise.standard_hours * HOUR_US),
        round(windows.dedupe_hours * HOUR_US),
        windows.dedupe_max_records,
        windows.stock_publish_minutes * 60_000_000,
        round((windows.assume_handed_over_after_hours or 0.0) * HOUR_US),
        round((windows.accept_within_hours or 0.0) * HOUR_US),
        limits.max_attempts,
        round(policy.reevaluation.minimum_saving_minor),
        _NORMAL.inv_cdf(policy.promise.confidence) / _NORMAL.inv_cdf(0.9),
        round(policy.promise.rounding_hours * HOUR_US),
        policy.priority.level,
        policy.priority.urgency,
        policy.priority.value / 10_000.0,
        policy.priority.value_max,
    )
    heap.put(Slot.TERMS, np.array([row], TERMS))
    heap.put(Slot.WEIGHTS, np.array([getattr(policy.weights, n) for n in COMPONENTS]))
    heap.put(Slot.CARBON_FACTORS, np.array([getattr(factors, m.value) for m in Mode], np.float64))


@kernel
def charge(bands: npt.NDArray[np.float64], first: int, count: int, weight_g: int) -> float:
    """Freight of a package by its weight band, or ``NO_BAND``.

    Args:
        bands: (n, 5) from_g, to_g, base, per kg, minimum; both ends belong to the band.
        first: first band of the lane.
        count: number of its bands; the first that fits counts.
        weight_g: weight of the package in grams.
    """
    for i in range(first, first + count):
        if bands[i, 0] <= weight_g <= bands[i, 1]:
            return max(bands[i, 4], bands[i, 2] + bands[i, 3] * (weight_g / 1000.0))
    return NO_BAND


@kernel
def carbon_grams(heap: Addresses, mode: int, distance_km: float, weight_g: int) -> float:
    """Well-to-wheel emissions of a package: mass x distance x factor (ISO 14083)."""
    return weight_g / 1e6 * distance_km * open_carbon_factors(heap)[mode]


@kernel
def rounded(amount: float) -> int:
    """Whole minor units, halves upwards."""
    return np.int64(np.floor(amount + 0.5))


def tariff_rows(bands: list[dict[str, float]]) -> npt.NDArray[np.float64]:
    """Tariff bands as the kernels read them: (n, 5) from_g, to_g, base, per kg, minimum.

    Bounds are whole grams: published bands such as 0.5 to 0.99 kg do not move by rounding.
    """
    return np.array(
        [
            (
                np.ceil(band["from_kg"] * 1000 - 1e-6),
                np.floor(band["to_kg"] * 1000 + 1e-6),
                band["base_minor"],
                band["per_kg_minor"],
                band["minimum_minor"],
            )
            for band in bands
        ],
        np.float64,
    ).reshape(-1, 5)
