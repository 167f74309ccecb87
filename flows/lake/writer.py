"""The lake's writer: takes effects, commits them on a thread of its own.

Decisions must not wait for the disk, so ``put`` only queues. The queue is bounded by rows: a stuck
disk makes ``put`` block, the flow stop reading, and memory stay where it is. A commit comes when
``COMMIT_SECONDS`` have passed since the last one, when ``COMMIT_ROWS`` are waiting, or when nothing
has come for ``IDLE_SECONDS``. An error stops the writer for good and is raised by the next ``put``,
``flush`` or ``close``: start anew and give the effects again, what was committed is dropped.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from flows.lake.batches import to_batch
from flows.lake.commit import Committer, no_crash
from flows.lake.connection import open_lake
from flows.lake.diagnosis import CATALOG, explained
from flows.lake.layout import Identity, create_or_check
from flows.lake.lock import WriterLock
from schemas.errors import LakeError
from schemas.ids import LogId
from schemas.tables import Effects

COMMIT_SECONDS = 1.0
"""Rows wait so long at most; with a commit's 0.1 s that keeps to the 2 s from event to SQL."""
COMMIT_ROWS = 200_000
"""A commit costs 40 ms whatever its size, and 0.6 microseconds a row: this keeps it to a third."""
IDLE_SECONDS = 0.2
"""With nothing more coming, rows are committed after this pause."""
QUEUE_ROWS = 600_000
"""Rows held at most: one commit under way and two waiting, some 250 MB of decisions."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """When to commit, and how much may wait."""

    commit_seconds: float = COMMIT_SECONDS
    commit_rows: int = COMMIT_ROWS
    idle_seconds: float = IDLE_SECONDS
    queue_rows: int = QUEUE_ROWS
    threads: int = 1


@dataclass(slots=True)
class _Queue:
    """What waits; guarded by the writer's condition."""

    effects: deque[Effects] = field(default_factory=deque)
    rows: int = 0  # of the effects above and of the commit under way
    put: int = 0  # effects ever put
    committed: int = 0  # effects ever committed
    wanted: int = 0  # a flush waits for so many to be committed
    last_put: float = 0.0
    last_commit: float = 0.0
    closing: bool = False


class LakeWriter:
    """The one writer of a lake, from construction to ``close`` or ``abort``.

    ``put``, ``flush`` and ``high_water`` may be called from any thread.
    """

    def __init__(
        self,
        path: Path,
        connection: duckdb.DuckDBPyConnection,
        lock: WriterLock,
        settings: WriterSettings,
        crash_point: Callable[[str], None],
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._settings = settings
        self._committer = Committer(connection, path, crash_point)
        self._high_water = self._committer.positions()
        self._queue = _Queue(last_commit=time.monotonic())
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"lake {path}", daemon=True)
        self._thread.start()

    def high_water(self, partition: int) -> int:
        """Highest position committed; -1 where the partition has none."""
        with self._changed:
            return self._high_water.get(partition, -1)

    def put(self, effects: Effects) -> None:
        """Queue the effects of whole positions; blocks while too many rows wait.

        Raises:
            LakeError: the writer has stopped; the message says why.
        """
        rows = _weight(effects)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped() or self._has_room(rows))
            self._raise_failure()
            self._queue.effects.append(effects)
            self._queue.rows += rows
            self._queue.put += 1
            self._queue.last_put = time.monotonic()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything put so far is committed.

        Raises:
            LakeError: the writer has stopped, and not all of it was committed.
        """
        with self._changed:
            target = self._queue.put
            self._queue.wanted = max(self._queue.wanted, target)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped() or self._queue.committed >= target)
            if self._queue.committed < target:
                self._raise_failure()

    def close(self) -> None:
        """Commit the rest and give the lake to the next writer.

        Raises:
            LakeError: the writer had stopped before.
        """
        try:
            self.flush()
        finally:
            self.abort()
        self._raise_failure()

    def abort(self) -> None:
        """Stop after the commit under way, if any; what waits is dropped, as in a crash."""
        with self._changed:
            self._queue.closing = True
            self._changed.notify_all()
        self._thread.join()
        self._connection.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _run(self) -> None:
        try:
            while taken := self._take():
                self._commit(taken)
        except BaseException as error:  # handed over to put, flush and close
            self._failure = error
        finally:
            with self._changed:
                self._queue.closing = True
                self._changed.notify_all()

    def _take(self) -> list[Effects]:
        """Wait for the next commit to be due; empty when the writer closes."""
        with self._changed:
            while not self._queue.closing:
                wait = self._seconds_until_due()
                if wait is not None and wait <= 0:
                    taken = list(self._queue.effects)
                    self._queue.effects.clear()
                    return taken
                self._changed.wait(wait)
        return []

    def _seconds_until_due(self) -> float | None:
        queue, settings = self._queue, self._settings
        if not queue.effects:
            return None
        if queue.rows >= settings.commit_rows or queue.wanted > queue.committed:
            return 0.0
        due = min(
            queue.last_commit + settings.commit_seconds, queue.last_put + settings.idle_seconds
        )
        return due - time.monotonic()

    def _commit(self, taken: list[Effects]) -> None:
        batch = to_batch(taken, self._high_water)
        if batch.positions:
            self._committer.commit(batch)
        with self._changed:
            self._high_water |= batch.positions
            self._queue.rows -= sum(map(_weight, taken))
            self._queue.committed += len(taken)
            self._queue.last_commit = time.monotonic()
            self._changed.notify_all()

    def _has_room(self, rows: int) -> bool:
        return not self._queue.rows or self._queue.rows + rows <= self._settings.queue_rows

    def _stopped(self) -> bool:
        return self._queue.closing

    def _raise_failure(self) -> None:
        if isinstance(self._failure, LakeError):
            raise LakeError(str(self._failure)) from self._failure
        if self._failure is not None:
            raise self._failure
        if self._queue.closing and self._queue.effects:
            raise LakeError(f"{self.path}: the lake's writer is closed")


def _weight(effects: Effects) -> int:
    """Rows that an item occupies in the queue; one without rows still occupies a place."""
    return 1 + sum(int(table.num_rows) for table in effects.tables.values())


def create_or_open_writer(
    path: Path,
    log_id: LogId,
    policy_override_sha256: str = "",
    *,
    settings: WriterSettings | None = None,
    crash_point: Callable[[str], None] = no_crash,
) -> LakeWriter:
    """Open the lake in this directory for writing, creating it if need be, and own its partitions.

    Args:
        path: the lake's directory.
        log_id: identity of the log whose effects will be put.
        policy_override_sha256: of the policy that overrides the log's own; empty without.
        settings: when to commit; the defaults are right outside tests.
        crash_point: called with each name in ``CRASH_POINTS``; tests end the process there.

    Raises:
        LakeError: another writer, another log, version or override, no lake, or a bad disk.
    """
    chosen = settings or WriterSettings()
    with explained(path):
        _prepare_directory(path)
        lock = WriterLock(path)
    try:
        connection = open_lake(path, threads=chosen.threads)
        try:
            with explained(path):
                create_or_check(connection, path, Identity(log_id, policy_override_sha256))
                return LakeWriter(path, connection, lock, chosen, crash_point)
        except LakeError:
            connection.close()
            raise
    except LakeError:
        lock.release()
        raise


def _prepare_directory(path: Path) -> None:
    """Make the directory; leave alone one that holds something else."""
    if path.is_dir() and not (path / CATALOG).exists():
        others = sorted(p.name for p in path.iterdir() if p.name not in {".lock", "data"})
        if others:
            raise LakeError(
                f"{path} is no lake: it has no {CATALOG} but {others[0]}; choose a new directory"
            )
    path.mkdir(parents=True, exist_ok=True)
