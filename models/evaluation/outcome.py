"""What a policy's shipments came to, in figures that are the same for every policy and for the bound.

A policy is what it shipped: a table of order, line, node and units. Packages are priced here, all alike, by
the router's own arithmetic without shadow prices; a unit that nobody ships costs the stated penalty.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.evaluation.case import Case
from models.planning.bound import Solution
from models.planning.costs import package_costs
from models.planning.orders import LINES

SHIPPED = {"order": pl.Int64, "line": pl.Int64, "node": pl.Int64, "units": pl.Int64}
"""Columns of shipments: ``order`` and ``line`` as in ``Case.wanted``."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures of one policy on one case; money in minor units."""

    policy: str
    cost_minor: float
    packages: int
    splits: int
    units_unserved: int
    servable_unserved: int | None
    agreement: float
    first_kept: float
    feasible: float
    gap: float
    gap_closed: float | None


@dataclass(frozen=True, eq=False)
class Shipped:
    """What a policy shipped.

    Attributes:
        policy: its name.
        rows: see ``SHIPPED``.
        first_kept: share of orders that stayed where they were first placed.
        servable_unserved: units left out though the hard rules allowed a plan with more; None: not
            worked out, as for all policies but the router itself.
    """

    policy: str
    rows: pl.DataFrame
    first_kept: float = 1.0
    servable_unserved: int | None = None


def assess(
    case: Case, shipped: Shipped, hindsight: Solution, myopic_minor: float | None
) -> Outcome:
    """The figures of a policy.

    Args:
        case: the log.
        shipped: what the policy did with it.
        hindsight: the bound.
        myopic_minor: cost of the router without prices; None: this is it.
    """
    packages = _packages(case, shipped.rows)
    minor = package_costs(case.network, _at_by_row(case), _numbers(case, packages), case.scorer)
    per_order = packages.group_by("order").len()
    extra = case.problem.extra_minor * (packages.height - per_order.height)
    unserved = int(case.wanted["qty"].sum()) - int(shipped.rows["units"].sum())
    cost = float(minor.sum()) + extra + unserved * case.problem.unserved_minor
    over = _overdrawn(case, shipped.rows)
    most = per_order.filter(pl.col("len") > case.problem.max_packages).height
    wrong = int(np.isinf(minor).sum()) + over + most
    bound = hindsight.bound_minor
    myopic = cost if myopic_minor is None else myopic_minor
    return Outcome(
        policy=shipped.policy,
        cost_minor=cost,
        packages=packages.height,
        splits=per_order.filter(pl.col("len") > 1).height,
        units_unserved=unserved,
        servable_unserved=shipped.servable_unserved,
        agreement=_agreement(case, shipped.rows, hindsight),
        first_kept=shipped.first_kept,
        feasible=1.0 - wrong / max(1, packages.height),
        gap=cost / bound - 1.0,
        gap_closed=(myopic - cost) / (myopic - bound) if myopic > bound else None,
    )


def _packages(case: Case, rows: pl.DataFrame) -> pl.DataFrame:
    """A row per order and node: units, grams, cm3, needs; sorted."""
    return (
        rows.join(case.wanted, on=("order", "line"), how="left")
        .group_by("order", "node")
        .agg(
            units=pl.col("units").sum(),
            grams=(pl.col("units") * pl.col("weight_g")).sum(),
            cm3=(pl.col("units") * pl.col("volume_cm3")).sum(),
            needs=pl.col("needs").bitwise_or(),
        )
        .sort("order", "node")
    )


def _at_by_row(case: Case) -> npt.NDArray[np.int64]:
    """(rows,) the instant of each order of the books, us."""
    at = np.zeros(len(case.network.names["orders"]), np.int64)
    at[_rows_of(case)] = case.at
    return at


def _rows_of(case: Case) -> npt.NDArray[np.int64]:
    names = case.network.names["orders"]
    return np.array([names.find_one(identity) for identity in case.ids], np.int64)


def _numbers(case: Case, packages: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Packages as ``package_costs`` takes them; orders by their rows in the books."""
    columns = [packages[name].to_numpy() for name in ("node", "units", "grams", "cm3", "needs")]
    order = _rows_of(case)[packages["order"].to_numpy()]
    return np.ascontiguousarray(np.column_stack([order, *columns]), np.int64)


def _overdrawn(case: Case, rows: pl.DataFrame) -> int:
    """Cells from which more was shipped than there ever was."""
    used = np.zeros_like(case.problem.stock)
    joined = rows.join(case.wanted, on=("order", "line"), how="left")
    np.add.at(
        used, (joined["sku"].to_numpy(), joined["node"].to_numpy()), joined["units"].to_numpy()
    )
    return int((used > case.problem.stock).sum())


def hindsight_rows(case: Case, hindsight: Solution) -> pl.DataFrame:
    """The units that the bound ships: order, line, node, units (fractions where plans are mixed)."""
    orders, plans = case.problem.orders, hindsight.plans
    first = np.searchsorted(orders.whole, orders.whole)
    column, place = np.nonzero((plans.node >= 0) & (hindsight.weight > 1e-9)[:, None])
    row = plans.order[column]
    return (
        pl.DataFrame(
            {
                "order": orders.whole[row],
                "line": LINES * (row - first[row]) + place,
                "node": plans.node[column, place],
                "units": hindsight.weight[column] * orders.qty[row, place],
            }
        )
        .group_by("order", "line", "node")
        .agg(pl.col("units").sum())
    )


def _agreement(case: Case, rows: pl.DataFrame, hindsight: Solution) -> float:
    """Share of the wanted units that go where the bound sends them."""
    both = rows.join(
        hindsight_rows(case, hindsight), on=("order", "line", "node"), how="inner", suffix="_bound"
    )
    same = both.select(pl.min_horizontal("units", "units_bound").sum()).item() or 0.0
    return float(same) / float(case.wanted["qty"].sum())
