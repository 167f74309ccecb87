"""Views of the lake over the rows of a fold, without a lake."""

from typing import Any

import duckdb
import pyarrow as pa

from flows.lake.views import view_statements


def rows_of(view: str, **tables: pa.Table) -> list[dict[str, Any]]:
    """All rows of a view over these tables, in order of its columns."""
    with duckdb.connect() as connection:
        for name, rows in tables.items():
            connection.register("given", rows)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        (made,) = (said for said in view_statements() if f"VIEW {view} AS" in said)
        connection.execute(made)
        found: list[dict[str, Any]] = (
            connection.execute(f"SELECT * FROM {view} ORDER BY ALL").pl().to_dicts()
        )
    return found
