"""Maintenance by the job itself: small steps between commits, on the writer's thread.

One step at a time, each bounded. A lake under load is left alone until the load has passed, since
its large recent files are scanned quickly enough; only a long backlog is worked off regardless.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from flows.lake import catalogue, maintenance
from flows.lake.commit import INLINED_ROWS
from flows.lake.layout import landing
from flows.lake.maintenance import MERGE_FILES, Retention
from flows.lake.ownership import abandoned
from schemas.tables import Table

SETTLE_AT_ROWS = 100_000
"""Recent rows that make a settling worth its 16 files; also the most that one step moves (1 s)."""
BACKLOG = 100
"""Times that amount (10 million rows, 0.4 s a look-up) at which load is no excuse any more."""
CALM_ROWS = 15_000
"""A commit of fewer rows, at most one a second, leaves time for a step."""
GATHER_AT_COMMITS = 64
"""Commits of a table in small files or in the catalogue that are gathered into one file."""
HOUSEKEEPING_COMMITS = 500
"""Commits between two rounds of forgetting and cleaning up."""


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """When which step is due."""

    settle_at_rows: int = SETTLE_AT_ROWS
    gather_at_commits: int = GATHER_AT_COMMITS
    merge_files: int = MERGE_FILES
    housekeeping_commits: int = HOUSEKEEPING_COMMITS
    retention: Retention = field(default_factory=Retention)


class Upkeep:
    """Knows what has been written since the last step, and does the next one."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        settings: UpkeepSettings,
        owner: int,
        *,
        keeps_house: bool,
    ) -> None:
        """Look at what is there.

        Args:
            connection: to the lake.
            path: of the lake.
            settings: when which step is due.
            owner: whose recent rows to settle and gather.
            keeps_house: whether to do also what concerns all owners; one of them does.
        """
        self._connection = connection
        self._path = path
        self._settings = settings
        self._owner = owner
        self._keeps_house = keeps_house
        files = catalogue.live_files(connection)
        recent = {table: landing(table, owner) for table in Table}
        self._rows = Counter({t: catalogue.count_rows(connection, recent[t]) for t in Table})
        self._commits = Counter({t: files[recent[t]] for t in Table})
        for table in Table:  # of what was inlined only the rows are known
            if self._rows[table] and not self._commits[table]:
                self._commits[table] = -(-self._rows[table] // INLINED_ROWS)
        self._may_merge = True
        self._is_calm = False
        self._since_housekeeping = settings.housekeeping_commits

    def note(self, written: Mapping[Table, int]) -> None:
        """Account for one commit: rows written per table."""
        self._since_housekeeping += 1
        self._is_calm = sum(written.values()) < CALM_ROWS
        for table, rows in written.items():
            self._rows[table] += rows
            self._commits[table] += 1

    def is_due(self) -> bool:
        """Whether ``step`` would do something."""
        return (
            self._to_settle() is not None
            or self._to_gather() is not None
            or (self._keeps_house and self._may_merge)
            or self._is_housekeeping_due()
        )

    def is_due_under_load(self) -> bool:
        """Whether to do it right after a commit, and not only once nothing comes any more."""
        backlog = BACKLOG * self._settings.settle_at_rows
        return (self._is_calm and self.is_due()) or any(r >= backlog for r in self._rows.values())

    def step(self) -> None:
        """Do the most pressing piece of work that is due, if any."""
        if table := self._to_settle():
            self._settle(table)
        elif table := self._to_gather():
            maintenance.gather(self._connection, self._path, table, self._owner)
            self._commits[table] = 1
        elif self._keeps_house and self._may_merge:
            self._merge()
        elif self._is_housekeeping_due():
            self._since_housekeeping = 0
            for owner in abandoned(self._connection):
                maintenance.settle_all(self._connection, self._path, owner)
            maintenance.forget(self._connection, self._settings.retention)
            maintenance.clean_up(self._connection, self._path, self._settings.retention)

    def _settle(self, table: Table) -> None:
        moved = maintenance.settle(
            self._connection, self._path, table, self._owner, self._settings.settle_at_rows
        )
        self._rows[table] -= moved
        files = catalogue.live_files(self._connection)
        self._commits[table] = files[landing(table, self._owner)]
        self._may_merge = True

    def _merge(self) -> None:
        group = maintenance.next_to_merge(self._connection, self._settings.merge_files)
        if group:
            maintenance.merge(self._connection, self._path, group)
        else:
            self._may_merge = False  # until something is settled again

    def _is_housekeeping_due(self) -> bool:
        due = self._since_housekeeping >= self._settings.housekeeping_commits
        return self._keeps_house and due

    def _to_settle(self) -> Table | None:
        limit = self._settings.settle_at_rows
        return next((t for t in Table if self._rows[t] >= limit), None)

    def _to_gather(self) -> Table | None:
        limit = self._settings.gather_at_commits
        return next((t for t in Table if self._commits[t] >= limit), None)
