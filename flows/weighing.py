"""What a decision could have chosen and what would have flipped it, worked out from the log again.

Unlike ``explain.py``, which reads the lake, this takes the state just before the decision's record and
asks the kernel. Money is in minor units, weighted by the policy that decided.
"""

from typing import Self

import msgspec

from flows.decisions import DecisionRef
from flows.past import Past, Progress
from models.routing.changes import Family, StockChange
from models.routing.flips import Flip, flips_of
from models.routing.fold import RouteState
from models.routing.moments import Moment, Question, Winner, moment_of
from models.routing.options import Candidate, Option, candidates_of, greenest, options_of
from schemas.errors import InputError
from schemas.ids import OrderId, network_key


class FlipStatement(msgspec.Struct, frozen=True):
    """A verified flip.

    Attributes:
        family: what is changed.
        field: the same with its names, as one word.
        name: of the component; of the node.
        sku: of a stock count.
        before: present value: a weight, units on hand, a minute of the day.
        after: the value that changes the winner.
        delta: their difference.
        relative: size of the change, see ``models/routing/changes.py``.
        nodes: that would have shipped the order; empty: none.
        lane_ids: by which lanes.
    """

    family: Family
    field: str
    name: str
    sku: str | None
    before: float
    after: float
    delta: float
    relative: float
    nodes: list[str]
    lane_ids: list[str]

    @classmethod
    def of(cls, flip: Flip) -> Self:
        """The statement that a flip makes."""
        change = flip.change
        return cls(
            change.family,
            change.field,
            change.name,
            change.sku if isinstance(change, StockChange) else None,
            change.before,
            change.after,
            change.delta,
            change.relative,
            list(flip.winner.nodes),
            list(flip.winner.lane_ids),
        )


class Weighing(msgspec.Struct, frozen=True):
    """A decision's alternatives.

    Attributes:
        decision: its id.
        currency: of all money.
        candidates: every node, those that could ship something by rank.
        options: plans that serve as much as the winner, cheapest first.
        chosen: the option that won; None where nothing did.
        greenest: the option with the lowest emissions.
        flips: the smallest change of each family, the relatively smallest first.
    """

    decision: str
    currency: str
    candidates: list[Candidate]
    options: list[Option]
    chosen: Option | None
    greenest: Option | None
    flips: list[FlipStatement]


def weigh_again(
    past: Past, state: RouteState, found: DecisionRef, progress: Progress
) -> Weighing | None:
    """The alternatives of a decision; None if there were none to weigh, see ``moment_of``.

    Args:
        past: of the lake.
        state: some state before the decision; changed.
        found: the decision.
        progress: told how many records were passed.

    Raises:
        InputError: the log gives another decision than the lake holds.
    """
    cause = next(past.causes(state, [found.position], progress))
    question = question_of(found)
    moment = moment_of(cause, question)
    if moment is None:
        return None
    if moment.winner != Winner(tuple(found.nodes), tuple(found.lane_ids)):
        raise InputError(
            f"decision {found.id} is not what the log gives today: {found.nodes} in the lake, "
            f"{list(moment.winner.nodes)} again; see crossdock replay --decision {found.id}"
        )
    flips = [FlipStatement.of(flip) for flip in flips_of(cause, question, moment)]
    return _weighing(found, moment, flips)


def question_of(found: DecisionRef) -> Question:
    """The decision as its record's effects are asked for it."""
    return Question(network_key(found.tenant, found.network), OrderId(found.order_id), found.nth)


def _weighing(found: DecisionRef, moment: Moment, flips: list[FlipStatement]) -> Weighing:
    options = options_of(moment)
    return Weighing(
        found.id,
        moment.network.policy.currency,
        candidates_of(moment),
        options,
        next((option for option in options if option.chosen), None),
        greenest(options) if options else None,
        flips,
    )
