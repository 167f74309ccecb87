"""Transactions whose new files survive a power cut.

DuckDB 1.5.5 hands data files to the operating system and commits their names to the catalogue,
which SQLite does flush to disk (seen with strace): after a power cut a committed row may be in a
torn file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from flows.lake.connection import DATA


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
