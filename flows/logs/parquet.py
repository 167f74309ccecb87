"""A recorded log: an append-only directory of Parquet segments.

::

    LOG/log.json                                         identity, format, number of partitions
    LOG/partition=0000/<first>-<records>-<sha256>.parquet  records in log order, one row each
    LOG/dead-letters/<sha256>.parquet                    what could not become a record

A segment is one Parquet file: the envelope's columns, ``kind``, and a struct column per kind that
occurs, null where the record is of another kind. Its name carries its first position, its number of
records and the start of its sha256, so that a torn, damaged, missing or foreign segment is told from
its name alone and is never read. A segment is published by rename after it is on disk: a crash leaves
either a whole segment or a ``.partial`` file that nobody reads. One writer at a time holds the lock.
"""

import fcntl
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.files import digest, publish
from flows.logs import appending
from flows.logs.log import partition_of
from schemas.codec import Refusal, to_slice
from schemas.envelope import Event
from schemas.errors import LogError
from schemas.ids import LogId
from schemas.kinds import ENVELOPE_SCHEMA, KIND_OF, KIND_OF_TAG, Kind, data_type, defaults
from schemas.slices import Slice
from schemas.topics import EVERYWHERE, LogOf, key_on

FORMAT = 1
SEGMENT_RECORDS = 32_768
"""Records per segment: some 2 MB of compressed orders, 20 ms to read."""

_SEGMENT_NAME = re.compile(r"^(\d{20})-(\d{7})-([0-9a-f]{16})\.parquet$")


@dataclass(frozen=True, slots=True)
class Segment:
    """One published file of a partition."""

    path: Path
    first: int
    records: int
    sha256: str

    @property
    def end(self) -> int:
        """Position after the last record."""
        return self.first + self.records


class ParquetLog:
    """Read side of a recorded log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        head = path / "log.json"
        try:
            described = json.loads(head.read_bytes())
        except FileNotFoundError as error:
            raise LogError(f"{path} is no recorded log: {head} is missing") from error
        except (OSError, ValueError) as error:
            raise LogError(f"{head} cannot be read: {error}") from error
        if described.get("format") != FORMAT:
            found = described.get("format")
            raise LogError(f"{head}: log format {found!r}, this version reads {FORMAT}")
        self.id = LogId(described["id"])
        self.of = LogOf(described.get("of", LogOf.JOURNAL))
        self.partitions = int(described["partitions"])

    def segments(self, partition: int) -> list[Segment]:
        """Published segments in order; a gap or an overlap between them is an error."""
        folder = self._folder(partition)
        names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        found: list[Segment] = []
        for name in names:
            if name.startswith("."):
                continue
            match = _SEGMENT_NAME.match(name)
            if not match:
                raise LogError(f"{folder / name} is not a segment; move it out of the log")
            segment = Segment(folder / name, int(match[1]), int(match[2]), match[3])
            expected = found[-1].end if found else 0
            if segment.first != expected:
                raise LogError(
                    f"{folder}: records from position {expected} to {segment.first} are missing "
                    f"before {name}; restore that segment"
                )
            found.append(segment)
        return found

    def end(self, partition: int) -> int:
        """Position after the last published record."""
        segments = self.segments(partition)
        return segments[-1].end if segments else 0

    def __len__(self) -> int:
        return sum(self.end(p) for p in range(self.partitions))

    def read(self, partition: int, start: int = 0) -> Iterator[Slice]:
        """Slices from position ``start`` on, one per segment.

        Raises:
            LogError: a segment is damaged; nothing of it is returned.
        """
        for segment in self.segments(partition):
            if segment.end > start:
                piece = read_segment(segment, partition)
                yield piece.cut(max(0, start - segment.first), segment.records)

    def _folder(self, partition: int) -> Path:
        return self.path / f"partition={partition:04d}"


def read_segment(segment: Segment, partition: int) -> Slice:
    """A whole segment as a slice, after its digest was checked.

    Raises:
        LogError: the bytes are not those that were published.
    """
    try:
        content = segment.path.read_bytes()
    except OSError as error:
        raise LogError(f"{segment.path} cannot be read: {error}") from error
    found = digest(content)
    if found != segment.sha256:
        raise LogError(
            f"{segment.path} is damaged: sha256 starts with {found}, its name says "
            f"{segment.sha256} ({len(content)} bytes); restore it from a copy"
        )
    table = pq.read_table(pa.BufferReader(content), use_threads=False).combine_chunks()
    return _from_table(table, partition, segment.first, segment.path)


def _from_table(table: pa.Table, partition: int, first: int, path: Path) -> Slice:
    tags = table["kind"].combine_chunks()
    unknown = sorted(set(tags.dictionary.to_pylist()) - set(KIND_OF_TAG))
    if unknown:
        raise LogError(
            f"{path} holds records of kind {unknown[0]}, which this version does not know"
        )
    codes = np.array([KIND_OF_TAG[t] for t in tags.dictionary.to_pylist()], np.int8)
    kinds = codes[tags.indices.to_numpy()]
    offsets = np.zeros(len(kinds), np.int32)
    data: dict[Kind, pa.RecordBatch] = {}
    for code in np.unique(kinds):
        kind, rows = Kind(int(code)), np.flatnonzero(kinds == code)
        offsets[rows] = np.arange(len(rows), dtype=np.int32)
        column = table[kind.tag].combine_chunks()
        dense = column if len(rows) == len(kinds) else column.take(pa.array(rows))
        data[kind] = _conform(dense, data_type(kind), defaults(kind))
    envelope = table.select(ENVELOPE_SCHEMA.names).cast(ENVELOPE_SCHEMA).to_batches()[0]
    positions = np.arange(first, first + len(kinds), dtype=np.int64)
    return Slice(partition, positions, kinds, offsets, envelope, data)


def _conform(
    column: pa.StructArray, expected: pa.StructType, otherwise: Mapping[str, Any]
) -> pa.RecordBatch:
    """Data of an older segment as today's columns: fields added since have their defaults."""
    children = [
        column.field(f.name)
        if column.type.get_field_index(f.name) >= 0
        else pa.repeat(pa.scalar(otherwise[f.name], f.type), len(column))
        for f in expected
    ]
    return pa.RecordBatch.from_arrays(
        [
            c.cast(f.type) if c.type != f.type else c
            for c, f in zip(children, expected, strict=True)
        ],
        schema=pa.schema(list(expected)),
    )


class LogWriter:
    """Write side of a recorded log; holds the log's lock from construction to close.

    Records are buffered per partition and published as segments of at most ``segment_records``;
    ``flush`` publishes what is buffered.

    Attributes:
        completed: whether opening it completed an import that had been interrupted.
    """

    def __init__(self, path: Path, *, segment_records: int = SEGMENT_RECORDS) -> None:
        self.log = ParquetLog(path)
        self.segment_records = segment_records
        self._lock = (path / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise LogError(f"{path} is being written by another process") from error
        self.completed = appending.complete(path)
        self._ends = [self.log.end(p) for p in range(self.log.partitions)]
        self._buffers: list[list[Event]] = [[] for _ in range(self.log.partitions)]
        self._marks: list[dict[bytes, bytes]] = [{} for _ in range(self.log.partitions)]

    @classmethod
    def create(
        cls,
        path: Path,
        partitions: int = 1,
        log_id: str | None = None,
        of: LogOf = LogOf.JOURNAL,
    ) -> Self:
        """Start a new log; the directory must be absent or empty.

        Raises:
            LogError: there is something in the directory, or it cannot be written.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise LogError(f"{path} exists and is not empty; choose another place for the new log")
        described = {"format": FORMAT, "id": log_id or str(uuid.uuid4()), "partitions": partitions}
        described |= {"of": of.value} if of is not LogOf.JOURNAL else {}
        try:
            publish(path / "log.json", json.dumps(described, indent=1).encode() + b"\n")
        except OSError as error:
            raise LogError(f"{path} cannot be written: {error}") from error
        return cls(path)

    def append(self, event: Event) -> list[int]:
        """Add one record to its network's or order's partition, or to all that have to know of it.

        Returns:
            The partitions.
        """
        own = partition_of(key_on(event, self.log.of), self.log.partitions)
        everywhere = self.log.of is LogOf.TRACKING and KIND_OF[type(event)] in EVERYWHERE
        partitions = list(range(self.log.partitions)) if everywhere else [own]
        for partition in partitions:
            self.append_to(partition, event)
        return partitions

    def append_to(
        self, partition: int, event: Event, marks: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Add one record to the given partition (clock ticks are for a whole partition).

        Args:
            partition: of this log.
            event: the record.
            marks: kept in the metadata of the segment whose last record this is.
        """
        buffer = self._buffers[partition]
        buffer.append(event)
        self._marks[partition] = dict(marks or {})
        if len(buffer) >= self.segment_records:
            self._publish(partition)

    def flush(self) -> None:
        """Publish everything appended so far."""
        for partition in range(self.log.partitions):
            self._publish(partition)

    def dead_letters(self, source: str, refusals: Sequence[Refusal]) -> None:
        """Keep what could not become a record, with its place and reason."""
        if not refusals:
            return
        table = pa.table(
            {
                "source": pa.array([source] * len(refusals), pa.string()),
                "line_no": pa.array([r.line_no for r in refusals], pa.int64()),
                "reason": pa.array([r.reason.name for r in refusals], pa.string()),
                "detail": pa.array([r.detail for r in refusals], pa.string()),
                "raw": pa.array([r.raw for r in refusals], pa.binary()),
            }
        )
        content = _parquet(table)
        self._write(self.log.path / "dead-letters" / f"{digest(content)}.parquet", content)

    def _publish(self, partition: int) -> None:
        events = self._buffers[partition]
        if not events:
            return
        first = self._ends[partition]
        table = _to_table(to_slice(events, partition, first))
        content = _parquet(table.replace_schema_metadata(self._marks[partition] or None))
        name = f"{first:020d}-{len(events):07d}-{digest(content)}.parquet"
        self._write(self.log.path / f"partition={partition:04d}" / name, content)
        self._ends[partition] += len(events)
        self._buffers[partition] = []

    def _write(self, path: Path, content: bytes | memoryview) -> None:
        try:
            publish(path, content)
        except OSError as error:
            reason = error.strerror or error
            raise LogError(
                f"{self.log.path} cannot be written: {reason}; make room, or choose another place"
            ) from error

    def close(self) -> None:
        """Publish the rest and give the lock back."""
        try:
            self.flush()
        finally:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._lock.close()


def _to_table(piece: Slice) -> pa.Table:
    columns = {"kind": pa.array([Kind(k).tag for k in piece.kinds.tolist()]).dictionary_encode()}
    columns |= {name: piece.envelope[name] for name in ENVELOPE_SCHEMA.names}
    for code in np.unique(piece.kinds):
        kind = Kind(int(code))
        rows, data = piece.of_kind(kind)
        places = np.full(len(piece), -1, np.int64)
        places[rows] = np.arange(len(rows))
        indexes = pa.array(places, mask=places < 0)
        columns[kind.tag] = data.to_struct_array().take(indexes)
    return pa.table(columns)


def _parquet(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=max(1, table.num_rows))
    return memoryview(sink.getvalue())


def read_dead_letters(path: Path) -> pa.Table | None:
    """All dead letters of a recorded log, or None where there are none."""
    files = sorted((path / "dead-letters").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(f) for f in files]) if files else None


def write_log(
    path: Path,
    events: Iterable[Event],
    *,
    partitions: int = 1,
    log_id: str | None = None,
    of: LogOf = LogOf.JOURNAL,
) -> ParquetLog:
    """Record events, already in log order, as a new log."""
    with LogWriter.create(path, partitions, log_id, of) as writer:
        for event in events:
            writer.append(event)
    return ParquetLog(path)
