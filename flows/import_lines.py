"""Lines of input files: plain, gzip or standard input, read in bounded memory.

A line longer than a record may be is cut just beyond the limit, so that it is refused by its length
without being held whole. Blank lines at the end of a file are nothing; a blank line that something
follows is a line. A byte order mark at the start of a file is dropped.
"""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from schemas.codec import MAX_LINE_BYTES
from schemas.errors import InputError

STDIN = Path("-")
_REPORT_LINES = 1_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error)

Advanced = Callable[[int], None]
"""Told the bytes of a file read since it was last told; compressed ones if it is compressed."""


def name_of(path: Path) -> str:
    """What to call an input in messages and dead letters."""
    return "<stdin>" if path == STDIN else str(path)


def check_inputs(paths: Sequence[Path]) -> None:
    """See that every input can be read, before anything is written.

    Raises:
        InputError: one cannot; the message says which and why.
    """
    if paths.count(STDIN) > 1:
        raise InputError("- (standard input) is given twice; it can be read once only")
    for path in paths:
        if path == STDIN:
            continue
        if path.is_dir():
            raise InputError(f"{path} is a directory; name the files in it")
        if path.suffix in {".zst", ".bz2", ".xz", ".zip"}:
            raise InputError(f"{path} cannot be read as it is: decompress it first, or use gzip")
        with _explained(path), _open(path) as (lines, _):
            lines.read(1)


def total_bytes(paths: Sequence[Path]) -> int | None:
    """Bytes of all inputs as stored; None with standard input, whose end nobody knows."""
    return None if STDIN in paths else sum(path.stat().st_size for path in paths)


def read_lines(path: Path, advanced: Advanced) -> Iterator[tuple[int, bytes]]:
    """Numbered lines (from 1) without their ends.

    Raises:
        InputError: the file is damaged or cannot be read on.
    """
    blank: list[tuple[int, bytes]] = []
    for numbered in _numbered(path, advanced):
        if numbered[1].strip():
            yield from blank
            blank.clear()
            yield numbered
        else:
            blank.append((numbered[0], b""))


def _numbered(path: Path, advanced: Advanced) -> Iterator[tuple[int, bytes]]:
    with _explained(path), _open(path) as (lines, stored):
        line_no, told = 0, 0
        while line := lines.readline(MAX_LINE_BYTES + 1):
            line_no += 1
            if line_no == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line_no % _REPORT_LINES == 0 and stored is not None:
                place = stored.tell()
                advanced(place - told)
                told = place
            yield line_no, line.removesuffix(b"\n").removesuffix(b"\r")
            if not line.endswith(b"\n"):
                _skip_line(lines)
        if stored is not None:
            advanced(stored.tell() - told)


def _skip_line(lines: IO[bytes]) -> None:
    """Read on to the end of a line that was cut."""
    while (rest := lines.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes] | None]]:
    """The content, and the stored file whose position tells the progress (None for stdin)."""
    if path == STDIN:
        yield sys.stdin.buffer, None
        return
    with path.open("rb") as stored:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=stored) as content:
                yield content, stored  # type: ignore[misc]  # GzipFile is an IO but for its stub
        else:
            yield stored, stored


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise InputError(f"{name_of(path)} is damaged gzip: {error}; fetch it again") from error
    except OSError as error:
        raise InputError(f"{name_of(path)} cannot be read: {error.strerror or error}") from error
