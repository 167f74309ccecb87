"""Who may commit to which partition, and how far each of them goes.

Every commit moves the rows of its partitions here, where the owner's epoch must still be the one
that this owner claimed. A takeover increments it. So of two owners only the last can commit, however
late the other wakes up: it finds no row with its epoch, or its transaction, begun before the
takeover, conflicts with it and finds none when it tries again.

The rows of one owner are a table of their own, so that owners of different partitions never meet;
and it is one statement however many partitions there are, since each costs 15 ms (measured). An
owner of other partitions than before moves their rows to its table.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from flows.lake.durability import transacted
from flows.lake.layout import add_owner, owners, ownership, start_statistics


@dataclass(frozen=True, slots=True)
class Position:
    """How far one partition goes, and which owner may add more."""

    partition: int
    position: int
    owner_epoch: int


class Ownership:
    """The partitions that one process may commit to.

    Attributes:
        owner: its name: the first of its partitions.
        positions: how far each of them went when it was claimed; -1 for nothing.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, partitions: Collection[int]) -> None:
        """Take them over; whoever owned them can commit no more."""
        self._connection = connection
        self.owner = min(partitions)
        is_new = self.owner not in owners(connection)
        claimed = transacted(connection, lambda: self._claim(sorted(set(partitions))))
        if is_new:
            start_statistics(connection, self.owner)
        self._epochs = {row.partition: row.owner_epoch for row in claimed}
        self.positions = {row.partition: row.position for row in claimed}

    def advance(self, positions: Mapping[int, int]) -> list[int]:
        """Within a transaction, say how far partitions go after it.

        Returns:
            Those that have another owner by now: the transaction is not to be committed.
        """
        rows = ", ".join(f"({p}, {at}, {self._epochs[p]})" for p, at in positions.items())
        found = self._connection.execute(
            f"UPDATE {ownership(self.owner)} AS mine SET position = new.position "
            f"FROM (VALUES {rows}) AS new (partition, position, owner_epoch) "
            "WHERE mine.partition = new.partition AND mine.owner_epoch = new.owner_epoch "
            "AND mine.position < new.position"
        ).fetchone()
        return [] if found == (len(positions),) else self._lost(positions)

    def _lost(self, positions: Mapping[int, int]) -> list[int]:
        epochs = {row.partition: row.owner_epoch for row in positions_of(self._connection)}
        return [p for p in positions if epochs.get(p) != self._epochs[p]] or list(positions)

    def _claim(self, partitions: Sequence[int]) -> list[Position]:
        """Have the rows of these partitions in the owner's table, and nowhere else."""
        if self.owner not in owners(self._connection):
            add_owner(self._connection, self.owner)
        held = {row.partition: row for row in positions_of(self._connection)}
        wanted = ", ".join(map(str, partitions))
        for owner in owners(self._connection):
            self._connection.execute(
                f"DELETE FROM {ownership(owner)} WHERE partition IN ({wanted})"
            ).fetchall()
        claimed = [
            Position(p, held[p].position, held[p].owner_epoch + 1)
            if p in held
            else Position(p, -1, 1)
            for p in partitions
        ]
        rows = ", ".join(f"({p.partition}, {p.position}, {p.owner_epoch})" for p in claimed)
        self._connection.execute(f"INSERT INTO {ownership(self.owner)} VALUES {rows}").fetchall()
        return claimed


def positions_of(connection: duckdb.DuckDBPyConnection) -> list[Position]:
    """Every partition that was ever owned, in order."""
    rows = connection.execute("SELECT * FROM positions ORDER BY partition").fetchall()
    return [Position(*row) for row in rows]


def abandoned(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """Owners without a partition: others have all that they had."""
    return [
        owner
        for owner in owners(connection)
        if not connection.execute(f"SELECT 1 FROM {ownership(owner)} LIMIT 1").fetchall()
    ]
