"""Opening a lake: a directory with ``data/`` (Parquet) and its SQL catalogue.

The catalogue is ``catalog.sqlite`` in it: one process writes. Or it is a database of PostgreSQL, and
``catalog.postgres`` says how to connect: several processes write, each its own partitions.

The extensions come from the wheels ``duckdb_extension_*`` (the official signed binaries), so
nothing is downloaded; where the wheels are absent, ``INSTALL`` is the fallback. The catalogue
stores the data path it was created with, and the data files relative to it; it is always overridden
here with the directory at hand, so that a lake may be moved or copied.

The catalogue is never opened with Python's own ``sqlite3`` in a process that has it attached: two
copies of SQLite in one process drop each other's file locks and damage the file (seen in a test).
"""

import importlib.util
from pathlib import Path

import duckdb
import stamina

from flows.lake.diagnosis import CATALOG, POINTER, explained
from schemas.errors import LakeError

ALIAS = "lake"
METADATA = f"__ducklake_metadata_{ALIAS}"
"""Under this name DuckLake attaches its own catalogue tables."""
DATA = "data"

_UNPAUSED = "-c idle_in_transaction_session_timeout=10s"
"""A writer that is paused in the middle of a commit would hold up all the others."""
_EXTENSIONS = ("sqlite_scanner", "ducklake")
_OF_POSTGRES = "postgres_scanner"


def open_lake(
    path: Path, *, threads: int | None = None, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """A connection of its own with the lake attached and in use.

    Args:
        path: the lake's directory; unless read-only, an absent catalogue is created in it.
        threads: DuckDB's worker threads; None leaves the choice to DuckDB.
        read_only: whether every write is refused.

    Raises:
        LakeError: no lake there, or it cannot be opened.
    """
    if read_only and not is_lake(path):
        raise LakeError(f"{path} is no lake: {CATALOG} is missing; check the path")
    with explained(path):
        connection = _connected(threads)
    try:
        with explained(path):
            attach(connection, path, ALIAS, read_only=read_only)
            connection.execute(f"USE {ALIAS}")
    except LakeError:
        connection.close()
        raise
    return connection


def is_lake(path: Path) -> bool:
    """Whether there is a catalogue, or the way to it, in the directory."""
    return (path / CATALOG).is_file() or has_many_writers(path)


def has_many_writers(path: Path) -> bool:
    """Whether the catalogue is in PostgreSQL."""
    return (path / POINTER).is_file()


def _connected(threads: int | None) -> duckdb.DuckDBPyConnection:
    """A database in memory with the extensions; nothing but rows goes to standard output.

    DuckDB checks the signature of an extension whenever it loads one: 70 MB to hash, a quarter of a second
    for each connection. Those of the wheels are installed as Python's own modules are, and loaded as those are.
    """
    from_wheels = all(_extension_file(name) for name in _EXTENSIONS)
    connection = duckdb.connect(config={"allow_unsigned_extensions": str(from_wheels).lower()})
    for name in _EXTENSIONS:
        _load(connection, name)
    connection.execute("SET allow_unsigned_extensions = false")  # for good
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    return connection


def attach(
    connection: duckdb.DuckDBPyConnection, path: Path, alias: str, *, read_only: bool
) -> None:
    """Attach the lake in this directory under a name."""
    directory = path.resolve()
    options = [f"DATA_PATH {quoted(f'{directory / DATA}/')}", "OVERRIDE_DATA_PATH true"]
    if has_many_writers(path):
        _load(connection, _OF_POSTGRES)
        source = f"postgres:{(path / POINTER).read_text(encoding='utf-8').strip()}"
        source += "" if read_only else f" options='{_UNPAUSED}'"
    else:
        source = f"sqlite:{directory / CATALOG}"
    if read_only:
        options.append("READ_ONLY")
    elif not has_many_writers(path):
        # Without the write-ahead log readers and the writer block each other for seconds
        # (measured).
        options.append("META_JOURNAL_MODE 'WAL'")
    statement = f"ATTACH {quoted(f'ducklake:{source}')} AS {alias} ({', '.join(options)})"
    for attempt in stamina.retry_context(
        on=_is_being_made, timeout=None, wait_initial=0.1, wait_max=1.0, wait_jitter=0.5
    ):
        with attempt:
            connection.execute(statement)


def _is_being_made(error: Exception) -> bool:
    """Whether another process was making the same catalogue in PostgreSQL."""
    return isinstance(error, duckdb.Error) and any(
        words in str(error) for words in ("duplicate key value", "already exists")
    )


def quoted(text: str) -> str:
    """The text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    file = _extension_file(name)
    if file is None:
        connection.execute(f"INSTALL {name}")
    connection.execute(f"LOAD {name if file is None else quoted(str(file))}")


def _extension_file(name: str) -> Path | None:
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / f"{name}.duckdb_extension"
    return file if file.is_file() else None
