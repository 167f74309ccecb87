"""Small changes of a network that could change a choice: a weight, a stock count, a cut-off.

Each is a number of steps on the grid of its field, so that the smallest one can be looked for by
bisection; no steps put the field back. ``relative`` makes changes of different fields comparable: a
share of the present weight, of the units on hand (or wanted, if those are more), of a day.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Self

from models.heap import Slot
from models.ledger.stock import count
from models.promising.calendar import NOT_SET, RING_DAYS, local_day, rule
from models.routing.control import link_lanes
from models.routing.network import Network

DAY_MINUTES = 1440


class Family(StrEnum):
    """What is changed."""

    WEIGHT = "weight"
    STOCK = "stock"
    CUT_OFF = "cut_off"


@dataclass(frozen=True)
class Change(ABC):
    """A field, what it is and by how many steps it changes.

    Attributes:
        name: of the component; of the node.
        before: present value.
        steps: on the field's grid; may be negative.
    """

    family: ClassVar[Family]
    grid: ClassVar[float] = 1.0
    name: str
    before: float
    steps: int

    @property
    def delta(self) -> float:
        """The change of the value."""
        return round(self.steps * self.grid, 6)

    @property
    def after(self) -> float:
        """The changed value."""
        return round(self.before + self.delta, 6)

    @property
    def relative(self) -> float:
        """Size of the change; see the module."""
        return abs(self.delta) / (self.before or 1.0)

    @property
    def field(self) -> str:
        """What is changed, as one word."""
        return f"{self.family}/{self.name}"

    def by(self, steps: int) -> Self:
        """The same field changed by so many steps."""
        return replace(self, steps=steps)

    @abstractmethod
    def apply(self, network: Network) -> None:
        """Set the field to the changed value."""


@dataclass(frozen=True)
class WeightChange(Change):
    """The policy's weight of a component of the cost."""

    family = Family.WEIGHT
    grid = 0.001

    def apply(self, network: Network) -> None:
        """See ``Change``."""
        weights = network.policy.weights.model_copy(update={self.name: self.after})
        network.set_policy(network.policy.model_copy(update={"weights": weights}))
        link_lanes(network)  # keeps what follows from lanes and policy


@dataclass(frozen=True)
class StockChange(Change):
    """Units of a SKU on hand at a node; the count is as old as it was.

    Attributes:
        sku: of the cell.
        wanted: units of it that the order wants.
    """

    family = Family.STOCK
    sku: str
    wanted: int

    @property
    def relative(self) -> float:
        """See ``Change``."""
        return abs(self.delta) / max(self.before, self.wanted)

    @property
    def field(self) -> str:
        """See ``Change``."""
        return f"{self.family}/{self.name}/{self.sku}"

    def apply(self, network: Network) -> None:
        """See ``Change``."""
        node = network.names["nodes"].find_one(self.name)
        sku = network.names["skus"].intern_one(self.sku)
        network.grow_cells()
        heap = network.heap
        safety = int(heap[Slot.SAFETY][sku, node])
        counted_at = int(heap[Slot.CELLS]["counted_at"][sku, node])
        count(heap.addresses, sku, node, int(self.after), safety, counted_at)


@dataclass(frozen=True)
class CutOffChange(Change):
    """The minute of the node's day until which an order still leaves that day."""

    family = Family.CUT_OFF
    day: int

    @property
    def relative(self) -> float:
        """See ``Change``."""
        return abs(self.delta) / DAY_MINUTES

    @classmethod
    def on_day_of(cls, network: Network, name: str, now: int) -> "CutOffChange | None":
        """No change yet of the node's cut-off on its present day; None if it is closed then."""
        node = network.names["nodes"].find_one(name)
        day = int(local_day(network.heap.addresses, node, now))
        is_open, cut_off, _ = rule(network.heap.addresses, node, day)
        return cls(name, float(cut_off), 0, day) if is_open else None

    def apply(self, network: Network) -> None:
        """See ``Change``."""
        node, place = network.names["nodes"].find_one(self.name), self.day % RING_DAYS
        single = network.heap[Slot.DAYS][node]
        if single["capacity"][place] != NOT_SET:
            single["cut_off"][place] = int(self.after)
        else:
            weekday = (self.day + 3) % 7  # 1970-01-01 was a Thursday
            network.heap[Slot.WEEKDAYS]["cut_off"][node, weekday] = int(self.after)
