"""``crossdock view`` and ``crossdock token``: an order as a tier of viewers may see it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer

from flows.commands.output import cell, console, print_json, table
from flows.commands.viewing import Customer, Partner, Tenant, Token, viewer_of
from flows.decisions import rows_of
from flows.lake.query import connect_reader
from flows.lake.tiers import Tier, sights_of
from flows.lake.viewer import open_viewer
from flows.order_tokens import order_token
from flows.settings import Settings
from schemas.errors import InputError


def view(
    order_id: Annotated[str, typer.Argument(help="The order.")],
    lake: Annotated[Path, typer.Option(help="A lake; a job may be writing it.")],
    tier: Annotated[Tier, typer.Option("--as", help="Whose eyes; see schemas/tiers.csv.")],
    tenant: Tenant = "",
    customer: Customer = "",
    partner: Partner = "",
    token: Token = "",
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show everything of an order that such a viewer may see, and nothing else.

    Example: crossdock view A-1004 --lake out/tracked --as vip --customer c-77
    """
    viewer = viewer_of(tier, tenant, customer, partner, order_id, token)
    with open_viewer(lake, viewer) as connection:
        seen = dict(_tables(connection, tier))
    if as_json:
        print_json(seen)
        return
    for name, rows in seen.items():
        _print(name, rows)


def token(
    order_id: Annotated[str, typer.Argument(help="The order.")],
    lake: Annotated[Path, typer.Option(help="A lake; a job may be writing it.")],
    tenant: Tenant = "",
    network: Annotated[str, typer.Option(help="Where the order is, if in several.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Make the token by which anybody may see phase and dates of an order (CROSSDOCK_LINK_SECRET).

    Example: crossdock token A-1004 --lake out/tracked
    """
    with connect_reader(lake) as connection:
        rows = connection.execute(_WHERE, [order_id]).fetchall()
    found = [row for row in rows if row[0] == (tenant or row[0]) and row[1] == (network or row[1])]
    if not found:
        raise InputError(f"order {order_id!r}: the lake has none of it")
    if len(found) > 1:
        told = ", ".join("/".join(row) for row in found)
        raise InputError(f"order {order_id!r} is in {told}: say --tenant and --network")
    made = order_token(Settings().link_secret, (*found[0], order_id))
    if as_json:
        print_json({"tenant": found[0][0], "network": found[0][1], "token": made})
    else:
        typer.echo(made)


def _tables(
    connection: duckdb.DuckDBPyConnection, tier: Tier
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for sight in sights_of(tier):
        columns = {row[0] for row in connection.execute(f"DESCRIBE {sight.table}").fetchall()}
        order = [f'"{c}"' for c in ("at", "raised_at", "decided_at", "position") if c in columns]
        by = f" ORDER BY {', '.join(order)}" if order else " ORDER BY ALL"
        yield sight.table, rows_of(connection, f"SELECT * FROM {sight.table}{by}", [])


def _print(name: str, rows: list[dict[str, Any]]) -> None:
    """A single row as a line per column, several as a line each; what is null is left out."""
    if len(rows) == 1:
        said = [(column, value) for column, value in rows[0].items() if value is not None]
        console().print(table(name, ("", ""), said))
        return
    lines = []
    for row in rows:
        told = [(column, value) for column, value in row.items() if value not in (None, "")]
        rest = [f"{column} {cell(value)}" for column, value in told if column not in _LEFT]
        lines.append([*(row.get(column) for column in _FIRST), "  ".join(rest)])
    if lines:
        console().print(table(name, (*_FIRST, ""), lines))


_FIRST = ("at", "step", "package")
_LEFT = {*_FIRST, "network", "order_id"}
_WHERE = """
SELECT DISTINCT tenant, network FROM timeline WHERE order_id = $1
UNION
SELECT DISTINCT tenant, network FROM decisions WHERE order_id = $1
ORDER BY ALL
"""
