"""What DuckLake's catalogue says of files and rows, read (and purged) in its own tables.

These tables are DuckLake's specification 1.0 (ducklake.select, "Specification"), not private.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import duckdb

from flows.lake.connection import METADATA


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of the newest snapshot.

    Attributes:
        table: physical table.
        path: relative to the lake's data directory.
        bucket: its partition's value; None where the table is not bucketed.
        rows: how many it holds.
    """

    table: str
    path: str
    bucket: str | None
    rows: int


def data_files(connection: duckdb.DuckDBPyConnection) -> list[DataFile]:
    """All files of the newest snapshot, oldest first."""
    return [DataFile(*row) for row in connection.execute(_DATA_FILES).fetchall()]


def live_files(connection: duckdb.DuckDBPyConnection) -> Counter[str]:
    """How many data files a scan of each physical table opens."""
    return Counter(file.table for file in data_files(connection))


def count_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of this physical table."""
    return number(connection, f"SELECT count(*) FROM {table}") or 0


def old_snapshots(connection: duckdb.DuckDBPyConnection, age: timedelta) -> list[int]:
    """Snapshots taken longer ago than this; never the newest one."""
    rows = connection.execute(_OLD_SNAPSHOTS.format(age=_interval(age))).fetchall()
    return [snapshot for (snapshot,) in rows]


def unneeded_files(connection: duckdb.DuckDBPyConnection, age: timedelta) -> dict[int, str]:
    """Files that no snapshot has needed for so long: id, and path below the data directory."""
    return dict(connection.execute(_UNNEEDED_FILES.format(age=_interval(age))).fetchall())


def forget_files(connection: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> None:
    """Say that these unneeded files have been deleted."""
    if ids:
        connection.execute(
            f"DELETE FROM {METADATA}.ducklake_files_scheduled_for_deletion "
            f"WHERE data_file_id IN ({', '.join(map(str, ids))})"
        ).fetchall()


def purge(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete rows inlined in the catalogue that no remembered snapshot can see.

    A row is visible in snapshots from its ``begin_snapshot`` to before its ``end_snapshot``. Statistics of
    columns by which no file can be passed over go as well: DuckLake reads those of all files at every query
    (0.3 us each), and takes a file without them for one that may match.
    """
    oldest = number(connection, f"SELECT min(snapshot_id) FROM {METADATA}.ducklake_snapshot")
    tables = connection.execute(
        f"SELECT DISTINCT table_name FROM {METADATA}.ducklake_inlined_data_tables"
    ).fetchall()
    for (name,) in tables:
        connection.execute(
            f"DELETE FROM {METADATA}.{name} WHERE end_snapshot <= {oldest}"
        ).fetchall()
    connection.execute(_IDLE_STATISTICS).fetchall()


def number(connection: duckdb.DuckDBPyConnection, statement: str) -> int | None:
    """The one number that the statement yields; None for SQL's null."""
    rows = connection.execute(statement).fetchall()  # all: a half-read result is not committed
    return None if not rows or rows[0][0] is None else int(rows[0][0])


def _interval(age: timedelta) -> str:
    return f"INTERVAL '{age.total_seconds()} seconds'"


# Instants are text in a SQLite catalogue: without the cast they are compared as such.
_OLD_SNAPSHOTS = f"""
SELECT snapshot_id FROM {METADATA}.ducklake_snapshot
WHERE snapshot_time::TIMESTAMPTZ <= now() - {{age}}
    AND snapshot_id < (SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot)
"""
_UNNEEDED_FILES = f"""
SELECT data_file_id, path FROM {METADATA}.ducklake_files_scheduled_for_deletion
WHERE path_is_relative AND schedule_start::TIMESTAMPTZ <= now() - {{age}}
"""
_IDLE_STATISTICS = f"""
DELETE FROM {METADATA}.ducklake_file_column_stats
WHERE (table_id, column_id) IN (
    SELECT (table_id, column_id) FROM {METADATA}.ducklake_column
    WHERE column_name NOT IN ('order_id', 'position') AND column_type NOT LIKE 'timestamp%'
)
"""
"""Rows come in log order, hence nearly in that of time; ids of orders often do."""
_DATA_FILES = f"""
SELECT t.table_name, concat(s.path, t.path, f.path), v.partition_value, f.record_count
FROM {METADATA}.ducklake_data_file AS f
INNER JOIN {METADATA}.ducklake_table AS t USING (table_id)
INNER JOIN {METADATA}.ducklake_schema AS s USING (schema_id)
LEFT JOIN {METADATA}.ducklake_file_partition_value AS v USING (data_file_id)
WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL
ORDER BY f.data_file_id
"""
