"""Journal records with defaults, and the fold driven over them without any flow.

Times are seconds after ``START``. Ids of events are given by ``journal`` unless a test gives one, so
that records are repeats only where a test says so. Every record passes through the codec.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa

from models.policy.document import Policy
from models.routing.fold import RouteState, advance
from models.routing.scoring import Scorer
from schemas import control, inventory, network, orders, reviews, work
from schemas.codec import Refusal, decode_line, encode_event, to_slice
from schemas.codes import (
    AdjustmentReason,
    CapacityMeasure,
    LocationType,
    Mode,
    PaymentState,
    RerouteReason,
    SignalKind,
    TempClass,
    Verdict,
)
from schemas.envelope import Event
from schemas.slices import Slice
from schemas.tables import SCHEMAS, Effects, Table

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""A Monday morning."""

HOUR = 3_600.0
DAY = 24 * HOUR
Row = dict[str, Any]
LineOrPair = orders.OrderLine | tuple[str, int]


@dataclass(frozen=True)
class When:
    """The envelope of a record apart from its subject.

    Attributes:
        at: when it happened, seconds after ``START``.
        learnt: when we learnt it; None: at once.
        event_id: None: a fresh one.
        source: who says so.
        tenant: whose network.
        network: which network.
    """

    at: float = 0.0
    learnt: float | None = None
    event_id: str | None = None
    source: str = "test"
    tenant: str = "acme"
    network: str = "eu"

    def envelope(self, subject: str) -> dict[str, Any]:
        """Attributes of the event."""
        return {
            "id": self.event_id or UNNAMED,
            "source": self.source,
            "subject": subject,
            "time": instant(self.at),
            "recordedtime": None if self.learnt is None else instant(self.learnt),
            "tenant": self.tenant,
            "network": self.network,
        }


UNNAMED = "-"
NOW = When()


def at(seconds: float, **changes: Any) -> When:
    """An envelope at this many seconds after ``START``."""
    return When(seconds, **changes)


def instant(seconds: float) -> datetime:
    """The instant so many seconds after ``START``."""
    return START + timedelta(seconds=seconds)


# Orders -------------------------------------------------------------------------------------------


def line(sku: str = "S1", qty: int = 1, line_no: int = 0, **fields: Any) -> orders.OrderLine:
    """One line; 0 as number means its place in the order."""
    return orders.OrderLine(line_no=line_no, sku=sku, qty=qty, **fields)


def content(*lines: LineOrPair, region: str = "R1", **fields: Any) -> orders.Order:
    """What an order says; without lines it wants one unit of S1."""
    numbered = []
    for number, given in enumerate(lines or (("S1", 1),), start=1):
        one = given if isinstance(given, orders.OrderLine) else line(*given)
        numbered.append(msgspec.structs.replace(one, line_no=one.line_no or number))
    return orders.Order(region=region, lines=numbered, **fields)


def order(
    order_id: str = "o-1", *lines: LineOrPair, when: When = NOW, **fields: Any
) -> orders.OrderReceived:
    """An order is received."""
    return orders.OrderReceived(data=content(*lines, **fields), **when.envelope(order_id))


def amended(
    order_id: str = "o-1", *lines: LineOrPair, when: When = NOW, revision: int = 2, **fields: Any
) -> orders.OrderAmended:
    """An order as it now stands."""
    data = content(*lines, revision=revision, **fields)
    return orders.OrderAmended(data=data, **when.envelope(order_id))


def cancelled(
    order_id: str = "o-1", lines: dict[int, int] | None = None, when: When = NOW
) -> orders.OrderCancelled:
    """Units by line number; none: the whole order."""
    gone = [orders.CancelledLine(line_no=n, qty=q) for n, q in (lines or {}).items()]
    return orders.OrderCancelled(data=orders.Cancellation(lines=gone), **when.envelope(order_id))


def payment(
    order_id: str = "o-1", state: PaymentState = PaymentState.AUTHORISED, when: When = NOW
) -> orders.PaymentUpdated:
    """The payment of an order changed."""
    return orders.PaymentUpdated(data=orders.Payment(state=state), **when.envelope(order_id))


def returned(
    node_id: str = "A",
    items: dict[str, int] | None = None,
    when: When = NOW,
    return_id: str = "ret-1",
    **fields: Any,
) -> orders.ReturnReceived:
    """Goods came back to a node; ``restock`` is said of all of them."""
    restock = fields.pop("restock", True)
    back = [
        orders.ReturnedItem(sku=s, qty=q, restock=restock) for s, q in (items or {"S1": 1}).items()
    ]
    data = orders.Return(node=node_id, items=back, **fields)
    return orders.ReturnReceived(data=data, **when.envelope(return_id))


# Stock --------------------------------------------------------------------------------------------


def counted(
    node_id: str = "A",
    items: dict[str, int] | None = None,
    safety: int = 0,
    when: When = NOW,
) -> inventory.InventoryCounted:
    """Units on the shelf by SKU, all with the same safety stock."""
    found = [
        inventory.CountedItem(sku=s, on_hand=q, safety_stock=safety)
        for s, q in (items or {"S1": 10}).items()
    ]
    return inventory.InventoryCounted(data=inventory.Count(items=found), **when.envelope(node_id))


def adjusted(
    node_id: str = "A",
    items: dict[str, int] | None = None,
    reason: AdjustmentReason = AdjustmentReason.CORRECTION,
    supply_id: str = "",
    when: When = NOW,
) -> inventory.InventoryAdjusted:
    """Signed changes by SKU."""
    changes = [inventory.AdjustedItem(sku=s, delta=d) for s, d in (items or {"S1": 1}).items()]
    data = inventory.Adjustment(items=changes, reason=reason, supply_id=supply_id)
    return inventory.InventoryAdjusted(data=data, **when.envelope(node_id))


def received(
    supply_id: str, node_id: str = "A", items: dict[str, int] | None = None, when: When = NOW
) -> inventory.InventoryAdjusted:
    """Planned supply came in."""
    return adjusted(node_id, items, AdjustmentReason.RECEIPT, supply_id, when)


def supply(
    supply_id: str = "p-1",
    node_id: str = "A",
    items: dict[str, int] | None = None,
    due: float = 7 * DAY,
    when: When = NOW,
) -> inventory.SupplyPlanned:
    """Units by SKU that will come."""
    coming = [inventory.SupplyItem(sku=s, qty=q) for s, q in (items or {"S1": 10}).items()]
    data = inventory.Supply(node=node_id, due_at=instant(due), items=coming)
    return inventory.SupplyPlanned(data=data, **when.envelope(supply_id))


def prices(
    items: dict[tuple[str, str], int], epoch: int = 1, when: When = NOW
) -> inventory.PricesPublished:
    """Shadow prices by (node, SKU)."""
    priced = [inventory.PricedItem(node=n, sku=s, price_minor=p) for (n, s), p in items.items()]
    data = inventory.Prices(epoch=epoch, items=priced)
    return inventory.PricesPublished(data=data, **when.envelope(f"epoch-{epoch}"))


# The network --------------------------------------------------------------------------------------


def node(node_id: str = "A", when: When = NOW, **fields: Any) -> network.NodeSet:
    """A node that is open and keeps ambient goods."""
    fields.setdefault("location_type", LocationType.DISTRIBUTION_CENTRE)
    return network.NodeSet(data=network.Node(**fields), **when.envelope(node_id))


def capacity(
    node_id: str = "A",
    most: int | None = None,
    measure: CapacityMeasure = CapacityMeasure.UNITS,
    day: date | None = None,
    when: When = NOW,
    **fields: Any,
) -> network.CapacitySet:
    """What a node can ship a day."""
    data = network.Capacity(capacity=most, measure=measure, day=day, **fields)
    return network.CapacitySet(data=data, **when.envelope(node_id))


def lane(
    node_id: str = "A",
    region: str = "R1",
    cost: float = 500.0,
    when: When = NOW,
    lane_id: str = "",
    **fields: Any,
) -> network.LaneSet:
    """A lane that charges ``cost`` per package of whatever weight."""
    fields.setdefault("bands", [band(base_minor=cost)])
    fields.setdefault("distance_km", 100.0)
    fields.setdefault("transit_hours", 24.0)
    fields.setdefault("mode", Mode.ROAD)
    data = network.Lane(node=node_id, region=region, **fields)
    return network.LaneSet(data=data, **when.envelope(lane_id or f"{node_id}>{region}"))


def band(**fields: float) -> network.TariffBand:
    """A tariff band."""
    return network.TariffBand(**fields)


def signal(
    region: str = "R1",
    kind: SignalKind = SignalKind.WEATHER,
    severity: float = 1.0,
    when: When = NOW,
    lasts: float = DAY,
) -> network.SignalObserved:
    """Something outside, from its event time on for ``lasts`` seconds."""
    data = network.Signal(
        kind=kind, severity=severity, starts_at=instant(when.at), ends_at=instant(when.at + lasts)
    )
    return network.SignalObserved(data=data, **when.envelope(region))


ALL_CLASSES = list(TempClass)


# Work ---------------------------------------------------------------------------------------------


def _work(node_id: str, lines: dict[int, int] | None, blocking: bool = True) -> work.Work:
    said = [work.WorkLine(line_no=n, qty=q) for n, q in (lines or {}).items()]
    return work.Work(node=node_id, lines=said, blocking=blocking)


def handed_over(
    order_id: str = "o-1",
    node_id: str = "A",
    lines: dict[int, int] | None = None,
    when: When = NOW,
) -> work.WorkHandedOver:
    """The carrier has the package; no lines: all that the order has at the node."""
    return work.WorkHandedOver(data=_work(node_id, lines), **when.envelope(order_id))


def rejected(
    order_id: str = "o-1",
    node_id: str = "A",
    lines: dict[int, int] | None = None,
    when: When = NOW,
    *,
    blocking: bool = True,
) -> work.WorkRejected:
    """The node refuses."""
    return work.WorkRejected(data=_work(node_id, lines, blocking), **when.envelope(order_id))


def timed_out(
    order_id: str = "o-1",
    node_id: str = "A",
    when: When = NOW,
    *,
    blocking: bool = True,
) -> work.WorkTimedOut:
    """The node did not answer."""
    return work.WorkTimedOut(data=_work(node_id, None, blocking), **when.envelope(order_id))


def short_picked(
    order_id: str = "o-1",
    node_id: str = "A",
    lines: dict[int, int] | None = None,
    when: When = NOW,
) -> work.WorkShortPicked:
    """Units that were not found."""
    return work.WorkShortPicked(data=_work(node_id, lines), **when.envelope(order_id))


def accepted(
    order_id: str = "o-1",
    node_id: str = "A",
    lines: dict[int, int] | None = None,
    when: When = NOW,
) -> work.WorkAccepted:
    """The node takes the work."""
    return work.WorkAccepted(data=_work(node_id, lines), **when.envelope(order_id))


def picked(
    order_id: str = "o-1",
    node_id: str = "A",
    lines: dict[int, int] | None = None,
    when: When = NOW,
) -> work.WorkPicked:
    """The units are off the shelf."""
    return work.WorkPicked(data=_work(node_id, lines), **when.envelope(order_id))


def packed(
    order_id: str = "o-1",
    node_id: str = "A",
    lines: dict[int, int] | None = None,
    when: When = NOW,
) -> work.WorkPacked:
    """The package is closed."""
    return work.WorkPacked(data=_work(node_id, lines), **when.envelope(order_id))


# Wishes -------------------------------------------------------------------------------------------


def reviewed(
    order_id: str = "o-1",
    verdict: Verdict = Verdict.ROUTE,
    node_id: str = "",
    when: When = NOW,
) -> reviews.ReviewDecided:
    """A person decides."""
    data = reviews.Review(verdict=verdict, node=node_id, reviewer="r-1")
    return reviews.ReviewDecided(data=data, **when.envelope(order_id))


def reroute_wanted(
    order_id: str = "o-1",
    node_id: str = "",
    reason: RerouteReason = RerouteReason.R_OPERATOR,
    when: When = NOW,
    *,
    blocking: bool = False,
) -> reviews.RerouteRequested:
    """Somebody wants the order decided again."""
    data = reviews.Reroute(reason=reason, node=node_id, blocking=blocking)
    return reviews.RerouteRequested(data=data, **when.envelope(order_id))


def proposed(
    order_id: str = "o-1",
    packages: Mapping[str, Sequence[int]] | None = None,
    decision: int = 0,
    when: When = NOW,
) -> reviews.PlanProposed:
    """Nodes and the line numbers that each is to ship; none: what it can."""
    parts = [
        reviews.ProposedPackage(node=name, lines=list(lines))
        for name, lines in (packages or {"B": []}).items()
    ]
    data = reviews.Proposal(decision=decision, computed_at=decision, packages=parts)
    return reviews.PlanProposed(data=data, **when.envelope(order_id))


# Control ------------------------------------------------------------------------------------------


def tick(
    seconds: float, process: str = "ingest-0", when: When | None = None, *, retired: bool = False
) -> control.ClockTicked:
    """An ingest process has consumed its inputs up to so many seconds after ``START``."""
    envelope = (when or When(seconds)).envelope(process)
    return control.ClockTicked(data=control.Tick(at=instant(seconds), retired=retired), **envelope)


def policy(document: str | Policy, when: When = NOW) -> control.PolicyActivated:
    """A policy is activated, given as YAML or as the policy itself."""
    text = document if isinstance(document, str) else document.model_dump_json()
    return control.PolicyActivated(
        data=control.PolicyActivation(document=text), **when.envelope("policy")
    )


def model(sha256: str = "0" * 64, when: When = NOW) -> control.ModelActivated:
    """A model is activated."""
    return control.ModelActivated(
        data=control.ModelActivation(sha256=sha256), **when.envelope("model")
    )


# The journal and the fold -------------------------------------------------------------------------


def named(*events: Event, first: int = 0) -> list[Event]:
    """The events, each with an id of its own if it has none yet."""
    return [
        msgspec.structs.replace(event, id=f"e-{position}") if event.id == UNNAMED else event
        for position, event in enumerate(events, start=first)
    ]


def journal(*events: Event, first: int = 0, partition: int = 0) -> Slice:
    """Records in log order, each through the codec, from position ``first`` on."""
    decoded = []
    for position, event in enumerate(named(*events, first=first), start=first):
        result = decode_line(encode_event(event), position)
        assert not isinstance(result, Refusal), result
        decoded.append(result)
    return to_slice(decoded, partition, first)


class Rows:
    """What a log caused: the rows of every table, in (position, index) order."""

    def __init__(self, effects: Iterable[Effects]) -> None:
        held: dict[Table, list[Row]] = {t: [] for t in SCHEMAS}
        for effect in effects:
            for table, rows in effect.tables.items():
                held[table].extend(typed(table, rows).to_pylist())
        self.tables = {t: sorted(rows, key=cause_of) for t, rows in held.items()}

    @property
    def decisions(self) -> list[Row]:
        """Decisions, in order."""
        return self.tables[Table.DECISIONS]

    @property
    def allocations(self) -> list[Row]:
        """The allocation ledger, in order."""
        return self.tables[Table.ALLOCATIONS]

    @property
    def exceptions(self) -> list[Row]:
        """Exceptions, in order."""
        return self.tables[Table.EXCEPTIONS]

    @property
    def dead_letters(self) -> list[Row]:
        """Dead letters, in order."""
        return self.tables[Table.DEAD_LETTERS]

    @property
    def stock(self) -> list[Row]:
        """Published stock, in order."""
        return self.tables[Table.STOCK]

    def decision(self, order_id: str = "o-1") -> Row:
        """The last decision about the order."""
        return [d for d in self.decisions if d["order_id"] == order_id][-1]

    def outcomes(self, order_id: str = "o-1") -> list[str]:
        """Outcomes of all decisions about the order."""
        return [d["outcome"] for d in self.decisions if d["order_id"] == order_id]

    def codes(self) -> list[str]:
        """Codes of all exceptions."""
        return [e["code"] for e in self.exceptions]

    def reasons(self) -> list[str]:
        """Reasons of all dead letters."""
        return [d["reason"] for d in self.dead_letters]

    def excluded(self, node_no: int, order_id: str = "o-1") -> int:
        """Why the last decision about the order did not consider a node."""
        return int(self.decision(order_id)["exclusions"][node_no])

    def held(self) -> dict[tuple[str, int, str], int]:
        """Units reserved at the end by (order, line, node)."""
        signs = {"placed": 1, "released": -1, "consumed": -1}
        units: dict[tuple[str, int, str], int] = {}
        for row in self.allocations:
            key = (row["order_id"], row["line_no"], row["node"])
            units[key] = units.get(key, 0) + signs.get(row["event"], 0) * row["qty"]
        return {key: qty for key, qty in units.items() if qty}


def cause_of(row: Row) -> tuple[int, int]:
    """The place of a row in the log's effects."""
    return row["position"], row.get("index", 0)


def typed(table: Table, rows: pa.Table) -> pa.Table:
    """The rows with plain columns, as the lake has them."""
    return rows.cast(SCHEMAS[table])


def rules_only(sha256: str) -> Scorer:
    """No log of these tests activates a model."""
    raise AssertionError(f"model {sha256} was activated")


def effects_of(
    piece: Slice, borders: Sequence[int] = (), state: RouteState | None = None
) -> list[Effects]:
    """Advance over the slice, cut at these rows."""
    state = RouteState(piece.partition) if state is None else state
    cuts = [0, *borders, len(piece)]
    return [
        advance(state, piece.cut(a, b), rules_only) for a, b in itertools.pairwise(cuts) if a < b
    ]


def route(*events: Event, cut: int = 0) -> Rows:
    """What the records cause, in slices of ``cut`` (0: all at once)."""
    piece = journal(*events)
    return Rows(effects_of(piece, range(cut, len(piece), cut) if cut else ()))
