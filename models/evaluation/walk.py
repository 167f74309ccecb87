"""A log through the production fold, with records of a planner put in between.

The fold is the router itself, ``models.routing.fold.advance``; nothing here decides an order. Positions are
numbered anew, leaving room for a planner's records before each of the log's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from models.routing.fold import RouteState, advance
from models.routing.network import Network
from models.routing.scoring import ScorerOf
from schemas.codec import to_slice
from schemas.envelope import Event
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.tables import SCHEMAS, Table

STEP = 1_000
"""Positions from one record of the log to the next."""

Planner = Callable[[Network, int], Sequence[Event]]
"""Records for a network as it stands, after so many orders of the log."""

_SHOCKS = (Kind.INVENTORY_COUNTED, Kind.INVENTORY_ADJUSTED)


@dataclass(frozen=True, eq=False)
class Walked:
    """What came of a log.

    Attributes:
        network: at the end.
        decisions: rows of the lake's table, in order.
        allocations: rows of the lake's table, in order.
    """

    network: Network
    decisions: pa.Table
    allocations: pa.Table


def nothing(network: Network, orders: int) -> Sequence[Event]:
    """The planner that says nothing."""
    return ()


def walk(piece: Slice, scorer_of: ScorerOf, planner: Planner = nothing, every: int = 0) -> Walked:
    """Route a log of one network.

    Args:
        piece: the whole log.
        scorer_of: gives the model that a record activated.
        planner: asked before every ``every``-th order, and after stock has changed otherwise.
        every: orders between two questions; 0: never.
    """
    state, effects = RouteState(piece.partition), []
    piece = replace(piece, positions=STEP * np.arange(1, len(piece) + 1, dtype=np.int64))
    seen = np.cumsum(piece.kinds == Kind.ORDER_RECEIVED)
    start = 0
    for border in [*_borders(piece, every), len(piece)]:
        if start < border:
            effects.append(advance(state, piece.cut(start, border), scorer_of))
            start = border
        if border < len(piece):
            (network,) = state.networks.values()
            said = planner(network, int(seen[border - 1]))
            if said:
                first = STEP * (border + 1) - len(said)
                effects.append(advance(state, to_slice(said, 0, first), scorer_of))
    (network,) = state.networks.values()
    tables = [
        pa.concat_tables([e.tables[t].cast(SCHEMAS[t]) for e in effects if t in e.tables])
        for t in (Table.DECISIONS, Table.ALLOCATIONS)
    ]
    return Walked(network, *tables)


def _borders(piece: Slice, every: int) -> list[int]:
    """Rows before which the planner is asked: every so many orders, and orders after a shock."""
    if not every:
        return []
    is_order = piece.kinds == Kind.ORDER_RECEIVED
    orders = np.flatnonzero(is_order)
    if not len(orders):
        return []
    shocks = np.flatnonzero(np.isin(piece.kinds, _SHOCKS) & (np.arange(len(piece)) > orders[0]))
    after = orders[np.minimum(np.searchsorted(orders, shocks), len(orders) - 1)]
    after = after[after > shocks] if len(shocks) else after
    return [int(row) for row in np.union1d(orders[::every], after)]
