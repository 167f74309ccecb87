"""Bytes to columns and back: newline-delimited CloudEvents JSON, decoded and validated in one pass.

Each line is decoded on its own by msgspec into the class its ``type`` names, so that a bad line cannot
fail, shift or join its neighbours; then the objects become columns, kind by kind, in bulk. Nothing
raises for bad input: what cannot be decoded comes back as a ``Refusal`` with its line and reason.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Union

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.codes import DeadLetterReason
from schemas.envelope import Event
from schemas.ids import NetworkKey, network_key
from schemas.kinds import (
    ENVELOPE_SCHEMA,
    EVENT_CLASSES,
    KIND_OF,
    KIND_OF_TAG,
    Kind,
    data_type,
)
from schemas.slices import Slice

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Longer lines are refused before they are parsed; the largest real record is a full stock count."""

_DETAIL_CHARACTERS = 500
"""Of what is said about a refusal, which may quote the line."""

_DECODER = msgspec.json.Decoder(Union[tuple(EVENT_CLASSES.values())])  # noqa: UP007 (built at run time)


class _TypeOnly(msgspec.Struct):
    type: str


_TYPE_DECODER = msgspec.json.Decoder(_TypeOnly)
_ENCODER = msgspec.json.Encoder()
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An escaped NUL, not an escaped backslash before the word u0000."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not a record.

    Attributes:
        line_no: 1-based number of the line (or index of the message) in its input.
        reason: the class of the trouble.
        detail: field, value and what was expected, in one line.
        raw: the bytes as they came.
    """

    line_no: int
    reason: DeadLetterReason
    detail: str
    raw: bytes


def decode_line(raw: bytes, line_no: int) -> Event | Refusal:
    """One CloudEvent, or why it is none."""
    if len(raw) > MAX_LINE_BYTES:
        detail = f"{len(raw)} bytes, more than the {MAX_LINE_BYTES} allowed in one record"
        return Refusal(line_no, DeadLetterReason.SCHEMA_INVALID, detail, raw)
    try:
        event: Event = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason, detail = _explain(raw, error)
        return Refusal(line_no, reason, detail[:_DETAIL_CHARACTERS], raw)
    fault = _fault(event, raw)
    return Refusal(line_no, DeadLetterReason.SCHEMA_INVALID, fault, raw) if fault else event


def _fault(event: Event, raw: bytes) -> str:
    """What the types do not say and yet must hold; empty if it does."""
    if b"\\u0000" in raw and _NUL.search(raw):
        return "a string holds the character NUL"
    if "/" in event.tenant or "/" in event.network:
        return f"tenant {event.tenant!r}, network {event.network!r}: neither may hold a slash"
    instants, numbered = _IN_DATA[type(event)]
    data = event.data  # type: ignore[attr-defined]
    if not _in_range(event.time):
        return f"time {event.time.isoformat()} is out of range"
    if event.recordedtime is not None and not _in_range(event.recordedtime):
        return f"recordedtime {event.recordedtime.isoformat()} is out of range"
    for name in instants:
        instant = getattr(data, name)
        if instant is not None and not _in_range(instant):
            return f"{name} {instant.isoformat()} is out of range"
    if numbered and len(data.lines) > 1:
        numbers = {line.line_no for line in data.lines}
        if len(numbers) < len(data.lines):
            return "lines: two of them have the same line_no"
    return ""


def _in_range(instant: datetime) -> bool:
    """Whether it stays an instant in any time zone."""
    return 1 < instant.year < 9999


def _in_data(cls: type[Event]) -> tuple[tuple[str, ...], bool]:
    """Which fields of the data are instants, and whether it has numbered lines."""
    kind = data_type(KIND_OF[cls])
    instants = tuple(f.name for f in kind if pa.types.is_timestamp(f.type))
    lines = kind.field("lines").type if kind.get_field_index("lines") >= 0 else None
    return instants, lines is not None and lines.value_type.get_field_index("line_no") >= 0


def _explain(raw: bytes, error: Exception) -> tuple[DeadLetterReason, str]:
    try:
        named = _TYPE_DECODER.decode(raw).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return DeadLetterReason.SCHEMA_INVALID, str(error)
    if named not in KIND_OF_TAG:
        return DeadLetterReason.UNKNOWN_KIND, f"type {named!r} is not a kind of journal record"
    return DeadLetterReason.SCHEMA_INVALID, str(error)


_IN_DATA = {cls: _in_data(cls) for cls in EVENT_CLASSES.values()}


def key_of(event: Event) -> NetworkKey:
    """The network this record belongs to."""
    return network_key(event.tenant, event.network)


def to_slice(events: Sequence[Event], partition: int, first_position: int) -> Slice:
    """Records in log order as a slice whose positions start at ``first_position``."""
    positions = np.arange(first_position, first_position + len(events), dtype=np.int64)
    return to_slice_at(events, partition, positions, [e.recordedtime or e.time for e in events])


def to_slice_at(
    events: Sequence[Event],
    partition: int,
    positions: npt.NDArray[np.int64],
    recorded: Sequence[datetime],
) -> Slice:
    """Records in log order as a slice.

    Args:
        events: the records.
        partition: of the log.
        positions: (n,) position of each, increasing.
        recorded: record time of each.
    """
    kinds = np.fromiter((KIND_OF[type(e)] for e in events), np.int8, len(events))
    offsets = np.zeros(len(events), np.int32)
    data: dict[Kind, pa.RecordBatch] = {}
    for code in np.unique(kinds):
        kind, rows = Kind(int(code)), np.flatnonzero(kinds == code)
        offsets[rows] = np.arange(len(rows), dtype=np.int32)
        column = _column(data_type(kind), [events[i].data for i in rows.tolist()])  # type: ignore[attr-defined]
        data[kind] = pa.RecordBatch.from_struct_array(column)
    envelope = pa.record_batch(
        [
            pa.array([e.id for e in events], pa.string()),
            pa.array([e.source for e in events], pa.string()),
            pa.array([e.subject for e in events], pa.string()),
            _instants([e.time for e in events]),
            _instants(recorded),
            pa.array([e.tenant for e in events], pa.string()),
            pa.array([e.network for e in events], pa.string()),
        ],
        schema=ENVELOPE_SCHEMA,
    )
    return Slice(partition, positions, kinds, offsets, envelope, data)


def _column(kind: pa.DataType, values: list[Any]) -> pa.Array:
    """A column of an Arrow type from decoded msgspec values, children first."""
    if pa.types.is_struct(kind):
        rows = zip(*map(msgspec.structs.astuple, values), strict=True) if values else ()
        columns = zip(kind, rows or [()] * len(kind))  # noqa: B905 (rows may be a generator)
        children = [_child(f.type, list(v)) for f, v in columns]
        return pa.StructArray.from_arrays(children, fields=list(kind))
    if pa.types.is_list(kind):
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(v) for v in values], out=offsets[1:])
        items = _column(kind.value_type, [item for v in values for item in v])
        return pa.ListArray.from_arrays(pa.array(offsets), items, type=kind)
    if pa.types.is_timestamp(kind):
        return _instants(values)
    if pa.types.is_string(kind) and isinstance(next(filter(None, values), None), Enum):
        # ``value``, the property, costs as much as all the rest
        values = [v and v._value_ for v in values]
    return pa.array(values, kind)


def _child(kind: pa.DataType, values: list[Any]) -> pa.Array:
    """A field's column; a field that is a struct may be left out."""
    if not pa.types.is_struct(kind) or all(value is not None for value in values):
        return _column(kind, values)
    given = [value for value in values if value is not None]
    numbers = itertools.count()
    places = [None if value is None else next(numbers) for value in values]
    return _column(kind, given).take(pa.array(places, pa.int64()))


def _instants(values: Sequence[datetime | None]) -> pa.Array:
    return pa.array(values, pa.timestamp("us", "UTC"))


def to_lines(piece: Slice, *, recorded: bool = True) -> Iterator[bytes]:
    """The records of a slice as CloudEvents JSON, one line each, without the line end.

    Args:
        piece: the records.
        recorded: whether to say when each was learnt.
    """
    rows = {k: piece.of_kind(k)[1].to_pylist() for k in map(Kind, np.unique(piece.kinds).tolist())}
    seen = dict.fromkeys(rows, 0)
    kept = piece.envelope if recorded else piece.envelope.drop_columns(["recordedtime"])
    envelopes = kept.to_pylist()
    for code, envelope in zip(piece.kinds.tolist(), envelopes, strict=True):
        kind = Kind(code)
        body = {
            "specversion": "1.0",
            "type": kind.tag,
            **envelope,
            "dataschema": "crossdock/1",
            "data": rows[kind][seen[kind]],
        }
        seen[kind] += 1
        yield _ENCODER.encode(body)


def json_schemas() -> dict[str, dict[str, Any]]:
    """One JSON Schema per kind, by CloudEvents type."""
    return {kind.tag: msgspec.json.schema(cls) for kind, cls in EVENT_CLASSES.items()}


def encode_event(event: Event) -> bytes:
    """One record as CloudEvents JSON."""
    return _ENCODER.encode(event)


def utc(at: datetime) -> datetime:
    """The same instant in UTC."""
    return at.astimezone(UTC)


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of a byte stream, without their ends; a last line without an end counts too."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest
