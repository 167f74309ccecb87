"""One network's tables and names, with room to grow, and their form in a checkpoint.

``Network`` owns the heap that the kernels work on. It also keeps what rarely changes and needs no
kernel: the policy document, the tariffs as declared, the signals with their ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Heap, Slot, layout_of
from models.intake.columns import NO_TIME
from models.intake.forgotten import Forgotten
from models.ledger import window
from models.ledger.names import Names
from models.ledger.stock import (
    kept_stock,
    new_stock,
    refresh_view,
    resize_stock,
    restore_stock,
)
from models.policy.document import Policy, default_policy
from models.promising.calendar import new_calendar, resize_calendar
from models.routing.arrays import Count, Recall, put_outputs, put_scratch
from models.routing.costs import HOUR_US, put_policy
from models.routing.inputs import refresh_nodes
from models.routing.state import (
    ALLOCATION,
    LANE,
    LINE,
    NODE,
    ORDER,
    PRIORITIES,
    QUEUE,
    SKU,
    SUPPLY,
    OrderState,
    grown,
    new_rows,
    refresh_rows,
    stretched,
    taken,
)
from schemas.ids import NetworkKey

NAME_SETS = (
    "orders",
    "skus",
    "nodes",
    "regions",
    "lanes",
    "channels",
    "carriers",
    "services",
    "customers",
    "supplies",
    "tiers",
    "tokens",
    "currencies",
)
_SPARE = 256
Ints = npt.NDArray[np.int64]
_DECISIONS, _MOVES = 2048, 16_384

_WHOLE = (
    Slot.DAYS,
    Slot.WEEKDAYS,
    Slot.PLACES,
    Slot.FIRST_DAY,
    Slot.SEEN_STATE,
    Slot.SKUS,
    Slot.QUEUES,
    Slot.NODES,
    Slot.REGION_FIRST,
    Slot.REGION_LANES,
    Slot.REGION_SIGNAL,
    Slot.REGION_FLOOR,
    Slot.BANDS,
    Slot.CUSTOMER_KEYS,
    Slot.COUNTS,
)
"""Tables that a checkpoint keeps as they are; of the others it keeps what is in use."""


@dataclass(frozen=True, slots=True)
class SignalState:
    """An outside signal in force between two instants (us)."""

    region: int
    column: int
    severity: float
    starts_at: int
    ends_at: int


@dataclass
class Network:
    """State of one network; see the module."""

    key: NetworkKey
    policy: Policy = field(default_factory=default_policy)
    model_sha256: str = ""
    records: int = 0
    log_time: int = NO_TIME
    swept_at: int = NO_TIME
    names: dict[str, Names] = field(default_factory=lambda: {n: Names() for n in NAME_SETS})
    lane_bands: list[npt.NDArray[np.float64]] = field(default_factory=list)
    customers_of: dict[int, list[int]] = field(default_factory=dict)
    signals: list[SignalState] = field(default_factory=list)
    forgotten: Forgotten = field(default_factory=Forgotten)
    longest_order: int = 64
    recalled: tuple[Recall, int] | None = None  # by the control record at hand

    def __post_init__(self) -> None:
        heap = self.heap = Heap(len(Slot))
        new_stock(heap, _SPARE, 8)
        new_calendar(heap, 8)
        window.new_window(heap)
        heap.put(Slot.ORDERS, new_rows(ORDER, _SPARE))
        heap.put(Slot.BLOCKED, np.zeros((_SPARE, 1), np.uint64))
        heap.put(Slot.LINES, new_rows(LINE, _SPARE))
        self._put_allocations(new_rows(ALLOCATION, _MOVES))
        heap.put(Slot.SUPPLIES, new_rows(SUPPLY, _SPARE))
        heap.put(Slot.SKUS, new_rows(SKU, _SPARE))
        heap.put(Slot.QUEUES, new_rows(QUEUE, _SPARE, PRIORITIES))
        heap.put(Slot.NODES, new_rows(NODE, 8))
        heap.put(Slot.LANES, new_rows(LANE, _SPARE))
        heap.put(Slot.BANDS, np.zeros((0, 5), np.float64))
        heap.put(Slot.REGION_FIRST, np.zeros(1, np.int32))
        heap.put(Slot.REGION_LANES, np.zeros(0, np.int32))
        heap.put(Slot.REGION_SIGNAL, np.zeros((0, 2), np.float32))
        heap.put(Slot.REGION_FLOOR, np.zeros(0, np.float64))
        heap.put(Slot.CUSTOMER_KEYS, np.zeros(0, np.int64))
        counts = np.zeros(len(Count), np.int64)
        counts[Count.FREE_ALLOCATION], counts[Count.CLOCK] = -1, NO_TIME
        heap.put(Slot.COUNTS, counts)
        self.set_policy(self.policy)
        self.fit_scratch(0)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Rows in use and cursors, by ``Count``."""
        return self.heap[Slot.COUNTS]

    @property
    def cursor(self) -> npt.NDArray[np.int64]:
        """Where the walk stands, by ``Cursor``."""
        return self.heap[Slot.CURSOR]

    # Room -----------------------------------------------------------------------------------------

    def make_room(self) -> None:
        """Grow every table so that the records in the heap, and the names they brought, fit."""
        heap, counts = self.heap, self.counts
        bounds = heap[Slot.RECORDS]["first_line"]
        lines = int(bounds[-1])
        self.grow_cells()
        self._grow_regions()
        self._add_orders()
        self._grow(Slot.SUPPLIES, int(counts[Count.SUPPLIES]) + lines)
        window.make_room(heap, len(bounds))
        self._fit_policy()
        self.fit_scratch(int(np.diff(bounds).max(initial=0)))

    def _add_orders(self) -> None:
        """Fresh rows for the orders that have been named since."""
        used, named = int(self.counts[Count.ORDERS]), len(self.names["orders"])
        for slot in (Slot.ORDERS, Slot.BLOCKED):
            rows = stretched(self.heap[slot], named)
            refresh_rows(rows[used:named])
            if rows is not self.heap[slot]:
                self.heap.put(slot, rows)
        self.counts[Count.ORDERS] = named
        if named > used and len(self.forgotten):
            new = np.arange(used, named, dtype=np.int32)
            is_forgotten = self.forgotten.holds(self.names["orders"].take(new))
            self.heap[Slot.ORDERS]["state"][new[is_forgotten]] = OrderState.FORGOTTEN

    def grow_cells(self) -> None:
        """Make room for the SKUs and nodes that have been named."""
        heap, skus, nodes = self.heap, len(self.names["skus"]), len(self.names["nodes"])
        have_skus, have_nodes = heap[Slot.CELLS].shape
        if skus <= have_skus and nodes <= have_nodes:
            return
        skus = have_skus if skus <= have_skus else 2 * skus
        nodes = have_nodes if nodes <= have_nodes else 2 * nodes
        resize_stock(heap, skus, nodes)
        if nodes > have_nodes:
            resize_calendar(heap, nodes)
            words = np.zeros((len(heap[Slot.BLOCKED]), (nodes + 63) // 64), np.uint64)
            words[:, : heap[Slot.BLOCKED].shape[1]] = heap[Slot.BLOCKED]
            heap.put(Slot.BLOCKED, words)
        self._grow(Slot.SKUS, skus)
        self._grow(Slot.QUEUES, skus)
        self._grow(Slot.NODES, nodes)

    def _grow_regions(self) -> None:
        heap, regions = self.heap, len(self.names["regions"])
        first, signal = heap[Slot.REGION_FIRST], heap[Slot.REGION_SIGNAL]
        if regions < len(first):
            return
        wide = np.full(2 * regions + 1, first[-1], np.int32)
        wide[: len(first)] = first
        signals = np.zeros((2 * regions, 2), np.float32)
        signals[: len(signal)] = signal
        floors = np.zeros(2 * regions, np.float64)
        floors[: len(signal)] = heap[Slot.REGION_FLOOR]
        heap.put(Slot.REGION_FLOOR, floors)
        heap.put(Slot.REGION_FIRST, wide)
        heap.put(Slot.REGION_SIGNAL, signals)

    def _grow(self, slot: Slot, needed: int) -> None:
        rows = self.heap[slot]
        if needed > len(rows):
            self.heap.put(slot, grown(rows, needed))

    def grow_lanes(self) -> None:
        """Make room for the lanes that have been named."""
        self._grow(Slot.LANES, len(self.names["lanes"]))

    def grow_outputs(self) -> None:
        """More room for the effects of one record."""
        nodes = len(self.names["nodes"])
        have = self.heap[Slot.MADE_ROWS].shape[0], self.heap[Slot.MOVE_ROWS].shape[0]
        put_outputs(self.heap, nodes, 2 * have[0], 2 * have[1])

    def grow(self, slot: Slot) -> None:
        """Twice the room for the lines of orders, or for allocations."""
        rows = stretched(self.heap[slot], len(self.heap[slot]) + 1)
        if slot == Slot.ALLOCATIONS:
            lists = [(of, self.heap[of]) for of in (Slot.RECALLS, Slot.AGAIN)]
            self._put_allocations(rows)
            for of, held in lists:  # the walk may be in the midst of them
                self.heap[of][: len(held)] = held
        else:
            self.heap.put(slot, rows)

    def _put_allocations(self, rows: npt.NDArray[Any]) -> None:
        """Any allocation may be recalled by one record, and its order decided again."""
        self.heap.put(Slot.ALLOCATIONS, rows)
        self.heap.put(Slot.RECALLS, np.empty(len(rows), np.int64))
        self.heap.put(Slot.AGAIN, np.empty((len(rows) + 1, 2), np.int64))

    def fit_scratch(self, longest: int) -> None:
        """Scratch and outputs of the right size; longest is in lines of one order."""
        heap, nodes = self.heap, len(self.names["nodes"])
        skus, lanes = len(heap[Slot.CELLS]), int(np.diff(heap[Slot.REGION_FIRST]).max(initial=0))
        size = (max(longest, self.longest_order), nodes, skus, lanes)
        if getattr(self, "_fitted", None) == size:
            return
        if getattr(self, "_fitted", (0, -1))[1] != nodes:
            put_outputs(heap, nodes, _DECISIONS, _MOVES)
        self.longest_order, self._fitted = size[0], size
        put_scratch(heap, nodes, skus, max(1, lanes), self.longest_order)

    # Time -----------------------------------------------------------------------------------------

    def refresh_view(self) -> None:
        """Let the features see the present state of stock, capacity and signals."""
        refresh_view(self.heap.addresses)
        refresh_nodes(self.heap.addresses, len(self.names["nodes"]), self.log_time)
        self.refresh_signals()

    def refresh_signals(self) -> None:
        """Severity of the signals in force, the strongest of each kind per region."""
        if not self.signals:
            return
        now, strength = self.log_time, self.heap[Slot.REGION_SIGNAL]
        self.signals = [s for s in self.signals if s.ends_at > now]
        strength[:] = 0.0
        for signal in self.signals:
            if signal.starts_at <= now:
                place = (signal.region, signal.column)
                strength[place] = max(strength[place], signal.severity)

    def set_policy(self, policy: Policy) -> None:
        """Decide by another policy from here on."""
        self.policy = policy
        put_policy(self.heap, policy)
        self._fitted_names = (-1, -1, -1)
        self._fit_policy()

    def _fit_policy(self) -> None:
        """What the policy says of tiers, channels and SKUs by name, for those that have been named."""
        names, heap = self.names, self.heap
        named = (len(names["tiers"]), len(names["channels"]), len(names["skus"]))
        if named == self._fitted_names:
            return
        priority, protection = self.policy.priority, self.policy.protection
        of_tier, of_channel = priority.tiers, priority.channels
        heap.put(Slot.TIER_POINTS, _points(names["tiers"], of_tier, protection.tiers))
        heap.put(Slot.CHANNEL_POINTS, _points(names["channels"], of_channel, protection.channels))
        kept = heap[Slot.SKUS]["kept"]
        kept[max(0, self._fitted_names[2]) :] = protection.units
        for sku, units in protection.skus.items():
            code = names["skus"].find_one(sku)
            if code >= 0:
                kept[code] = units
        self._fitted_names = named

    # Forgetting -----------------------------------------------------------------------------------

    def forgetting_is_due(self) -> bool:
        """Whether a quarter of the retention has passed since the last time."""
        clock = int(self.counts[Count.CLOCK])
        span = round(self.policy.windows.closed_order_retention_hours * HOUR_US)
        if clock == NO_TIME:
            return False
        return self.swept_at == NO_TIME or clock - self.swept_at > span // 4

    def forget_closed(self) -> None:
        """Drop orders that have been closed for the policy's retention, and compact the tables.

        Their ids stay known for a while. Orders are numbered anew, so nothing may be encoded that is not
        taken yet. Called at tile borders only, so that when an order is forgotten does not depend on
        slices; nor does what was named by then, of which nothing was taken.
        """
        self.swept_at = clock = int(self.counts[Count.CLOCK])
        windows = self.policy.windows
        span = round(windows.closed_order_retention_hours * HOUR_US)
        orders = self.heap[Slot.ORDERS][: len(self.names["orders"])]
        state, touched = orders["state"], orders["touched_at"]
        finished = (state == OrderState.CLOSED) | (state == OrderState.CANCELLED_EARLY)
        closed = (finished & (touched + span <= clock)) | (state == OrderState.FORGOTTEN)
        lost = np.flatnonzero(closed & (touched != NO_TIME)).astype(np.int32)
        until = touched[lost] + span + round(windows.forgotten_order_hours * HOUR_US)
        self.forgotten.add(self.names["orders"].take(lost), until, clock)
        gone = closed | (state == OrderState.UNKNOWN)
        if gone.any():
            self._keep_orders(np.flatnonzero(~gone).astype(np.int32))
        self._drop_supplies()

    def _keep_orders(self, kept: npt.NDArray[np.int32]) -> None:
        heap, counts = self.heap, self.counts
        renumbered = np.full(len(self.names["orders"]) + 1, -1, np.int32)
        renumbered[kept] = np.arange(len(kept), dtype=np.int32)
        owner = heap[Slot.LINES]["order"][: int(counts[Count.LINES])]
        kept_lines = np.flatnonzero((owner >= 0) & (renumbered[owner] >= 0))
        moved = np.full(len(owner) + 1, -1, np.int32)
        moved[kept_lines] = np.arange(len(kept_lines), dtype=np.int32)
        orders = taken(heap[Slot.ORDERS], kept, _SPARE)
        lines = taken(heap[Slot.LINES], kept_lines, _SPARE)
        orders["first_line"][: len(kept)] = moved[orders["first_line"][: len(kept)]]
        mine = lines[: len(kept_lines)]
        mine["order"] = renumbered[mine["order"]]
        for name in ("previous_waiting", "next_waiting"):
            mine[name] = moved[mine[name]]
        queues = heap[Slot.QUEUES]
        allocations = heap[Slot.ALLOCATIONS][: int(counts[Count.ALLOCATIONS])]
        for name in ("first", "last"):
            queues[name] = moved[queues[name]]
        allocations["line"] = moved[allocations["line"]]
        self.names["orders"] = self.names["orders"].kept(kept)
        self._keep_tokens(orders[: len(kept)])
        counts[Count.ORDERS], counts[Count.LINES] = len(kept), len(kept_lines)
        heap.put(Slot.BLOCKED, taken(heap[Slot.BLOCKED], kept, _SPARE))
        heap.put(Slot.ORDERS, orders)
        heap.put(Slot.LINES, lines)

    def _keep_tokens(self, orders: npt.NDArray[Any]) -> None:
        """Forget the customers of whom there is no order any more."""
        tokens = self.names["tokens"]
        used = np.unique(orders["token"])
        used = used[used >= 0]
        numbers = np.full(len(tokens) + 1, -1, np.int32)  # the last one is that of none
        numbers[used] = np.arange(len(used))
        self.names["tokens"] = tokens.kept(used)
        orders["token"] = numbers[orders["token"]]

    def _drop_supplies(self) -> None:
        """Forget planned supply that is used up or withdrawn and promised to nobody."""
        heap, counts = self.heap, self.counts
        supplies = heap[Slot.SUPPLIES][: int(counts[Count.SUPPLIES])]
        keep = (supplies["qty"] > 0) | (supplies["promised"] > 0)
        if keep.all():
            return
        kept = np.flatnonzero(keep)
        moved = np.full(len(supplies) + 1, -1, np.int32)
        moved[kept] = np.arange(len(kept), dtype=np.int32)
        first = heap[Slot.SKUS]["first_supply"]
        for links in (supplies["next"], first):
            while (stale := (links >= 0) & ~keep[links]).any():
                links[stale] = supplies["next"][links[stale]]
        first[:] = moved[first]
        rows = taken(supplies, kept, _SPARE)
        rows["next"][: len(kept)] = moved[rows["next"][: len(kept)]]
        allocations = heap[Slot.ALLOCATIONS][: int(counts[Count.ALLOCATIONS])]
        allocations["supply"] = moved[allocations["supply"]]
        counts[Count.SUPPLIES] = len(kept)
        heap.put(Slot.SUPPLIES, rows)

    # Checkpoint -----------------------------------------------------------------------------------

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything, as arrays that are still in use and as plain values for JSON."""
        heap = self.heap
        arrays = {slot.name: heap[slot] for slot in _WHOLE}
        for slot, used in self._used().items():
            arrays[slot.name] = heap[slot][:used]
        for name, held in self.names.items():
            arrays |= {f"names.{name}.{k}": v for k, v in held.to_arrays().items()}
        arrays |= kept_stock(heap, len(self.names["skus"]), len(self.names["nodes"]))
        arrays[Slot.SEEN_KEYS.name] = window.held_keys(heap)
        arrays |= {f"forgotten.{part}": kept for part, kept in self.forgotten.to_arrays().items()}
        arrays["band_lengths"] = np.array([len(b) for b in self.lane_bands], np.int64)
        values = {
            "key": self.key,
            "policy": self.policy.model_dump(mode="json"),
            "model_sha256": self.model_sha256,
            "records": self.records,
            "log_time": self.log_time,
            "swept_at": self.swept_at,
            "customers_of": [[k, v] for k, v in self.customers_of.items()],
            "signals": [asdict(s) for s in self.signals],
            "longest_order": self.longest_order,
        }
        return arrays, values

    def _used(self) -> dict[Slot, int]:
        counts, orders = self.counts, len(self.names["orders"])
        return {
            Slot.ORDERS: orders,
            Slot.BLOCKED: orders,
            Slot.LINES: int(counts[Count.LINES]),
            Slot.ALLOCATIONS: int(counts[Count.ALLOCATIONS]),
            Slot.SUPPLIES: int(counts[Count.SUPPLIES]),
            Slot.LANES: len(self.names["lanes"]),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]
    ) -> "Network":
        """The network that ``to_arrays`` was called on."""
        names = {
            n: Names.from_arrays({k: arrays[f"names.{n}.{k}"] for k in ("offsets", "arena")})
            for n in NAME_SETS
        }
        cuts = np.cumsum(arrays["band_lengths"])
        network = cls(
            key=NetworkKey(values["key"]),
            policy=Policy.model_validate(values["policy"]),
            model_sha256=values["model_sha256"],
            records=values["records"],
            log_time=values["log_time"],
            swept_at=values["swept_at"],
            names=names,
            lane_bands=np.split(arrays[Slot.BANDS.name], cuts)[: len(cuts)],
            customers_of={int(k): list(v) for k, v in values["customers_of"]},
            signals=[SignalState(**s) for s in values["signals"]],
            longest_order=values["longest_order"],
        )
        heap = network.heap
        for slot in _WHOLE:
            heap.put(slot, arrays[slot.name].astype(layout_of(slot)))
        restore_stock(heap, arrays)
        window.restore(heap, arrays[Slot.SEEN_KEYS.name])
        network.forgotten.restore({p: arrays[f"forgotten.{p}"] for p in ("keys", "until")})
        for slot, used in network._used().items():
            rows = taken(arrays[slot.name].astype(layout_of(slot)), np.arange(used), _SPARE)
            if slot == Slot.ALLOCATIONS:
                network._put_allocations(rows)
            else:
                heap.put(slot, rows)
        network.fit_scratch(0)
        return network


def _points(names: Names, points: Mapping[str, int], privileged: Sequence[str]) -> Ints:
    """(n, 2) points of each name, and whether it is privileged; row -1 is that of no name."""
    rows = np.zeros((len(names) + 1, 2), np.int64)
    for name in {**points, **dict.fromkeys(privileged)}:
        code = names.find_one(name)
        if code >= 0:
            rows[code] = points.get(name, 0), name in privileged
    return rows
