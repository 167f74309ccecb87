"""Transactions: tried again while somebody is in the way; new files survive a power cut.

DuckDB 1.5.5 hands data files to the operating system and commits their names to the catalogue,
which SQLite does flush to disk (seen with strace): after a power cut a committed row may be in a
torn file.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import duckdb
import stamina

from flows.lake.connection import DATA
from flows.lake.diagnosis import is_busy

Result = TypeVar("Result")
ATTEMPTS = 20


def transacted(connection: duckdb.DuckDBPyConnection, work: Callable[[], Result]) -> Result:
    """Do the work in a transaction; all of it again while another writer is in the way."""
    result = []
    for attempt in stamina.retry_context(
        on=is_busy,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=0.05,
        wait_max=0.5,
        wait_jitter=0.2,
    ):
        with attempt:
            connection.execute("BEGIN")
            try:
                result = [work()]
                connection.execute("COMMIT")
            except BaseException:
                roll_back(connection)
                raise
    return result[0]


@contextmanager
def durable_transaction(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """A transaction whose new data files are on disk before it commits; an error undoes it.

    Nothing is inlined in it: DuckLake notes the deletion of ten rows or fewer in the catalogue, row
    by row, and would keep a small file after all its rows have gone.
    """
    before = _files(path)
    connection.execute("SET ducklake_default_data_inlining_row_limit = 0")
    connection.execute("BEGIN")
    try:
        yield
        _flush(_files(path) - before, (path / DATA).parent)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    finally:
        connection.execute("RESET ducklake_default_data_inlining_row_limit")


def roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Undo the open transaction, if there still is one."""
    try:
        connection.execute("ROLLBACK")
    except duckdb.TransactionException:
        return  # the failed statement ended it already


def _files(path: Path) -> set[Path]:
    return set((path / DATA).rglob("*.parquet"))


def _flush(files: set[Path], root: Path) -> None:
    """Make new files durable, and the directories that may be new with them."""
    folders = {p for file in files for p in file.parents if p.is_relative_to(root)}
    for place in sorted(files | folders):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
