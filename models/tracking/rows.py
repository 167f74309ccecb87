"""What a slice caused, as rows for the lake: the timeline, exceptions, estimates, dead letters.

What devices told is in telemetry_rows.py, what is told and done about it in answers.py.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.intake.columns import NO_TIME
from models.lifecycle.steps import Step
from models.lifecycle.transitions import NONE, phase_name
from models.tracking.arrays import (
    CODES,
    NOBODY,
    Change,
    Cursor,
    Flag,
    Ints,
    Moved,
    Raised,
    Records,
    Tables,
)
from models.tracking.encode import (
    DECISIONS,
    OFFERS,
    ORDERS,
    WORK_STEPS,
    ends_of,
    units_of,
)
from models.tracking.lane_book import LANE_WORDS
from models.tracking.places import unpacked
from models.tracking.state import TrackState
from models.tracking.verdict import severity_of
from schemas.codes import Classifier, ExceptionCode
from schemas.kinds import INSTANT, Kind
from schemas.slices import Slice
from schemas.tables import SCHEMAS, Table

Rows = npt.NDArray[np.intp]
Part = tuple[Rows, pa.Array]

_PHASES = [phase_name(code) or None for code in range(NONE + 1)]
_STEPS = [step.name for step in Step]
_CHANGES = [change.name.lower() for change in Change]
_CODES = [
    ExceptionCode(code).name if code in list(ExceptionCode) else None for code in range(CODES)
]
_SEVERITIES = [
    severity_of(code, is_loud).value for code in range(CODES) for is_loud in (False, True)
]
"""By twice the code, plus one where it was escalated."""
GEOFENCE = "crossdock/geofence"
"""Who says so where a position showed an arrival or a departure; RET: there was none after all."""
DEADLINE = "DEADLINE"
"""What a row of the timeline says where time alone has moved an order."""


class Collected:
    """Rows of one partition over a slice."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self._parts: dict[Table, list[pa.Table]] = {}

    def tables(self) -> dict[Table, pa.Table]:
        """Everything, in (position, index) order."""
        return {table: _in_order(pa.concat_tables(parts)) for table, parts in self._parts.items()}

    def add(self, table: Table, columns: Mapping[str, pa.Array], n: int) -> None:
        """Rows of a table; columns that are not given are null."""
        schema = SCHEMAS[table]
        arrays = [
            _cast(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type)
            for f in schema
        ]
        if n:
            self._parts.setdefault(table, []).append(pa.table(arrays, schema=schema))

    def drain(self, state: TrackState, piece: Slice, tables: Tables) -> None:
        """Take over exceptions and moves, and empty the outputs."""
        cursor = state.cursor
        raised = tables.raised[: cursor[Cursor.RAISED]]
        moved = tables.moved[: cursor[Cursor.MOVED]]
        cursor[[Cursor.RAISED, Cursor.MOVED]] = 0
        self.add_exceptions(state, piece, raised)
        if len(moved):
            self._add_moves(state, piece, moved)

    def add_exceptions(self, state: TrackState, piece: Slice, rows: Ints) -> None:
        """A row for each of ``Raised``."""
        if not len(rows):
            return
        codes, loud = rows[:, Raised.CODE], rows[:, Raised.LOUD]
        shown, package = rows[:, Raised.EVIDENCE], rows[:, Raised.PACKAGE]
        columns = self.about(state, piece, rows[:, Raised.RECORD], rows[:, Raised.ORDER])
        columns |= {
            "index": pa.array(rows[:, Raised.INDEX]),
            "code": word(codes, _CODES),
            "change": word(rows[:, Raised.CHANGE], _CHANGES),
            "severity": word(2 * codes + loud, _SEVERITIES),
            "package": names(state, package),
            "node": names(state, rows[:, Raised.NODE]),
            "evidence": pa.array(shown, mask=shown == NOBODY),
            "raised_at": instant(rows[:, Raised.AT]),
        }
        self.add(Table.EXCEPTIONS, columns, len(rows))

    def _add_moves(self, state: TrackState, piece: Slice, rows: Ints) -> None:
        columns = self.about(state, piece, rows[:, Moved.RECORD], rows[:, Moved.ORDER])
        at = instant(rows[:, Moved.AT])
        is_deadline = rows[:, Moved.STEP] == NOBODY
        is_shown = ~is_deadline & (rows[:, Moved.STEP] != Step.RETRACTED)
        latitude, longitude = unpacked(rows[:, Moved.PLACE])
        holds = word(rows[:, Moved.HOLDS], [Classifier.RETRACTED.value, Classifier.ACTUAL.value])
        columns |= {
            "index": pa.array(rows[:, Moved.INDEX]),
            "step": word(
                np.where(is_deadline, len(_STEPS), rows[:, Moved.STEP]), [*_STEPS, DEADLINE]
            ),
            "classifier": pc.if_else(pa.array(is_deadline), None, holds),
            "at": at,
            "recorded_at": piece.envelope["recordedtime"].take(pa.array(rows[:, Moved.RECORD])),
            "package": names(state, rows[:, Moved.PACKAGE]),
            "latitude": pa.array(latitude, mask=~is_shown),
            "longitude": pa.array(longitude, mask=~is_shown),
            "source": word(is_shown, [None, GEOFENCE]),
            "phase": word(rows[:, Moved.PHASE], _PHASES),
            "package_phase": word(rows[:, Moved.PACKAGE_PHASE], _PHASES),
            "is_late": pa.repeat(False, len(rows)),
        }
        self.add(Table.TIMELINE, columns, len(rows))

    def add_estimates(
        self, state: TrackState, piece: Slice, questions: Records, told: Records
    ) -> None:
        """A row for each of ``telling.ESTIMATE``."""
        if not len(told):
            return
        asked = questions[told["question"]]
        columns = self.about(state, piece, asked["record"], asked["order"])
        columns |= {
            "index": pa.array(asked["index"]),
            "package": names(state, asked["package"]),
            "lane": _lane_names(state, asked),
            "step": word(asked["step"], _STEPS),
            "at": instant(asked["now"]),
            "p50_at": instant(told["p50_at"]),
            "p90_at": instant(told["p90_at"]),
            "promise_at": instant(asked["promise"]),
            "is_delay_predicted": pa.array(told["is_late"]),
            "model_sha256": word(asked["network"], state.models),
        }
        self.add(Table.ESTIMATES, columns, len(told))

    def about(
        self, state: TrackState, piece: Slice, records: Ints, orders: Ints
    ) -> dict[str, pa.Array]:
        """Cause and subject of rows; order keys are ``tenant/network/order``."""
        parts = pc.split_pattern(state.keys.take(orders.astype(np.int32)), "/", max_splits=2)
        return {
            "partition": pa.repeat(self.partition, len(records)),
            "position": pa.array(piece.positions[records]),
            "tenant": pc.list_element(parts, 0),
            "network": pc.list_element(parts, 1),
            "order_id": pc.list_element(parts, 2),
        }

    def add_timeline(self, state: TrackState, piece: Slice, tables: Tables) -> None:
        """A row for every record about an order that was not a repeat."""
        records = tables.records
        is_row = (records["order"] >= 0) & (records["entry"]["step"] < Step.SENSED)
        rows = np.flatnonzero(is_row & (tables.flags != Flag.REPEATED))
        if not len(rows):
            return
        mine, entries = piece.envelope.take(pa.array(rows)), records["entry"][rows]
        is_offer = np.isin(entries["step"], (Step.OFFERED, Step.WITHDRAWN))
        columns = {
            "partition": pa.repeat(self.partition, len(rows)),
            "position": pa.array(piece.positions[rows]),
            "index": pa.repeat(0, len(rows)),
            "tenant": mine["tenant"],
            "network": mine["network"],
            "order_id": mine["subject"],
            "step": word(entries["step"], _STEPS),
            "at": mine["time"],
            "recorded_at": mine["recordedtime"],
            "source": mine["source"],
            "event_id": mine["id"],
            "package": names(state, np.where(is_offer, NOBODY, entries["package"])),
            "node": names(state, np.where(entries["step"] < Step.BOUND, entries["node"], NOBODY)),
            "phase": word(tables.phases[rows, 0], _PHASES),
            "package_phase": word(tables.phases[rows, 1], _PHASES),
            "is_late": pa.array(tables.flags[rows] == Flag.LATE),
        }
        told = _told(piece, rows)
        if "milestone" in told:
            columns["step"] = pc.coalesce(told.pop("milestone"), columns["step"])
        columns |= told
        self.add(Table.TIMELINE, columns, len(rows))

    def refuse(self, piece: Slice, rows: Rows, reason: str, detail: str) -> None:
        """Records that have no effect here."""
        mine = piece.envelope.take(pa.array(rows))
        columns = {
            "partition": pa.repeat(self.partition, len(rows)),
            "position": pa.array(piece.positions[rows]),
            "index": pa.repeat(0, len(rows)),
            "tenant": mine["tenant"],
            "network": mine["network"],
            "subject": mine["subject"],
            "kind": word(piece.kinds[rows].astype(np.int64), [kind.tag for kind in Kind]),
            "reason": pa.repeat(reason, len(rows)),
            "detail": pa.repeat(detail, len(rows)),
            "at": mine["recordedtime"],
        }
        self.add(Table.DEAD_LETTERS, columns, len(rows))


def _in_order(rows: pa.Table) -> pa.Table:
    """By (position, index): what is told of arrivals is known after everything else."""
    position, index = (rows[name].to_numpy() for name in ("position", "index"))
    steps = np.diff(position)
    if ((steps > 0) | ((steps == 0) & (np.diff(index) > 0))).all():
        return rows
    return rows.take(pa.array(np.lexsort((index, position))))


def _told(piece: Slice, rows: Rows) -> dict[str, pa.Array]:
    """What the records of each kind say beyond what all have, brought together by row."""
    parts: dict[str, list[Part]] = {}
    for code in np.unique(piece.kinds[rows]).tolist():
        kind = Kind(code)
        if kind in _TELLS:
            found, data = piece.of_kind(kind)
            for name, column in _TELLS[kind](data).items():
                parts.setdefault(name, []).append((found, column))
    return {name: together(of, rows, len(piece)) for name, of in parts.items()}


def together(parts: Sequence[Part], rows: Rows, n: int) -> pa.Array:
    """Columns of some records each as one column for the rows; null where nobody says."""
    columns = [column for _, column in parts]
    everything = pa.concat_arrays([*columns, pa.nulls(1, columns[0].type)])
    places = np.full(n, len(everything) - 1)
    places[np.concatenate([found for found, _ in parts])] = np.arange(len(everything) - 1)
    return everything.take(pa.array(places[rows]))


def _of_milestones(data: pa.RecordBatch) -> dict[str, pa.Array]:
    place = data["place"]
    return {
        "milestone": pc.utf8_upper(data["milestone"]),
        "classifier": data["classifier"],
        "planned_at": data["at"],
        "carrier": data["carrier"],
        "reason": data["reason"],
        "retracts": data["retracts"],
        "latitude": pc.struct_field(place, "latitude"),
        "longitude": pc.struct_field(place, "longitude"),
        "place": pc.struct_field(place, "name"),
    }


def _of_decisions(data: pa.RecordBatch) -> dict[str, pa.Array]:
    told = {"promise_at": data["latest_commit_at"], "first_promise_at": data["original_commit_at"]}
    return told | _of_orders(data)


def _of_orders(data: pa.RecordBatch) -> dict[str, pa.Array]:
    said = {name: data[name] for name in ("customer", "channel", "tier")}
    return {name: pc.if_else(pc.equal(told, ""), None, told) for name, told in said.items()}


def _of_offers(data: pa.RecordBatch) -> dict[str, pa.Array]:
    ship_by = instant(ends_of(data["ship_date"]))
    return {"units": pa.array(units_of(data["lines"])), "planned_at": ship_by}


def _of_answers(data: pa.RecordBatch) -> dict[str, pa.Array]:
    units = units_of(data["lines"])
    return {"reason": data["reason"], "units": pa.array(units, mask=units == 0)}


def _of_feedback(data: pa.RecordBatch) -> dict[str, pa.Array]:
    return {"nps": data["nps"], "csat": data["csat"]}


def _of_services(data: pa.RecordBatch) -> dict[str, pa.Array]:
    return {"fixed": data["fixed"], "reason": data["reason"]}


def _of_bindings(data: pa.RecordBatch) -> dict[str, pa.Array]:
    return {"device": data["device"]}


_TELLS: Mapping[Kind, Callable[[pa.RecordBatch], dict[str, pa.Array]]] = {
    **dict.fromkeys(DECISIONS, _of_decisions),
    **dict.fromkeys(ORDERS, _of_orders),
    **dict.fromkeys(OFFERS, _of_offers),
    **dict.fromkeys(WORK_STEPS, _of_answers),
    Kind.SHIPMENT_MILESTONE: _of_milestones,
    Kind.FEEDBACK_RECEIVED: _of_feedback,
    Kind.SERVICE_INSTALLED: _of_services,
    Kind.SERVICE_ACCEPTED: _of_services,
    Kind.SERVICE_VISITED: _of_services,
    Kind.DEVICE_BOUND: _of_bindings,
}


def word(codes: npt.NDArray[Any], words: Sequence[str | None]) -> pa.Array:
    """Words by their place in a list."""
    return pa.array(words, pa.string()).take(pa.array(codes.astype(np.int64)))


def names(state: TrackState, codes: npt.NDArray[Any]) -> pa.Array:
    """Parcels or nodes; null for ``NOBODY``."""
    is_known = codes >= 0
    known = state.words.take(codes[is_known].astype(np.int32))
    return known.take(pa.array(np.cumsum(is_known) - 1, mask=~is_known))


def _lane_names(state: TrackState, asked: Records) -> pa.Array:
    """What a question's lane is called: by its id, or by what is known of the way; null: by nothing."""
    ways = np.stack([asked[name] for name in LANE_WORDS], axis=1)
    distinct, which = np.unique(ways, axis=0, return_inverse=True)
    words = names(state, distinct.ravel()).to_pylist()
    named = [words[k : k + len(LANE_WORDS)] for k in range(0, len(words), len(LANE_WORDS))]
    return word(which.ravel(), ["/".join(filter(None, way)) or None for way in named])


def instant(at: Ints) -> pa.Array:
    """Instants; null for ``NO_TIME``."""
    return pa.array(at, pa.int64(), mask=at == NO_TIME).cast(INSTANT)


def _cast(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    return column if column.type == wanted else column.cast(wanted)
