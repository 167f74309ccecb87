"""What a policy says of a network's orders, as columns that the walk reads: terms, bands and other limits.

Each value is filled in by the name of its column, so that a missing one is an error and not its neighbour.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from models.policy.document import Policy
from models.policy.tracking import Band
from models.tracking.arrays import CLASSES, Bound, Ints, Limit, Term
from models.tracking.lanes import HOUR_US

Floats = npt.NDArray[np.float64]
Column = TypeVar("Column", bound=IntEnum)
Value = TypeVar("Value", int, float)


def terms_of(policy: Policy) -> Ints:
    """(len(Term),) us, and one number."""
    hours = _hours_of_orders(policy) | _hours_of_devices(policy) | _hours_of_estimates(policy)
    values = {term: round(given * HOUR_US) for term, given in hours.items()}
    values[Term.DEDUPE_RECORDS] = policy.windows.dedupe_max_records
    return np.array(in_columns(Term, values), np.int64)


def bands_of(policy: Policy) -> Floats:
    """(len(CLASSES), len(Bound))."""
    cold = policy.cold_chain
    return np.array([_bounds(cold.unclassed if c is None else cold.band(c)) for c in CLASSES])


def limits_of(policy: Policy) -> Floats:
    """(len(Limit),)."""
    cold, road, estimates = policy.cold_chain, policy.road, policy.estimates
    values = {
        Limit.HUMIDITY: cold.humidity_high_pct,
        Limit.SHOCK: cold.shock_g,
        Limit.LIGHT: cold.light_lux,
        Limit.CORRIDOR_KM: road.corridor_km,
        Limit.CORRIDOR_SHARE: road.corridor_share,
        Limit.SILENCE_GAPS: policy.tracking.silence_gaps,
        Limit.CHANGE_SHARE: estimates.change_share,
        Limit.LATE: estimates.delay_chance,
        Limit.SAFE: estimates.delay_withdrawn_chance,
    }
    return np.array(in_columns(Limit, values))


def in_columns(columns: type[Column], values: Mapping[Column, Value]) -> list[Value]:
    """Values in the order of their columns.

    Raises:
        KeyError: a column has none.
    """
    return [values[column] for column in columns]


def _hours_of_orders(policy: Policy) -> dict[Term, float]:
    tracking = policy.tracking
    return {
        Term.SIGN: tracking.sign_within_hours,
        Term.INSTALL: tracking.install_within_hours,
        Term.ACCEPT: tracking.accept_within_hours,
        Term.FEEDBACK: tracking.feedback_within_hours,
        Term.SILENCE: tracking.silence_hours,
        Term.SILENCE_LEAST: tracking.silence_least_hours,
        Term.SILENCE_MOST: tracking.silence_most_hours,
        Term.EXPIRED: tracking.expired_hours,
        Term.ROUTE: tracking.route_within_hours,
        Term.PICK: tracking.pick_before_hours,
        Term.PACK: tracking.pack_before_hours,
        Term.HAND_OVER: tracking.hand_over_grace_hours,
        Term.CUSTOMS: tracking.customs_within_hours,
        Term.RETENTION: tracking.retention_hours,
        Term.REMIND: policy.notifications.remind_before_hours,
    }


def _hours_of_devices(policy: Policy) -> dict[Term, float]:
    cold, road = policy.cold_chain, policy.road
    return {
        Term.JOINED: cold.joined_within_minutes / 60,
        Term.GAP: cold.gap_minutes / 60,
        Term.HUMIDITY: cold.humidity_minutes / 60,
        Term.STALE: road.stale_minutes / 60,
        Term.OFF_ROUTE: road.off_route_minutes / 60,
        Term.DWELL: road.dwell_hours,
        Term.LEFT: road.left_after_minutes / 60,
        Term.STAY: road.stay_minutes / 60,
        Term.DEDUPE: policy.windows.dedupe_hours,
    }


def _hours_of_estimates(policy: Policy) -> dict[Term, float]:
    estimates = policy.estimates
    return {
        Term.EVERY: estimates.every_hours,
        Term.CHANGE: estimates.change_hours,
        Term.CONFIRM: estimates.confirm_hours,
        Term.MARGIN: estimates.delay_margin_hours,
        Term.WITHDRAWN: estimates.delay_withdrawn_hours,
        Term.OUT: estimates.out_hours,
    }


def _bounds(band: Band) -> list[float]:
    values = {
        Bound.LOW: _known(band.low_c, -np.inf),
        Bound.HIGH: _known(band.high_c, np.inf),
        Bound.LEAST: _known(band.least_c, -np.inf),
        Bound.MOST: _known(band.most_c, np.inf),
        Bound.MINOR_US: band.minor_minutes * HOUR_US / 60,
        Bound.MAJOR_US: band.major_minutes * HOUR_US / 60,
    }
    return in_columns(Bound, values)


def _known(bound: float | None, otherwise: float) -> float:
    return otherwise if bound is None else bound
