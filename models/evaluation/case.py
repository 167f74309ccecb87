"""A log as a case: the records every policy is run on, and the same demand and supply as one problem.

Kept are the network, its stock, its orders and the clock. Left out is what a warehouse answered to the
decisions of the day (work, later counts of a cell, returns), since another policy would have had other
answers, and what customers changed. A unit of stock is there from its first count or adjustment on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.evaluation.walk import STEP, Walked, walk
from models.heap import Slot
from models.intake.columns import instants
from models.planning.orders import orders_in_books
from models.planning.problem import Problem, problem_of
from models.routing.network import Network
from models.routing.scoring import RULES, Scorer, ScorerOf
from schemas.errors import InputError
from schemas.kinds import Kind
from schemas.slices import Slice

_KEPT = (
    Kind.NODE_SET,
    Kind.LANE_SET,
    Kind.CAPACITY_SET,
    Kind.SIGNAL_OBSERVED,
    Kind.POLICY_ACTIVATED,
    Kind.MODEL_ACTIVATED,
    Kind.PRICES_PUBLISHED,
    Kind.INVENTORY_COUNTED,
    Kind.INVENTORY_ADJUSTED,
    Kind.ORDER_RECEIVED,
    Kind.CLOCK_TICKED,
)
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """A log to compare policies on.

    Attributes:
        piece: its records, without prices.
        live: the same with the log's own prices; None if it has none.
        scorer_of: gives the model that a record activated.
        scorer: of the model that the log activated last.
        myopic: what the router does without prices; its network names everything.
        ids: of the orders, in the order of the log.
        at: (orders,) record time of each, us.
        position: (orders,) of each in ``piece``, as ``walk`` numbers it.
        wanted: a row per line: order, line, sku, qty, weight_g, volume_cm3, needs.
        supply: a row per change of stock: position, sku, node, units.
        problem: all orders at once.
    """

    piece: Slice
    live: Slice | None
    scorer_of: ScorerOf
    scorer: Scorer
    myopic: Walked
    ids: list[str]
    at: Ints
    position: Ints
    wanted: pl.DataFrame
    supply: pl.DataFrame
    problem: Problem

    @property
    def network(self) -> Network:
        """The network whose codes all tables use."""
        return self.myopic.network


def make_case(piece: Slice, scorer_of: ScorerOf, unserved_minor: float) -> Case:
    """The case of a log of one network.

    Raises:
        InputError: the log has no orders, or more than one network.
    """
    kept = _without_recounts(piece.take(np.flatnonzero(np.isin(piece.kinds, _KEPT))))
    priced = kept.kinds == Kind.PRICES_PUBLISHED
    live = kept if priced.any() else None
    bare = kept.take(np.flatnonzero(~priced)) if priced.any() else kept
    chosen = np.flatnonzero(bare.kinds == Kind.ORDER_RECEIVED)
    if not len(chosen):
        raise InputError("the log has no orders: there is nothing to compare policies on")
    myopic = walk(bare, scorer_of)
    network = myopic.network
    scorer = scorer_of(network.model_sha256) if network.model_sha256 else RULES
    ids = bare.envelope["subject"].take(chosen).to_pylist()
    rows = network.names["orders"].find(bare.envelope["subject"].take(chosen)).astype(np.int64)
    if len(np.unique(rows)) < len(rows):
        raise InputError("an order was received twice; policies cannot be compared on this log")
    at = instants(bare.envelope["recordedtime"])[chosen]
    supply = _supply(bare, network)
    orders = orders_in_books(network, rows, at)
    problem = problem_of(network, orders, scorer, unserved_minor, _total(supply, network))
    return Case(
        piece=bare,
        live=live,
        scorer_of=scorer_of,
        scorer=scorer,
        myopic=myopic,
        ids=ids,
        at=at,
        position=STEP * (chosen + 1),
        wanted=_wanted(network, rows),
        supply=supply,
        problem=problem,
    )


def _without_recounts(piece: Slice) -> Slice:
    """The log without counts that name a cell which was counted or adjusted before."""
    known: set[tuple[str, str]] = set()
    keep = np.ones(len(piece), bool)
    for row, node, items in _stock_records(piece):
        cells = {(node, item["sku"]) for item in items}
        if piece.kinds[row] == Kind.INVENTORY_COUNTED and cells & known:
            keep[row] = False
        known |= cells
    return piece if keep.all() else piece.take(np.flatnonzero(keep))


def _stock_records(piece: Slice) -> list[tuple[int, str, list[dict[str, Any]]]]:
    """(row, node, items) of every count and adjustment, in log order."""
    found = []
    subjects = piece.envelope["subject"]
    for kind in (Kind.INVENTORY_COUNTED, Kind.INVENTORY_ADJUSTED):
        rows, data = piece.of_kind(kind)
        for row, items in zip(rows.tolist(), data["items"].to_pylist(), strict=True):
            found.append((row, subjects[row].as_py(), items))
    return sorted(found, key=lambda record: record[0])


def _supply(piece: Slice, network: Network) -> pl.DataFrame:
    """Changes of stock that may be promised; nodes and SKUs as codes."""
    skus, nodes = network.names["skus"], network.names["nodes"]
    rows = [
        (STEP * (row + 1), skus.find_one(item["sku"]), nodes.find_one(node), units)
        for row, node, items in _stock_records(piece)
        for item in items
        if (units := item.get("delta", item.get("on_hand", 0) - item.get("safety_stock", 0)))
    ]
    return pl.DataFrame(rows, ["position", "sku", "node", "units"], orient="row").filter(
        pl.col("node") >= 0
    )


def _total(supply: pl.DataFrame, network: Network) -> Floats:
    """(skus, nodes) units over the whole log; never below zero."""
    stock = np.zeros((len(network.names["skus"]), len(network.names["nodes"])))
    np.add.at(
        stock, (supply["sku"].to_numpy(), supply["node"].to_numpy()), supply["units"].to_numpy()
    )
    return np.maximum(stock, 0)


def _wanted(network: Network, rows: Ints) -> pl.DataFrame:
    """The lines of the orders; ``line`` counts from 0 within the order."""
    orders, lines = network.heap[Slot.ORDERS][rows], network.heap[Slot.LINES]
    counts = orders["lines"].astype(np.int64)
    order = np.repeat(np.arange(len(rows)), counts)
    line = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = lines[orders["first_line"][order] + line]
    names = ("number", "sku", "qty", "weight_g", "volume_cm3", "needs")
    columns = {name: held[name].astype(np.int64) for name in names}
    return pl.DataFrame({"order": order, "line": line, **columns})
