"""Maintenance by the job itself: small steps between commits, on the writer's thread.

One step at a time, each bounded. A lake under load is left alone until the load has passed, since
its large recent files are scanned quickly enough; only a long backlog is worked off regardless.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from flows.lake import maintenance
from flows.lake.commit import INLINED_ROWS
from flows.lake.layout import BUCKETS, PAIRED, landing, settled
from flows.lake.maintenance import Retention
from schemas.tables import Table

SETTLE_AT_ROWS = 100_000
"""Recent rows that make a settling worth its 64 files; also the most that one step moves (0.6
s)."""
BACKLOG = 20
"""Times that amount (2 million rows, 90 ms a look-up) at which load is no excuse any more."""
CALM_ROWS = 15_000
"""A commit of fewer rows, at most one a second, leaves time for a step."""
MERGE_AT_FILES = 64
"""Small recent files that are merged into one; each costs a reader some 0.3 ms."""
MERGE_SETTLED_AT_FILES = 8 * BUCKETS
"""Eight files in a bucket: what a look-up of one order opens at most."""
MERGES_A_STEP = 8
"""Merged files written in one step: at most 8 x 32 MB, some seconds when buckets are full."""
HOUSEKEEPING_COMMITS = 500
"""Dead rows of ``positions`` that a commit reads past; 3,000 of them cost it 10 ms."""


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """When which step is due."""

    settle_at_rows: int = SETTLE_AT_ROWS
    merge_at_files: int = MERGE_AT_FILES
    merge_settled_at_files: int = MERGE_SETTLED_AT_FILES
    housekeeping_commits: int = HOUSEKEEPING_COMMITS
    retention: Retention = field(default_factory=Retention)


class Upkeep:
    """Knows what has been written since the last step, and does the next one."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, path: Path, settings: UpkeepSettings
    ) -> None:
        self._connection = connection
        self._path = path
        self._settings = settings
        self._rows: Counter[Table] = Counter()
        self._files: Counter[str] = Counter()
        self._is_calm = False
        self._commits = settings.housekeeping_commits  # what an earlier process left is unknown
        for table in Table:
            self._files[landing(table)] = maintenance.live_files(connection, landing(table))
            if table in PAIRED:
                self._files[settled(table)] = maintenance.live_files(connection, settled(table))
                self._rows[table] = maintenance.count_rows(connection, landing(table))

    def note(self, written: dict[Table, int]) -> None:
        """Account for one commit: rows written per table."""
        self._commits += 1
        self._is_calm = sum(written.values()) < CALM_ROWS
        for table, rows in written.items():
            self._rows[table] += rows
            self._files[landing(table)] += rows > INLINED_ROWS

    def is_due(self) -> bool:
        """Whether ``step`` would do something."""
        return bool(self._to_settle() or self._to_merge()) or self._is_housekeeping_due()

    def is_due_under_load(self) -> bool:
        """Whether to do it right after a commit, and not only once nothing comes any more."""
        backlog = BACKLOG * self._settings.settle_at_rows
        return (self._is_calm and self.is_due()) or any(r >= backlog for r in self._rows.values())

    def step(self) -> None:
        """Do the most pressing piece of work that is due, if any."""
        if table := self._to_settle():
            self._settle(table)
        elif name := self._to_merge():
            merged = maintenance.merge(self._connection, self._path, name, MERGES_A_STEP)
            left = maintenance.live_files(self._connection, name)
            # Files too large to merge must not make the step due for ever.
            self._files[name] = left if merged else 0
        elif self._is_housekeeping_due():
            self._commits = 0
            maintenance.compact_positions(self._connection)
            maintenance.expire(self._connection, self._settings.retention)
            maintenance.clean_up(self._connection, self._settings.retention)

    def _settle(self, table: Table) -> None:
        moved = maintenance.settle(
            self._connection, self._path, table, self._settings.settle_at_rows
        )
        self._rows[table] -= moved
        for name in (landing(table), settled(table)):
            self._files[name] = maintenance.live_files(self._connection, name)

    def _to_settle(self) -> Table | None:
        limit = self._settings.settle_at_rows
        return next((t for t in PAIRED if self._rows[t] >= limit), None)

    def _to_merge(self) -> str | None:
        for table in Table:
            if self._files[landing(table)] >= self._settings.merge_at_files:
                return landing(table)
            if table in PAIRED and (
                self._files[settled(table)] >= self._settings.merge_settled_at_files
            ):
                return settled(table)
        return None

    def _is_housekeeping_due(self) -> bool:
        return self._commits >= self._settings.housekeeping_commits
