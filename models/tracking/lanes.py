"""What deliveries on a lane usually take, and what is left of it once some time has passed.

A *history* is a row of ``COLUMNS`` counts: a histogram over ln(hours), and how many of them ended at a weekend.
A new duration adds one; once the row holds ``BOUND`` of them all are halved, so a history follows a lane that
has become slower, and is never larger. Counts are kept in parts of ``ONE``, so halving does not lose what is
rare. Up to the bound the order of additions does not matter. The same serves any span: from hand-over to
delivery, or from one scan to the next.

A lane has too few deliveries at first. So estimates come from a *blend*: its own history; that of the network,
which counts as much as ``NETWORK`` deliveries of its own; and a wide shape that counts as much as ``TAIL``,
so that a parcel which is later than any before it is still expected. With a plan (the hours that were promised)
the network's part is not what it takes, but how it compares with its plans.

Beside its weights a blend keeps their running sums, by which its quantiles are looked up.

Nothing here allocates. Histories and blends belong to the caller; all spans are in hours.
"""

import math

import numpy as np
import numpy.typing as npt

from models.jit import borrowing_kernel

Counts = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
Blend = Floats
"""(2, BUCKETS): ``WEIGHTS``, and ``SUMS`` of them up to each bucket."""
WEIGHTS, SUMS = 0, 1
BUCKETS = 96
SHORTEST, LONGEST = 0.05, 8_760.0
"""Hours, from three minutes to a year, where the first bucket begins and the last ends; what lies beyond
counts in these two."""
LOW = math.log(SHORTEST)
STEP = (math.log(LONGEST) - LOW) / BUCKETS
"""Width of a bucket in ln(hours): 13 %."""
COLUMNS = BUCKETS + 1
"""Of a history: the buckets, then what ended on a Saturday or Sunday (UTC)."""
ONE = 256
"""What one duration adds to its bucket."""
BOUND = 128
"""Durations of which a history holds no more: enough for a quantile of 0.9, and a few days of a busy lane."""
NETWORK = 8.0
"""Deliveries as which the network's history counts on a lane; between 4 and 20 little depends on it."""
TAIL = 0.5
"""Deliveries as which the wide shape counts."""
TAIL_POWER = 3.5
"""Of the wide shape, log-logistic: ln(hours) spreads by 0.5, as road parcels do (delivery_statistics.py)."""
UNKNOWN_HOURS = 72.0
"""Median where neither lane, network nor plan is known; assumed."""
NO_PLAN = 0.0
HOUR_US = 3_600_000_000
_WEEK_US, _WEEKDAYS_US = 168 * HOUR_US, 120 * HOUR_US
_EPOCH_US = 72 * HOUR_US
"""1970-01-01 was a Thursday; weeks begin on Monday."""


@borrowing_kernel
def add(history: Counts, hours: float, at_weekend: bool) -> None:
    """Take a duration into a history.

    Args:
        history: (COLUMNS,) of a lane or of the network; it is changed.
        hours: what it took.
        at_weekend: whether it ended at one, see ``is_weekend``.
    """
    history[_bucket(hours)] += np.uint32(ONE)
    if at_weekend:
        history[BUCKETS] += np.uint32(ONE)
    total = 0
    for b in range(BUCKETS):
        total += history[b]
    if total >= BOUND * ONE:
        for b in range(COLUMNS):
            history[b] >>= np.uint32(1)


@borrowing_kernel
def add_ratio(ratios: Counts, hours: float, planned: float) -> None:
    """Take a duration into the network's history of durations as multiples of their plans.

    A multiple of one is kept as an hour is. Without a plan (``NO_PLAN``) there is nothing to keep.
    """
    if planned > NO_PLAN:
        add(ratios, hours / planned, False)


@borrowing_kernel
def is_weekend(at_us: int) -> bool:
    """Whether an instant (us since 1970, UTC) is on a Saturday or Sunday."""
    return (at_us + _EPOCH_US) % _WEEK_US >= _WEEKDAYS_US


@borrowing_kernel
def hours_without_weekends(at_us: int, hours: float) -> float:
    """Hours on the clock until so many have passed that are not on a Saturday or Sunday (UTC)."""
    since = (at_us + _EPOCH_US) % _WEEK_US / HOUR_US  # of a week that begins on Monday
    worked = min(since, 120.0) + hours
    return worked + 48.0 * math.floor(worked / 120.0) - since


@borrowing_kernel
def seen(history: Counts) -> float:
    """How many durations a history holds; halved ones count less."""
    total = 0
    for b in range(BUCKETS):
        total += history[b]
    return total / ONE


@borrowing_kernel
def weekend_share(own: Counts, network: Counts) -> float:
    """Share of a lane's deliveries that came at a weekend, leaning on the network's; 2/7 if none is known."""
    known = seen(network)
    usual = network[BUCKETS] / (ONE * known) if known > 0 else 2 / 7
    return (own[BUCKETS] / ONE + NETWORK * usual) / (seen(own) + NETWORK)


@borrowing_kernel
def blend(own: Counts, network: Counts, ratios: Counts, planned: float, blended: Blend) -> None:
    """What is to be expected on a lane.

    Args:
        own: (COLUMNS,) history of the lane.
        network: (COLUMNS,) history of all lanes.
        ratios: (COLUMNS,) multiples of plans on all lanes.
        planned: hours that were planned or promised from hand-over to delivery; ``NO_PLAN``: unknown.
        blended: the answer.
    """
    weights = blended[WEIGHTS]
    for b in range(BUCKETS):
        weights[b] = own[b] / ONE
    known = seen(network)
    if planned > NO_PLAN and seen(ratios) > 0:
        _add_planned(ratios, planned, NETWORK, weights)
    elif known > 0:
        for b in range(BUCKETS):
            weights[b] += network[b] * (NETWORK / (known * ONE))
    _add_tail(planned if planned > NO_PLAN else UNKNOWN_HOURS, blended)


@borrowing_kernel
def blend_plan(ratios: Counts, planned: float, blended: Blend) -> None:
    """What is to be expected of a plan alone, by what became of the network's plans.

    Args:
        ratios: (COLUMNS,) multiples of plans on all lanes.
        planned: hours from hand-over to delivery; more than ``NO_PLAN``.
        blended: the answer.
    """
    weights = blended[WEIGHTS]
    for b in range(BUCKETS):
        weights[b] = 0.0
    if seen(ratios) > 0:
        _add_planned(ratios, planned, seen(ratios), weights)
    _add_tail(planned, blended)


@borrowing_kernel
def quantile(blended: Blend, share: float) -> float:
    """Hours within which a share of the deliveries of a blend arrive."""
    return _hours_at(blended, share * blended[SUMS, BUCKETS - 1])


@borrowing_kernel
def quantile_of(history: Counts, share: float, blended: Blend) -> float:
    """The same of a history alone; ``blended`` is scratch."""
    for b in range(BUCKETS):
        blended[WEIGHTS, b] = history[b]
    _sum_up(blended)
    return quantile(blended, share)


@borrowing_kernel
def remaining(blended: Blend, elapsed: float, share: float) -> float:
    """Hours within which a share of those arrive that have been under way for ``elapsed`` hours."""
    place = _place(elapsed)
    whole, total = int(place), blended[SUMS, BUCKETS - 1]
    before = blended[SUMS, whole - 1] if whole > 0 else 0.0
    if whole < BUCKETS:
        before += blended[WEIGHTS, whole] * (place - whole)
    return max(0.0, _hours_at(blended, before + share * (total - before)) - elapsed)


@borrowing_kernel
def chance_of_more(blended: Blend, elapsed: float, hours: float) -> float:
    """Share of those that are still under way after ``elapsed`` hours and take ``hours`` more at least."""
    left = _beyond(blended[WEIGHTS], elapsed)
    more = _beyond(blended[WEIGHTS], elapsed + max(0.0, hours))
    return more / left if left > 0.0 else 1.0


@borrowing_kernel
def _beyond(weights: Floats, hours: float) -> float:
    """How much of a blend takes longer; not by its sums, which would lose what is rare."""
    place, beyond = _place(hours), 0.0
    for b in range(int(place), BUCKETS):
        beyond += weights[b] * (1.0 - max(0.0, place - b))
    return beyond


@borrowing_kernel
def _place(hours: float) -> float:
    """Where in the buckets a span is, from 0 to ``BUCKETS``."""
    return min(float(BUCKETS), max(0.0, (math.log(max(hours, SHORTEST)) - LOW) / STEP))


@borrowing_kernel
def _sum_up(blended: Blend) -> None:
    total = 0.0
    for b in range(BUCKETS):
        total += blended[WEIGHTS, b]
        blended[SUMS, b] = total


@borrowing_kernel
def _bucket(hours: float) -> int:
    place = (math.log(max(hours, SHORTEST)) - LOW) / STEP
    return min(BUCKETS - 1, int(place))


@borrowing_kernel
def _hours_at(blended: Blend, mass: float) -> float:
    """Hours below which there is so much of a blend; even in ln(hours) within a bucket."""
    b, end = 0, BUCKETS
    while b < end:
        middle = (b + end) // 2
        if blended[SUMS, middle] >= mass:
            end = middle
        else:
            b = middle + 1
    while b < BUCKETS and blended[WEIGHTS, b] <= 0.0:
        b += 1
    if b == BUCKETS:
        return LONGEST
    below = blended[SUMS, b - 1] if b > 0 else 0.0
    return math.exp(LOW + STEP * (b + (mass - below) / blended[WEIGHTS, b]))


@borrowing_kernel
def _add_planned(ratios: Counts, planned: float, mass: float, weights: Floats) -> None:
    """Add what a plan's multiples come to; what would leave the row stays in its outermost bucket."""
    places = math.log(planned) / STEP
    whole = math.floor(places)
    part = places - whole
    scale = mass / (seen(ratios) * ONE)
    for b in range(BUCKETS):
        to = b + int(whole)
        weights[min(BUCKETS - 1, max(0, to))] += ratios[b] * scale * (1.0 - part)
        weights[min(BUCKETS - 1, max(0, to + 1))] += ratios[b] * scale * part


@borrowing_kernel
def _add_tail(otherwise: float, blended: Blend) -> None:
    """Add the wide shape around the median; of nothing, around ``otherwise``."""
    _sum_up(blended)
    total = blended[SUMS, BUCKETS - 1]
    middle = _hours_at(blended, 0.5 * total) if total > 0.0 else otherwise
    odds = math.exp(TAIL_POWER * (LOW - math.log(middle)))
    growth = math.exp(TAIL_POWER * STEP)
    below = 0.0
    for b in range(BUCKETS):
        odds *= growth
        upto = odds / (1.0 + odds)
        blended[WEIGHTS, b] += TAIL * (upto - below)
        below = upto
    _sum_up(blended)
