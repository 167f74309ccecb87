"""Facts in an in-memory database with the product's views: what a lake holds, without the lake.

Facts are made by the folds themselves, so that a view is tested on what a log comes to.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from flows.lake.views import create_views
from schemas.envelope import Event
from schemas.tables import SCHEMAS, Table
from tests.support.effects import to_table
from tests.support.tracks import Tracked, track

Rows = Mapping[Table, Sequence[dict[str, Any]]]
TRACKING = 10_000
"""Number of the tracking log's first partition, as in a lake."""


def facts_of(tables: Mapping[Table, pa.Table]) -> duckdb.DuckDBPyConnection:
    """A database of these facts, with every view; tables that are not given are empty."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table, schema in SCHEMAS.items():
        rows = tables.get(table, schema.empty_table())
        connection.register("rows", rows.cast(schema) if rows.num_rows else schema.empty_table())
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM rows")
        connection.unregister("rows")
    connection.execute("CREATE TABLE identity (flow VARCHAR, log_id VARCHAR)")
    connection.execute("INSERT INTO identity VALUES ('track', 'log')")
    create_views(connection)
    return connection


def tracked_facts(events: Iterable[Event], more: Rows | None = None) -> duckdb.DuckDBPyConnection:
    """What the tracking fold makes of these records, beside rows that are given as they are."""
    return facts_from([track(events)], more)


def facts_from(worlds: Sequence[Tracked], more: Rows | None = None) -> duckdb.DuckDBPyConnection:
    """What the fold has made of several worlds, which have no order in common."""
    tables: dict[Table, pa.Table] = {}
    for table in (
        Table.TIMELINE,
        Table.EXCEPTIONS,
        Table.READINGS,
        Table.LOCATIONS,
        Table.ESTIMATES,
    ):
        rows = [{**row, "partition": TRACKING} for world in worlds for row in world.rows(table)]
        tables[table] = pa.Table.from_pylist(rows, SCHEMAS[table])
    for table, given in (more or {}).items():
        rows_given = to_table(table, list(given)).cast(SCHEMAS[table])
        before = tables.get(table, SCHEMAS[table].empty_table())
        tables[table] = pa.concat_tables([before, rows_given])
    return facts_of(tables)


def rows_in(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """What a query yields, row by row."""
    found: list[dict[str, Any]] = connection.execute(query).to_arrow_table().to_pylist()
    return found
