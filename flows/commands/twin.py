"""``crossdock twin``: the state of a shipment or a node, now or as it was known at any past time."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer

from flows.commands.moments import given_instant
from flows.commands.output import console, print_json, table
from flows.decisions import rows_of, similar_to
from flows.lake.diagnosis import explained
from flows.lake.query import connect_reader
from schemas.errors import InputError


def twin(
    lake: Annotated[Path, typer.Option(help="A lake; a job may be writing it.")],
    order_id: Annotated[
        str | None, typer.Argument(help="An order; without one, the nodes are shown.")
    ] = None,
    node: Annotated[str | None, typer.Option(help="A node.")] = None,
    at: Annotated[
        str | None, typer.Option(help="What was known then: RFC 3339 instant or date (UTC).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects.")] = False,
) -> None:
    """Show each parcel of an order, or nodes: what is known, or was known at a past time.

    Example: crossdock twin A-1004 --at 2026-01-06T14:05:00Z --lake out/tracked
    """
    if order_id is not None and node is not None:
        raise InputError("an order and --node exclude one another; give one of them")
    moment = given_instant("--at", at)
    with connect_reader(lake) as connection, explained(lake):
        if order_id is not None:
            rows = _ask(connection, "twin", moment, "order_id", order_id)
            what = f"order {order_id!r}{'' if rows else similar_to(connection, order_id)}"
        else:
            rows = _ask(connection, "twin_nodes", moment, "node", node)
            what = "any node" if node is None else f"node {node!r}"
    if not rows:
        then = "" if moment is None else f" at {moment.isoformat()}"
        raise InputError(f"nothing was known{then} of {what}")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        said = [(name, value) for name, value in row.items() if value not in (None, [])]
        title = row.get("package") or row.get("node") or ""
        console().print(table(str(title), ("", ""), said))


def _ask(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    moment: datetime | None,
    column: str,
    value: str | None,
) -> list[dict[str, Any]]:
    source = view if moment is None else f"{view}(TIMESTAMPTZ '{moment.isoformat()}')"
    which = "true" if value is None else f"{column} = ?"
    return rows_of(
        connection,
        f"SELECT * FROM {source} WHERE {which} ORDER BY ALL",
        [] if value is None else [value],
    )
