"""From the effects of many slices to the rows of one commit.

What the lake already has is dropped here: rows at positions up to the high-water of their
partition, so that effects may be given again after a restart, cut otherwise than the first time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.tables import SCHEMAS, Effects, Table, joined, to_tables


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows for one transaction, and the position each partition has after it."""

    positions: Mapping[int, int]
    tables: Mapping[Table, pa.Table]


def to_batch(effects: Iterable[Effects], high_water: Mapping[int, int]) -> Batch:
    """The rows that are new, in the columns of ``SCHEMAS``; dictionaries stay as they are."""
    positions: dict[int, int] = {}
    fresh: dict[int, list[Effects]] = {}
    pieces: dict[Table, list[pa.Table]] = {}
    for effect in effects:
        seen = positions.get(effect.partition, high_water.get(effect.partition, -1))
        if effect.position <= seen:
            continue
        if effect.first() > seen:
            fresh.setdefault(effect.partition, []).append(effect)
        else:
            _add(pieces, [effect], seen)
        positions[effect.partition] = effect.position
    for together in fresh.values():
        _add(pieces, together, -1)
    merged = {
        name: _conform(_merge(parts, SCHEMAS[name]), SCHEMAS[name])
        for name, parts in pieces.items()
    }
    return Batch(positions, merged)


def _add(pieces: dict[Table, list[pa.Table]], effects: Sequence[Effects], seen: int) -> None:
    """The rows of one partition's effects above a position."""
    for table, rows in to_tables(effects).items():
        above = _after(rows, seen, effects[-1].position)
        if above.num_rows:
            pieces.setdefault(table, []).append(above)
    measured = [_measurement(effect) for effect in effects if effect.measured is not None]
    if measured:
        rows = pa.Table.from_pylist(measured, SCHEMAS[Table.MEASUREMENTS])
        pieces.setdefault(Table.MEASUREMENTS, []).append(rows)


def _measurement(effect: Effects) -> dict[str, object]:
    assert effect.measured is not None
    cause = {"partition": effect.partition, "position": effect.position}
    return {**cause, **effect.measured._asdict(), "committed_at": None}


def stamped(batch: Batch, committed_at: datetime) -> Batch:
    """The batch with ``measurements.committed_at`` filled in."""
    rows = batch.tables.get(Table.MEASUREMENTS)
    if rows is None:
        return batch
    i = rows.schema.get_field_index("committed_at")
    field = rows.schema.field(i)
    instants = pa.repeat(pa.scalar(committed_at, field.type), rows.num_rows)
    return Batch(
        batch.positions,
        {**batch.tables, Table.MEASUREMENTS: rows.set_column(i, field, instants)},
    )


def _after(table: pa.Table, seen: int, last: int) -> pa.Table:
    """Rows above the high-water; they come in order of position."""
    if not table.num_rows:
        return table
    column = table["position"]
    if column[-1].as_py() > last:
        raise ValueError(f"effects up to position {last} hold a row of {column[-1].as_py()}")
    if column[0].as_py() > seen:
        return table
    return table.slice(int(np.searchsorted(column.to_numpy(), seen, side="right")))


def _merge(parts: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """One chunk per column: what follows costs by the chunk, and a quiet flow sends hundreds."""
    return joined(parts, schema).unify_dictionaries().combine_chunks()


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [_cast(table[field.name], field.type) for field in schema]
    return pa.table(columns, names=schema.names)


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """The column as the wanted type; dictionaries of it serve as well, being cheaper to write."""
    given = column.type
    if given == wanted:
        return column
    if pa.types.is_list(given) and pa.types.is_list(wanted):
        encoded, plain = given.value_type, wanted.value_type
    else:
        encoded, plain = given, wanted
    if pa.types.is_dictionary(encoded) and encoded.value_type == plain:
        return column
    return pc.cast(column, wanted)
