"""Customers who wait: when they look where their order is, when they call, and how content they are.

A proxy, made of assumptions that are all here; it says in which direction something moves, and not how far. A
customer looks more often the longer nothing was said, most of all around and after the date told; a message
spares looks for a while. Who finds a page that lags behind, or an order that is late without a word, may call.
All customers of two arms of a comparison draw the same chances.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Hours = float
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LOOKS_PER_HOUR = 0.02  # soon after news; assumed, like all that follows
WORRY_HOURS = 24.0  # of silence that make a customer look twice as often
NEAR_HOURS, NEAR, LATE_UNTOLD, LATE_TOLD = 12.0, 3.0, 6.0, 2.0
"""So long before the date told, and after it, one looks so many times as often."""
MESSAGE_HOURS, AFTER_MESSAGE = 12.0, 0.25
CALLS_IF_STALE, CALLS_IF_LATE, CALLS = 0.4, 0.6, 0.06
"""Share of the looks that end in a call: of a page that lags, of a late order nobody spoke of, of others."""
CONTENT, PER_CALL, PER_LOOK, LATE_UNTOLD_COSTS, LATE_COSTS = 4.9, 0.35, 0.1, 1.0, 0.4
"""Of 5, and what each call, each look but the first, and a late parcel take off it."""


@dataclass(frozen=True)
class Wait:
    """What one customer could know. All times are hours since the world began.

    Attributes:
        begins: the order is placed.
        promise: what was told.
        ends: the parcel comes.
        news: when something happened, and when the page showed it.
        messages: when a message came.
        warned: when a message first said that it would be late; infinite: never.
    """

    begins: Hours
    promise: Hours
    ends: Hours
    news: Sequence[tuple[Hours, Hours]]
    messages: Sequence[Hours]
    warned: Hours


@dataclass(frozen=True)
class Mood:
    """What came of all of them.

    Attributes:
        looks_per_order: how often a customer looked.
        service_share: of the looks, those that ended in a call.
        satisfaction: mean, 1 to 5.
    """

    looks_per_order: float
    service_share: float
    satisfaction: float


def ask(waits: Sequence[Wait], seed: int) -> Mood:
    """How the customers fared; the same seed gives the same chances.

    Raises:
        ValueError: there are none.
    """
    if not waits:
        raise ValueError("a comparison needs at least one order that was delivered")
    generator = np.random.default_rng(seed)
    spans = np.array([(w.begins, w.promise, w.ends, w.warned) for w in waits])
    begins, promise, ends, warned = spans.T
    hours = np.arange(int(ends.max()) + 1, dtype=np.float64)[:, None]
    chances = generator.random((2, len(hours), len(waits)))
    shown, told = (np.full((len(hours), len(waits)), -np.inf) for _ in range(2))
    stale = np.zeros(shown.shape, bool)
    for n, wait in enumerate(waits):
        for happened, visible in wait.news:
            _mark(shown, n, visible)
            stale[_hour(happened) : _hour(visible), n] = True
        for at in wait.messages:
            _mark(told, n, at)
    told = np.maximum.accumulate(told)
    known = np.maximum(np.maximum.accumulate(np.maximum(shown, told)), begins)
    is_late, is_warned = hours > promise, hours >= warned
    rate = LOOKS_PER_HOUR * (1 + (hours - known) / WORRY_HOURS)
    rate *= np.where(is_late, np.where(is_warned, LATE_TOLD, LATE_UNTOLD), 1.0)
    rate *= np.where(~is_late & (hours > promise - NEAR_HOURS), NEAR, 1.0)
    rate *= np.where(hours - told < MESSAGE_HOURS, AFTER_MESSAGE, 1.0)
    looks = (hours >= begins) & (hours < ends) & (chances[0] < rate)
    calls = looks & (chances[1] < _inclined(stale, is_late & ~is_warned))
    return _mood(looks, calls, ends > promise, warned <= promise)


def _hour(at: Hours) -> int:
    """The first full hour at which it is known."""
    return max(0, int(np.ceil(at)))


def _mark(last: Floats, n: int, at: Hours) -> None:
    """Something came, as long as the world lasts."""
    if _hour(at) < len(last):
        last[_hour(at), n] = max(last[_hour(at), n], at)


def _inclined(stale: Flags, is_left_alone: Flags) -> Floats:
    """Chance that a look ends in a call."""
    return np.where(is_left_alone, CALLS_IF_LATE, np.where(stale, CALLS_IF_STALE, CALLS))


def _mood(looks: Flags, calls: Flags, is_late: Flags, was_warned: Flags) -> Mood:
    looked, called = looks.sum(axis=0), calls.sum(axis=0)
    content = CONTENT - PER_CALL * called - PER_LOOK * np.maximum(0, looked - 1)
    content -= np.where(is_late, np.where(was_warned, LATE_COSTS, LATE_UNTOLD_COSTS), 0.0)
    return Mood(
        float(looked.mean()),
        float(called.sum() / max(1, looked.sum())),
        float(np.clip(content, 1, 5).mean()),
    )
