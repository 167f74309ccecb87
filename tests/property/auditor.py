"""Checks the router's rows against the records that caused them. Shares no code with ``models/``.

The auditor keeps books of its own: what is on hand by the records, what is reserved by the ledger rows.
It walks both together, position by position, and raises at the first row that breaks a rule.
"""

from collections import Counter, defaultdict
from datetime import date, datetime
from typing import Any

from ruamel.yaml import YAML

from schemas.control import PolicyActivated
from schemas.envelope import Event
from schemas.inventory import InventoryAdjusted, InventoryCounted, SupplyPlanned
from schemas.network import CapacitySet, NodeSet
from schemas.orders import OrderAmended, OrderCancelled, OrderReceived, ReturnReceived
from schemas.tables import Table
from schemas.work import WorkShortPicked
from tests.support.builders import Row, Rows

COMPONENTS = ("freight", "handling", "time", "late", "carbon", "shadow", "split")
MOST_UNITS = 2_000_000_000
FEASIBLE, X_NO_STOCK, X_SAFETY_STOCK = 0, 1, 2


class AuditError(AssertionError):
    """A row that breaks a rule of the ledger."""


def audit(events: list[Event], rows: Rows) -> None:
    """Check one network's rows.

    Raises:
        AuditError: the first broken rule, with the row.
    """
    auditor = _Auditor(rows)
    for position, event in enumerate(events):
        auditor.take(position, event)
    auditor.finish()


class _Cell:
    """One SKU at one node."""

    def __init__(self) -> None:
        self.on_hand = 0
        self.reserved = 0
        self.safety = 0
        self.counted_at: datetime | None = None


class _Auditor:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.moves: dict[int, list[Row]] = defaultdict(list)
        self.decisions: dict[int, list[Row]] = defaultdict(list)
        for row in rows.allocations:
            self.moves[row["position"]].append(row)
        for row in rows.decisions:
            self.decisions[row["position"]].append(row)
        self.refused = {
            d["position"] for d in rows.dead_letters if d["reason"] != "QUANTITY_OVERFLOW"
        }
        self.cells: dict[tuple[str, str], _Cell] = defaultdict(_Cell)
        self.nodes: set[str] = set()
        self.numbers = {n["node_no"]: n["node"] for n in rows.tables[Table.NODES]}
        self.ids: set[tuple[str, str]] = set()
        self.held: dict[tuple[str, int, str, str], int] = defaultdict(int)  # order, line, sku, node
        self.consumed: dict[tuple[str, int, str], int] = defaultdict(int)  # order, line, sku
        self.planned: dict[tuple[str, int, str, str], int] = defaultdict(int)
        self.wanted: dict[str, dict[tuple[int, str], int]] = {}  # by order, line and sku
        self.whole: set[str] = set()  # orders that must not be split
        self.booked: dict[tuple[str, date], int] = defaultdict(int)
        self.supply: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)  # node, sku: by id
        self.shrunk: set[tuple[str, str]] = set()  # a supply was cut after it was promised
        self.unlike: set[tuple[str, date]] = set()  # booked partly by units, partly by orders
        self.rules: dict[str, CapacitySet] = {}
        self.days: dict[tuple[str, date], CapacitySet] = {}
        self.weekdays: dict[tuple[str, int], CapacitySet] = {}
        self.packages: dict[tuple[str, str, date], int] = defaultdict(int)
        self.protection: dict[str, Any] = {}

    # Records --------------------------------------------------------------------------------------

    def take(self, position: int, event: Event) -> None:
        """The record first, then what it caused."""
        key = (event.source, event.id)
        fresh = key not in self.ids
        self.ids.add(key)
        if fresh:
            self.apply(position, event)
        elif self.decisions[position] or self.moves[position]:
            self.fail("a repeat had effects", {"position": position})
        for row in self.moves[position]:
            self.move(row)
        for row in self.decisions[position]:
            self.decision(row)
            if isinstance(event, OrderReceived | OrderAmended):
                self.servable(event, row)
        if isinstance(event, OrderReceived | OrderAmended | OrderCancelled) and fresh:
            self.compare_lines(event.subject)

    def apply(self, position: int, event: Event) -> None:
        if isinstance(event, NodeSet):
            self.nodes.add(event.subject)
        elif isinstance(event, CapacitySet):
            self.set_capacity(event)
        elif isinstance(event, PolicyActivated) and position not in self.refused:
            self.protection = YAML(typ="safe").load(event.data.document).get("protection", {})
        elif isinstance(event, InventoryCounted):
            self.count(event)
        elif isinstance(event, InventoryAdjusted):
            for item in event.data.items:
                self.adjust(event.subject, item.sku, item.delta, event.time)
                self.arrive(event, item.sku, item.delta)
        elif isinstance(event, ReturnReceived):
            for back in event.data.items:
                if back.restock:
                    self.adjust(event.data.node, back.sku, back.qty, event.time)
        elif isinstance(event, SupplyPlanned):
            if event.data.node in self.nodes:
                for plan in event.data.items:
                    place = event.data.node, plan.sku
                    if plan.qty < self.supply[place].get(event.subject, 0):
                        self.shrunk.add(place)
                    self.supply[place][event.subject] = plan.qty
        elif isinstance(event, OrderReceived | OrderAmended):
            self.receive(position, event)
        elif isinstance(event, OrderCancelled):
            self.cancel(position, event)
        elif isinstance(event, WorkShortPicked):
            self.lose(position, event)

    def lose(self, position: int, event: WorkShortPicked) -> None:
        """Units that were released because they were not found are gone."""
        missing = Counter[int]()
        for line in event.data.lines:
            missing[line.line_no] += line.qty
        for row in self.moves[position]:
            if row["event"] == "released" and row["node"] == event.data.node:
                number = row["line_no"]
                qty = min(row["qty"], missing[number]) if event.data.lines else row["qty"]
                missing[number] -= qty
                cell = self.cells[row["node"], row["sku"]]
                cell.on_hand = max(0, cell.on_hand - qty)

    def count(self, event: InventoryCounted) -> None:
        if event.subject not in self.nodes:
            return
        for item in event.data.items:
            cell = self.cells[event.subject, item.sku]
            if cell.counted_at is None or event.time >= cell.counted_at:
                cell.on_hand, cell.safety = item.on_hand, item.safety_stock
                cell.counted_at = event.time

    def adjust(self, node: str, sku: str, delta: int, at: datetime) -> None:
        if node not in self.nodes:
            return
        cell = self.cells[node, sku]
        if cell.counted_at is not None and at <= cell.counted_at:
            return
        if cell.on_hand + delta <= MOST_UNITS:
            cell.on_hand = max(0, cell.on_hand + delta)

    def arrive(self, event: InventoryAdjusted, sku: str, units: int) -> None:
        plans = self.supply[event.subject, sku]
        if units > 0 and event.data.supply_id in plans:
            self.shrunk.add((event.subject, sku))
            plans[event.data.supply_id] = max(0, plans[event.data.supply_id] - units)

    def set_capacity(self, event: CapacitySet) -> None:
        if event.subject not in self.nodes:
            return
        before = self.counts_orders(event.subject)
        self.rules[event.subject] = event
        if self.counts_orders(event.subject) != before:
            self.unlike.update(place for place in self.booked if place[0] == event.subject)
        if event.data.day is not None:
            self.days[event.subject, event.data.day] = event
        else:
            for weekday in event.data.weekdays or range(1, 8):
                self.weekdays[event.subject, weekday] = event

    def receive(self, position: int, event: OrderReceived | OrderAmended) -> None:
        """The record counts if it led to a decision of its own revision."""
        mine = [d for d in self.decisions[position] if d["order_id"] == event.subject]
        if not mine or position in self.refused:
            return
        (self.whole.add if event.data.no_split else self.whole.discard)(event.subject)
        wanted: dict[tuple[int, str], int] = defaultdict(int)
        for line in event.data.lines:
            wanted[line.line_no, line.sku] += line.qty
        for (order, number, sku), units in self.consumed.items():
            if order == event.subject:
                wanted[number, sku] = max(wanted[number, sku], units)
        self.wanted[event.subject] = dict(wanted)

    def cancel(self, position: int, event: OrderCancelled) -> None:
        wanted = self.wanted.get(event.subject)
        mine = [d for d in self.decisions[position] if d["order_id"] == event.subject]
        if wanted is None or not mine:
            return
        for gone in event.data.lines:
            named = [line for line in wanted if line[0] == gone.line_no]
            for line in named[:1]:  # what the order says comes before what had left already
                least = self.consumed[event.subject, *line]
                wanted[line] = max(least, wanted[line] - gone.qty)
        if not event.data.lines:
            for line in wanted:
                wanted[line] = self.consumed[event.subject, *line]

    # Rows -----------------------------------------------------------------------------------------

    def move(self, row: Row) -> None:
        """One row of the allocation ledger."""
        key = (row["order_id"], row["line_no"], row["sku"], row["node"])
        cell, qty = self.cells[row["node"], row["sku"]], row["qty"]
        if qty <= 0:
            self.fail("a move of no units", row)
        match row["event"]:
            case "placed":
                free = cell.on_hand - cell.safety - cell.reserved
                if qty > free:
                    self.fail(f"oversold: {free} units were free", row)
                cell.reserved += qty
                self.held[key] += qty
                self.book(row)
            case "released" | "consumed":
                if qty > self.held[key]:
                    self.fail(f"only {self.held[key]} units were held", row)
                cell.reserved -= qty
                self.held[key] -= qty
                if row["event"] == "consumed":
                    cell.on_hand = max(0, cell.on_hand - qty)
                    self.consumed[key[:3]] += qty
                else:
                    self.unbook(row)
            case "planned":
                self.planned[key] += qty
                place = row["node"], row["sku"]
                promised = sum(u for (_, _, s, n), u in self.planned.items() if (n, s) == place)
                coming = sum(self.supply[place].values())
                if qty > coming or (promised > coming and place not in self.shrunk):
                    self.fail(f"{promised} promised of {coming} planned units", row)
            case "unplanned":
                if qty > self.planned[key]:
                    self.fail(f"only {self.planned[key]} units were planned", row)
                self.planned[key] -= qty

    def rule(self, node: str, day: date) -> CapacitySet | None:
        return self.days.get((node, day)) or self.weekdays.get((node, day.isoweekday()))

    def book(self, row: Row) -> None:
        node, day = row["node"], row["ship_date"]
        rule = self.rule(node, day)
        if self.counts_orders(node):
            package = (row["order_id"], node, day)
            fresh = self.packages[package] == 0
            self.packages[package] += row["qty"]
            self.booked[node, day] += 1 if fresh else 0
        else:
            self.booked[node, day] += row["qty"]
        if rule is None:
            return
        if not rule.data.open:
            self.fail("booked on a closed day", row)
        most = rule.data.capacity
        if most is not None and (node, day) not in self.unlike and self.booked[node, day] > most:
            self.fail(f"{self.booked[node, day]} booked of {most}", row)

    def unbook(self, row: Row) -> None:
        node, day = row["node"], row["ship_date"]
        if self.counts_orders(node):
            package = (row["order_id"], node, day)
            self.packages[package] -= row["qty"]
            if self.packages[package] == 0:
                self.booked[node, day] -= 1
        else:
            self.booked[node, day] -= row["qty"]

    def counts_orders(self, node: str) -> bool:
        rule = self.rules.get(node)
        return rule is not None and rule.data.measure.value == "orders"

    def decision(self, row: Row) -> None:
        """Sums of a decision, and its runners-up."""
        for prefix in ("", "runner_up_", "second_runner_up_"):
            total = sum(row[f"{prefix}{c}_minor"] for c in COMPONENTS)
            if total != row[f"{prefix}total_minor"]:
                self.fail(f"{prefix}components add up to {total}", row)
        plans = [row["nodes"], row["runner_up_nodes"], row["second_runner_up_nodes"]]
        named = [tuple(plan) for plan in plans if plan]
        if len(named) != len(set(named)):
            self.fail("a plan is its own runner-up", row)
        for plan in named:
            if len(plan) != len(set(plan)):
                self.fail("two packages from one node", row)
        if row["margin_minor"] is not None:
            if row["margin_minor"] != row["runner_up_total_minor"] - row["total_minor"]:
                self.fail("the margin is not the difference", row)
            if row["margin_minor"] < 0 and row["requested_by"] is None:
                self.fail("a runner-up costs less", row)
        parts = row["units_served"], row["units_backordered"], row["units_unserved"]
        if min(parts) < 0:
            self.fail("negative units", row)
        if row["order_id"] in self.whole:
            places = {k[3] for k, units in self.held.items() if k[0] == row["order_id"] and units}
            if len(places) > 1:
                self.fail(f"an order not to be split is held at {sorted(places)}", row)
        self.outcome(row)

    def servable(self, event: OrderReceived | OrderAmended, row: Row) -> None:
        """A node that the row says may serve, and that holds everything, is never passed over.

        Only for plain goods: of others a node may be in the running for some of the lines.
        """
        if any(line.hazmat or line.temp_class.value != "ambient" for line in event.data.lines):
            return
        if row["order_id"] != event.subject or row["kind"] == "CANCEL" or not row["exclusions"]:
            return
        wants: dict[str, int] = defaultdict(int)
        for line in event.data.lines:
            wants[line.sku] += line.qty
        kept = {sku: self.kept(event, sku) for sku in wants}
        if row["outcome"] == "FULLY_ROUTED" or row["hold_reason"] != "NONE":
            return
        moved: dict[tuple[str, str], int] = defaultdict(int)
        for move in self.moves[row["position"]]:
            if move["event"] == "placed" and move["order_id"] == event.subject:
                moved[move["node"], move["sku"]] += move["qty"]
        for number, why in enumerate(row["exclusions"]):
            node = self.numbers[number]
            cells = [(sku, self.cells[node, sku]) for sku in wants]
            holds = all(
                cell.on_hand - cell.safety - cell.reserved + moved[node, sku] - kept[sku]
                >= wants[sku]
                for sku, cell in cells
            )
            if holds and why in (FEASIBLE, X_NO_STOCK, X_SAFETY_STOCK):
                self.fail(f"{node} could serve all (said {why})", row)

    def kept(self, event: OrderReceived | OrderAmended, sku: str) -> int:
        """Units that every node keeps for others than this order."""
        rules, order = self.protection, event.data
        if order.tier in rules.get("tiers", []) or order.channel in rules.get("channels", []):
            return 0
        units: int = rules.get("skus", {}).get(sku, rules.get("units", 0))
        return units

    def outcome(self, row: Row) -> None:
        name = row["order_id"]
        held = sum(units for key, units in self.held.items() if key[0] == name)
        gone = sum(units for key, units in self.consumed.items() if key[0] == name)
        routed = held + (gone if name in self.wanted else 0)
        if row["outcome"] == "FULLY_ROUTED" and routed < row["units_ordered"]:
            self.fail(f"fully routed with {routed} units", row)
        if row["outcome"] == "CANCELLED" and held:
            self.fail(f"cancelled with {held} units held", row)

    def compare_lines(self, name: str) -> None:
        """What is held and consumed of a line never exceeds what is wanted."""
        wanted = self.wanted.get(name, {})
        held: dict[tuple[int, str], int] = defaultdict(int)
        for (order, number, sku, _), units in self.held.items():
            if order == name:
                held[number, sku] += units
        for line, units in held.items():
            total = units + self.consumed[name, *line]
            if units and total > wanted.get(line, 0):
                self.fail(f"{total} units of {wanted.get(line, 0)}", {"order": name})

    # The end --------------------------------------------------------------------------------------

    def finish(self) -> None:
        """What was published last is what the auditor's books say, for cells not changed since."""
        for node, sku in self.cells:
            cell = self.cells[node, sku]
            held = sum(u for (_, _, s, n), u in self.held.items() if (n, s) == (node, sku))
            if cell.reserved != held or held < 0:
                self.fail("reserved units are not those held", {"node": node, "sku": sku})
        for name in self.wanted:
            self.compare_lines(name)

    def fail(self, rule: str, row: dict[str, Any]) -> None:
        shown = {k: v for k, v in row.items() if v not in (None, [], 0, "")}
        raise AuditError(f"{rule}: {shown}")
