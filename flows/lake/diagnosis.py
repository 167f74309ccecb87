"""What went wrong with a lake, in one line with the remedy.

DuckDB, DuckLake and SQLite report through text. The causes a user can act on are recognised here by
the words those libraries use; anything else is passed on with its first line, never hidden.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from polars.exceptions import PolarsError

from schemas.errors import LakeError

CATALOG = "catalog.sqlite"
POINTER = "catalog.postgres"
"""Instead of it where the catalogue is in PostgreSQL: holds how to connect, without a password."""

_CAUSES = (
    (
        r"malformed|not a database|file is encrypted|unsupported file format",
        "{path}/catalog.sqlite is damaged; restore the lake from a copy, or build it anew from the "
        "log in a new directory",
    ),
    (
        r"no space left|disk is full|disk full|file too large|disk quota|disk i/o error",
        "{path} cannot be written: the disk is full or failing ({detail}); make room and start "
        "again, nothing of this commit was kept",
    ),
    (
        r"readonly database|read-only file system|permission denied",
        "{path} cannot be written: it is read-only for this user ({detail}); choose another "
        "directory or change its permissions",
    ),
    (
        r"database is locked|database table is locked|database is busy",
        "{path}/catalog.sqlite is locked by another process; stop the other writer and try again",
    ),
    (
        r"existing ducklake at metadata catalog .* does not exist",
        "{path} is no lake yet: its catalogue in PostgreSQL is empty; start the job that writes it",
    ),
    (
        r"unable to connect to postgres|connection to server|server closed the connection"
        r"|terminating connection|no password supplied|authentication failed",
        "{path}: its catalogue in PostgreSQL cannot be reached ({detail}); see that the server is up, "
        "and give the password by PGPASSWORD or a passfile",
    ),
    (
        r"unable to open database file",
        "{path}/catalog.sqlite cannot be opened ({detail}); a lake on a read-only disk must be "
        "copied to a writable directory first, because SQLite keeps its journal beside the file",
    ),
    (
        r"no magic bytes|too small to be a parquet|invalid parquet|file '.*' is damaged",
        "{path}: a data file is damaged ({detail}); restore it from a copy",
    ),
    (
        r"cannot open file|no files found|no such file",
        "{path}: a data file is missing ({detail}); restore it from a copy, or open the query "
        "again if it ran longer than the grace period of the maintenance",
    ),
)
_BUSY = re.compile(
    r"database is locked|database table is locked|database is busy|transaction conflict"
    r"|could not serialize|deadlock detected|exceeded the maximum retry count",
    re.IGNORECASE,
)


def is_busy(error: Exception) -> bool:
    """Whether another connection was in the way, so that the same transaction may succeed now."""
    return isinstance(error, duckdb.Error) and bool(_BUSY.search(str(error)))


def explain(path: Path, error: duckdb.Error | OSError | PolarsError) -> LakeError:
    """The error as one line that names the lake and the remedy."""
    detail = " ".join(str(error).split())
    for pattern, remedy in _CAUSES:
        if re.search(pattern, detail, re.IGNORECASE):
            return LakeError(remedy.format(path=path, detail=detail[:300]))
    return LakeError(f"{path}: the lake reports: {detail[:600]}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn library and system errors of the block into a ``LakeError`` about this lake."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise explain(path, error) from error
