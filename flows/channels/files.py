"""Drop folders: CSV and Parquet files as payloads of a channel, each row one.

A row becomes a JSON object whose members are the columns, all of them texts: nothing guesses types, so that
``007`` stays what it is, and what is no number is for the mapping to refuse. Files are read a batch at a time
and every row knows its line; a Parquet file is decoded by a process of its own, see ``parquet.py``. Whoever can
write into the folder is not trusted: names that lead out of it, links and what fills the memory are refused.
"""

import csv
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from subprocess import PIPE, Popen
from typing import BinaryIO, NamedTuple, TextIO, cast

import msgspec

from flows.channels import parquet
from flows.channels.engine import Channel
from schemas.codec import MAX_LINE_BYTES
from schemas.codes import DeadLetterReason
from schemas.errors import InputError

BATCH_ROWS = 2_000
"""Rows at a time, at most."""

BATCH_BYTES = 16 * 1024 * 1024
"""Of payloads, after which a batch of a CSV file ends."""

DELIMITERS = ",;\t|"
"""What may part the fields of a CSV file: that which its header has most of."""

_ENCODER = msgspec.json.Encoder()


class Row(NamedTuple):
    """A row as a payload; ``line`` is where it begins in a CSV file, its number in a Parquet file, from 1."""

    line: int
    payload: bytes


class Misfit(NamedTuple):
    """A row, or a part of it, that is no record."""

    file: str
    line: int
    reason: DeadLetterReason
    detail: str


class Taken(NamedTuple):
    """What became of some rows: (line, CloudEvent as JSON), and the rest."""

    records: list[tuple[int, bytes]]
    misfits: list[Misfit]


def take_file(channel: Channel, folder: Path, name: str) -> Iterator[Taken]:
    """Records of a file in a drop folder, a batch of rows at a time.

    Raises:
        InputError: the file is not to be read, see ``read_rows``.
    """
    for rows, unreadable in read_rows(folder, name):
        mapped = channel.take([row.payload for row in rows])
        misfits = [
            Misfit(name, rows[trouble.payload].line, trouble.reason, trouble.detail)
            for trouble in mapped.troubles
        ]
        records = [(rows[record.payload].line, record.line) for record in mapped.records]
        yield Taken(records, sorted(misfits + unreadable))


def read_rows(
    folder: Path, name: str, batch: int = BATCH_ROWS
) -> Generator[tuple[list[Row], list[Misfit]], None, None]:
    """Rows of a file in a drop folder, and those that cannot be read; at most ``batch`` at a time.

    Raises:
        InputError: the file is out of the folder, is no plain file, is neither CSV nor Parquet, or has no
            columns that can be told apart; a Parquet file that is torn.
    """
    with _opened(folder, name) as file:
        match Path(name).suffix.lower():
            case ".csv" | ".tsv" | ".txt":
                yield from _csv_rows(file, name, batch)
            case ".parquet":
                yield from _parquet_rows(file, name, batch)
            case other:
                raise InputError(f"{name}: {other or 'no suffix'} is neither .csv nor .parquet")


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[BinaryIO]:
    """A plain file of the folder itself or of one below it, reached without following a link."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise InputError(f"{name!r} is not within the drop folder")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        # Without waiting: a pipe of this name would never be opened.
        last = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(last).st_mode):
        os.close(last)
        raise InputError(f"{name} is no plain file")
    with open(last, "rb") as file:
        yield file


def _csv_rows(file: BinaryIO, name: str, batch: int) -> Iterator[tuple[list[Row], list[Misfit]]]:
    # What is no UTF-8 gets through to the row that it is in, which is then refused.
    with TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        lines = _lines(text)
        first = next(lines, "")
        csv.field_size_limit(MAX_LINE_BYTES)
        delimiter = max(DELIMITERS, key=first.count)
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        header = _header(reader, name)
        rows, unreadable, line, size = list[Row](), list[Misfit](), reader.line_num + 1, 0
        while True:
            try:
                row = _row(next(reader), header, line)
            except StopIteration:
                break
            except (csv.Error, UnicodeEncodeError) as error:
                row = f"no CSV: {error}" if isinstance(error, csv.Error) else "no UTF-8"
            if isinstance(row, Row):
                rows.append(row)
                size += len(row.payload)
            elif row:
                unreadable.append(Misfit(name, line, DeadLetterReason.SCHEMA_INVALID, row))
            line = reader.line_num + 1
            if len(rows) + len(unreadable) == batch or size > BATCH_BYTES:
                yield rows, unreadable
                rows, unreadable, size = [], [], 0
        if rows or unreadable:
            yield rows, unreadable


def _row(fields: list[str], header: list[str], line: int) -> Row | str:
    """A row, or what is wrong with it; nothing is with a blank line, which is none."""
    if len(fields) == len(header):
        return Row(line, _ENCODER.encode(dict(zip(header, fields, strict=True))))
    return f"{len(fields)} fields, but the header has {len(header)}" if fields else ""


def _lines(file: TextIO) -> Iterator[str]:
    """Lines of a text; of one that is longer than a payload may be, no more than what shows that it is."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line
        while len(line) == MAX_LINE_BYTES and line[-1] not in "\r\n":
            line = file.readline(MAX_LINE_BYTES)


def _header(reader: Iterator[list[str]], name: str) -> list[str]:
    try:
        return _told_apart(next(reader, []), name)
    except csv.Error as error:
        raise InputError(f"{name}:1: no CSV: {error}") from error


def _told_apart(header: list[str], name: str) -> list[str]:
    """Names of the columns."""
    if not header:
        raise InputError(f"{name}:1: no header")
    for number, column in enumerate(header, 1):
        if not column.strip():
            raise InputError(f"{name}:1: column {number} has no name")
        if (first := header.index(column) + 1) != number:
            # by their numbers: in a file without a header it is a row, and may be personal
            raise InputError(f"{name}:1: columns {first} and {number} have one name")
    return header


def _parquet_rows(
    file: BinaryIO, name: str, batch: int
) -> Iterator[tuple[list[Row], list[Misfit]]]:
    with _decoded(file, name) as lines:
        if header := lines.readline():
            _told_apart(msgspec.json.decode(header), name)
        rows, too_large, size = list[Row](), list[Misfit](), 0
        for number, text in enumerate(_lines(lines), 1):
            if text.endswith("\n"):
                rows.append(Row(number, text[:-1].encode()))
                size += len(text)
            else:
                detail = f"more than {MAX_LINE_BYTES} bytes"
                too_large.append(Misfit(name, number, DeadLetterReason.TOO_LARGE, detail))
            if len(rows) + len(too_large) == batch or size > BATCH_BYTES:
                yield rows, too_large
                rows, too_large, size = [], [], 0
        if rows or too_large:
            yield rows, too_large


@contextmanager
def _decoded(file: BinaryIO, name: str) -> Iterator[TextIO]:
    """What ``parquet.py`` writes of a file."""
    command = [sys.executable, "-I", parquet.__file__]
    with Popen(
        command, stdin=file, stdout=PIPE, stderr=PIPE, encoding="utf-8", start_new_session=True
    ) as decoder:
        lines, errors = cast(TextIO, decoder.stdout), cast(TextIO, decoder.stderr)
        try:
            yield lines
            said, code = errors.read().strip(), decoder.wait()
        finally:
            decoder.kill()
    if code == parquet.REFUSED:
        raise InputError(f"{name} is no Parquet file that can be read: {said}")
    if code:
        most = parquet.MEMORY_BYTES // 1024**2
        raise InputError(f"{name} takes more than {most} MiB to read, or breaks the decoder")
