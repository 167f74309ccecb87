"""Whose rows a lake holds, how far they go, and what they take on disk. All from one snapshot."""

from datetime import datetime
from pathlib import Path

import duckdb
import msgspec

from flows.lake.connection import ALIAS, METADATA
from flows.lake.diagnosis import CATALOG, explained
from flows.lake.ownership import Position, positions_of
from flows.lake.query import connect_reader


class TableStatus(msgspec.Struct, frozen=True):
    """One physical table."""

    table: str
    rows: int
    files: int
    bytes: int


class LakeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A lake at its newest snapshot."""

    lake: str
    log_id: str
    policy_override_sha256: str
    version: int
    snapshots: int
    latest_snapshot_at: datetime | None
    catalogue_bytes: int
    files: int
    file_bytes: int
    positions: list[Position]
    tables: list[TableStatus]


def lake_status(path: Path) -> LakeStatus:
    """Read the status of a lake.

    Raises:
        LakeError: it cannot be read.
    """
    with connect_reader(path) as connection, explained(path):
        connection.execute("BEGIN")
        log_id, override, version = _row(
            connection, "SELECT log_id, policy_override_sha256, version FROM identity ORDER BY flow"
        )
        snapshots, latest = _snapshots(connection)
        tables = _tables(connection)
        positions = positions_of(connection)
    return LakeStatus(
        lake=str(path),
        log_id=str(log_id),
        policy_override_sha256=str(override),
        version=int(str(version)),
        snapshots=snapshots,
        latest_snapshot_at=latest,
        catalogue_bytes=sum(file.stat().st_size for file in path.glob(f"{CATALOG}*")),
        files=sum(t.files for t in tables),
        file_bytes=sum(t.bytes for t in tables),
        positions=positions,
        tables=tables,
    )


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[object, ...]:
    row: tuple[object, ...] | None = connection.execute(query).fetchone()
    assert row is not None  # an identity is written with the tables, a count always has a row
    return row


def _snapshots(connection: duckdb.DuckDBPyConnection) -> tuple[int, datetime | None]:
    """How many there are, and when the newest was made."""
    (row,) = (
        connection.execute(
            f"SELECT count(*) AS n, max(snapshot_time) AS latest FROM ducklake_snapshots('{ALIAS}')"
        )
        .to_arrow_table()
        .to_pylist()
    )
    return row["n"], row["latest"]


def _tables(connection: duckdb.DuckDBPyConnection) -> list[TableStatus]:
    """Every physical table with its rows and live files."""
    files = connection.execute(_FILES).fetchall()
    return [
        TableStatus(
            name, int(str(_row(connection, f"SELECT count(*) FROM {name}")[0])), count, size
        )
        for name, count, size in files
    ]


_FILES = f"""
SELECT t.table_name, count(f.data_file_id), coalesce(sum(f.file_size_bytes), 0)::BIGINT
FROM {METADATA}.ducklake_table AS t
LEFT JOIN {METADATA}.ducklake_data_file AS f ON f.table_id = t.table_id AND f.end_snapshot IS NULL
WHERE t.end_snapshot IS NULL
GROUP BY t.table_name
ORDER BY t.table_name
"""
