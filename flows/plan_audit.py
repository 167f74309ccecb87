"""An audit of a lake against its log: was every plan allowed, and do the books add up?

It shares no code with ``models/``: it keeps books of its own from the records of the log and the rows of
the allocation ledger, one row after another in log order, and says what breaks a rule. Rules are counted
by name, with an example each.

Ledger: a placement never takes more than is free; nothing is given back or handed over that was not
held; no order ever holds more units of a line than it asks for (one live decision per order); what the
lake publishes of a cell is what the audit's own books say. Plans: node and lane are open and lead to the
region, keep the temperature class and take dangerous goods; distance, packages, whole orders, capacity of
the day, cut-off, protected stock, named customers, and nodes that refused.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ruamel.yaml import YAML

from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog
from schemas.kinds import Kind
from schemas.slices import Slice

Row = dict[str, Any]
Cell = tuple[str, str]  # node and SKU

_ORDERS = (Kind.ORDER_RECEIVED, Kind.ORDER_AMENDED)
_SILENT = (Kind.CLOCK_TICKED, Kind.WORK_ACCEPTED, Kind.WORK_PICKED, Kind.WORK_PACKED)
"""Records that change nothing that is audited."""


@dataclass
class Audit:
    """What was looked at, and what was wrong.

    Attributes:
        placements: rows that put units at a node.
        plans: decisions that placed anything.
        infeasible_plans: of these, with a broken rule.
        broken: times each rule was broken.
        examples: the first time of each.
    """

    placements: int = 0
    plans: int = 0
    infeasible_plans: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def feasibility(self) -> float:
        """Share of the plans that satisfy every hard rule."""
        return 1 - self.infeasible_plans / self.plans if self.plans else 1.0

    def count(self, *rules: str) -> int:
        """Times that one of the rules was broken."""
        return sum(self.broken[rule] for rule in rules)


OVERSOLD = "oversold"
DOUBLED = "more held than ordered"
UNCONSERVED = ("given back without being held", "books differ from the stock table")


def audit(log: ParquetLog, lake: Path) -> Audit:
    """Audit one lake against the log it was made from."""
    found = Audit()
    with connect_reader(lake) as connection:
        names = ("allocations", "decisions", "stock")
        for partition in range(log.partitions):
            rows = {
                name: _rows(connection.execute(_QUERIES[name], [partition]).to_arrow_table())
                for name in names
            }
            _Auditor(rows, found).walk(log, partition)
    return found


_QUERIES = {
    "allocations": (
        "SELECT position, order_id, line_no, sku, node, lane_id, event, qty, ship_date"
        ' FROM allocations WHERE partition = ? ORDER BY position, "index"'
    ),
    "decisions": (
        "SELECT position, order_id, decided_at, nodes, trigger"
        " FROM decisions WHERE partition = ? AND (len(nodes) > 0 OR trigger = 'R_OPERATOR')"
        ' ORDER BY position, "index"'
    ),
    "stock": (
        "SELECT position, node, sku, on_hand, reserved FROM stock"
        ' WHERE partition = ? ORDER BY position, "index"'
    ),
}


def _rows(table: pa.Table) -> dict[int, list[Row]]:
    """Rows by position."""
    found: dict[int, list[Row]] = defaultdict(list)
    for batch in table.to_batches():
        for row in batch.to_pylist():
            found[row["position"]].append(row)
    return found


@dataclass
class _Order:
    """What an order says, at its highest revision."""

    revision: int
    content: Row
    lines: dict[int, Row]
    refused: set[str] = field(default_factory=set)  # nodes that it must not come back to


@dataclass(frozen=True)
class _Rules:
    """The hard rules of a policy, read from its text."""

    max_packages: int = 3
    max_distance_km: float = 50_000.0
    protected: Mapping[str, int] = field(default_factory=dict)
    protected_otherwise: int = 0
    tiers: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "_Rules":
        """Of a policy document."""
        said = YAML(typ="safe").load(text)
        limits, kept = said.get("limits", {}), said.get("protection", {})
        return cls(
            int(limits.get("max_packages", 3)),
            float(limits.get("max_distance_km", 50_000)),
            dict(kept.get("skus", {})),
            int(kept.get("units", 0)),
            tuple(kept.get("tiers", ())),
            tuple(kept.get("channels", ())),
        )

    def kept_from(self, order: _Order, sku: str) -> int:
        """Units that every node keeps for others than this order."""
        if order.content["tier"] in self.tiers or order.content["channel"] in self.channels:
            return 0
        return self.protected.get(sku, self.protected_otherwise)


class _Auditor:
    """The books of one partition, and the network as the log last said it is."""

    def __init__(self, rows: Mapping[str, dict[int, list[Row]]], found: Audit) -> None:
        self.moves, self.decisions, self.stock = (
            rows["allocations"],
            rows["decisions"],
            rows["stock"],
        )
        self.found = found
        self.caused = np.fromiter(
            self.moves.keys() | self.stock.keys() | self.decisions.keys(), np.int64
        )
        self.bad_plans: set[str] = set()  # orders, at the position at hand
        self.placed_orders = {m["order_id"] for moves in self.moves.values() for m in moves}
        self.seen: set[tuple[str, str]] = set()
        self.on_hand: defaultdict[Cell, int] = defaultdict(int)
        self.reserved: defaultdict[Cell, int] = defaultdict(int)
        self.safety: dict[Cell, int] = {}
        self.counted_at: dict[Cell, datetime] = {}
        self.orders: dict[str, _Order] = {}
        self.held: defaultdict[tuple[str, int, str], int] = defaultdict(int)  # order, line, node
        self.places: defaultdict[str, Counter[str]] = defaultdict(Counter)  # order: units by node
        self.taken: defaultdict[tuple[str, int], int] = defaultdict(int)  # held or gone
        self.nodes: dict[str, Row] = {}
        self.lanes: dict[str, Row] = {}
        self.days: dict[tuple[str, date], Row] = {}
        self.weekdays: dict[tuple[str, int], Row] = {}
        self.by_order: set[str] = set()  # nodes that count orders, not units
        self.booked: defaultdict[tuple[str, date], int] = defaultdict(int)
        self.packages: defaultdict[tuple[str, str, date], int] = defaultdict(int)
        self.rules = _Rules()

    def walk(self, log: ParquetLog, partition: int) -> None:
        """All records that matter, each followed by what it caused."""
        for piece in log.read(partition):
            for position, kind, envelope, data in self._records(piece):
                key = (envelope["source"], envelope["id"])
                if data is not None and key not in self.seen:
                    self.seen.add(key)
                    self._apply(kind, position, envelope, data)
                self._effects(position)

    def _records(self, piece: Slice) -> Iterator[tuple[int, Kind, Row, Row | None]]:
        """Records that say something audited or caused a row, in order; data where it is of use."""
        wanted = np.isin(piece.positions, self.caused)
        useful = ~np.isin(piece.kinds, _SILENT)
        subjects = pa.array(sorted(self.placed_orders), pa.string())
        known = pc.is_in(piece.envelope["subject"], value_set=subjects).to_numpy(
            zero_copy_only=False
        )
        useful &= ~np.isin(piece.kinds, _ORDERS) | known
        rows = np.flatnonzero(wanted | useful)
        part = piece.take(rows)
        data = {
            code: iter(part.of_kind(Kind(code))[1].to_pylist())
            for code in np.unique(part.kinds).tolist()
        }
        envelopes = part.envelope.select(["id", "source", "subject", "time"]).to_pylist()
        for position, code, envelope, said in zip(
            part.positions.tolist(),
            part.kinds.tolist(),
            envelopes,
            useful[rows].tolist(),
            strict=True,
        ):
            row = next(data[code])
            yield position, Kind(code), envelope, row if said else None

    # Records --------------------------------------------------------------------------------------

    def _apply(self, kind: Kind, position: int, envelope: Row, data: Row) -> None:
        subject, at = envelope["subject"], envelope["time"]
        match kind:
            case Kind.POLICY_ACTIVATED:
                self.rules = _Rules.of(data["document"])
            case Kind.NODE_SET:
                self.nodes[subject] = data
            case Kind.LANE_SET:
                self.lanes[subject] = data
            case Kind.CAPACITY_SET:
                self._set_capacity(subject, data)
            case Kind.INVENTORY_COUNTED:
                for item in data["items"]:
                    self._count((subject, item["sku"]), item, at)
            case Kind.INVENTORY_ADJUSTED:
                for item in data["items"]:
                    self._adjust((subject, item["sku"]), item["delta"], at)
            case Kind.RETURN_RECEIVED:
                for item in data["items"]:
                    if item["restock"]:
                        self._adjust((data["node"], item["sku"]), item["qty"], at)
            case Kind.ORDER_RECEIVED | Kind.ORDER_AMENDED:
                self._hear_order(subject, data)
            case Kind.WORK_REJECTED | Kind.WORK_TIMED_OUT:
                if data["blocking"] and subject in self.orders:
                    self.orders[subject].refused.add(data["node"])
            case Kind.WORK_SHORT_PICKED:
                self._lose(position, data)
            case Kind.REVIEW_DECIDED:
                if subject in self.orders:
                    self.orders[subject].refused.clear()
            case _:
                pass

    def _set_capacity(self, node: str, data: Row) -> None:
        if data["measure"] == "orders":
            self.by_order.add(node)
        if data["day"] is not None:
            self.days[node, data["day"]] = data
        else:
            for weekday in data["weekdays"] or range(1, 8):
                self.weekdays[node, weekday] = data

    def _count(self, cell: Cell, item: Row, at: datetime) -> None:
        if cell not in self.counted_at or at >= self.counted_at[cell]:
            self.on_hand[cell], self.safety[cell] = item["on_hand"], item["safety_stock"]
            self.counted_at[cell] = at

    def _adjust(self, cell: Cell, delta: int, at: datetime) -> None:
        if cell not in self.counted_at or at > self.counted_at[cell]:
            self.on_hand[cell] = max(0, self.on_hand[cell] + delta)

    def _hear_order(self, name: str, data: Row) -> None:
        known = self.orders.get(name)
        if known is None or data["revision"] > known.revision:
            lines = {line["line_no"]: line for line in data["lines"]}
            self.orders[name] = _Order(data["revision"], data, lines)

    def _lose(self, position: int, data: Row) -> None:
        """Units that were not found are gone, as far as the router took them back."""
        missing = {line["line_no"]: line["qty"] for line in data["lines"]}
        for move in self.moves.get(position, ()):
            if move["event"] == "released" and move["node"] == data["node"]:
                line, cell = move["line_no"], (move["node"], move["sku"])
                lost = min(move["qty"], missing.get(line, 0)) if missing else move["qty"]
                if missing:
                    missing[line] = missing.get(line, 0) - lost
                self.on_hand[cell] = max(0, self.on_hand[cell] - lost)

    # Effects --------------------------------------------------------------------------------------

    def _effects(self, position: int) -> None:
        self.bad_plans.clear()
        decisions = {d["order_id"]: d for d in self.decisions.get(position, ())}
        placed: defaultdict[str, list[Row]] = defaultdict(list)
        for move in self.moves.get(position, ()):
            if move["event"] == "placed":
                self._place(move, decisions.get(move["order_id"]))
                placed[move["order_id"]].append(move)
            elif move["event"] in ("released", "consumed"):
                self._release(move)
        for name, moves in placed.items():
            self.found.plans += 1
            self._check_whole(name, moves, decisions.get(name))
        self.found.infeasible_plans += len(self.bad_plans & placed.keys())
        for row in self.stock.get(position, ()):
            cell = row["node"], row["sku"]
            mine = self.on_hand[cell], self.reserved[cell]
            if mine != (row["on_hand"], row["reserved"]):
                self._break(UNCONSERVED[1], {**row, "audited": mine})

    def _place(self, move: Row, decision: Row | None) -> None:
        self.found.placements += 1
        name, cell, qty = move["order_id"], (move["node"], move["sku"]), move["qty"]
        free = self.on_hand[cell] - self.safety.get(cell, 0) - self.reserved[cell]
        if qty > free:
            self._break(OVERSOLD, {**move, "free": free})
        self.reserved[cell] += qty
        self.held[name, move["line_no"], move["node"]] += qty
        self.places[name][move["node"]] += qty
        self.taken[name, move["line_no"]] += qty
        order = self.orders.get(name)
        if order is None or move["line_no"] not in order.lines:
            self._break("unknown order or line", move)
            return
        line = order.lines[move["line_no"]]
        if self.taken[name, move["line_no"]] > line["qty"]:
            self._break(DOUBLED, move)
        self._check_place(move, order, line, decision)
        if qty > free - self.rules.kept_from(order, move["sku"]):
            self._break("protected stock", move)
        self._book(move, 1)

    def _release(self, move: Row) -> None:
        key, cell = (move["order_id"], move["line_no"], move["node"]), (move["node"], move["sku"])
        if move["qty"] > self.held[key]:
            self._break(UNCONSERVED[0], move)
        self.held[key] -= move["qty"]
        self.places[key[0]][move["node"]] -= move["qty"]
        self.reserved[cell] -= move["qty"]
        if move["event"] == "consumed":
            self.on_hand[cell] = max(0, self.on_hand[cell] - move["qty"])
        else:
            self.taken[key[:2]] -= move["qty"]
            self._book(move, -1)

    def _check_place(self, move: Row, order: _Order, line: Row, decision: Row | None) -> None:
        node, lane, said = (
            self.nodes.get(move["node"]),
            self.lanes.get(move["lane_id"]),
            order.content,
        )
        if node is None or lane is None or lane["node"] != move["node"]:
            self._break("unknown node or lane", move)
            return
        for rule, is_kept in (
            ("node closed", node["open"]),
            ("lane closed", lane["open"]),
            ("lane leads elsewhere", lane["region"] == said["region"]),
            ("carrier asked for", said["carrier"] in ("", lane["carrier"])),
            ("service asked for", said["service"] in ("", lane["service"])),
            ("temperature class of the node", line["temp_class"] in node["temp_classes"]),
            ("temperature class of the lane", line["temp_class"] in lane["temp_classes"]),
            ("dangerous goods", not line["hazmat"] or (node["hazmat"] and lane["hazmat"])),
            ("too far", lane["distance_km"] <= self.rules.max_distance_km),
            ("customers", not node["customers"] or said["customer"] in node["customers"]),
            ("node refused before", move["node"] not in order.refused or _is_by_person(decision)),
            ("cut-off", self._is_in_time(move, node, decision)),
        ):
            if not is_kept:
                self._break(rule, move)

    def _is_in_time(self, move: Row, node: Row, decision: Row | None) -> bool:
        """Whether the node can still ship on the day: it is not past, nor is its cut-off."""
        if decision is None or move["ship_date"] is None:
            return True
        local = decision["decided_at"] + timedelta(minutes=node["utc_offset_minutes"])
        if move["ship_date"] != local.date():
            return bool(move["ship_date"] > local.date())
        rule = self._rule(move["node"], move["ship_date"])
        return rule is None or local.hour * 60 + local.minute <= rule["cut_off_minute"]

    def _check_whole(self, name: str, moves: list[Row], decision: Row | None) -> None:
        """Rules about the plan as a whole."""
        nodes = {move["node"] for move in moves}
        if len(nodes) > self.rules.max_packages:
            self._break("too many packages", moves[0])
        order = self.orders.get(name)
        places = sum(units > 0 for units in self.places[name].values())
        if order is not None and order.content["no_split"] and places > 1:
            self._break("an order not to be split", moves[0])
        if decision is not None and not nodes <= set(decision["nodes"]):
            self._break("a node that the decision does not name", moves[0])

    def _rule(self, node: str, day: date) -> Row | None:
        return self.days.get((node, day)) or self.weekdays.get((node, day.isoweekday()))

    def _book(self, move: Row, sign: int) -> None:
        node, day = move["node"], move["ship_date"]
        if day is None:
            return
        before = self.packages[move["order_id"], node, day]
        after = self.packages[move["order_id"], node, day] = before + sign * move["qty"]
        counted = (after > 0) - (before > 0) if node in self.by_order else sign * move["qty"]
        self.booked[node, day] += counted
        rule = self._rule(node, day)
        if sign < 0 or rule is None:
            return
        if not rule["open"]:
            self._break("closed day", move)
        if rule["capacity"] is not None and self.booked[node, day] > rule["capacity"]:
            self._break("capacity of the day", move)

    def _break(self, rule: str, row: Row) -> None:
        self.found.broken[rule] += 1
        if row.get("event") == "placed":
            self.bad_plans.add(row["order_id"])
        said = ", ".join(f"{k} {v}" for k, v in row.items())
        self.found.examples.setdefault(rule, f"{rule}: {said}")


def _is_by_person(decision: Row | None) -> bool:
    return decision is not None and decision["trigger"] == "R_OPERATOR"
