"""A slice's records of one network as numbers: the step from Arrow to the kernels.

Names become codes here. Nodes and a node's own customers are known only through ``node.set``, so they
are looked up and never added; all other names are added when they are first seen.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.heap import Heap, Slot
from models.intake.columns import instants, numbers, wanted
from models.ledger.names import Names, string_buffers
from models.ledger.window import hash_pairs
from models.routing.arrays import ITEM, RECORD, Field
from models.routing.codes import HAZMAT_BIT
from schemas.codes import PaymentState, RerouteReason, TempClass, Trigger, Verdict
from schemas.kinds import Kind
from schemas.slices import Slice

_TEMP_CLASSES, _PAYMENTS, _VERDICTS, _REASONS = Names(), Names(), Names(), Names()
_TEMP_CLASSES.intern(pa.array([t.value for t in TempClass]))
_PAYMENTS.intern(pa.array([p.value for p in PaymentState]))
_VERDICTS.intern(pa.array([v.value for v in Verdict]))
_REASONS.intern(pa.array([r.value for r in RerouteReason]))
WORK_KINDS = tuple(Kind(k) for k in range(Kind.WORK_ACCEPTED, Kind.WORK_HANDED_OVER + 1))
ORDER_KINDS = (Kind.ORDER_RECEIVED, Kind.ORDER_AMENDED)
Ints = npt.NDArray[np.int64]


class Encoder:
    """Fills the columns of a batch, kind by kind."""

    def __init__(self, names: Mapping[str, Names], piece: Slice) -> None:
        self.names = names
        self.piece = piece
        n = len(piece)
        self.fields = np.full((n, len(Field)), -1, np.int64)
        self.order = np.full(n, -1, np.int32)
        self.counts = np.zeros(n, np.int64)
        self.pending: list[
            tuple[npt.NDArray[np.intp], Ints, dict[str, npt.NDArray[np.generic]]]
        ] = []

    def put_into(self, heap: Heap, clock: Ints) -> None:
        """Put the records, the clock at each, their fields and their lines into the heap."""
        for code in np.unique(self.piece.kinds):
            kind = Kind(int(code))
            encode = _ENCODERS.get(kind)
            if encode is not None:
                rows, data = self.piece.of_kind(kind)
                encode(self, rows, data, self._subjects(rows))
        n, envelope = len(self.piece), self.piece.envelope
        keys = self.keys_of(self.piece)
        records = np.zeros(n + 1, RECORD)
        np.cumsum(self.counts, out=records["first_line"][1:])
        records["position"][:n] = self.piece.positions
        records["event_time"][:n] = instants(envelope["time"])
        records["record_time"][:n] = instants(envelope["recordedtime"])
        records["clock"][:n] = clock
        records["key_a"][:n], records["key_b"][:n] = keys[:, 0], keys[:, 1]
        records["order"][:n], records["kind"][:n] = self.order, self.piece.kinds
        heap.put(Slot.RECORDS, records)
        heap.put(Slot.FIELDS, self.fields)
        heap.put(Slot.ITEMS, self._items(records["first_line"]))

    @staticmethod
    def keys_of(piece: Slice) -> npt.NDArray[np.uint64]:
        """(n, 2) keys of (source, id), for telling repeats."""
        keys = np.empty((len(piece), 2), np.uint64)
        source, identity = piece.envelope["source"], piece.envelope["id"]
        hash_pairs(*string_buffers(source), *string_buffers(identity), keys)
        return keys

    def _subjects(self, rows: npt.NDArray[np.intp]) -> pa.StringArray:
        subjects = self.piece.envelope["subject"]
        return subjects if len(rows) == len(self.piece) else subjects.take(pa.array(rows))

    def add_lines(
        self, rows: npt.NDArray[np.intp], column: pa.ListArray, **parts: npt.NDArray[np.generic]
    ) -> None:
        """Keep the child rows of a list column for the batch's lines."""
        self.add_items(rows, np.diff(column.offsets.to_numpy()).astype(np.int64), **parts)

    def add_items(
        self, rows: npt.NDArray[np.intp], counts: Ints, **parts: npt.NDArray[np.generic]
    ) -> None:
        """Keep child rows, so many for each record, for the batch's lines."""
        self.counts[rows] = counts
        self.pending.append((rows, counts, parts))

    def _items(self, first: Ints) -> npt.NDArray[Any]:
        """All lines in record order, whatever kind they came from."""
        items = np.zeros(int(first[-1]), ITEM)
        for rows, counts, parts in self.pending:
            starts = np.cumsum(counts) - counts
            places = np.repeat(first[rows] - starts, counts) + np.arange(int(counts.sum()))
            for name, values in parts.items():
                items[name][places] = values
        return items

    def put(
        self, rows: npt.NDArray[np.intp], field: Field, values: npt.NDArray[np.generic]
    ) -> None:
        """One field of some records."""
        self.fields[rows, field] = values


def _orders(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    e.order[rows] = e.names["orders"].intern(subjects)
    e.put(rows, Field.REGION, e.names["regions"].intern(data["region"]))
    e.put(rows, Field.REVISION, numbers(data["revision"]))
    e.put(rows, Field.CHANNEL, e.names["channels"].intern(data["channel"]))
    e.put(rows, Field.PRIORITY, numbers(data["priority"]))
    e.put(rows, Field.NO_SPLIT, numbers(data["no_split"]))
    e.put(rows, Field.PAYMENT, _PAYMENTS.find(data["payment"]))
    e.put(rows, Field.REQUESTED_BY, instants(data["requested_by"]))
    e.put(rows, Field.REQUESTED_FROM, instants(data["requested_from"]))
    e.put(rows, Field.TIER, e.names["tiers"].intern(data["tier"]))
    e.put(rows, Field.CARRIER, _optional(e.names["carriers"], data["carrier"]))
    e.put(rows, Field.SERVICE, _optional(e.names["services"], data["service"]))
    e.put(rows, Field.CUSTOMER, e.names["customers"].find(data["customer"]))
    e.put(rows, Field.TOKEN, _optional(e.names["tokens"], data["customer"]))
    e.put(rows, Field.CURRENCY, e.names["currencies"].intern(data["currency"]))
    e.put(rows, Field.WANTS, wanted(data))
    items = data["lines"].flatten()
    e.put(rows, Field.VALUE, _values(data["lines"], items))
    hazmat = numbers(items.field("hazmat")) * HAZMAT_BIT
    e.add_lines(
        rows,
        data["lines"],
        sku=e.names["skus"].intern(items.field("sku")),
        qty=numbers(items.field("qty")),
        number=numbers(items.field("line_no")),
        weight_g=numbers(items.field("weight_g")),
        volume_cm3=numbers(items.field("volume_cm3")),
        needs=(1 << _TEMP_CLASSES.find(items.field("temp_class"))) | hazmat,
    )


def _values(column: pa.ListArray, items: pa.StructArray) -> Ints:
    """What the goods of each order are worth, in minor units."""
    worth = numbers(items.field("unit_price_minor")) * numbers(items.field("qty"))
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(worth)])
    bounds = column.offsets.to_numpy() - column.offsets[0].as_py()
    values: Ints = np.diff(sums[bounds])
    return values


def _cancellations(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    e.order[rows] = e.names["orders"].intern(subjects)
    items = data["lines"].flatten()
    e.put(rows, Field.FLAG, (np.diff(data["lines"].offsets.to_numpy()) == 0).astype(np.int64))
    e.add_lines(
        rows,
        data["lines"],
        qty=numbers(items.field("qty")),
        number=numbers(items.field("line_no")),
    )


def _payments(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    e.order[rows] = e.names["orders"].intern(subjects)
    e.put(rows, Field.PAYMENT, _PAYMENTS.find(data["state"]))


def _returns(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    items = data["items"].flatten()
    e.put(rows, Field.NODE, e.names["nodes"].find(data["node"]))
    e.add_lines(
        rows,
        data["items"],
        sku=e.names["skus"].intern(items.field("sku")),
        qty=numbers(items.field("qty")),
        safety=numbers(items.field("restock")),
    )


def _counts(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    items = data["items"].flatten()
    e.put(rows, Field.NODE, e.names["nodes"].find(subjects))
    e.add_lines(
        rows,
        data["items"],
        sku=e.names["skus"].intern(items.field("sku")),
        qty=numbers(items.field("on_hand")),
        safety=numbers(items.field("safety_stock")),
    )


def _adjustments(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    items = data["items"].flatten()
    e.put(rows, Field.NODE, e.names["nodes"].find(subjects))
    e.put(rows, Field.NAME, _optional(e.names["supplies"], data["supply_id"]))
    e.add_lines(
        rows,
        data["items"],
        sku=e.names["skus"].intern(items.field("sku")),
        qty=numbers(items.field("delta")),
    )


def _supplies(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    items = data["items"].flatten()
    e.put(rows, Field.NODE, e.names["nodes"].find(data["node"]))
    e.put(rows, Field.NAME, e.names["supplies"].intern(subjects))
    e.put(rows, Field.REQUESTED_BY, instants(data["due_at"]))
    e.add_lines(
        rows,
        data["items"],
        sku=e.names["skus"].intern(items.field("sku")),
        qty=numbers(items.field("qty")),
    )


def _work(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    items = data["lines"].flatten()
    e.order[rows] = e.names["orders"].intern(subjects)
    e.put(rows, Field.NODE, e.names["nodes"].find(data["node"]))
    e.put(rows, Field.FLAG, numbers(data["blocking"]))
    e.add_lines(
        rows,
        data["lines"],
        qty=numbers(items.field("qty")),
        number=numbers(items.field("line_no")),
    )


def _reviews(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    e.order[rows] = e.names["orders"].intern(subjects)
    e.put(rows, Field.WISH, _VERDICTS.find(data["verdict"]))
    e.put(rows, Field.NODE, e.names["nodes"].find(data["node"]))


def _wishes(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    e.order[rows] = e.names["orders"].intern(subjects)
    triggers = np.array([Trigger[reason.value] for reason in RerouteReason], np.int64)
    e.put(rows, Field.WISH, triggers[_REASONS.find(data["reason"])])
    e.put(rows, Field.NODE, e.names["nodes"].find(data["node"]))
    offsets, _ = string_buffers(data["node"])
    named = (np.diff(offsets) > 0).astype(np.int64)
    e.put(rows, Field.FLAG, numbers(data["blocking"]) + 2 * named)


def _proposals(
    e: Encoder, rows: npt.NDArray[np.intp], data: pa.RecordBatch, subjects: pa.StringArray
) -> None:
    e.order[rows] = e.names["orders"].intern(subjects)
    e.put(rows, Field.DECISION, numbers(data["decision"]))
    nodes, lines, places, counts = [], [], [], []
    for packages in data["packages"].to_pylist():  # proposals are few
        counts.append(0)
        for place, package in enumerate(packages):
            for number in package["lines"] or [0]:
                nodes.append(package["node"])
                lines.append(number)
                places.append(place)
                counts[-1] += 1
    e.add_items(
        rows,
        np.array(counts, np.int64),
        sku=e.names["nodes"].find(pa.array(nodes, pa.string())),
        number=np.array(lines, np.int64),
        qty=np.array(places, np.int64),
    )


_Encode = Callable[[Encoder, npt.NDArray[np.intp], pa.RecordBatch, pa.StringArray], None]
_ENCODERS: dict[Kind, _Encode] = {
    **dict.fromkeys(ORDER_KINDS, _orders),
    Kind.ORDER_CANCELLED: _cancellations,
    Kind.PAYMENT_UPDATED: _payments,
    Kind.RETURN_RECEIVED: _returns,
    Kind.INVENTORY_COUNTED: _counts,
    Kind.INVENTORY_ADJUSTED: _adjustments,
    Kind.SUPPLY_PLANNED: _supplies,
    **dict.fromkeys(WORK_KINDS, _work),
    Kind.REVIEW_DECIDED: _reviews,
    Kind.REROUTE_REQUESTED: _wishes,
    Kind.PLAN_PROPOSED: _proposals,
}


def _optional(names: Names, column: pa.StringArray) -> npt.NDArray[np.int32]:
    """Codes of the names, -1 where the column is empty."""
    codes = names.intern(column)
    offsets, _ = string_buffers(column)
    return np.where(np.diff(offsets) > 0, codes, -1).astype(np.int32)
