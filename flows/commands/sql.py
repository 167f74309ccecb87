"""``crossdock sql``: ad-hoc questions to a lake, while a job writes it or not."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.output import error_console, one_line
from flows.commands.queries import Reader, Rows
from flows.commands.rows import print_csv, print_objects, print_table, write_parquet
from flows.commands.viewing import AsTier, Customer, Partner, Tenant, Token, viewer_of
from flows.lake.query import connect_reader
from flows.lake.viewer import open_viewer
from schemas.errors import CrossdockError, InputError

_HELP = "A statement ends with ;   .tables lists tables and views   .quit or Ctrl-D leaves"
_TABLES = """
SELECT table_name AS name, lower(replace(table_type, 'BASE ', '')) AS kind
FROM information_schema.tables
WHERE table_catalog = current_database()
    AND NOT regexp_matches(table_name, '(_settled|_recent_[0-9]+|^positions_[0-9]+)$')
ORDER BY kind, name
"""

Show = Callable[[Rows], None]


def sql(
    lake: Annotated[Path, typer.Option(help="A lake; a job may be writing it.")],
    query: Annotated[
        str | None, typer.Argument(help="One statement; without it, a prompt or standard input.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many rows.")] = None,
    tier: AsTier = None,
    tenant: Tenant = "",
    customer: Customer = "",
    partner: Partner = "",
    order: Annotated[str, typer.Option(help="Only this order, with --as.")] = "",
    token: Token = "",
) -> None:
    """Ask a lake anything in SQL (DuckDB's dialect). Nothing can be written.

    With --as the answer comes from what such a viewer may see: its own tables, with its rows and columns.

    Example: crossdock sql "SELECT outcome, count(*) FROM orders GROUP BY outcome" --lake out/lake
    """
    if sum((as_json, as_csv, parquet is not None)) > 1:
        raise InputError("--json, --csv and --parquet exclude one another; give one of them")
    if tier is None and any((tenant, customer, partner, order, token)):
        raise InputError("--tenant, --customer, --partner, --order and --token go with --as")
    show = _show(as_json, as_csv, parquet, limit)
    if tier is None:
        opened = connect_reader(lake)
    else:
        opened = open_viewer(lake, viewer_of(tier, tenant, customer, partner, order, token))
    with opened as connection:
        reader = Reader(connection, lake)
        if query is not None:
            statements = reader.statements(query)
            if len(statements) != 1:
                raise InputError(f"one statement is needed, {len(statements)} were given")
            show(reader.run(statements[0], limit))
        elif sys.stdin.isatty():
            _prompt(reader, show, limit)
        else:
            for statement in reader.statements(_standard_input()):
                show(reader.run(statement, limit))


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"standard input is not UTF-8: byte {error.start} is no text") from error


def _show(as_json: bool, as_csv: bool, parquet: Path | None, limit: int | None) -> Show:
    if as_json:
        return print_objects
    if as_csv:
        return print_csv
    if parquet is not None:
        return partial(_write, out=parquet)
    return partial(print_table, all_of_them=limit is not None)


def _write(rows: Rows, out: Path) -> None:
    count = write_parquet(rows, out)
    error_console().print(f"{count} rows written to {out}", markup=False, soft_wrap=True)


def _prompt(reader: Reader, show: Show, limit: int | None) -> None:
    """Read and answer until the end; an error is told and the next statement awaited."""
    if importlib.util.find_spec("readline"):
        importlib.import_module("readline")  # gives input() its history and editing
    error_console().print(_HELP)
    waiting = ""
    while True:
        try:
            line = input("    ...> " if waiting else "crossdock> ")
        except EOFError:
            return
        if not waiting and line.strip().startswith("."):
            if line.strip() in {".quit", ".exit", ".q"}:
                return
            _command(line.strip(), reader)
            continue
        waiting = f"{waiting}\n{line}".strip()
        if waiting.endswith(";"):
            _answer(waiting, reader, show, limit)
            waiting = ""


def _command(line: str, reader: Reader) -> None:
    if line == ".tables":
        print_table(reader.run(_TABLES), all_of_them=True)
    else:
        error_console().print(_HELP if line == ".help" else f"{line} is unknown. {_HELP}")


def _answer(text: str, reader: Reader, show: Show, limit: int | None) -> None:
    try:
        for statement in reader.statements(text):
            show(reader.run(statement, limit))
    except CrossdockError as error:
        error_console().print(one_line(str(error)), markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        error_console().print("interrupted")
