"""Read-only SQL over a lake, while a job writes it or not."""

from pathlib import Path

import duckdb

from flows.lake.connection import open_lake
from flows.lake.diagnosis import explained
from flows.lake.layout import check_version
from schemas.errors import LakeError


def connect_reader(path: Path, *, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection in which ``SELECT * FROM decisions`` works and every write is refused.

    Each statement sees the newest commit; within BEGIN and COMMIT all statements see the same one.

    Raises:
        LakeError: not a lake, of another version, or damaged.
    """
    connection = open_lake(path, threads=threads, read_only=True)
    try:
        with explained(path):
            check_version(connection, path)
    except LakeError:
        connection.close()
        raise
    return connection
