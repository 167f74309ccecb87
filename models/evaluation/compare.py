"""Every policy on one case, beside the bound."""

from collections.abc import Callable
from dataclasses import dataclass

from models.evaluation import rivals
from models.evaluation.case import Case
from models.evaluation.outcome import Outcome, Shipped, assess
from models.evaluation.routed import shipped_by
from models.evaluation.walk import walk
from models.planning.bound import solve
from models.planning.epochs import PricePlanner
from models.planning.reevaluation import Reevaluator

RIVALS: tuple[Callable[[Case], Shipped], ...] = (
    rivals.fixed_priority,
    rivals.nearest,
    rivals.fewest_splits,
)


@dataclass(frozen=True, eq=False)
class Compared:
    """The figures of all policies on one case.

    Attributes:
        bound_minor: no policy can cost less.
        outcomes: in the order B0 to B5, then what the log's own prices came to.
    """

    bound_minor: float
    outcomes: list[Outcome]


def compare(case: Case, planner: PricePlanner, every: int) -> Compared:
    """Run every policy.

    Args:
        case: the log.
        planner: publishes prices.
        every: orders between two epochs.
    """
    hindsight = solve(case.problem)
    myopic = shipped_by(case, "B3 myopic", case.myopic)
    base = assess(case, myopic, hindsight, None)

    def figures(shipped: Shipped) -> Outcome:
        return assess(case, shipped, hindsight, base.cost_minor)

    outcomes = [figures(rival(case)) for rival in RIVALS]
    outcomes += [base, figures(rivals.gated(case))]
    priced = walk(case.piece, case.scorer_of, planner, every)
    outcomes.append(figures(shipped_by(case, "B5 prices", priced)))
    again = walk(case.piece, case.scorer_of, Reevaluator(planner), every)
    outcomes.append(figures(shipped_by(case, "B6 re-evaluated", again)))
    if case.live is not None:
        live = walk(case.live, case.scorer_of)
        outcomes.append(figures(shipped_by(case, "live", live)))
    return Compared(hindsight.bound_minor, outcomes)
