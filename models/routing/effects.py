"""Effects as numbers become effects as rows: codes back to names, a column at a time.

Arrow arrays share memory with the NumPy arrays they are made of, and the outputs are written again for
the next stretch: so everything that comes from them is copied here, once.
"""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.heap import Heap, Slot
from models.ledger.names import Names
from models.ledger.stock import take_changed
from models.routing.arrays import (
    COSTS,
    MAX_PACKAGES,
    PLANS,
    Count,
    Dead,
    Event,
    Made,
    Move,
    Raised,
)
from models.routing.network import Network
from models.routing.state import NO_TIME
from schemas.codes import (
    DeadLetterReason,
    DecisionKind,
    ExceptionCode,
    HoldReason,
    Outcome,
    Selection,
    Severity,
    Trigger,
)
from schemas.kinds import INSTANT, Kind
from schemas.tables import SCHEMAS, Table

Ints = npt.NDArray[np.int64]
_HIGH = (
    ExceptionCode.OVERSELL_DETECTED,
    ExceptionCode.INVENTORY_DRIFT,
    ExceptionCode.UNROUTABLE,
    ExceptionCode.CAPACITY_EXHAUSTED,
)
_INFO = (ExceptionCode.DUPLICATE_EVENT, ExceptionCode.LATE_EVENT)


def severity_of(code: ExceptionCode) -> Severity:
    """How loud an exception is."""
    if code in _HIGH:
        return Severity.HIGH
    return Severity.INFO if code in _INFO else Severity.WARN


def _words(kind: type[IntEnum]) -> pa.Array:
    names = [""] * (max(kind) + 1)
    for member in kind:
        names[member] = member.name
    return pa.array(names)


_KINDS, _TRIGGERS, _OUTCOMES = _words(DecisionKind), _words(Trigger), _words(Outcome)
_SELECTIONS, _HOLDS, _CODES = _words(Selection), _words(HoldReason), _words(ExceptionCode)
_REASONS = _words(DeadLetterReason)
_EVENTS = pa.array([e.name.lower() for e in Event])
_SEVERITIES = pa.array(
    [
        severity_of(ExceptionCode(i)).value if i in list(ExceptionCode) else ""
        for i in range(max(ExceptionCode) + 1)
    ]
)
_TAGS = pa.array([k.tag for k in Kind])
_PLAIN = ("order_id", "subject", "detail")
"""Strings that hardly repeat; all others are dictionary-encoded."""


def coded(codes: npt.NDArray[np.generic], words: pa.Array) -> pa.Array:
    """Words by their number; null for a negative one."""
    indexes = np.ascontiguousarray(codes, np.int32)
    mask = indexes < 0
    return pa.DictionaryArray.from_arrays(
        pa.array(indexes, mask=mask if mask.any() else None), words, safe=False
    )


def _order_ids(names: Names, codes: Ints) -> pa.Array:
    if (codes >= 0).all():
        return names.take(codes.astype(np.int32))
    known = (
        names.take(np.maximum(codes, 0).astype(np.int32))
        if len(names)
        else pa.nulls(len(codes), pa.string())
    )
    return known.take(pa.array(np.where(codes >= 0, np.arange(len(codes)), -1), mask=codes < 0))


def _times(values: Ints) -> pa.Array:
    empty = values == NO_TIME
    raw = pa.array(np.ascontiguousarray(values), pa.int64(), mask=empty if empty.any() else None)
    return raw.cast(INSTANT)


def _constant(text: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([text]))


def _cause(
    partition: int, positions: Ints, indexes: Ints, scope: tuple[str, str]
) -> list[pa.Array]:
    n = len(positions)
    return [
        pa.array(np.full(n, partition, np.int32)),
        pa.array(np.ascontiguousarray(positions)),
        pa.array(indexes.astype(np.int32)),
        _constant(scope[0], n),
        _constant(scope[1], n),
    ]


def _lists(codes: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32], words: pa.Array) -> pa.Array:
    """A list column of names from a padded (n, MAX_PACKAGES) matrix and its row lengths."""
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    inside = np.arange(MAX_PACKAGES)[None, :] < sizes[:, None]
    return pa.ListArray.from_arrays(pa.array(offsets), coded(codes[inside], words))


class Effects:
    """Collects the effects of one network over a slice."""

    def __init__(self, network: Network, partition: int) -> None:
        self.network = network
        self.partition = partition
        tenant, _, name = network.key.partition("/")
        self.scope = (tenant, name)
        self._tables: dict[Table, list[pa.Table]] = {}
        self._rows: dict[Table, list[dict[str, object]]] = {}

    def take(self) -> dict[Table, list[pa.Table]]:
        """Everything that was collected."""
        for table, rows in self._rows.items():
            columns = []
            for column in SCHEMAS[table]:
                values = pa.array([row[column.name] for row in rows], column.type)
                coded_elsewhere = column.type == pa.string() and column.name not in _PLAIN
                columns.append(values.dictionary_encode() if coded_elsewhere else values)
            self._add(table, columns)
        self._rows = {}
        return self._tables

    def drain(self, subjects: pa.StringArray) -> None:
        """Turn the rows of the outputs into tables, and empty the outputs."""
        heap = self.network.heap
        decisions, moves, exceptions, dead = (int(n) for n in heap[Slot.OUT_LENGTHS])
        if decisions:
            self._add(Table.DECISIONS, self._decisions(heap, decisions))
        if moves:
            self._add(Table.ALLOCATIONS, self._moves(heap[Slot.MOVE_ROWS][:moves]))
        if exceptions:
            self._add(Table.EXCEPTIONS, self._exceptions(heap[Slot.RAISED_ROWS][:exceptions]))
        if dead:
            self._add(Table.DEAD_LETTERS, self._dead(heap[Slot.DEAD_ROWS][:dead], subjects))
        heap[Slot.OUT_LENGTHS][:] = 0

    def _add(self, table: Table, columns: list[pa.Array]) -> None:
        names = SCHEMAS[table].names
        self._tables.setdefault(table, []).append(pa.Table.from_arrays(columns, names=names))

    def _column(self, names: str, codes: npt.NDArray[np.generic]) -> pa.Array:
        """Names of the codes, as a dictionary array; null for -1."""
        return coded(codes, self.network.names[names].all())

    def _decisions(self, heap: Heap, n: int) -> list[pa.Array]:
        made, network = heap[Slot.MADE_ROWS][:n].T.copy(), self.network
        column = self._column
        nodes = network.names["nodes"].all()
        lanes = network.names["lanes"].all()
        excluded = heap[Slot.EXCLUSION_ROWS][:n]
        count, sizes = excluded.shape[1], heap[Slot.PLAN_SIZES][:n]
        offsets = pa.array((np.arange(n + 1) * count).astype(np.int32))
        plans = [
            (
                _lists(heap[Slot.PLAN_NODES][:n, p], sizes[:, p], nodes),
                made[Made.COSTS + p * COSTS :],
            )
            for p in range(PLANS)
        ]
        said = heap[Slot.SAID_ROWS][:n]
        no_margin = made[Made.HAS_MARGIN] == 0
        costs = [[pa.array(rows[c]) for c in range(COSTS)] for _, rows in plans]
        return [
            *_cause(self.partition, made[Made.POSITION], made[Made.INDEX], self.scope),
            _order_ids(network.names["orders"], made[Made.ORDER]),
            pa.array(made[Made.REVISION].astype(np.int32)),
            coded(made[Made.KIND], _KINDS),
            coded(made[Made.TRIGGER], _TRIGGERS),
            coded(made[Made.OUTCOME], _OUTCOMES),
            coded(made[Made.SELECTION], _SELECTIONS),
            coded(made[Made.HOLD], _HOLDS),
            _times(made[Made.AT]),
            _constant(network.policy.version, n),
            _constant(network.model_sha256, n),
            pa.array(np.full(n, network.counts[Count.PRICE_EPOCH], np.int64)),
            column("regions", made[Made.REGION]),
            column("channels", made[Made.CHANNEL]),
            pa.array(made[Made.LINES].astype(np.int32)),
            *(pa.array(made[m]) for m in range(Made.ORDERED, Made.WEIGHT + 1)),
            plans[0][0],
            _lists(heap[Slot.PLAN_LANES][:n], sizes[:, 0], lanes),
            _times(made[Made.PROMISE]),
            _times(made[Made.DUE]),
            *costs[0],
            pa.array(made[Made.CARBON]),
            *(pa.array(said[:, q].copy()) for q in (0, 1, 3, 2)),
            pa.array(made[Made.OUT_OF_RANGE] != 0),
            plans[1][0],
            *costs[1],
            plans[2][0],
            *costs[2],
            pa.array(made[Made.MARGIN], mask=no_margin),
            pa.ListArray.from_arrays(offsets, pa.array(excluded.reshape(-1).copy())),
        ]

    def _moves(self, rows: Ints) -> list[pa.Array]:
        moves, column = rows.T.copy(), self._column
        days = moves[Move.DAY]
        return [
            *_cause(self.partition, moves[Move.POSITION], moves[Move.INDEX], self.scope),
            _order_ids(self.network.names["orders"], moves[Move.ORDER]),
            pa.array(moves[Move.LINE_NO]),
            column("skus", moves[Move.SKU]),
            column("nodes", moves[Move.NODE]),
            column("lanes", moves[Move.LANE]),
            coded(moves[Move.EVENT], _EVENTS),
            pa.array(moves[Move.QTY]),
            pa.array(days.astype(np.int32), pa.int32(), mask=days < 0).cast(pa.date32()),
        ]

    def _exceptions(self, rows: Ints) -> list[pa.Array]:
        raised, column = rows.T.copy(), self._column
        codes = raised[Raised.CODE]
        return [
            *_cause(self.partition, raised[Raised.POSITION], raised[Raised.INDEX], self.scope),
            coded(codes, _CODES),
            coded(codes, _SEVERITIES),
            _order_ids(self.network.names["orders"], raised[Raised.ORDER]),
            column("nodes", raised[Raised.NODE]),
            column("skus", raised[Raised.SKU]),
            pa.array(raised[Raised.QTY]),
            _times(raised[Raised.AT]),
        ]

    def _dead(self, rows: Ints, subjects: pa.StringArray) -> list[pa.Array]:
        dead = rows.T.copy()
        names = [str(subjects[int(i)]) for i in dead[Dead.RECORD]]
        reasons = [DeadLetterReason(int(r)) for r in dead[Dead.REASON]]
        return [
            *_cause(self.partition, dead[Dead.POSITION], dead[Dead.INDEX], self.scope),
            coded(dead[Dead.KIND], _TAGS),
            pa.array(names, pa.string()),
            coded(dead[Dead.REASON], _REASONS),
            pa.array([f"{n}: {_DETAILS[r]}" for n, r in zip(names, reasons, strict=True)]),
            _times(dead[Dead.AT]),
            pa.nulls(len(rows), pa.binary()),
        ]

    def add_row(
        self, table: Table, position: int, index: int, values: Mapping[str, object]
    ) -> None:
        """One row given by its values; times as microseconds."""
        cause = {"partition": self.partition, "position": position, "index": index}
        scope = {"tenant": self.scope[0], "network": self.scope[1]}
        self._rows.setdefault(table, []).append({**cause, **scope, **values})

    def add_stock(self, position: int, first_index: int, at: int) -> int:
        """Publish the cells that changed; returns how many there were."""
        heap = self.network.heap
        changed = np.empty(int(heap[Slot.CELL_LENGTHS][1]), np.int32)
        take_changed(heap.addresses, changed)
        n, nodes = len(changed), heap[Slot.CELLS].shape[1]
        if not n:
            return 0
        sku, node = changed // nodes, changed % nodes
        cells = heap[Slot.CELLS][sku, node]
        on_hand, reserved = (cells[name].astype(np.int64) for name in ("on_hand", "reserved"))
        safety = heap[Slot.SAFETY][sku, node].astype(np.int64)
        positions = np.full(n, position, np.int64)
        indexes = np.arange(first_index, first_index + n, dtype=np.int64)
        self._add(
            Table.STOCK,
            [
                *_cause(self.partition, positions, indexes, self.scope),
                self._column("nodes", node),
                self._column("skus", sku),
                pa.array(on_hand),
                pa.array(reserved),
                pa.array(safety),
                pa.array(on_hand - reserved - safety),
                _times(np.full(n, at, np.int64)),
            ],
        )
        return n


_DETAILS = {
    DeadLetterReason.CONFLICTING_ORDER: "same revision with other content; the first one stands",
    DeadLetterReason.UNKNOWN_ORDER: "no such order was received",
    DeadLetterReason.UNKNOWN_LINE: "the order has none of the lines named",
    DeadLetterReason.QUANTITY_OVERFLOW: "more units than a cell can hold",
    DeadLetterReason.UNKNOWN_NODE: "no node.set declared the node",
    DeadLetterReason.MORE_THAN_RESERVED: "the order has no units at the node",
}
