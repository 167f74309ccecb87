"""The inputs and outputs of an arrival model: the contract between the tracking fold and every ONNX file.

One input row is one parcel (or an order, before its parcels are known) at one moment. Spans are given as
multiples of the *scale*, the median of the lane's blend (lanes.py), so a model that was trained on some lanes
holds for any. A model answers in the same unit. What it starts from is the lane's history: its answer is
``REMAINING_P50`` and ``REMAINING_P90``, corrected; and these two are what is told while no model is active.

A model file carries ``FEATURES_VERSION`` and the range of each input that it was trained on as metadata; a
file of another version is refused. Every span is cut to ``MOST``, so a row is always finite.
"""

import math
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.tracking.lanes import (
    HOUR_US,
    NO_PLAN,
    Blend,
    Counts,
    blend,
    blend_plan,
    hours_without_weekends,
    quantile,
    remaining,
    weekend_share,
)

FEATURES_VERSION = "arrival-features-1"
INPUT_NAME = "features"
OUTPUT_NAME = "quantiles"
MOST = 16.0
"""Scales; what is longer counts as so long."""
LEAST = 1e-3
"""Scales; what is shorter counts as so long in a logarithm."""
FARTHEST = 3.0
"""How far another forecast can be from the lane's history, in ln: twenty times."""
WEEK, WORKED = 7 / 2, 5 / 7
"""Of a week: by the part that is a weekend, and the part that is not."""
LEAST_PROGRESS = 0.02
"""Share of the way below which a pace says nothing."""


class Input(IntEnum):
    """Columns of ``features: (n, 24) float32``. *Scales* are multiples of the lane's median.

    Other forecasts than that of the lane's history are given as what they would correct it by:
    ``ln(theirs / REMAINING_P50)``, or 0 where there is none.
    """

    ELAPSED_LOG = 0  # ln(1 + scales since hand-over); 0 before it
    REMAINING_P50 = 1  # scales until delivery by the lane's history, given what has elapsed
    REMAINING_P90 = 2  # both with the wait for the hand-over that is planned
    LEFT_SPREAD = 3  # ln(REMAINING_P90 / REMAINING_P50)
    SPREAD = 4  # ln(p90 / p50) of the lane from hand-over to delivery
    MEDIAN_LOG = 5  # ln(1 + hours of the scale)
    HAND_OVER = 6  # share of REMAINING_P50 that is the wait for the planned hand-over
    NEWS_LOG = 7  # ln(1 + scales since the last news of it)
    IS_BEFORE = 8  # five groups of phases, see ``Group``; exactly one is 1
    IS_MOVING = 9
    IS_CUSTOMS = 10
    IS_OUT = 11
    IS_DOOR = 12
    PROGRESS = 13  # share of the planned way at the last position; 0 if none is known
    HAS_POSITION = 14
    PACE = 15  # by the position, if the rest goes as the way so far
    LATE = 16  # probability of being late, of the router's decision; 0 if it gave none
    HAS_LATE = 17
    WEEKEND = 18  # by the calendar, if the lane rests at weekends as far as CLOSED says
    CLOSED = 19  # 0: as many deliveries at weekends (UTC) as on other days; 1: none
    HAS_PROMISE = 20
    TOLD_P50 = 21  # by what became of the network's promises
    TOLD_P90 = 22  # ln(theirs / REMAINING_P90)
    TOLD_SPREAD = 23  # their ln(p90 / p50) from hand-over to delivery


class Output(IntEnum):
    """Columns of ``quantiles: (n, 2) float32``: scales from now until delivery."""

    P50 = 0  # never below 0
    P90 = 1  # never below the median


class Group(IntEnum):
    """What a phase comes to for an arrival."""

    BEFORE = 0  # up to packed: not handed over yet
    MOVING = 1  # handed over, in transit
    CUSTOMS = 2
    OUT = 3  # out for delivery
    DOOR = 4  # an attempt failed, or it waits to be picked up


N_INPUTS = len(Input)
N_OUTPUTS = len(Output)
(
    ELAPSED_LOG, REMAINING_P50, REMAINING_P90, LEFT_SPREAD, SPREAD, MEDIAN_LOG, HAND_OVER, NEWS_LOG,
    IS_BEFORE, _, _, _, _, PROGRESS, HAS_POSITION, PACE, LATE, HAS_LATE, WEEKEND, CLOSED,
    HAS_PROMISE, TOLD_P50, TOLD_P90, TOLD_SPREAD,
) = (int(i) for i in Input)  # fmt: skip
BEFORE = int(Group.BEFORE)


@borrowing_kernel
def planned_hours(promise: int, start: int) -> float:
    """Hours from a hand-over to the date told, the plan of ``lanes``; ``NO_PLAN`` if either is unknown."""
    if promise == NO_TIME or start == NO_TIME:
        return NO_PLAN
    return max(NO_PLAN, (promise - start) / HOUR_US)


@borrowing_kernel
def fill(
    row: npt.NDArray[np.float32],
    scratch: Blend,
    histories: tuple[Counts, Counts, Counts],
    group: int,
    clock: int,
    handed_over: int,
    to_hand_over: int,
    heard: int,
    promise: int,
    position: tuple[int, float],
    late: float,
) -> float:
    """Write the inputs of one parcel. Instants are us since 1970, ``NO_TIME`` where unknown.

    Args:
        row: (N_INPUTS,) is written.
        scratch: is used; afterwards it holds the blend of the lane.
        histories: (COLUMNS,) each: of the lane, of the network, and of the network's plans (lanes.py).
        group: ``Group`` of its phase.
        clock: now.
        handed_over: to the carrier.
        to_hand_over: when that is planned; counts only before it.
        heard: when the last news of it happened.
        promise: the date told last.
        position: when it was last located, and the share of the planned way then (NaN: unknown).
        late: probability of being late, of the router's decision; NaN: it gave none.

    Returns:
        The scale, hours: what a model's answer is to be multiplied by.
    """
    own, network, ratios = histories
    for i in range(N_INPUTS):
        row[i] = 0.0
    row[IS_BEFORE + group] = 1.0
    start, elapsed, wait = handed_over, _since(handed_over, clock), 0.0
    if group == BEFORE:
        start = clock if to_hand_over == NO_TIME else max(clock, to_hand_over)
        elapsed, wait = 0.0, _since(clock, start)
    planned = planned_hours(promise, start)
    told_p50, told_p90 = _fill_told(row, scratch, ratios, planned, elapsed, wait)
    blend(own, network, ratios, planned, scratch)
    scale = quantile(scratch, 0.5)
    p50, p90 = _left(scratch, elapsed, wait)
    row[REMAINING_P50], row[REMAINING_P90] = min(MOST, p50 / scale), min(MOST, p90 / scale)
    row[ELAPSED_LOG] = math.log1p(min(MOST, elapsed / scale))
    row[NEWS_LOG] = math.log1p(min(MOST, _since(heard, clock) / scale))
    row[SPREAD], row[LEFT_SPREAD] = (
        math.log(quantile(scratch, 0.9) / scale),
        _beside(p90, p50, scale),
    )
    row[MEDIAN_LOG], row[HAND_OVER] = math.log1p(scale), wait / p50 if wait > 0.0 else 0.0
    if planned > NO_PLAN:
        row[HAS_PROMISE] = 1.0
        row[TOLD_P50], row[TOLD_P90] = _beside(told_p50, p50, scale), _beside(told_p90, p90, scale)
    if late == late:  # not NaN
        row[LATE], row[HAS_LATE] = min(1.0, max(0.0, late)), 1.0
    closed = min(1.0, max(0.0, 1.0 - weekend_share(own, network) * WEEK))
    row[CLOSED] = closed
    row[WEEKEND] = closed * _beside(hours_without_weekends(clock, p50 * WORKED), p50, scale)
    _fill_position(row, position, clock, handed_over, p50, scale)
    return scale


@borrowing_kernel
def _fill_told(
    row: npt.NDArray[np.float32],
    scratch: Blend,
    ratios: Counts,
    planned: float,
    elapsed: float,
    wait: float,
) -> tuple[float, float]:
    """Hours until delivery at both quantiles by what promises were worth; 0 without one."""
    if planned <= NO_PLAN:
        return 0.0, 0.0
    blend_plan(ratios, planned, scratch)
    row[TOLD_SPREAD] = math.log(quantile(scratch, 0.9) / quantile(scratch, 0.5))
    return _left(scratch, elapsed, wait)


@borrowing_kernel
def _fill_position(
    row: npt.NDArray[np.float32],
    position: tuple[int, float],
    clock: int,
    handed_over: int,
    p50: float,
    scale: float,
) -> None:
    located, progress = position
    if located == NO_TIME or progress != progress:
        return
    row[PROGRESS], row[HAS_POSITION] = min(1.0, max(0.0, progress)), 1.0
    if progress > LEAST_PROGRESS:
        taken = _since(handed_over, located) / min(1.0, progress)
        row[PACE] = _beside(taken - _since(handed_over, clock), p50, scale)


@borrowing_kernel
def _left(blended: Blend, elapsed: float, wait: float) -> tuple[float, float]:
    """Hours until delivery at both quantiles."""
    return remaining(blended, elapsed, 0.5) + wait, remaining(blended, elapsed, 0.9) + wait


@borrowing_kernel
def _beside(other: float, hours: float, scale: float) -> float:
    """How far one forecast is from another, in ln, neither below ``LEAST`` scales."""
    far = math.log(max(other, LEAST * scale) / max(hours, LEAST * scale))
    return min(FARTHEST, max(-FARTHEST, far))


@borrowing_kernel
def _since(earlier: int, later: int) -> float:
    """Hours between two instants; 0 if either is unknown, or they are the other way round."""
    if earlier == NO_TIME or later == NO_TIME:
        return 0.0
    return max(0.0, (later - earlier) / HOUR_US)
