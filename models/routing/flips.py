"""Flip statements: the smallest change that would have changed the winner.

Three families: a weight of the policy, the stock of one SKU at one node, the cut-off of one node.
Candidates come from arithmetic: a weight moves the costs of two options apart or together, a node lacks
so many units or has so many to spare, a cut-off has passed or is still to come. Each is tried by the
kernel's own choice on the moment that the decision met, and shrunk by bisection on the field's grid.

What is told is verified by the fold: the record is taken again by a copy of the state in which the
field is changed, and chooses otherwise; changed by one step less, it chooses as it did.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from models.heap import Slot
from models.policy.document import Policy, Weights
from models.promising.calendar import MINUTE_US, starts_at
from models.routing.changes import DAY_MINUTES, Change, CutOffChange, StockChange, WeightChange
from models.routing.moments import Cause, Moment, Question, Winner, copy_of, winner_after
from models.routing.options import Option, options_of, plans_of
from schemas.tables import COMPONENTS

LARGEST_WEIGHT = 10.0
"""Weights are looked for up to this, or to this many times a present weight above 1."""


@dataclass(frozen=True)
class Flip:
    """A change that is verified to change the winner, to this one; one step less does not."""

    change: Change
    winner: Winner


def flips_of(cause: Cause, question: Question, moment: Moment) -> list[Flip]:
    """The relatively smallest flip of each family that has one, the smallest of all first."""
    found = [_smallest(cause, question, moment, family) for family in _families(moment)]
    told = [flip for flip in found if flip is not None]
    return sorted(told, key=lambda flip: (flip.change.relative, flip.change.field))


def verified(cause: Cause, question: Question, winner: Winner, change: Change) -> Flip | None:
    """The flip, if the fold chooses otherwise by the change, and as it did by one step less."""
    other = _chosen(cause, question, change)
    if other == winner:
        return None
    less = change.by(change.steps - int(math.copysign(1, change.steps)))
    return Flip(change, other) if _chosen(cause, question, less) == winner else None


def _chosen(cause: Cause, question: Question, change: Change) -> Winner:
    state = copy_of(cause.state, question.network)
    change.apply(state.networks[question.network])
    return winner_after(state, cause, question)


def _smallest(
    cause: Cause, question: Question, moment: Moment, proposed: Iterator[Change]
) -> Flip | None:
    """The smallest proposed change that the fold confirms."""
    shrunk = {_shrunk(moment, change) for change in proposed if _flips(moment, change)}
    for change in sorted(shrunk, key=lambda change: (change.relative, change.field, change.steps)):
        flip = verified(cause, question, moment.winner, change)
        if flip is not None:
            return flip
    return None


def _flips(moment: Moment, change: Change) -> bool:
    """Whether the moment's choice is another one by the change, which is taken back."""
    change.apply(moment.network)
    winner = moment.choose()
    change.by(0).apply(moment.network)
    return winner != moment.winner


def _shrunk(moment: Moment, change: Change) -> Change:
    """A change of as few steps as bisection finds, the last one counting."""
    sign, too_few, enough = int(math.copysign(1, change.steps)), 0, abs(change.steps)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _flips(moment, change.by(sign * middle)):
            enough = middle
        else:
            too_few = middle
    return change.by(sign * enough)


def _families(moment: Moment) -> tuple[Iterator[Change], ...]:
    return _weights(moment), _stocks(moment), _cut_offs(moment)


def _weights(moment: Moment) -> Iterator[Change]:
    """Weights at which an option costs no more than the winner, by what each costs unweighted."""
    policy = moment.network.policy
    plain = _unweighted(moment, policy)
    for name in COMPONENTS:
        weight = float(getattr(policy.weights, name))
        ends = (-weight, LARGEST_WEIGHT * max(1.0, weight) - weight)
        wanted = {*ends, *_balances(plain, policy.weights, name)}
        for delta in sorted(wanted):
            if delta and ends[0] <= delta <= ends[1]:
                away = math.floor if delta < 0 else math.ceil
                steps = away(round(delta / WeightChange.grid, 6))
                yield WeightChange(name, weight, max(steps, math.ceil(ends[0] / WeightChange.grid)))


def _unweighted(moment: Moment, policy: Policy) -> list[Option]:
    """The moment's options, with every component at face value."""
    plans = plans_of(moment)
    moment.network.set_policy(policy.model_copy(update={"weights": Weights()}))
    options = options_of(moment, plans)
    moment.network.set_policy(policy)
    return options


def _balances(plain: list[Option], weights: Weights, name: str) -> Iterator[float]:
    """Changes of a weight at which the winner and another option cost the same."""
    winner = next((option for option in plain if option.chosen), None)
    if winner is None:
        return
    for option in plain:
        gaps = {n: option.costs_minor[n] - winner.costs_minor[n] for n in COMPONENTS}
        margin = sum(float(getattr(weights, n)) * gap for n, gap in gaps.items())
        if gaps[name]:
            yield -margin / gaps[name]


def _stocks(moment: Moment) -> Iterator[Change]:
    """What a node lacks of a SKU, or all that the winner's nodes have to give."""
    network, heap = moment.network, moment.network.heap
    n, _, _ = moment.gather()
    wanted: dict[int, int] = {}
    for want in heap[Slot.WANTS][:n]:
        wanted[int(want["sku"])] = wanted.get(int(want["sku"]), 0) + int(want["qty"])
    skus = network.names["skus"].listed()
    for node, name in enumerate(network.names["nodes"].listed()):
        for sku, qty in wanted.items():
            on_hand, free = (
                int(heap[Slot.CELLS]["on_hand"][sku, node]),
                int(heap[Slot.FREE][sku, node]),
            )
            if free < qty:
                yield StockChange(name, on_hand, qty - free, skus[sku], qty)
            if free > 0 and name in moment.winner.nodes:
                yield StockChange(name, on_hand, -min(free, on_hand), skus[sku], qty)


def _cut_offs(moment: Moment) -> Iterator[Change]:
    """The cut-off that the order would just meet where it has passed, or just miss where not."""
    for name in moment.network.names["nodes"].listed():
        change = CutOffChange.on_day_of(moment.network, name, moment.now)
        if change is None:
            continue
        node = moment.network.names["nodes"].find_one(name)
        began = int(starts_at(moment.network.heap.addresses, node, change.day))
        passed = (moment.now - began) // MINUTE_US
        missed = passed >= change.before
        if not missed or passed < DAY_MINUTES:
            yield change.by(passed + missed - int(change.before))
