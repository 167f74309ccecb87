"""Do two lakes hold the same facts? An order-independent digest of every fact table.

The digest of a table is the sum, over all rows of all given lakes, of two 64-bit hashes of the
whole row. So it depends on no order, file layout, commit size or encoding, and a row held twice
counts twice. ``measurements`` (wall clock), ``positions`` and ``identity`` are left out. DuckDB's
``hash`` is stable within the pinned 1.5.x; digests of different releases must not be compared.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from flows.lake.diagnosis import explained
from flows.lake.layout import FACTS
from flows.lake.query import connect_reader
from schemas.tables import SCHEMAS, Table

_MODULUS = 1 << 64
_SECOND_SEED = 1  # hashed along with the row, for a second and independent 64 bits


def digest(paths: Sequence[Path]) -> dict[Table, tuple[int, str]]:
    """Rows and digest (32 hex digits) of each fact table over the union of the lakes.

    Raises:
        LakeError: one of them cannot be read.
    """
    sums = dict.fromkeys(FACTS, (0, 0, 0))
    for path in paths:
        connection = connect_reader(path)
        try:
            with explained(path):
                for table in FACTS:
                    sums[table] = _added(sums[table], _table_sums(connection, table))
        finally:
            connection.close()
    return {
        table: (rows, f"{first % _MODULUS:016x}{second % _MODULUS:016x}")
        for table, (rows, first, second) in sums.items()
    }


def _table_sums(connection: duckdb.DuckDBPyConnection, table: Table) -> tuple[int, int, int]:
    columns = ", ".join(f'"{name}"' for name in SCHEMAS[table].names)
    row = connection.execute(
        f"SELECT count(*), coalesce(sum(hash({columns})::HUGEINT), 0), "
        f"coalesce(sum(hash({columns}, {_SECOND_SEED})::HUGEINT), 0) FROM {table}"
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY has one row
    return row[0], row[1], row[2]


def _added(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]
