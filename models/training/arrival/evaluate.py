"""How good arrival forecasts are: the model, the lane's history, the lane's median, and the date told.

Knows nothing of files: rows in, figures out. Times are in hours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.simulation.journeys import Floats
from models.tracking.features import Group, Input, Output
from models.training.arrival.deliveries import Case
from models.training.arrival.replay import Rows
from models.training.evaluate import IntervalScore, score_intervals

Score = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class CaseScores:
    """Of one case; the promise is one date, so it is judged as if it were both quantiles."""

    name: str
    rows: int
    promise: IntervalScore | None  # None: there are no dates
    lane: IntervalScore  # the lane's median and 0.9 quantile, less what has elapsed
    history: (
        IntervalScore  # the lane's history, given what has elapsed: what is told without a model
    )
    model: IntervalScore


def score_case(case: Case, score: Score) -> CaseScores:
    """Judge every forecaster on the rows of a case."""
    rows = case.rows
    promise = case.promise_hours
    return CaseScores(
        case.name,
        len(rows.scale),
        None if np.isnan(promise).any() else score_intervals(rows.remaining, promise, promise),
        score_intervals(rows.remaining, rows.lane_p50, rows.lane_p90),
        _score(rows, rows.features[:, [Input.REMAINING_P50, Input.REMAINING_P90]]),
        _score(rows, score(rows.features)),
    )


def simulated_cases(rows: Rows) -> list[Case]:
    """Moments of the simulated world by what was going on; without promises, which not all of it has."""
    cases = []
    for group in Group:
        chosen = rows.features[:, Input.IS_BEFORE + group] > 0
        part = Rows(*(column[chosen] for column in vars(rows).values()))
        scale = part.scale  # as if every lane took an hour: else the slow ones alone would count
        unit = Rows(
            part.features,
            np.ones_like(scale),
            part.remaining / scale,
            part.lane_p50 / scale,
            part.lane_p90 / scale,
        )
        cases.append(Case(_NAMES[group], unit, np.full(len(scale), np.nan)))
    return cases


_NAMES = {
    Group.BEFORE: "before hand-over",
    Group.MOVING: "on the way",
    Group.CUSTOMS: "at customs",
    Group.OUT: "out for delivery",
    Group.DOOR: "at the door",
}


def _score(rows: Rows, scales: npt.NDArray[np.float32]) -> IntervalScore:
    hours: Floats = scales.astype(np.float64) * rows.scale[:, None]
    return score_intervals(rows.remaining, hours[:, Output.P50], hours[:, Output.P90])
