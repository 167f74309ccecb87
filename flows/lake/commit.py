"""One transaction: rows of all tables together with the positions that caused them.

An owner that was replaced commits nothing more (ownership.py).

More than a handful of rows are written as one Parquet file by Polars and then added to the table.
That is three times cheaper than INSERT (0.6 against 2.1 microseconds a decision), and safer: DuckDB
1.5.5 does not flush its data files to disk before it commits them to the catalogue (seen with
strace), so that a power cut could leave a committed row in a torn file; here the file is on disk
first. A crash in between leaves a file that no table refers to, which maintenance removes.
"""

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from flows.files import make_directory, sync_directory
from flows.lake.batches import Batch, stamped
from flows.lake.connection import ALIAS, DATA, quoted
from flows.lake.diagnosis import explain, is_busy
from flows.lake.durability import roll_back
from flows.lake.layout import landing
from flows.lake.ownership import Ownership
from schemas.errors import LakeError
from schemas.tables import SCHEMAS

INLINED_ROWS = 10
"""Up to so many rows of a table go into the catalogue itself: DuckLake's own limit. An inlined row
of ``decisions`` costs 0.4 ms, a file 10 ms whatever its size (measured)."""
COMMIT_ATTEMPTS = 5
"""Tries of one transaction while another connection is in the way."""
BUSY_SECONDS = 0.1
"""First pause between tries; it doubles each time, 1.5 s in all. SQLite itself waits 5 s before."""
CRASH_POINTS = ("before_begin", "before_commit", "after_commit")


def no_crash(point: str) -> None:
    """Stand-in for the hook that crash tests pass."""


class Committer:
    """Commits to the partitions of one owner, on the thread that calls it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        ownership: Ownership,
        crash_point: Callable[[str], None] = no_crash,
    ) -> None:
        self._connection = connection
        self._path = path
        self._ownership = ownership
        self._crash_point = crash_point

    def commit(self, batch: Batch) -> None:
        """Write the batch, all of it or nothing.

        Raises:
            LakeError: fenced off by another owner, disk full, locked for too long, or damaged.
        """
        for attempt in range(1, COMMIT_ATTEMPTS + 1):
            try:
                self._crash_point("before_begin")
                self._transact(stamped(batch, datetime.now(UTC)))
                self._crash_point("after_commit")
            except duckdb.Error as error:
                roll_back(self._connection)
                if not is_busy(error) or attempt == COMMIT_ATTEMPTS:
                    raise explain(self._path, error) from error
                time.sleep(BUSY_SECONDS * 2 ** (attempt - 1))
            except LakeError:
                roll_back(self._connection)
                raise
            else:
                return

    def _transact(self, batch: Batch) -> None:
        landings = {table: landing(table, self._ownership.owner) for table in batch.tables}
        files = {
            landings[table]: self._write_file(landings[table], rows)
            for table, rows in batch.tables.items()
            if rows.num_rows > INLINED_ROWS
        }
        self._connection.execute("BEGIN")
        lost = self._ownership.advance(batch.positions)
        if lost:
            raise self._fenced(lost[0])
        for name, file in files.items():
            self._connection.execute(
                f"CALL ducklake_add_data_files('{ALIAS}', '{name}', {quoted(str(file))})"
            )
        for table, rows in batch.tables.items():
            if rows.num_rows <= INLINED_ROWS:
                self._insert(landings[table], rows.cast(SCHEMAS[table]))
        self._crash_point("before_commit")
        self._connection.execute("COMMIT")

    def _write_file(self, table: str, rows: pa.Table) -> Path:
        folder = self._path.resolve() / DATA / "main" / table
        make_directory(folder)
        file = folder / f"commit-{uuid.uuid4()}.parquet"
        try:
            frame = pl.DataFrame(pl.from_arrow(rows, rechunk=False))
            with file.open("wb") as stream:
                frame.write_parquet(stream, compression="lz4")
                stream.flush()
                os.fsync(stream.fileno())
            sync_directory(folder)
        except (OSError, pl.exceptions.PolarsError) as error:
            file.unlink(missing_ok=True)
            raise explain(self._path, error) from error
        return file

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._connection.register("batch", rows)
        self._connection.execute(f"INSERT INTO {table} SELECT * FROM batch")
        self._connection.unregister("batch")

    def _fenced(self, partition: int) -> LakeError:
        return LakeError(
            f"{self._path}: fenced: another process has taken over partition {partition}; "
            "this one has committed nothing since and must stop"
        )
