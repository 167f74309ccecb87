"""The past of a lake: the state of its log just before any record, reached by the production fold.

The newest checkpoint before the record is taken up, or else the log is read from its beginning; the
records between are folded in stretches, the record itself is left to whoever asked.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Self

import duckdb

from flows.checkpoint_store import store_of
from flows.checkpoints import ROUTE_FORM, Checkpoints, Origin
from flows.folding import read_override
from flows.lake.diagnosis import explained
from flows.lake.layout import identity_of
from flows.lake.query import connect_reader
from flows.logs.log import SLICE_RECORDS
from flows.logs.parquet import ParquetLog
from flows.settings import Settings
from models.inference import ARTIFACTS, load_model, runtime_fingerprint
from models.policy.document import Policy
from models.routing.fold import RouteState, advance
from models.routing.moments import Cause
from models.routing.scoring import ScorerOf
from schemas.errors import LogError
from schemas.slices import Slice

Progress = Callable[[int], None]


class Past:
    """A recorded log that a lake was made from."""

    def __init__(
        self,
        log: ParquetLog,
        checkpoints: Checkpoints[RouteState],
        override: Policy | None,
        scorer_of: ScorerOf,
    ) -> None:
        self.log = log
        self.scorer_of = scorer_of
        self._checkpoints = checkpoints
        self._override = override

    @classmethod
    def open(cls, log: ParquetLog, lake: Path, policy_file: Path | None = None) -> Self:
        """The past of a lake.

        Args:
            log: that the lake was made from.
            lake: its directory.
            policy_file: that decided in place of the log's own policies, if one did.

        Raises:
            CrossdockError: lake, policy or settings cannot be used, or do not belong together.
        """
        settings = Settings()
        override, override_sha256 = read_override(policy_file)
        with connect_reader(lake) as connection, explained(lake):
            _check(connection, lake, log, override_sha256)
        origin = Origin(log.id, override_sha256, runtime_fingerprint())
        checkpoints = Checkpoints(
            store_of(lake, settings.checkpoints), origin, settings.checkpoint_seconds, ROUTE_FORM
        )
        sources = [*settings.model_dirs, ARTIFACTS]
        return cls(log, checkpoints, override, cache(lambda sha256: load_model(sources, sha256)))

    def start(self, partition: int, position: int) -> RouteState:
        """The state of the newest checkpoint before a position; a fresh one if there is none."""
        return self._checkpoints.load(partition, position - 1, self._override).state

    def causes(
        self,
        state: RouteState,
        positions: Sequence[int],
        progress: Progress = lambda _records: None,
    ) -> Iterator[Cause]:
        """The records at these positions, each with the state just before it.

        Whoever takes the record changes the state in place; one that is not taken is taken here,
        on the way to the next.

        Args:
            state: of ``start``; it is changed.
            positions: at least one, increasing.
            progress: told how many records were passed.

        Raises:
            LogError: a position holds no record.
        """
        at = 0
        for piece in self.log.read(state.partition, state.position + 1):
            while at < len(positions) and positions[at] <= piece.positions[-1]:
                row = int(piece.positions.searchsorted(positions[at]))
                if piece.positions[row] != positions[at]:
                    break
                self._pass(state, piece.cut(0, row), progress)
                yield Cause(state, piece.cut(row, row + 1), self.scorer_of)
                at += 1
            if at == len(positions):
                return
            self._pass(state, piece, progress)
        raise LogError(
            f"{self.log.name}: partition {state.partition} has no record at position {positions[at]}"
        )

    def _pass(self, state: RouteState, piece: Slice, progress: Progress) -> None:
        """Take the records of a piece that have not been taken yet."""
        begin = int(piece.positions.searchsorted(state.position, side="right"))
        for start in range(begin, len(piece), SLICE_RECORDS):
            stretch = piece.cut(start, min(len(piece), start + SLICE_RECORDS))
            advance(state, stretch, self.scorer_of)
            progress(len(stretch))


def _check(
    connection: duckdb.DuckDBPyConnection, lake: Path, log: ParquetLog, override_sha256: str
) -> None:
    """Refuse a log or a policy that the lake was not made with."""
    made = identity_of(connection)
    if (made.log_id, made.log_partitions) != (log.id, log.partitions):
        raise LogError(f"{lake} was not made from {log.name}: it holds rows of log {made.log_id}")
    if made.policy_override_sha256 != override_sha256:
        found, given = made.policy_override_sha256 or "none", override_sha256 or "none"
        raise LogError(
            f"{lake} was decided under policy override {found}, not {given}; "
            "say --policy FILE as when it was made"
        )
