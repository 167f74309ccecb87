"""What every command prints with: consoles, JSON, cells of tables, progress on a terminal.

Results go to standard output, everything else to standard error. Tables are for people: off a
terminal they are 160 columns wide, so that a log file or a pipe gets whole rows.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 160
"""Columns of a table that is not printed to a terminal."""


def console() -> Console:
    """For results."""
    return _console(error=False)


def error_console() -> Console:
    """For remarks and progress."""
    return _console(error=True)


def _console(*, error: bool) -> Console:
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(stderr=error, width=width, highlight=False, soft_wrap=False)


@contextmanager
def counting(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's standard error; gives what is to be told each step."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console(),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(description, total=total)
        yield lambda count: bar.advance(task, count)


def write_lines(lines: Iterable[bytes]) -> None:
    """Lines to standard output, with their ends."""
    out = sys.stdout.buffer
    for line in lines:
        out.write(line + b"\n")


def to_json(value: Any) -> bytes:
    """JSON of rows or structs: instants as ISO 8601 in UTC, exact numbers as numbers."""
    return _JSON.encode(value)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    write_lines([to_json(value)])


def _other(value: Any) -> Any:
    return str(value)


_JSON = msgspec.json.Encoder(enc_hook=_other, decimal_format="number")


def cell(value: Any) -> str:
    """A value as a person reads it; nothing for null."""
    match value:
        case None:
            return ""
        case datetime():
            return instant(value)
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.2f}"
        case pa.MonthDayNano(months=0):
            return str(timedelta(days=value.days, microseconds=value.nanoseconds // 1000))
        case Decimal() | int() | date() | timedelta() | str():
            return str(value)
        case list():
            return ", ".join(cell(item) for item in value)
    return to_json(value).decode()


def instant(at: datetime) -> str:
    """To the second, or to the microsecond where there is a fraction; always UTC."""
    timespec = "microseconds" if at.microsecond else "seconds"
    return at.isoformat(sep=" ", timespec=timespec).replace("+00:00", "Z")


def money(minor: int | None) -> str:
    """Minor units with two decimals: 123456 is 1,234.56."""
    if minor is None:
        return "-"
    whole, rest = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole:,}.{rest:02d}"


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[str] = ()
) -> Table:
    """A table of plain text; columns named in ``numbers`` are set to the right."""
    made = Table(
        title=Text(title) if title else None, title_justify="left", show_header=any(columns)
    )
    for name in columns:
        made.add_column(Text(name), justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell(value)) for value in row))
    return made


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def one_line(text: str) -> str:
    """The text without line ends."""
    return " ".join(text.split())


def shown(path: Path) -> str:
    """A path as the user wrote it; standard input by its name."""
    return "<stdin>" if str(path) == "-" else str(path)
