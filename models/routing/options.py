"""What a decision could have chosen: every node with its cost or why not, and every plan worth a look.

All costs come from the kernel's own ``weigh``, called on the moment that the decision met. An option is
a set of nodes with a lane for each that serves as many units as the winner: every node alone, and the
nodes of the best plans, with every lane that they have. The Pareto set keeps the options that no other
one beats or equals in cost, hours and grams at once.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from models.heap import Slot
from models.promising.calendar import starts_at
from models.routing.arrays import Cursor
from models.routing.candidates import count_units, screen
from models.routing.codes import FEASIBLE, HANDLING_Q, HAZMAT_BIT, P50, P90
from models.routing.costs import HOUR_US, TOTAL
from models.routing.moments import Moment, Winner
from models.routing.packages import weigh
from schemas.codes import Exclusion, Mode
from schemas.tables import COMPONENTS

DISTANCE_KIND = "lane"
"""Distances are those that the lanes publish: neither great circles nor what a truck drove."""

_MODES = list(Mode)


@dataclass(frozen=True)
class Leg:
    """A package of an option: its lane, and by which factor its emissions are reckoned."""

    node: str
    lane_id: str
    mode: str
    distance_km: float
    distance_kind: str
    factor_id: str


@dataclass(frozen=True)
class Option:
    """A plan and what it comes to.

    Attributes:
        legs: its packages.
        units: that it serves.
        costs_minor: weighted by the policy, by component.
        total_minor: their sum.
        hours_p50: from the decision until the last package is there, waiting and handling included.
        hours_p90: the same at the 90th percentile; what is promised.
        carbon_g: well to wheel, CO2e, to the milligram.
        chosen: whether the decision chose it.
        pareto: whether no other option beats it.
    """

    legs: tuple[Leg, ...]
    units: int
    costs_minor: dict[str, int]
    total_minor: int
    hours_p50: float
    hours_p90: float
    carbon_g: float
    chosen: bool = False
    pareto: bool = False

    @property
    def plan(self) -> Winner:
        """As far as it is a choice."""
        return Winner(tuple(leg.node for leg in self.legs), tuple(leg.lane_id for leg in self.legs))


class Draft(NamedTuple):
    """A plan to be weighed."""

    nodes: list[int]
    lines: int  # which lines each ships, see ``TOP``; 0: what it can


@dataclass(frozen=True)
class Lack:
    """Units of a line that a node cannot serve, and why."""

    line_no: int
    sku: str
    wanted: int
    available: int
    code: str


@dataclass(frozen=True)
class Candidate:
    """A node of the network.

    Attributes:
        node: its name.
        code: ``Exclusion``, as in the decision.
        units: that it could serve alone.
        lacks: by line, what it cannot.
        option: what it would come to with its cheapest lane; None if it can ship nothing.
        rank: among the nodes with an option, most units first, then the lowest cost; 0 without.
        chosen: whether the decision chose it, alone or with others.
    """

    node: str
    code: str
    units: int
    lacks: tuple[Lack, ...]
    option: Option | None
    rank: int
    chosen: bool


def candidates_of(moment: Moment) -> list[Candidate]:
    """Every node: those with an option by rank, then the others in the order of declaration."""
    heap, names = moment.network.heap, moment.network.names["nodes"].listed()
    moment.choose()
    codes = heap[Slot.SEEN]["excluded"].copy()
    _screen(moment)
    able = heap[Slot.SEEN]["excluded"] == FEASIBLE
    units = np.where(able, heap[Slot.SEEN]["units"], 0)
    lacks = [_lacks(moment, node) if able[node] else () for node in range(len(names))]
    options = [
        _weighed(moment, _alone(node)) if units[node] else None for node in range(len(names))
    ]
    ranked = sorted(
        (-option.units, option.total_minor, node) for node, option in enumerate(options) if option
    )
    ranks = {node: rank for rank, (_, _, node) in enumerate(ranked, start=1)}
    rows = [
        Candidate(
            name,
            Exclusion(int(codes[node])).name,
            int(units[node]),
            lacks[node],
            options[node],
            ranks.get(node, 0),
            name in moment.winner.nodes,
        )
        for node, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: row.rank or len(rows) + 1)


def options_of(moment: Moment, plans: Sequence[Draft] = ()) -> list[Option]:
    """The options by cost, hours, grams; empty if nothing was chosen.

    Args:
        moment: that the decision met, perhaps with other weights by now.
        plans: the best ones, the winner first; those of the network as it is, without.
    """
    if not moment.winner.nodes:
        return []
    plans = plans or plans_of(moment)
    _screen(moment)
    units = _weighed(moment, plans[0])
    assert units is not None
    found: dict[Winner, Option] = {}
    for draft in _drafts(moment, plans):
        for lanes in itertools.product(*(_lanes_of(moment, node) for node in draft.nodes)):
            option = _weighed(moment, draft, lanes)
            if option is not None and option.units == units.units:
                found.setdefault(option.plan, option)
    return _ranked(found.values(), moment.winner)


def greenest(options: Sequence[Option]) -> Option:
    """The option with the lowest emissions, of equal ones the cheapest; there must be one."""
    return min(options, key=lambda option: (option.carbon_g, option.total_minor, option.hours_p90))


def _ranked(options: Iterable[Option], winner: Winner) -> list[Option]:
    rows = sorted(options, key=lambda o: (*_aims(o), o.plan))
    return [
        replace(option, chosen=option.plan == winner, pareto=not _is_beaten(option, rows[:i]))
        for i, option in enumerate(rows)
    ]


def _aims(option: Option) -> tuple[float, float, float]:
    return option.total_minor, option.hours_p90, option.carbon_g


def _is_beaten(option: Option, cheaper: Sequence[Option]) -> bool:
    """Whether one of the options ranked before is as good in everything."""
    return any(
        all(a <= b for a, b in zip(_aims(other), _aims(option), strict=True)) for other in cheaper
    )


def _alone(node: int) -> Draft:
    return Draft([node], 0)


def plans_of(moment: Moment) -> list[Draft]:
    """The best plans, the winner first."""
    moment.choose()
    top, nodes = moment.network.heap[Slot.TOP], moment.network.heap[Slot.TOP_NODES]
    rows = enumerate(zip(top["packages"].tolist(), top["lines"].tolist(), strict=True))
    return [Draft(nodes[plan, :size].tolist(), lines) for plan, (size, lines) in rows if size]


def _drafts(moment: Moment, plans: Sequence[Draft]) -> list[Draft]:
    """The best plans, and every candidate alone."""
    seen = moment.network.heap[Slot.SEEN]
    able = (seen["excluded"] == FEASIBLE) & (seen["units"] > 0)
    return [*plans, *map(_alone, np.flatnonzero(able).tolist())]


def _screen(moment: Moment) -> None:
    """Fill the scratch with who is in the running and the units that each could serve."""
    heap = moment.network.heap
    n, _, shared = moment.gather()
    found = screen(heap.addresses, moment.order, n)
    count_units(heap.addresses, n, shared, found)


def _lanes_of(moment: Moment, node: int) -> list[int]:
    """The node's usable lanes, by their index in the region."""
    heap = moment.network.heap
    region = int(heap[Slot.ORDERS]["region"][moment.order])
    first, after = heap[Slot.REGION_FIRST][region : region + 2].tolist()
    nodes = heap[Slot.LANES]["node"][heap[Slot.REGION_LANES][first:after]]
    usable = heap[Slot.USABLE][: after - first] != 0
    found: list[int] = np.flatnonzero(usable & (nodes == node)).tolist()
    return found


def _weighed(moment: Moment, draft: Draft, lanes: Sequence[int] | None = None) -> Option | None:
    """What a draft comes to, by these lanes or the cheapest ones."""
    heap = moment.network.heap
    usable = heap[Slot.USABLE]
    kept = usable.copy()
    if lanes is not None:
        usable[:] = 0
        usable[list(lanes)] = 1
    heap[Slot.PICK][: len(draft.nodes)] = draft.nodes
    n, _, shared = moment.gather()
    served = weigh(
        heap.addresses, moment.order, moment.first_row,
        n, shared, len(draft.nodes), draft.lines, moment.now,
    )  # fmt: skip
    usable[:] = kept
    return _option(moment, int(served)) if served > 0 else None


def _option(moment: Moment, units: int) -> Option:
    """The plan that was just weighed."""
    heap = moment.network.heap
    packages = heap[Slot.PACKAGE][: moment.network.cursor[Cursor.PACKAGES]].tolist()
    costs = heap[Slot.COST].tolist()
    said = [heap[Slot.QUANTITIES][row].tolist() for _, _, row, _, _ in packages]
    leaves = [
        max(0, starts_at(heap.addresses, node, day) - moment.now) / HOUR_US
        for node, _, _, day, _ in packages
    ]
    p50, p90 = (
        max(wait + q[HANDLING_Q] + q[at] for wait, q in zip(leaves, said, strict=True))
        for at in (P50, P90)
    )
    return Option(
        tuple(_leg(moment, node, lane) for node, lane, *_ in packages),
        units,
        dict(zip(COMPONENTS, costs, strict=False)),
        costs[TOTAL],
        p50,
        p90,
        round(float(heap[Slot.GRAMS][0]), 3),
    )


def _leg(moment: Moment, node: int, lane: int) -> Leg:
    network = moment.network
    row = network.heap[Slot.LANES][lane]
    mode = _MODES[row["mode"]].value
    return Leg(
        network.names["nodes"].listed()[node],
        network.names["lanes"].listed()[lane],
        mode,
        float(row["distance_km"]),
        DISTANCE_KIND,
        f"{network.policy.carbon_g_per_tkm.factor_set}/{mode}",
    )


def _lacks(moment: Moment, node: int) -> tuple[Lack, ...]:
    """The lines that a candidate cannot serve whole, in order; equal SKUs share what there is."""
    heap, names = moment.network.heap, moment.network.names["skus"].listed()
    n, _, _ = moment.gather()
    left: dict[int, int] = {}
    found = []
    for want in heap[Slot.WANTS][:n]:
        sku, wanted = int(want["sku"]), int(want["qty"])
        misses = int(want["need"]) & ~int(heap[Slot.SEEN]["offers"][node])
        kept = int(want["kept"])
        free = left.setdefault(sku, int(heap[Slot.FREE][sku, node]) - kept)
        if not misses:
            left[sku] = free - wanted
        if misses or free < wanted:
            protected = int(heap[Slot.SAFETY][sku, node]) + kept
            code = _why(misses, free + protected >= wanted)
            number = int(heap[Slot.LINES]["number"][want["line"]])
            available = 0 if misses else max(0, free)
            found.append(Lack(number, names[sku], wanted, available, code.name))
    return tuple(found)


def _why(misses: int, is_protected: bool) -> Exclusion:
    """As ``candidates.say_what_lacks`` says it of the whole order."""
    if misses:
        return Exclusion.X_HAZMAT if misses & HAZMAT_BIT else Exclusion.X_TEMP_CLASS
    return Exclusion.X_SAFETY_STOCK if is_protected else Exclusion.X_NO_STOCK
