"""What the router shipped on a walk: its allocations at the end, and what it left out on the way."""

import numpy as np
import polars as pl
import pyarrow as pa

from models.evaluation.case import Case
from models.evaluation.outcome import SHIPPED, Shipped
from models.evaluation.walk import Walked
from models.planning.costs import GROUPS
from models.planning.orders import LINES
from models.planning.pricing import MEMBERS, PACKINGS

_SIGNS = {"placed": 1, "released": -1}


def shipped_by(case: Case, policy: str, walked: Walked) -> Shipped:
    """The shipments of a walk."""
    moves = _moves(case, walked.allocations)
    rows = (
        moves.group_by("order", "line", "node")
        .agg(pl.col("units").sum())
        .filter(pl.col("units") > 0)
        .sort("order", "line", "node")
    )
    moved = moves.filter(pl.col("units") < 0)["order"].n_unique()
    return Shipped(
        policy=policy,
        rows=rows.cast(SHIPPED),  # type: ignore[arg-type]
        first_kept=1.0 - moved / len(case.ids),
        servable_unserved=_servable_unserved(case, moves, walked.decisions),
    )


def _moves(case: Case, allocations: pa.Table) -> pl.DataFrame:
    """Units placed and released, in the case's codes: position, order, line, sku, node, units."""
    names = case.network.names
    orders = pl.DataFrame({"order_id": case.ids, "order": np.arange(len(case.ids))})
    nodes = pl.DataFrame({"node": names["nodes"].listed(), "code": np.arange(len(names["nodes"]))})
    table = pl.DataFrame(allocations).filter(pl.col("event").is_in(list(_SIGNS)))
    assert isinstance(table, pl.DataFrame)
    return (
        table.join(orders, on="order_id")
        .join(nodes, on="node")
        .join(case.wanted, left_on=("order", "line_no"), right_on=("order", "number"))
        .select(
            "position",
            "order",
            "line",
            sku="sku_right",
            node="code",
            units=pl.col("event").replace_strict(_SIGNS, return_dtype=pl.Int64) * pl.col("qty"),
        )
    )


def _servable_unserved(case: Case, moves: pl.DataFrame, decisions: pa.Table) -> int:
    """Units that a decision left out though some plan of whole lines would have served more."""
    short = pl.DataFrame(decisions).filter(pl.col("units_unserved") > 0)
    rows = {identity: row for row, identity in enumerate(case.ids)}
    left_out = 0
    for position, order_id, unserved in short.select(
        "position", "order_id", "units_unserved"
    ).rows():
        free = np.zeros_like(case.problem.stock)
        for table in (case.supply, moves.with_columns(units=-pl.col("units"))):
            before = table.filter(pl.col("position") < position)
            cells = before["sku"].to_numpy(), before["node"].to_numpy()
            np.add.at(free, cells, before["units"].to_numpy())
        wanted = int(case.wanted.filter(pl.col("order") == rows[order_id])["qty"].sum())
        left_out += max(0, unserved - (wanted - _most_units(case, rows[order_id], free)))
    return left_out


def _most_units(case: Case, order: int, free: np.ndarray) -> int:
    """Most units of an order that whole lines on few enough nodes could have served."""
    problem, units = case.problem, 0
    for row in np.flatnonzero(problem.orders.whole == order).tolist():
        sku, qty = problem.orders.sku[row], problem.orders.qty[row]
        holds = (free[sku] >= qty[:, None]) | (qty == 0)[:, None]
        able = [
            bool((np.isfinite(problem.costs[row, g]) & holds[MEMBERS[g] > 0].all(axis=0)).any())
            for g in range(GROUPS)
        ]
        units += max(
            int(qty @ sum((MEMBERS[g] for g in packing.groups), np.zeros(LINES, np.int64)))
            for packing in PACKINGS
            if len(packing.groups) <= problem.max_packages and all(able[g] for g in packing.groups)
        )
    return units
