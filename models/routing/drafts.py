"""Effects as the walk left them: numbers, and what they stand for.

They become columns when somebody wants columns: the lake, once for all slices of a commit. Public
records are made of the numbers at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.intake.columns import Wants
from models.ledger.names import Names
from models.routing.arrays import COSTS, MADE_WIDTH, PLANS, Dead, Event, Made, Move, Raised
from models.routing.rows import ArrowRows, FixedWords, Ints, Medium, PlainRows
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
from schemas.kinds import Kind
from schemas.tables import SCHEMAS, Table

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


def _members(kind: type[IntEnum]) -> FixedWords:
    names = [""] * (max(kind) + 1)
    for member in kind:
        names[member] = member.name
    return FixedWords(names)


_KINDS, _TRIGGERS, _OUTCOMES = map(_members, (DecisionKind, Trigger, Outcome))
_SELECTIONS, _HOLDS, _CODES = map(_members, (Selection, HoldReason, ExceptionCode))
_REASONS = _members(DeadLetterReason)
_EVENTS = FixedWords([event.name.lower() for event in Event])
_TAGS = FixedWords([kind.tag for kind in Kind])
_SEVERITIES = FixedWords(
    [
        severity_of(ExceptionCode(code)).value if code in list(ExceptionCode) else ""
        for code in range(max(ExceptionCode) + 1)
    ]
)
_DETAILS = {
    DeadLetterReason.CONFLICTING_ORDER: "same revision with other content; the first one stands",
    DeadLetterReason.UNKNOWN_ORDER: "no such order was received",
    DeadLetterReason.UNKNOWN_LINE: "the order has none of the lines named",
    DeadLetterReason.QUANTITY_OVERFLOW: "more units than a cell can hold",
    DeadLetterReason.UNKNOWN_NODE: "no node.set declared the node",
    DeadLetterReason.MORE_THAN_RESERVED: "the order has no units at the node",
}
_PLAIN = ("order_id", "subject", "detail")
"""Strings that hardly repeat; all others are dictionary-encoded."""


class Published(IntEnum):
    """Columns of a cell of stock that is published."""

    POSITION = 0
    INDEX = 1
    NODE = 2
    SKU = 3
    ON_HAND = 4
    RESERVED = 5
    SAFETY = 6
    AVAILABLE = 7
    AT = 8


Arrays = Mapping[str, npt.NDArray[Any]]


class Meaning(NamedTuple):
    """What the numbers of a draft stand for. Names are only ever added to, so that codes stay true."""

    partition: int
    tenant: str
    network: str
    policy_version: str
    factor_set: str
    model_sha256: str
    price_epoch: int
    width: int  # of the exclusions
    orders: Names
    customers: Names
    regions: Names
    channels: Names
    tiers: Names
    currencies: Names
    nodes: Names
    lanes: Names
    skus: Names


@dataclass(slots=True)
class Draft:
    """Some effects of one network.

    Attributes:
        meaning: of the numbers.
        arrays: by name, copies of the walk's outputs, see the openers in ``arrays.py``: ``made`` with
            ``said``, ``exclusions``, ``plan_sizes``, ``plan_nodes`` and ``plan_lanes``; ``moves``;
            ``raised``; ``dead`` with ``subjects``; ``stock``, columns as in ``Published``.
        rows: that come as values: position, table, value by column.
    """

    meaning: Meaning
    arrays: Arrays
    rows: Sequence[tuple[int, Table, Mapping[str, object]]] = field(default=())

    def count(self, table: Table) -> int:
        """Number of its rows in a table."""
        given = sum(of is table for _, of, _ in self.rows)
        return given + (len(self.arrays[_ARRAY[table]]) if _ARRAY.get(table) in self.arrays else 0)

    def first(self) -> int:
        """Lowest position of a row."""
        firsts = [int(self.arrays[name][0, 0]) for name in _ARRAY.values() if name in self.arrays]
        return min(firsts + [position for position, _, _ in self.rows])

    def causes(self) -> Iterable[Ints]:
        """(n, 2) position and index, to be changed in place."""
        return [self.arrays[name][:, :2] for name in _ARRAY.values() if name in self.arrays]

    def plain(self, table: Table, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
        """Some columns of what the walk said, row by row, as values that JSON can take."""
        array = self.arrays.get(_ARRAY[table])
        if array is None:
            return ()
        columns = _LAYOUT[table](PlainRows(array), self.arrays, self.meaning)
        by_name = dict(zip(SCHEMAS[table].names, columns, strict=True))
        return zip(*(by_name[name] for name in names), strict=True)

    def tables(self, later: "Sequence[Draft]") -> Mapping[Table, list[pa.Table]]:
        """Its rows and those of later drafts, those of one meaning together."""
        alike: dict[Meaning, list[Draft]] = {}
        found: dict[Table, list[pa.Table]] = {}
        for draft in (self, *later):
            alike.setdefault(draft.meaning, []).append(draft)
        for meaning, drafts in alike.items():
            arrays = _joined(drafts)
            for table, name in _ARRAY.items():
                if name in arrays:
                    columns = _LAYOUT[table](ArrowRows(arrays[name]), arrays, meaning)
                    found.setdefault(table, []).append(_table(table, columns))
            given: dict[Table, list[Mapping[str, object]]] = {}
            for _, table, row in chain.from_iterable(draft.rows for draft in drafts):
                given.setdefault(table, []).append(row)
            for table, rows in given.items():
                found.setdefault(table, []).append(_table(table, _given(table, rows)))
        return found


def _joined(drafts: Sequence[Draft]) -> Arrays:
    if len(drafts) == 1:
        return drafts[0].arrays
    parts: dict[str, list[npt.NDArray[Any]]] = {}
    for draft in drafts:
        for name, array in draft.arrays.items():
            parts.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _table(table: Table, columns: Sequence[pa.Array]) -> pa.Table:
    return pa.Table.from_arrays(columns, names=SCHEMAS[table].names)


def _given(table: Table, rows: Sequence[Mapping[str, object]]) -> list[pa.Array]:
    columns = []
    for column in SCHEMAS[table]:
        values = pa.array([row.get(column.name) for row in rows], column.type)
        is_coded = column.type == pa.string() and column.name not in _PLAIN
        columns.append(values.dictionary_encode() if is_coded else values)
    return columns


def _cause(rows: Medium, meaning: Meaning, position: int, index: int) -> list[Any]:
    """The columns that every table begins with."""
    return [
        rows.same(meaning.partition, pa.int32()),
        rows.int64(position),
        rows.int32(index),
        rows.same(meaning.tenant),
        rows.same(meaning.network),
    ]


def _decisions(made: Medium, arrays: Arrays, meaning: Meaning) -> list[Any]:
    nodes, lanes = meaning.nodes, meaning.lanes
    sizes, said = arrays["plan_sizes"], arrays["said"]
    green = made[Made.GREEN_LANE] >= 0
    plans = [
        [
            made.lists(arrays["plan_nodes"][:, plan], sizes[:, plan], nodes),
            *map(made.int64, range(first, first + COSTS)),
        ]
        for plan, first in zip(range(PLANS), range(Made.COSTS, MADE_WIDTH, COSTS), strict=True)
    ]
    return [
        *_cause(made, meaning, Made.POSITION, Made.INDEX),
        made.once(Made.ORDER, meaning.orders),
        made.int32(Made.REVISION),
        made.words(Made.KIND, _KINDS),
        made.words(Made.TRIGGER, _TRIGGERS),
        made.words(Made.OUTCOME, _OUTCOMES),
        made.words(Made.SELECTION, _SELECTIONS),
        made.words(Made.HOLD, _HOLDS),
        made.instants(Made.AT),
        made.same(meaning.policy_version),
        made.same(meaning.model_sha256),
        made.same(meaning.price_epoch, pa.int64()),
        made.words(Made.REGION, meaning.regions),
        made.words(Made.CHANNEL, meaning.channels),
        made.once(Made.CUSTOMER, meaning.customers),
        made.words(Made.TIER, meaning.tiers),
        made.words(Made.CURRENCY, meaning.currencies),
        made.int64(Made.VALUE),
        *(made.given(made[Made.WANTS] & want != 0) for want in Wants),
        made.int32(Made.LINES),
        *map(made.int64, range(Made.ORDERED, Made.WEIGHT + 1)),
        plans[0][0],
        made.lists(arrays["plan_lanes"], sizes[:, 0], lanes),
        made.instants(Made.PROMISE),
        made.instants(Made.DUE),
        made.instants(Made.REQUESTED),
        made.instants(Made.FIRST_PROMISE),
        made.instants(Made.LATEST_PROMISE),
        made.int32(Made.ATTEMPTS),
        made.int64(Made.PRIORITY),
        made.int32(Made.PARCELS),
        *plans[0][1:],
        made.int64(Made.CARBON),
        made.same(meaning.factor_set),
        made.words(Made.GREEN_LANE, lanes),
        *(made.optional(column, green) for column in (Made.GREEN_CARBON, Made.GREEN_TOTAL)),
        made.optional(Made.GREEN_MINUTES, green),
        made.optional(Made.DOOR_MINUTES, sizes[:, 0] > 0),
        *(made.given(said[:, quantity]) for quantity in (0, 1, 3, 2)),
        made.given(made[Made.OUT_OF_RANGE] != 0),
        *plans[1],
        *plans[2],
        made.optional(Made.MARGIN, made[Made.HAS_MARGIN] != 0),
        made.bytes_each(arrays["exclusions"]),
    ]


def _moves(moves: Medium, _arrays: Arrays, meaning: Meaning) -> list[Any]:
    return [
        *_cause(moves, meaning, Move.POSITION, Move.INDEX),
        moves.once(Move.ORDER, meaning.orders),
        moves.int64(Move.LINE_NO),
        moves.words(Move.SKU, meaning.skus),
        moves.words(Move.NODE, meaning.nodes),
        moves.words(Move.LANE, meaning.lanes),
        moves.words(Move.EVENT, _EVENTS),
        moves.int64(Move.QTY),
        moves.dates(Move.DAY),
        moves.instants(Move.SHIP_BY),
    ]


def _exceptions(raised: Medium, _arrays: Arrays, meaning: Meaning) -> list[Any]:
    nothing = np.full(
        len(raised), None, object
    )  # the router's exceptions are events: they do not last
    return [
        *_cause(raised, meaning, Raised.POSITION, Raised.INDEX),
        raised.words(Raised.CODE, _CODES),
        raised.words(Raised.CODE, _SEVERITIES),
        raised.once(Raised.ORDER, meaning.orders),
        raised.words(Raised.NODE, meaning.nodes),
        raised.words(Raised.SKU, meaning.skus),
        raised.int64(Raised.QTY),
        raised.instants(Raised.AT),
        raised.given(nothing, pa.string()),
        raised.given(nothing, pa.string()),
        raised.given(nothing, pa.int64()),
    ]


def _dead(dead: Medium, arrays: Arrays, meaning: Meaning) -> list[Any]:
    subjects = arrays["subjects"]
    reasons = [DeadLetterReason(code) for code in dead[Dead.REASON].tolist()]
    details = [f"{s}: {_DETAILS[r]}" for s, r in zip(subjects, reasons, strict=True)]
    return [
        *_cause(dead, meaning, Dead.POSITION, Dead.INDEX),
        dead.words(Dead.KIND, _TAGS),
        dead.given(subjects, pa.string()),
        dead.words(Dead.REASON, _REASONS),
        dead.given(np.array(details, object), pa.string()),
        dead.instants(Dead.AT),
        dead.given(np.full(len(dead), None), pa.binary()),
    ]


def _stock(stock: Medium, _arrays: Arrays, meaning: Meaning) -> list[Any]:
    return [
        *_cause(stock, meaning, Published.POSITION, Published.INDEX),
        stock.words(Published.NODE, meaning.nodes),
        stock.words(Published.SKU, meaning.skus),
        *map(stock.int64, range(Published.ON_HAND, Published.AVAILABLE + 1)),
        stock.instants(Published.AT),
    ]


_ARRAY = {
    Table.DECISIONS: "made",
    Table.ALLOCATIONS: "moves",
    Table.EXCEPTIONS: "raised",
    Table.DEAD_LETTERS: "dead",
    Table.STOCK: "stock",
}
_LAYOUT: Mapping[Table, Callable[[Medium, Arrays, Meaning], list[Any]]] = {
    Table.DECISIONS: _decisions,
    Table.ALLOCATIONS: _moves,
    Table.EXCEPTIONS: _exceptions,
    Table.DEAD_LETTERS: _dead,
    Table.STOCK: _stock,
}
