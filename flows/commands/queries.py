"""Running SQL that only reads: what may run, its rows batch by batch, its errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from flows.lake.diagnosis import explain
from schemas.errors import InputError

BATCH_ROWS = 10_000

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_MISTAKES = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.NotSupportedError,
    duckdb.IntegrityError,
)


class Reader:
    """A lake's connection that refuses statements which do not merely read."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.connection = connection
        self.path = path

    def statements(self, text: str) -> list[str]:
        """The statements of a text.

        Raises:
            InputError: it cannot be parsed, or one of them writes.
        """
        with self._explained():
            found = self.connection.extract_statements(text)
        if any(not statement.query for statement in found):
            return [text]  # PIVOT: DuckDB splits it into steps that have no text of their own
        for statement in found:
            if statement.type not in _READING:
                word = statement.type.name.replace("_", " ")
                raise InputError(
                    f"crossdock sql only reads: {word} is refused; write to a file with "
                    "--csv, --json or --parquet OUT"
                )
        return [statement.query for statement in found]

    def run(self, statement: str, limit: int | None = None) -> "Rows":
        """Start a statement; its rows come as they are asked for.

        Raises:
            InputError: DuckDB refuses the statement.
            LakeError: the lake cannot be read.
        """
        with self._explained():
            result = self.connection.execute(statement)
            return Rows(result.to_arrow_reader(BATCH_ROWS), self, limit)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _MISTAKES as error:
            message = str(error).split("\n\nLINE ")[0]
            raise InputError(" ".join(message.split())) from error
        except duckdb.Error as error:
            raise explain(self.path, error) from error


class Rows:
    """The rows of one statement, at most ``limit`` of them."""

    def __init__(self, reader: pa.RecordBatchReader, owner: Reader, limit: int | None) -> None:
        self.schema: pa.Schema = reader.schema
        self._reader = reader
        self._owner = owner
        self._limit = limit

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Batches of rows, none empty."""
        left = self._limit
        while left is None or left > 0:
            with self._owner._explained():
                batch = next(self._reader, None)
            if batch is None:
                return
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            if batch.num_rows:
                yield batch
