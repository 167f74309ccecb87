"""Rows of a Parquet file as lines of JSON, by a process of its own: the file is its input, the rows its output.

What a file says of its size is no bound: a few hundred bytes may stand for gigabytes, in more ways than can be
looked for, and the decoder believes them. So it works where only so much memory is to be had, and nothing is
lost with it but the file. It imports nothing of ours: a decoder starts anew for each file.
"""

import json
import resource
import signal
import sys
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

MEMORY_BYTES = 3 * 1024**3
"""Address space of the process: allocators keep much of it that they do not use."""

REFUSED = 2
"""Exit code where the error output says why; with any other the memory was not enough, or the decoder broke."""

_ROWS = 2_000
"""At a time, at most."""
_ROWS_BYTES = 16 * 1024 * 1024
"""At a time, by what the file says: it takes some times as much until they are lines."""
_BUFFER_BYTES = 1024 * 1024
"""Of each column's part of a row group, which is not held whole."""


def main() -> None:
    """The names of the columns in the first line, then the rows."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        # meant for whoever reads, who would take the end for a broken file
        signal.signal(ending, signal.SIG_IGN)
    # other pools take address space ahead, which counts as well
    pa.set_memory_pool(pa.system_memory_pool())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        _write(sys.stdin.buffer, sys.stdout.buffer)
    except (MemoryError, duckdb.OutOfMemoryException):
        sys.exit(REFUSED + 1)
    except (pa.ArrowException, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    except duckdb.Error as error:  # what it says may be personal
        print(type(error).__name__, file=sys.stderr)
        sys.exit(REFUSED)


def _write(file: BinaryIO, lines: BinaryIO) -> None:
    parquet = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
    lines.write(json.dumps(parquet.schema_arrow.names).encode() + b"\n")
    lines.flush()
    statement = _as_json(parquet.schema_arrow)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        for rows in parquet.iter_batches(_rows_at_once(parquet.metadata), use_threads=False):
            connection.register("batch", pa.Table.from_batches([rows]))
            for text in connection.execute(statement).to_arrow_table()["row"].to_pylist():
                lines.write(text.encode() + b"\n")
    lines.flush()


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    of_a_row = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(1, min(_ROWS, _ROWS_BYTES // max(of_a_row, 1)))


def _as_json(schema: pa.Schema) -> str:
    """SQL: rows as JSON objects of texts; objects and arrays stay what they are."""
    columns = []
    for field in schema:
        quoted = '"' + field.name.replace('"', '""') + '"'
        text = f"to_json({quoted})" if pa.types.is_nested(field.type) else f"{quoted}::VARCHAR"
        columns.append(f"{text} AS {quoted}")
    texts = f"SELECT {', '.join(columns)} FROM batch"
    return f"SELECT to_json(r)::VARCHAR AS row FROM ({texts}) AS r"


if __name__ == "__main__":
    main()
