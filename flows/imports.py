"""Files of newline-delimited CloudEvents become a recorded log.

Invariants: every line of every file is a record or a dead letter, but for blank lines at the end of
a file; nothing is visible under the log's name before all of it is on disk. A new log is built in
``.NAME.partial`` beside its place and renamed; an addition is built there as a log of its own,
whose segments are then moved behind those of the target, one rename each.

Several files are merged by record time, ties in the order given, so that a file per kind of record
serves as well as a file per day. Within one file the order is kept.
"""

import fcntl
import heapq
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flows.files import sync_directory
from flows.import_clock import Clock
from flows.import_lines import Advanced, check_inputs, name_of, read_lines
from flows.logs import appending
from flows.logs.parquet import LogWriter, ParquetLog
from schemas.codec import Refusal, decode_line, key_of
from schemas.codes import DeadLetterReason
from schemas.envelope import Event
from schemas.errors import InputError, LogError
from schemas.kinds import KIND_OF
from schemas.topics import LogOf, belongs

_KEPT_LETTERS = 1_000
"""Dead letters of one file that wait in memory for the next write."""


@dataclass
class Imported:
    """What an import did.

    Attributes:
        path: the log.
        log_id: its identity.
        records: records by kind, clock ticks of the input among them.
        networks: ``tenant/network`` of the records, sorted.
        ticks_added: clock ticks that the import wrote, over all partitions.
        dead_letters: lines that are no record, by reason.
        first_at: earliest record time; None without records.
        last_at: latest record time.
    """

    path: str
    log_id: str = ""
    records: Counter[str] = field(default_factory=Counter)
    networks: list[str] = field(default_factory=list)
    ticks_added: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    first_at: datetime | None = None
    last_at: datetime | None = None

    def count(self, event: Event) -> None:
        """Take a record into account."""
        at = _record_time(event)
        self.records[KIND_OF[type(event)].tag] += 1
        self.first_at = at if self.first_at is None else min(self.first_at, at)
        self.last_at = at if self.last_at is None else max(self.last_at, at)


def import_log(
    files: Sequence[Path],
    out: Path,
    advanced: Advanced,
    *,
    partitions: int | None = None,
    append: bool = False,
    of: LogOf = LogOf.JOURNAL,
) -> Imported:
    """Write the records of the files to a new log, or to the end of one.

    Args:
        files: inputs; ``-`` is standard input.
        out: directory of the log.
        advanced: told of the progress.
        partitions: of a new log, 1 if None; a log that is added to keeps its own number.
        append: whether to add to an existing log.
        of: what a new log is of.

    Raises:
        InputError: a file cannot be read, or the log is there already.
        LogError: the log cannot be added to.
    """
    check_inputs(files)
    if append:
        return _add(files, out, advanced, partitions)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists; add to it with --append, or choose another --out")
    with _staged(out) as staging:
        imported = _fill(files, staging, partitions or 1, of, Clock(), advanced)
        staging.rename(out)
        sync_directory(out.absolute().parent)
    imported.path = str(out)
    return imported


def _add(files: Sequence[Path], out: Path, advanced: Advanced, partitions: int | None) -> Imported:
    with LogWriter(out) as holder:  # nobody else writes meanwhile
        log = holder.log
        if holder.completed:
            raise InputError(
                f"{out}: an import that was interrupted has just been completed; if these files "
                "were not part of it, run the command again"
            )
        if partitions not in (None, log.partitions):
            raise InputError(
                f"{out} has {log.partitions} partitions, not {partitions}; leave out --partitions"
            )
        with _staged(out) as staging:
            clock = Clock.of_log(log)
            imported = _fill(files, staging, log.partitions, log.of, clock, advanced)
            _move(ParquetLog(staging), log)
    imported.path, imported.log_id = str(out), log.id
    return imported


def _fill(
    files: Sequence[Path],
    staging: Path,
    partitions: int,
    of: LogOf,
    clock: Clock,
    advanced: Advanced,
) -> Imported:
    networks = set()
    with LogWriter.create(staging, partitions, of=of) as writer:
        imported = Imported(str(staging), writer.log.id)
        streams = [_records(file, writer, imported, advanced) for file in files]
        merged = heapq.merge(*streams, key=_record_time) if len(streams) > 1 else streams[0]
        for event in clock.record(merged, writer):
            imported.count(event)
            networks.add(key_of(event))
    imported.networks = sorted(networks)
    imported.ticks_added = clock.written
    return imported


def _records(
    file: Path, writer: LogWriter, imported: Imported, advanced: Advanced
) -> Iterator[Event]:
    """Records of a file; what is none goes to the dead letters."""
    letters: list[Refusal] = []
    for line_no, line in read_lines(file, advanced):
        decoded = decode_line(line, line_no) if line else _empty(line_no)
        if not isinstance(decoded, Refusal) and not belongs(decoded, writer.log.of):
            decoded = _misplaced(decoded, line_no, line, writer.log.of)
        if isinstance(decoded, Refusal):
            imported.dead_letters[decoded.reason.name] += 1
            letters.append(decoded)
            if len(letters) >= _KEPT_LETTERS:
                writer.dead_letters(name_of(file), letters)
                letters = []
        else:
            yield decoded
    writer.dead_letters(name_of(file), letters)


def _misplaced(event: Event, line_no: int, line: bytes, of: LogOf) -> Refusal:
    detail = f"{KIND_OF[type(event)].tag} does not belong on a {of} log"
    return Refusal(line_no, DeadLetterReason.WRONG_LOG, detail, line)


def _empty(line_no: int) -> Refusal:
    return Refusal(line_no, DeadLetterReason.SCHEMA_INVALID, "the line is empty", b"")


def _record_time(event: Event) -> datetime:
    return (event.recordedtime or event.time).astimezone(UTC)


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A place beside the log to build in; gone afterwards, whatever happens short of a kill."""
    staging = appending.staging_of(out)
    _remove_leftover(staging, out)
    try:
        yield staging
    finally:
        if not appending.is_pending(out):
            shutil.rmtree(staging, ignore_errors=True)


def _remove_leftover(staging: Path, out: Path) -> None:
    """Remove what a killed import left, unless an import is at work there."""
    lock = staging / ".lock"
    if lock.exists():
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LogError(f"another import into {out} is at work; wait for its end") from error
    if staging.exists():
        shutil.rmtree(staging)


def _move(staged: ParquetLog, log: ParquetLog) -> None:
    """Make the staged segments the log's next ones."""
    letters = (staged.path / "dead-letters").glob("*.parquet")
    files = [(f"dead-letters/{f.name}", f"dead-letters/{f.name}") for f in sorted(letters)]
    for partition in range(log.partitions):
        end = log.end(partition)
        for segment in staged.segments(partition):
            folder, rest = segment.path.parent.name, segment.path.name.partition("-")[2]
            final = f"{folder}/{end + segment.first:020d}-{rest}"
            files.append((f"{folder}/{segment.path.name}", final))
    appending.move(log.path, files)
