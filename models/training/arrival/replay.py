"""Journeys told in the order of time: at each moment, the inputs that the tracking fold would give a model.

Causal by construction: a lane's history holds what was delivered before the moment and nothing else. The same
functions as in the fold (``models/tracking``) fill it and read it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME
from models.jit import kernel
from models.simulation.journeys import Floats, Ints, Journeys, Moments
from models.tracking.features import N_INPUTS, Group, Input, fill, planned_hours
from models.tracking.lanes import BUCKETS, COLUMNS, HOUR_US, add, add_ratio, is_weekend, quantile

BEFORE = int(Group.BEFORE)
HAND_OVER, REMAINING_P50 = int(Input.HAND_OVER), int(Input.REMAINING_P50)


@dataclass(frozen=True, eq=False)
class Rows:
    """Columns of ``m`` moments."""

    features: npt.NDArray[np.float32]  # (m, N_INPUTS)
    scale: Floats  # hours, of each row
    remaining: Floats  # hours until delivery
    lane_p50: (
        Floats  # hours until delivery by the lane's median, less what has elapsed; never below 0
    )
    lane_p90: Floats  # the same by its 0.9 quantile


def replay(journeys: Journeys, moments: Moments) -> Rows:
    """The rows of one network, in the order of its moments."""
    m = len(moments.clock)
    features, hours = np.zeros((m, N_INPUTS), np.float32), np.zeros((m, 3))
    lanes = int(journeys.lane.max(initial=0)) + 1
    told = np.argsort(journeys.delivered, kind="stable")
    _tell(
        tuple(vars(journeys).values()), tuple(vars(moments).values()), told, lanes, features, hours
    )
    remaining = (journeys.delivered[moments.journey] - moments.clock) / HOUR_US
    return Rows(features, hours[:, 0], remaining, hours[:, 1], hours[:, 2])


def concatenate(parts: list[Rows]) -> Rows:
    """The rows of several networks, one after the other."""
    return Rows(
        *(
            np.concatenate(columns)
            for columns in zip(*(vars(p).values() for p in parts), strict=True)
        )
    )


@kernel
def _tell(
    journeys: tuple[Ints, ...],
    moments: tuple[Ints, Ints, Ints, Ints, Ints, Floats, Floats],
    told: Ints,
    lanes: int,
    features: npt.NDArray[np.float32],
    hours: Floats,
) -> None:
    lane, planned, handed_over, delivered, promise = journeys
    journey, clock, group, heard, located, progress, late = moments
    own = np.zeros((lanes, COLUMNS), np.uint32)
    network, ratios = np.zeros(COLUMNS, np.uint32), np.zeros(COLUMNS, np.uint32)
    weights = np.empty((2, BUCKETS))
    done = 0
    for i in range(len(clock)):
        while done < len(told) and delivered[told[done]] <= clock[i]:
            j = told[done]
            took = (delivered[j] - handed_over[j]) / HOUR_US
            add(own[lane[j]], took, is_weekend(delivered[j]))
            add(network, took, is_weekend(delivered[j]))
            add_ratio(ratios, took, planned_hours(promise[j], handed_over[j]))
            done += 1
        j = journey[i]
        is_before = group[i] == BEFORE
        hours[i, 0] = fill(
            features[i],
            weights,
            (own[lane[j]], network, ratios),
            group[i],
            clock[i],
            NO_TIME if is_before else handed_over[j],
            planned[j],
            heard[i],
            promise[j],
            (located[i], progress[i]),
            late[i],
        )
        passed = 0.0 if is_before else (clock[i] - handed_over[j]) / HOUR_US
        wait = features[i, HAND_OVER] * features[i, REMAINING_P50] * hours[i, 0]
        hours[i, 1] = max(0.0, wait + quantile(weights, 0.5) - passed)
        hours[i, 2] = max(0.0, wait + quantile(weights, 0.9) - passed)
