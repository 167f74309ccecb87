"""Who a customer's token is: the operator's address book, a file that may be replaced at any time.

Columns: ``token``, and those that there are of ``phone``, ``email``, ``open_id`` (of the mini-program) and
``language``; of a token that comes twice the last row counts. Addresses stay in memory: neither the lake nor
the store of deliveries has them, and no line of a log names one.
"""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import structlog

from schemas.errors import InputError

_COLUMNS = ("token", "phone", "email", "open_id", "language")
_log = structlog.get_logger()


class Address(NamedTuple):
    """Where somebody can be reached, as far as it is known."""

    phone: str | None = None
    email: str | None = None
    open_id: str | None = None
    language: str | None = None


NOBODY = Address()


class AddressBook:
    """The newest whole file. A file that cannot be read does not replace one that could."""

    def __init__(self, file: Path | None) -> None:
        """Read it.

        Raises:
            InputError: it cannot be read, or has no tokens.
        """
        self._file = file
        self._rows: dict[str, int] = {}
        self._columns: list[pa.ChunkedArray] = []
        self._stamp: tuple[int, ...] = ()
        if file is not None:
            self._stamp = _stamp(file)
            self._take(_read(file))

    def find(self, token: str | None) -> Address:
        """Where the customer can be reached."""
        row = self._rows.get(token or "")
        if row is None:
            return NOBODY
        return Address(*(column[row].as_py() or None for column in self._columns))

    def refresh(self) -> None:
        """Take a file that has been replaced."""
        if self._file is None or (stamp := _stamp(self._file)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._take(_read(self._file))
        except InputError as error:
            _log.warning("the address book cannot be read; the one before counts", why=str(error))

    def _take(self, table: pa.Table) -> None:
        tokens = table["token"].to_pylist()
        self._rows = {token: row for row, token in enumerate(tokens) if token}
        self._columns = [table[name].combine_chunks() for name in _COLUMNS[1:]]


def _read(file: Path) -> pa.Table:
    try:
        found = _parsed(file)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as an address book: {error}") from error
    if "token" not in found.column_names:
        raise InputError(f"{file} has no column token; it has {', '.join(found.column_names)}")
    size = found.num_rows
    try:
        return pa.table(
            {
                name: pc.cast(found[name], pa.string())
                if name in found.column_names
                else pa.nulls(size, pa.string())
                for name in _COLUMNS
            }
        )
    except pa.ArrowException as error:
        raise InputError(f"{file}: {error}") from error


def _parsed(file: Path) -> pa.Table:
    """The file as a table; phone numbers are texts, whatever they look like."""
    texts = {name: pa.string() for name in _COLUMNS}
    match file.suffix:
        case ".csv":
            options = pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=True)
            return pyarrow.csv.read_csv(file, convert_options=options)
        case ".jsonl" | ".ndjson":
            schema = pa.schema(list(texts.items()))
            return pyarrow.json.read_json(
                file, parse_options=pyarrow.json.ParseOptions(explicit_schema=schema)
            )
        case ".parquet":
            return pq.read_table(file)
    raise InputError(f"{file}: an address book is a file .csv, .jsonl, .ndjson or .parquet")


def _stamp(file: Path) -> tuple[int, ...]:
    """Changes with the file; nothing while there is none."""
    try:
        state = file.stat()
    except OSError:
        return ()
    return state.st_ino, state.st_mtime_ns, state.st_size
