"""Rows of a query as a table, JSON, CSV or a Parquet file."""

import csv
import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.cells import cell_len
from rich.console import Console

from flows.commands.output import cell, console, error_console, table, to_json
from flows.commands.queries import Rows
from schemas.errors import InputError

TABLE_ROWS = 1_000
"""Rows of a table for people; without --limit the rest is left out, and said to be."""
_WIDEST_COLUMN = 48


def print_table(rows: Rows, *, all_of_them: bool) -> None:
    """A table; one block per row where a table would not fit."""
    names = rows.schema.names
    shown: list[list[str]] = []
    more = False
    for batch in rows.batches():
        columns = [column.to_pylist() for column in batch.columns]
        shown += [[cell(value) for value in row] for row in zip(*columns, strict=True)]
        if not all_of_them and len(shown) > TABLE_ROWS:
            more = True
            shown = shown[:TABLE_ROWS]
            break
    out = console()
    if _fits(names, shown, out) and len(shown) != 1:
        numbers = [f.name for f in rows.schema if _is_number(f.type)]
        out.print(table("", names, shown, numbers))
    else:
        _print_blocks(names, shown, out)
    if more:
        error_console().print(f"only the first {TABLE_ROWS} rows; --limit shows more")


def _fits(names: Sequence[str], rows: Sequence[Sequence[str]], out: Console) -> bool:
    widths = [
        min(_WIDEST_COLUMN, max([cell_len(name), *(cell_len(row[i]) for row in rows)]))
        for i, name in enumerate(names)
    ]
    return sum(widths) + 3 * len(widths) + 1 <= out.width


def _print_blocks(names: Sequence[str], rows: Sequence[Sequence[str]], out: Console) -> None:
    if not rows:
        out.print(table("no rows", ("column",), [(name,) for name in names]))
    for number, row in enumerate(rows, start=1):
        title = f"row {number}" if len(rows) > 1 else ""
        out.print(table(title, ("column", "value"), list(zip(names, row, strict=True))))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def print_objects(rows: Rows) -> None:
    """A JSON array with an object a row, each on its line."""
    out, first = sys.stdout.buffer, True
    out.write(b"[")
    for batch in rows.batches():
        for row in batch.to_pylist():
            out.write((b"\n" if first else b",\n") + to_json(row))
            first = False
    out.write(b"]\n" if first else b"\n]\n")


def print_csv(rows: Rows) -> None:
    """CSV with a header; lists and structs as JSON, instants as ISO 8601, null as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.schema.names)
    for batch in rows.batches():
        columns = [column.to_pylist() for column in batch.columns]
        writer.writerows([_csv_cell(value) for value in row] for row in zip(*columns, strict=True))
        _pass_on(text)
    _pass_on(text)


def _pass_on(text: io.StringIO) -> None:
    sys.stdout.buffer.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()


def _csv_cell(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    encoded = to_json(value).decode()
    return encoded.strip('"')


def write_parquet(rows: Rows, out: Path) -> int:
    """A Parquet file, whole or not at all; returns the rows in it.

    Raises:
        InputError: the directory is missing, or a column has a type that Parquet has not.
    """
    if out.is_dir():
        raise InputError(f"--parquet {out} is a directory; name a file")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--parquet {out}: its directory does not exist; make it first")
    partial = out.with_name(f".{out.name}.partial")
    count = 0
    try:
        with pq.ParquetWriter(partial, rows.schema, compression="zstd") as writer:
            for batch in rows.batches():
                writer.write_batch(batch)
                count += batch.num_rows
        shutil.move(partial, out)
    except pa.ArrowNotImplementedError as error:
        raise InputError(f"--parquet {out}: {error}; cast the column to VARCHAR") from error
    finally:
        partial.unlink(missing_ok=True)
    return count
