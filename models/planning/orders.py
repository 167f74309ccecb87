"""Orders as columns, to be planned together: those of a log, of a forecast, or of a network's books.

An order has at most ``LINES`` lines here, as many as the router weighs exactly. A longer one is cut into
parts that stand for shares of it: of what a package costs whatever is in it, each part pays its share.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from models.heap import Slot
from models.intake.columns import NO_TIME
from models.routing.arrays import EXACT_LINES
from models.routing.network import Network

LINES = EXACT_LINES
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Orders:
    """Columns of ``n`` orders; names are codes of one network.

    Attributes:
        at: (n,) log time of each, us.
        region: (n,) region; -1: nobody has a lane to it.
        sku: (n, LINES) SKU of each line; -1: no line.
        qty: (n, LINES) units.
        weight_g: (n, LINES) of one unit.
        volume_cm3: (n, LINES) of one unit.
        needs: (n, LINES) capability bits.
        requested_by: (n,) us, or ``NO_TIME``.
        carrier: (n,) wanted carrier; -1: any.
        service: (n,) wanted service; -1: any.
        tier: (n,) of the customer; -1: nothing is known.
        channel: (n,) it came by; -1: nothing is known.
        customer: (n,) customer that a node lists; -1: none.
        no_split: (n,) one package or nothing.
        whole: (n,) number of the order that this row is, or is a part of.
        share: (n,) lines of the row, as a share of the order's.
    """

    at: Ints
    region: Ints
    sku: Ints
    qty: Ints
    weight_g: Ints
    volume_cm3: Ints
    needs: Ints
    requested_by: Ints
    carrier: Ints
    service: Ints
    tier: Ints
    channel: Ints
    customer: Ints
    no_split: npt.NDArray[np.bool_]
    whole: Ints
    share: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """These rows."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def plain_orders(
    region: Ints, sku: Ints, qty: Ints, weight_g: Ints, volume_cm3: Ints, needs: Ints, at: int
) -> Orders:
    """Orders that ask for nothing in particular, all at one instant; see ``Orders`` for the shapes."""
    n, anything = len(region), np.full(len(region), -1, np.int64)
    return Orders(
        at=np.full(n, at, np.int64),
        region=region,
        sku=sku,
        qty=qty,
        weight_g=weight_g,
        volume_cm3=volume_cm3,
        needs=needs,
        requested_by=np.full(n, NO_TIME, np.int64),
        carrier=anything,
        service=anything,
        tier=anything,
        channel=anything,
        customer=anything,
        no_split=np.zeros(n, bool),
        whole=np.arange(n),
        share=np.ones(n),
    )


def orders_in_books(network: Network, chosen: npt.NDArray[np.intp], at: Ints) -> Orders:
    """Orders of a network's books, with all the units that are wanted.

    Args:
        network: whose books.
        chosen: (n,) rows of the orders.
        at: (n,) the instant at which each is planned, us.
    """
    rows, lines = network.heap[Slot.ORDERS][chosen], network.heap[Slot.LINES]
    counts = rows["lines"].astype(np.int64)
    parts = -(-counts // LINES)
    of = np.repeat(np.arange(len(chosen)), parts)
    part = np.arange(len(of)) - np.repeat(np.cumsum(parts) - parts, parts)
    place = part[:, None] * LINES + np.arange(LINES)
    there = place < counts[of][:, None]
    line = lines[np.where(there, rows["first_line"][of][:, None] + place, 0)]

    def of_lines(name: str, empty: int) -> Ints:
        return np.where(there, line[name], empty).astype(np.int64)

    def of_orders(name: str) -> Ints:
        return rows[name][of].astype(np.int64)

    return Orders(
        at=at[of],
        region=of_orders("region"),
        sku=of_lines("sku", -1),
        qty=of_lines("qty", 0),
        weight_g=of_lines("weight_g", 0),
        volume_cm3=of_lines("volume_cm3", 0),
        needs=of_lines("needs", 0),
        requested_by=of_orders("requested_by"),
        carrier=of_orders("carrier"),
        service=of_orders("service"),
        tier=of_orders("tier"),
        channel=of_orders("channel"),
        customer=of_orders("customer"),
        no_split=rows["no_split"][of].astype(bool),
        whole=of,
        share=there.sum(axis=1) / np.maximum(counts[of], 1),
    )
