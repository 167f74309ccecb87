"""Takes records of the log again and compares what they cause with the lake, column by column."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from flows.decisions import DecisionRef
from flows.lake.layout import FACTS
from flows.past import Past, Progress
from models.routing.fold import RouteState, advance
from schemas.tables import SCHEMAS, Effects, Table, to_tables

SHOWN = 100
"""Differences that are kept to be shown; all are counted."""

Places = Mapping[int, Sequence[int]]
"""Positions by partition, both increasing."""


class Difference(msgspec.Struct, frozen=True):
    """A column of a row that comes out otherwise; a row that one side lacks has no column."""

    table: str
    cause: str
    column: str | None
    lake: Any
    again: Any


class Report(msgspec.Struct, frozen=True):
    """What came of taking records again.

    Attributes:
        decisions: that these records cause.
        records: that were taken again.
        rows: of all tables that were compared.
        identical: decisions of records of which every row is the same.
        different: the other decisions.
        differences: the first of them.
    """

    decisions: int
    records: int
    rows: int
    identical: int
    different: int
    differences: list[Difference]


def places_of(decisions: Iterable[DecisionRef]) -> dict[int, list[int]]:
    """Where the records of these decisions are."""
    places: dict[int, list[int]] = {}
    for partition, position in sorted({(d.partition, d.position) for d in decisions}):
        places.setdefault(partition, []).append(position)
    return places


def rerun(
    past: Past,
    connection: duckdb.DuckDBPyConnection,
    starts: Mapping[int, RouteState],
    places: Places,
    progress: Progress,
) -> Report:
    """Take the records at these places again, each alone, and compare what they cause.

    Args:
        past: of the lake.
        connection: to the lake.
        starts: by partition, a state before the first of its places; changed.
        places: of the records.
        progress: told how many records were passed or taken.
    """
    again = [
        effects
        for partition, positions in places.items()
        for effects in _taken(past, starts[partition], positions, progress)
    ]
    kept = _kept(connection, places)
    made = _tables(again)
    found = [d for table in FACTS for d in _differences(table, kept[table], made[table])]
    decisions = [(p, at) for p, at, _ in _causes(made[Table.DECISIONS])]
    differing = {cause for cause, _ in found}
    different = sum(cause in differing for cause in decisions)
    return Report(
        len(decisions),
        sum(map(len, places.values())),
        sum(rows.num_rows for rows in made.values()),
        len(decisions) - different,
        max(different, bool(found)),
        [difference for _, difference in found[:SHOWN]],
    )


def _taken(
    past: Past, state: RouteState, positions: Sequence[int], progress: Progress
) -> Iterator[Effects]:
    for cause in past.causes(state, positions, progress):
        yield advance(cause.state, cause.record, cause.scorer_of)
        progress(1)


def _tables(effects: Sequence[Effects]) -> dict[Table, pa.Table]:
    made = to_tables(effects)
    return {
        table: made[table].cast(SCHEMAS[table]) if table in made else SCHEMAS[table].empty_table()
        for table in FACTS
    }


def _kept(connection: duckdb.DuckDBPyConnection, places: Places) -> dict[Table, pa.Table]:
    """The lake's rows of these records."""
    pairs = [(partition, at) for partition, held in places.items() for at in held]
    columns = {"partition": [p for p, _ in pairs], "position": [at for _, at in pairs]}
    connection.register("taken_again", pa.table(columns))
    rows: dict[Table, pa.Table] = {
        table: connection.execute(_ROWS.format(table=table)).to_arrow_table().cast(SCHEMAS[table])
        for table in FACTS
    }
    connection.unregister("taken_again")
    return rows


def _causes(rows: pa.Table) -> list[tuple[int, int, int]]:
    columns = (rows[name].to_pylist() for name in ("partition", "position", "index"))
    return list(zip(*columns, strict=True))


def _differences(
    table: Table, kept: pa.Table, made: pa.Table
) -> Iterator[tuple[tuple[int, int], Difference]]:
    """What differs, with the record that caused it."""
    if kept.equals(made):
        return
    lake, again = _by_cause(kept), _by_cause(made)
    for cause in sorted({*lake, *again}):
        ours, theirs = lake.get(cause), again.get(cause)
        name = "/".join(map(str, cause))
        if ours is None or theirs is None:
            yield cause[:2], Difference(table, name, None, ours, theirs)
            continue
        for column, value in ours.items():
            if value != theirs[column]:
                yield cause[:2], Difference(table, name, column, value, theirs[column])


def _by_cause(rows: pa.Table) -> dict[tuple[int, int, int], dict[str, Any]]:
    return dict(zip(_causes(rows), rows.to_pylist(), strict=True))


_ROWS = """
SELECT {table}.* FROM {table} SEMI JOIN taken_again USING (partition, position)
ORDER BY partition, position, "index"
"""
