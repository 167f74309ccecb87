"""Who may commit to which partition, and how far each of them goes.

Every commit moves the rows of its partitions here, where the owner's epoch must still be the one
that this owner claimed. A takeover increments it. So of two owners only the last can commit, however
late the other wakes up: it finds no row with its epoch, or its transaction, begun before the
takeover, conflicts with it and finds none when it tries again.

The rows of one owner are a table of their own, named after its first partition: DuckLake takes two
changes of one table for a conflict, and owners of different partitions are never to meet. It is one
statement however many partitions there are, since each costs 15 ms (measured). An owner of other
partitions than before moves their rows to its table. The view ``positions`` joins the tables.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from flows.lake.diagnosis import is_busy
from flows.lake.durability import roll_back

_PREFIX = "positions_"
_CLAIM_ATTEMPTS = 20
_PAUSE_SECONDS = 0.1
_COLUMNS = "partition INTEGER, position BIGINT, owner_epoch BIGINT"


@dataclass(frozen=True, slots=True)
class Position:
    """How far one partition goes, and which owner may add more."""

    partition: int
    position: int
    owner_epoch: int


class Ownership:
    """The partitions that one process may commit to.

    Attributes:
        positions: how far each of them went when it was claimed; -1 for nothing.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, partitions: Collection[int]) -> None:
        """Take them over; whoever owned them can commit no more."""
        self._connection = connection
        self._table = f"{_PREFIX}{min(partitions)}"
        claimed = self._claim(sorted(set(partitions)))
        self._epochs = {row.partition: row.owner_epoch for row in claimed}
        self.positions = {row.partition: row.position for row in claimed}

    def advance(self, positions: Mapping[int, int]) -> list[int]:
        """Within a transaction, say how far partitions go after it.

        Returns:
            Those that have another owner by now: the transaction is not to be committed.
        """
        rows = ", ".join(f"({p}, {at}, {self._epochs[p]})" for p, at in positions.items())
        found = self._connection.execute(
            f"UPDATE {self._table} AS mine SET position = new.position "
            f"FROM (VALUES {rows}) AS new (partition, position, owner_epoch) "
            "WHERE mine.partition = new.partition AND mine.owner_epoch = new.owner_epoch "
            "AND mine.position < new.position"
        ).fetchone()
        return [] if found == (len(positions),) else self._lost(positions)

    def _lost(self, positions: Mapping[int, int]) -> list[int]:
        found = self._connection.execute("SELECT partition, owner_epoch FROM positions").fetchall()
        epochs = dict(found)
        return [p for p in positions if epochs.get(p) != self._epochs[p]] or list(positions)

    def _claim(self, partitions: Sequence[int]) -> list[Position]:
        """Others may be claiming at the same time."""
        for attempt in range(1, _CLAIM_ATTEMPTS + 1):
            try:
                self._connection.execute("BEGIN")
                claimed = self._move(partitions)
                self._connection.execute("COMMIT")
            except duckdb.Error as error:
                roll_back(self._connection)
                if not is_busy(error) or attempt == _CLAIM_ATTEMPTS:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return claimed
        raise AssertionError  # the last attempt returns or raises

    def _move(self, partitions: Sequence[int]) -> list[Position]:
        """Have the rows of these partitions in the owner's table, and nowhere else."""
        tables = _tables(self._connection)
        held = {row.partition: row for row in _rows(self._connection, tables)}
        if self._table not in tables:
            tables = [*tables, self._table]
            self._connection.execute(f"CREATE TABLE {self._table} ({_COLUMNS})")
            self._connection.execute(f"CREATE OR REPLACE VIEW positions AS {_all_of(tables)}")
        wanted = ", ".join(map(str, partitions))
        for table in tables:
            self._connection.execute(
                f"DELETE FROM {table} WHERE partition IN ({wanted})"
            ).fetchall()
        claimed = [
            Position(p, held[p].position, held[p].owner_epoch + 1)
            if p in held
            else Position(p, -1, 1)
            for p in partitions
        ]
        rows = ", ".join(f"({p.partition}, {p.position}, {p.owner_epoch})" for p in claimed)
        self._connection.execute(f"INSERT INTO {self._table} VALUES {rows}").fetchall()
        return claimed


def _rows(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> list[Position]:
    if not tables:
        return []
    return [Position(*row) for row in connection.execute(_all_of(tables)).fetchall()]


def _all_of(tables: Sequence[str]) -> str:
    return " UNION ALL ".join(f"SELECT * FROM {table}" for table in tables)


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
        f"AND starts_with(table_name, '{_PREFIX}') ORDER BY table_name"
    ).fetchall()
    return [name for (name,) in rows]
