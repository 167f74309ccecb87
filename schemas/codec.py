"""Bytes to columns and back: newline-delimited CloudEvents JSON, decoded and validated in one pass.

Each line is decoded on its own by msgspec into the class its ``type`` names, so that a bad line cannot
fail, shift or join its neighbours; then the objects become columns, kind by kind, in bulk. Nothing
raises for bad input: what cannot be decoded comes back as a ``Refusal`` with its line and reason.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Union

import msgspec
import numpy as np
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

_DECODER = msgspec.json.Decoder(Union[tuple(EVENT_CLASSES.values())])  # noqa: UP007 (built at run time)


class _TypeOnly(msgspec.Struct):
    type: str


_TYPE_DECODER = msgspec.json.Decoder(_TypeOnly)
_ENCODER = msgspec.json.Encoder()


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
        return Refusal(line_no, *_explain(raw, error), raw)
    for instant in (event.time, event.recordedtime):
        if instant is not None and not 1 < instant.year < 9999:
            detail = f"time {instant.isoformat()} is out of range"
            return Refusal(line_no, DeadLetterReason.SCHEMA_INVALID, detail, raw)
    return event


def _explain(raw: bytes, error: Exception) -> tuple[DeadLetterReason, str]:
    try:
        named = _TYPE_DECODER.decode(raw).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return DeadLetterReason.SCHEMA_INVALID, str(error)
    if named not in KIND_OF_TAG:
        return DeadLetterReason.UNKNOWN_KIND, f"type {named!r} is not a kind of journal record"
    return DeadLetterReason.SCHEMA_INVALID, str(error)


def key_of(event: Event) -> NetworkKey:
    """The network this record belongs to."""
    return network_key(event.tenant, event.network)


def to_slice(events: Sequence[Event], partition: int, first_position: int) -> Slice:
    """Records in log order as a slice whose positions start at ``first_position``."""
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
            _instants([e.recordedtime or e.time for e in events]),
            pa.array([e.tenant for e in events], pa.string()),
            pa.array([e.network for e in events], pa.string()),
        ],
        schema=ENVELOPE_SCHEMA,
    )
    positions = np.arange(first_position, first_position + len(events), dtype=np.int64)
    return Slice(partition, positions, kinds, offsets, envelope, data)


def _column(kind: pa.DataType, values: list[Any]) -> pa.Array:
    """A column of an Arrow type from decoded msgspec values, children first."""
    if pa.types.is_struct(kind):
        rows = zip(*map(msgspec.structs.astuple, values), strict=True) if values else ()
        children = [_column(f.type, list(v)) for f, v in zip(kind, rows or [()] * len(kind))]  # noqa: B905
        return pa.StructArray.from_arrays(children, fields=list(kind))
    if pa.types.is_list(kind):
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(v) for v in values], out=offsets[1:])
        items = _column(kind.value_type, [item for v in values for item in v])
        return pa.ListArray.from_arrays(pa.array(offsets), items, type=kind)
    if pa.types.is_timestamp(kind):
        return _instants(values)
    if pa.types.is_string(kind) and values and isinstance(values[0], Enum):
        values = [v.value for v in values]
    return pa.array(values, kind)


def _instants(values: list[datetime | None]) -> pa.Array:
    return pa.array(values, pa.timestamp("us", "UTC"))


def to_lines(piece: Slice) -> Iterator[bytes]:
    """The records of a slice as CloudEvents JSON, one line each, without the line end."""
    rows = {k: piece.of_kind(k)[1].to_pylist() for k in map(Kind, np.unique(piece.kinds).tolist())}
    seen = dict.fromkeys(rows, 0)
    envelopes = piece.envelope.to_pylist()
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
