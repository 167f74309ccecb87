"""Facts as the text that is hashed, block by block.

A fact is one line: its table and all its columns by name, as JSON; instants are microseconds since 1970, dates
are text and bytes hex. Readings and locations are many, so those of one order in a block are one leaf: their
lines together, in the order of the log. In a block single facts come first, then these series, both in that
order. All of this is SQL: DuckDB writes and hashes a row in less time than Python needs to fetch its text.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from flows.lake.layout import FACTS
from models.evidence.chain import BLOCK
from models.evidence.merkle import SIZE, Digest, Digests
from schemas.tables import SCHEMAS, Table

SERIES = (Table.READINGS, Table.LOCATIONS)
"""Tables whose rows are leaves by order."""


class Fact(msgspec.Struct, frozen=True):
    """A leaf, and what it is of.

    Attributes:
        partition: of its record.
        block: of its record.
        table: its table.
        position: of the record that caused it; of a series the first.
        index: which effect of that record; of a series the first.
        tenant: whose.
        network: of which network.
        order_id: about which order; None: about none.
        digest: of the leaf.
        text: what is hashed.
    """

    partition: int
    block: int
    table: str
    position: int
    index: int
    tenant: str
    network: str
    order_id: str | None
    digest: Digest
    text: str


def leaves_of_blocks(
    connection: duckdb.DuckDBPyConnection, partition: int, first: int, last: int, upto: int
) -> Iterator[Digests]:
    """The leaves of each block from ``first`` to ``last``, up to a position; nothing for an empty one."""
    query = f"SELECT block, digest FROM {_leaves(FACTS, _within(partition, first, last, upto))} {_ORDER}"
    found = connection.execute(query).to_arrow_table().combine_chunks()
    blocks = found["block"].to_numpy()
    borders = np.searchsorted(blocks, np.arange(first, last + 2)) * SIZE
    digests = _bytes(found["digest"])
    for start, stop in pairwise(borders):
        yield digests[start:stop]


def facts_of_block(
    connection: duckdb.DuckDBPyConnection, partition: int, block: int, upto: int
) -> list[Fact]:
    """The facts of one block, up to a position, in the order of its leaves."""
    return _facts(connection, FACTS, _within(partition, block, block, upto), [])


def facts_about(
    connection: duckdb.DuckDBPyConnection, order_id: str, upto: Mapping[int, int]
) -> list[Fact]:
    """The facts about the orders of this id, in the order of their leaves.

    Args:
        connection: to the lake.
        order_id: which.
        upto: last position to read, by partition; of others nothing is read.
    """
    tables = tuple(table for table in FACTS if "order_id" in SCHEMAS[table].names)
    within = (f'partition = {p} AND "position" <= {last}' for p, last in upto.items())
    where = f"order_id = $1 AND ({' OR '.join(within) or 'false'})"
    return _facts(connection, tables, where, [order_id])


def _facts(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], where: str, values: list[str]
) -> list[Fact]:
    query = f"""
        SELECT partition, block, name, "position", "index", tenant, network, order_id, digest, text
        FROM {_leaves(tables, where)} {_ORDER}
    """
    return [Fact(*row) for row in connection.execute(query, values).fetchall()]


def _within(partition: int, first: int, last: int, upto: int) -> str:
    start, stop = first * BLOCK, min((last + 1) * BLOCK - 1, upto)
    return f'partition = {partition} AND "position" BETWEEN {start} AND {stop}'


def _leaves(tables: Sequence[Table], where: str) -> str:
    """A leaf a row; the digest is made before anything is sorted, so that no text is."""
    parts = [
        _series(table, where) if table in SERIES else _single(table, where) for table in tables
    ]
    digest = "unhex(sha256('\\x00'::BLOB || encode(text)))"
    return f"(SELECT *, {digest} AS digest FROM ({' UNION ALL '.join(parts)}))"


_ORDER = 'ORDER BY partition, block, is_series, "position", "index", name, digest'


def _single(table: Table, where: str) -> str:
    return f"""
        SELECT partition, "position" // {BLOCK} AS block, false AS is_series, '{table}' AS name,
            "position", "index", {_scope(table)}, {_line(table)} AS text
        FROM {table} WHERE {where}
    """


def _series(table: Table, where: str) -> str:
    return f"""
        SELECT partition, "position" // {BLOCK} AS block, true AS is_series, '{table}' AS name,
            min("position") AS "position", arg_min("index", ("position", "index")) AS "index",
            tenant, network, order_id,
            string_agg(line, chr(10) ORDER BY "position", "index", line) AS text
        FROM (SELECT *, {_line(table)} AS line FROM {table} WHERE {where})
        GROUP BY partition, block, tenant, network, order_id
    """


def _scope(table: Table) -> str:
    names = SCHEMAS[table].names
    return ", ".join(
        name if name in names else f"NULL AS {name}" for name in ("tenant", "network", "order_id")
    )


def _line(table: Table) -> str:
    """One row as JSON, whatever the settings of the session."""
    fields = [f"'table': '{table}'"]
    fields += [f"'{field.name}': {_plain(field)}" for field in sorted(SCHEMAS[table], key=_name)]
    return f"to_json({{{', '.join(fields)}}})::VARCHAR"


def _name(field: pa.Field) -> str:
    return str(field.name)


def _plain(field: pa.Field) -> str:
    column = f'"{field.name}"'
    if pa.types.is_timestamp(field.type):
        return f"epoch_us({column})"
    if pa.types.is_date(field.type):
        return f"{column}::VARCHAR"
    if pa.types.is_binary(field.type):
        return f"hex({column})"
    return column


def _bytes(column: pa.ChunkedArray) -> bytes:
    """All digests of a column, one after another."""
    chunks = column.cast(pa.binary(SIZE)).chunks
    return b"".join(chunk.buffers()[1].to_pybytes()[: SIZE * len(chunk)] for chunk in chunks)
