"""Keeping a lake quick: settle, merge, forget, clean up. No step changes what any query returns.

- *Settle*: rows move from ``<name>_recent`` to ``<name>_settled`` (bucketed and sorted by order).
- *Gather*: the many small files of a slow day in ``_recent`` become one.
- *Merge*: small files of one bucket in ``_settled`` become one.
- *Forget*: snapshots older than a quarter of an hour, and rows in the catalogue that only they
could see. - *Clean up*: a file that no snapshot needs is deleted an hour after it became so,
because an open   query of another process may still be reading it; a file that no table ever
referred to (a crash   between writing and committing) after a day.

The first three are an INSERT and a DELETE in one transaction, and nothing else. DuckLake's own
``merge_adjacent_files`` and ``flush_inlined_data`` rewrite the past of the catalogue; on a SQLite
catalogue, whose reads are no snapshot, a reader in another process then misses rows or counts them
twice (seen with DuckDB 1.5.5, tests/flows/test_lake_maintenance.py; see also duckdb/ducklake issues
1305, 1413, 1419). They must not be used on a lake that is being read. Nor must its ``older_than``:
a SQLite catalogue keeps instants as text, and compared as text everything of the same day is old.

DuckDB does not flush data files to disk before their commit, so every step that writes some does so
here first. A job maintains its lake by itself (upkeep.py); for one that nobody writes there is
``maintain``.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from flows.lake import catalogue
from flows.lake.catalogue import DataFile
from flows.lake.connection import ALIAS, DATA, has_many_writers, open_lake, quoted
from flows.lake.diagnosis import explained
from flows.lake.durability import durable_transaction
from flows.lake.layout import check_version, landing, owners, settled
from flows.lake.lock import WriterLock
from schemas.errors import LakeError
from schemas.tables import SCHEMAS, Table

SETTLE_ROWS = 500_000
"""Rows moved in one transaction: some seconds, 31,000 rows a file, and bounded memory."""
MERGE_FILES = 4
"""Files of like size that are merged into one, so a row is rewritten once per power of 4."""
MERGED_ROWS = 200_000
"""A file of so many rows is large enough for good: 20 MB of decisions, three of a bucket at 10 million."""
MERGE_ROWS = 100_000
"""Rows merged in one transaction, about; its fixed cost of 0.1 s is that of 10,000 rows."""
SNAPSHOT_AGE = timedelta(minutes=15)
"""A transaction of a reader may last so long, and time travel and the change feed reach back so
far. Each file of a remembered snapshot costs every query a row per column (1,000 files: 30 ms)."""
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
    snapshots_forgotten: int
    files_removed: int


def maintain(path: Path, retention: Retention | None = None) -> Maintained:
    """Do all maintenance of a lake that no job is writing.

    Raises:
        LakeError: a job is writing it (which maintains it by itself), or it cannot be written.
    """
    open_lake(path, read_only=True, threads=1).close()  # refuses what is no lake
    if has_many_writers(path):
        raise LakeError(f"{path} has several writers: the owner of partition 0 maintains it")
    with explained(path):
        lock = WriterLock(path)
    try:
        connection = open_lake(path, threads=1)
        try:
            with explained(path):
                check_version(connection, path)
                return _maintain(connection, path, retention or Retention())
        finally:
            connection.close()
    finally:
        lock.release()


def _maintain(
    connection: duckdb.DuckDBPyConnection, path: Path, retention: Retention
) -> Maintained:
    moved = sum(settle_all(connection, path, owner) for owner in owners(connection))
    merged = 0
    while group := next_to_merge(connection):
        merged += len(group)
        merge(connection, path, group)
    forgotten = forget(connection, retention)
    return Maintained(moved, merged, forgotten, clean_up(connection, path, retention))


def settle_all(connection: duckdb.DuckDBPyConnection, path: Path, owner: int) -> int:
    """Move everything that an owner wrote; returns how many rows that were."""
    moved = 0
    for table in Table:
        while rows := settle(connection, path, table, owner):
            moved += rows
    return moved


def settle(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    table: Table,
    owner: int,
    rows: int = SETTLE_ROWS,
) -> int:
    """Move the oldest commits of an owner to a table, at most ``rows`` rows but at least one commit.

    Returns:
        The rows moved; 0 when there were none.
    """
    recent = landing(table, owner)
    last = catalogue.number(connection, _LAST_ROWID.format(recent=recent, rows=rows))
    if last is None:
        return 0
    highest = catalogue.number(
        connection, f"SELECT max(position) FROM {recent} WHERE rowid <= {last}"
    )
    # The position follows from the rowid; naming it spares reading files that begin later.
    chosen = f"FROM {recent} WHERE rowid <= {last} AND position <= {highest}"
    with durable_transaction(connection, path):
        moved = connection.execute(
            f"INSERT INTO {settled(table)} SELECT * {chosen} {_by_order(table)}"
        ).fetchone()
        deleted = connection.execute(f"DELETE {chosen}").fetchone()
        _check_moved(recent, moved, deleted)
    return int(moved[0]) if moved else 0


def gather(connection: duckdb.DuckDBPyConnection, path: Path, table: Table, owner: int) -> None:
    """Write an owner's recent rows of a table, in files or in the catalogue, as one file."""
    recent = landing(table, owner)
    with durable_transaction(connection, path):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE moved AS SELECT * FROM {recent}")
        deleted = connection.execute(f"DELETE FROM {recent}").fetchone()
        moved = connection.execute(f"INSERT INTO {recent} SELECT * FROM moved").fetchone()
        _check_moved(recent, moved, deleted)
    connection.execute("DROP TABLE temp.moved")


def next_to_merge(
    connection: duckdb.DuckDBPyConnection, files: int = MERGE_FILES
) -> list[DataFile]:
    """Settled files of one table worth merging: ``files`` or more of one bucket and of like size.

    Returns:
        Files of several buckets, up to ``MERGE_ROWS`` rows or one bucket; none where none is worth
        it.
    """
    groups: dict[tuple[str, str | None, int], list[DataFile]] = {}
    for file in catalogue.data_files(connection):
        if file.table.endswith("_settled") and file.rows < MERGED_ROWS:
            groups.setdefault((file.table, file.bucket, _tier(file.rows)), []).append(file)
    chosen: list[DataFile] = []
    for group in groups.values():
        if len(group) >= files and (not chosen or group[0].table == chosen[0].table):
            chosen += group
        if sum(file.rows for file in chosen) >= MERGE_ROWS:
            break
    return chosen


def merge(connection: duckdb.DuckDBPyConnection, path: Path, group: list[DataFile]) -> None:
    """Write these files of one table as one for each bucket."""
    name = group[0].table
    table = Table(name.removesuffix("_settled"))
    columns = ", ".join(f'"{c}"' for c in SCHEMAS[table].names)
    folder = path.resolve() / DATA
    files = ", ".join(quoted(str(folder / file.path)) for file in group)
    with durable_transaction(connection, path):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE moved AS SELECT {columns} FROM read_parquet([{files}])"
        )
        deleted = connection.execute(f"DELETE FROM {name} WHERE filename IN ({files})").fetchone()
        moved = connection.execute(
            f"INSERT INTO {name} SELECT * FROM moved {_by_order(table)}"
        ).fetchone()
        _check_moved(name, moved, deleted)
    connection.execute("DROP TABLE temp.moved")


def forget(connection: duckdb.DuckDBPyConnection, retention: Retention) -> int:
    """Forget old snapshots; returns how many.

    Each commit leaves a dead row of ``positions`` in the catalogue, which every later one reads
    past (10 ms after 3,000 of them). DuckLake keeps those for ever; here they go with the
    snapshots.
    """
    old = catalogue.old_snapshots(connection, retention.snapshots)
    if old:
        versions = ", ".join(map(str, old))
        call = f"ducklake_expire_snapshots('{ALIAS}', versions => [{versions}])"
        catalogue.number(connection, f"SELECT count(*) FROM {call}")
    catalogue.purge(connection)
    return len(old)


def clean_up(connection: duckdb.DuckDBPyConnection, path: Path, retention: Retention) -> int:
    """Delete files that nothing needs any more; returns how many."""
    unneeded = catalogue.unneeded_files(connection, retention.files)
    for file in unneeded.values():
        (path / DATA / file).unlink(missing_ok=True)
    catalogue.forget_files(connection, list(unneeded))
    older = f"now() - INTERVAL '{retention.orphans.total_seconds()} seconds'"
    orphans = catalogue.number(
        connection,
        f"SELECT count(*) FROM ducklake_delete_orphaned_files('{ALIAS}', older_than => {older})",
    )
    return len(unneeded) + (orphans or 0)


def _by_order(table: Table) -> str:
    """How the rows of a settled file lie: those of one order together.

    A look-up then reads the one stretch of a file that may hold its order, and passes over a file that holds
    it not in 0.5 ms, where it took 8 ms to look through its 200,000 rows (measured); it is smaller as well.
    """
    return "ORDER BY order_id, position" if "order_id" in SCHEMAS[table].names else ""


def _tier(rows: int) -> int:
    return (max(rows, 1).bit_length() - 1) // 2  # powers of 4


def _check_moved(name: str, moved: tuple[int] | None, deleted: tuple[int] | None) -> None:
    if moved != deleted:
        raise AssertionError(f"{name}: {moved} rows written, {deleted} deleted")


_LAST_ROWID = """
SELECT coalesce(max(last) FILTER (upto <= {rows}), min(last))
FROM (
    SELECT max(rowid) AS last, sum(count(*)) OVER (ORDER BY max(rowid)) AS upto
    FROM {recent} GROUP BY snapshot_id
)
"""
