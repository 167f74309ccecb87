"""Keeping a lake quick: settle, merge, expire, clean up. No step changes what any query returns.

- *Settle*: rows of a paired table move from ``_recent`` to the bucketed ``_settled`` in one
  transaction, so a reader finds each row in exactly one of them.
- *Merge*: small neighbouring files become one.
- *Expire*: snapshots older than an hour are forgotten, and with them the history of ``positions``.
- *Clean up*: a file that no snapshot needs is deleted an hour after it became so, because an open
  query of another process may still be reading it; a file that no table ever referred to (a crash
  between writing and committing) after a day.

DuckDB does not flush data files to disk before their commit, so every step that writes some does so
here first. A job maintains its lake by itself (upkeep.py); for one that nobody writes there is
``maintain``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from flows.lake.connection import ALIAS, DATA, METADATA, open_lake
from flows.lake.diagnosis import explained
from flows.lake.layout import PAIRED, check_version, landing, settled
from flows.lake.lock import WriterLock
from schemas.tables import Table

SETTLE_ROWS = 500_000
"""Rows moved in one transaction: some seconds, 8,000 rows a file, and bounded memory."""
MERGED_FILE_BYTES = 32 << 20
"""Files this large are not merged again, so that a row is rewritten a few times only."""
MERGES = 64
"""Merged files written in one transaction: one per bucket."""
SNAPSHOT_AGE = timedelta(hours=1)
"""Time travel and the change feed reach back so far; readers poll every few seconds."""
FILE_GRACE = timedelta(hours=1)
"""No query is expected to run longer."""
ORPHAN_AGE = timedelta(days=1)
"""No commit takes that long between writing its file and naming it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is no longer current is kept."""

    snapshots: timedelta = SNAPSHOT_AGE
    files: timedelta = FILE_GRACE
    orphans: timedelta = ORPHAN_AGE


@dataclass(frozen=True, slots=True)
class Maintained:
    """What a maintenance did."""

    rows_settled: int
    files_merged: int
    snapshots_expired: int
    files_removed: int


def maintain(path: Path, retention: Retention | None = None) -> Maintained:
    """Do all maintenance of a lake that no job is writing.

    Raises:
        LakeError: a job is writing it (which maintains it by itself), or it cannot be written.
    """
    chosen = retention or Retention()
    connection = open_lake(path, read_only=True, threads=1)  # refuses what is no lake
    connection.close()
    with explained(path):
        lock = WriterLock(path)
    try:
        connection = open_lake(path, threads=1)
        try:
            with explained(path):
                check_version(connection, path)
                return _maintain(connection, path, chosen)
        finally:
            connection.close()
    finally:
        lock.release()


def _maintain(
    connection: duckdb.DuckDBPyConnection, path: Path, retention: Retention
) -> Maintained:
    flush_inlined(connection, path)
    moved = 0
    for table in PAIRED:
        while rows := settle(connection, path, table):
            moved += rows
    merged = 0
    for table in Table:
        while files := merge(connection, path, settled(table) if table in PAIRED else table):
            merged += files
    compact_positions(connection)
    return Maintained(moved, merged, expire(connection, retention), clean_up(connection, retention))


def settle(
    connection: duckdb.DuckDBPyConnection, path: Path, table: Table, rows: int = SETTLE_ROWS
) -> int:
    """Move the oldest commits of a paired table, at most ``rows`` rows but at least one commit.

    Returns:
        The rows moved; 0 when there were none.
    """
    last = _one(connection, _LAST_ROWID.format(recent=landing(table), rows=rows))
    if last is None:
        return 0
    highest = _one(connection, f"SELECT max(position) FROM {landing(table)} WHERE rowid <= {last}")
    # The position is implied by the rowid; it spares the reading of files that begin later.
    chosen = f"FROM {landing(table)} WHERE rowid <= {last} AND position <= {highest}"
    with _durable_transaction(connection, path):
        moved = _one(connection, f"INSERT INTO {settled(table)} SELECT * {chosen}")
        deleted = _one(connection, f"DELETE {chosen}")
        if moved != deleted:
            raise AssertionError(f"{table}: {moved} rows copied, {deleted} deleted")
    return int(moved or 0)


def merge(
    connection: duckdb.DuckDBPyConnection, path: Path, table: str, files: int = MERGES
) -> int:
    """Merge small files of one physical table into ``files`` at most; returns how many went in."""
    with _durable_transaction(connection, path):
        merged = connection.execute(
            f"SELECT coalesce(sum(files_processed), 0) FROM ducklake_merge_adjacent_files("
            f"'{ALIAS}', '{table}', max_file_size => {MERGED_FILE_BYTES}, "
            f"max_compacted_files => {files})"
        ).fetchone()
    return int(merged[0]) if merged else 0


def flush_inlined(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write rows that small commits left in the catalogue to files."""
    for table in Table:
        for name in (landing(table), settled(table)) if table in PAIRED else (landing(table),):
            with _durable_transaction(connection, path):
                connection.execute(
                    f"CALL ducklake_flush_inlined_data('{ALIAS}', table_name => '{name}')"
                )


def compact_positions(connection: duckdb.DuckDBPyConnection) -> None:
    """Forget the history of ``positions``: each commit leaves a dead row in the catalogue."""
    connection.execute("BEGIN")
    rows = connection.execute("SELECT * FROM positions").to_arrow_table()
    connection.register("current", rows)
    connection.execute("CREATE OR REPLACE TABLE positions AS SELECT * FROM current")
    connection.execute("COMMIT")
    connection.unregister("current")


def expire(connection: duckdb.DuckDBPyConnection, retention: Retention) -> int:
    """Forget old snapshots; returns how many."""
    return _count(connection, "ducklake_expire_snapshots", retention.snapshots)


def clean_up(connection: duckdb.DuckDBPyConnection, retention: Retention) -> int:
    """Delete files that nothing needs any more; returns how many."""
    unneeded = _count(connection, "ducklake_cleanup_old_files", retention.files)
    return unneeded + _count(connection, "ducklake_delete_orphaned_files", retention.orphans)


def live_files(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Data files that a scan of this physical table opens."""
    return int(_one(connection, _LIVE_FILES.format(table=table)) or 0)


def count_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of this physical table."""
    return int(_one(connection, f"SELECT count(*) FROM {table}") or 0)


@contextmanager
def _durable_transaction(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """A transaction whose new files are on disk before it commits."""
    data = path / DATA
    before = set(data.rglob("*.parquet"))
    connection.execute("BEGIN")
    try:
        yield
        new = set(data.rglob("*.parquet")) - before
        for place in sorted(new | {file.parent for file in new}):
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _count(connection: duckdb.DuckDBPyConnection, function: str, age: timedelta) -> int:
    seconds = f"INTERVAL '{age.total_seconds()} seconds'"
    count = _one(
        connection,
        f"SELECT count(*) FROM {function}('{ALIAS}', older_than => now() - {seconds})",
    )
    return int(count or 0)


def _one(connection: duckdb.DuckDBPyConnection, statement: str) -> int | None:
    row = connection.execute(statement).fetchone()
    return None if row is None else row[0]


_LAST_ROWID = """
SELECT coalesce(max(last) FILTER (upto <= {rows}), min(last))
FROM (
    SELECT max(rowid) AS last, sum(count(*)) OVER (ORDER BY max(rowid)) AS upto
    FROM {recent} GROUP BY snapshot_id
)
"""
_LIVE_FILES = f"""
SELECT count(*)
FROM {METADATA}.ducklake_data_file AS f INNER JOIN {METADATA}.ducklake_table AS t USING (table_id)
WHERE t.table_name = '{{table}}' AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL
"""
