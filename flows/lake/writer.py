"""The lake's writer: takes effects, commits them on a thread of its own.

Decisions must not wait for the disk, so ``put`` only queues (queue.py). The queue is bounded: a
stuck disk makes ``put`` block, the flow stop reading, and memory stay where it is. Between commits
the thread maintains the lake (upkeep.py). An error stops the writer for good and is raised by the
next ``put``, ``flush`` or ``close``: open a new writer and give the effects again from its
high-water on; what was committed is dropped.
"""

import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from flows.files import make_directory, publish
from flows.lake.batches import to_batch
from flows.lake.commit import Committer, no_crash
from flows.lake.connection import has_many_writers, is_lake, open_lake
from flows.lake.diagnosis import CATALOG, POINTER, explained, is_busy
from flows.lake.held_open import HeldOpen
from flows.lake.layout import Identity, create_or_check
from flows.lake.lock import WriterLock
from flows.lake.ownership import Ownership
from flows.lake.queue import EffectsQueue, QueueSettings
from flows.lake.upkeep import Upkeep, UpkeepSettings
from flows.priority import yield_to_others
from schemas.errors import LakeError
from schemas.tables import Effects

THREADS = 1
"""DuckDB's threads in the writing process; its other core belongs to the flow."""
_HOUSEKEEPER = 0
"""Of several writers the owner of this partition does what concerns them all."""
UPKEEP_PAUSE_SECONDS = 0.5
"""With nothing to commit, upkeep that is due starts after this pause."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """The defaults are right outside tests."""

    queue: QueueSettings = field(default_factory=QueueSettings)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
    threads: int = THREADS


class LakeWriter:
    """The writer of some partitions, from ``create_or_open_writer`` to ``close`` or ``abort``.

    ``put``, ``flush`` and ``high_water`` may be called from any thread.
    """

    def __init__(
        self,
        path: Path,
        connection: duckdb.DuckDBPyConnection,
        ownership: Ownership,
        lock: WriterLock | None,
        settings: WriterSettings,
        crash_point: Callable[[str], None],
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._held_open = HeldOpen(connection) if lock is not None else None
        self._committer = Committer(connection, path, ownership, crash_point)
        keeps_house = lock is not None or _HOUSEKEEPER in ownership.positions
        self._upkeep = Upkeep(
            connection, path, settings.upkeep, ownership.owner, keeps_house=keeps_house
        )
        self._high_water = ownership.positions
        self._queue = EffectsQueue(str(path), settings.queue)
        self._thread = threading.Thread(target=self._run, name=f"lake {path}", daemon=True)
        self._thread.start()

    def high_water(self, partition: int) -> int:
        """Highest position committed; -1 where the partition has none."""
        return self._high_water.get(partition, -1)

    def put(self, effects: Effects) -> None:
        """Queue the effects of whole positions; blocks while too many rows wait.

        Raises:
            LakeError: the writer has stopped; the message says why.
        """
        self._queue.put(effects)

    def flush(self) -> None:
        """Wait until everything put so far is committed.

        Raises:
            LakeError: the writer stopped before that; the message says why.
        """
        self._queue.flush()

    def close(self) -> None:
        """Commit the rest and give the lake to the next writer.

        Raises:
            LakeError: the writer had stopped, or could not commit the rest.
        """
        try:
            self._queue.flush()
        finally:
            self.abort()
        self._queue.raise_failure()

    def abort(self) -> None:
        """Stop after the commit under way, if any; what waits is dropped, as in a crash."""
        self._queue.stop()
        self._thread.join()
        if self._held_open is not None:
            self._held_open.close()
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _run(self) -> None:
        yield_to_others()
        failure: BaseException | None = None
        try:
            with explained(self.path):
                self._work()
        except BaseException as error:  # handed over to put, flush and close: never swallowed
            failure = error
        finally:
            self._queue.stop(failure)

    def _work(self) -> None:
        while True:
            pause = UPKEEP_PAUSE_SECONDS if self._upkeep.is_due() else None
            taken = self._queue.take(pause)
            if taken is None:
                return
            self._commit(taken)
            idle = not taken
            while (
                taken
            ):  # one by one: freeing hundreds of tables at once would hold the interpreter
                taken.pop()  # for 0.1 s, and no order would be decided meanwhile
                time.sleep(0)
            if idle or self._upkeep.is_due_under_load():
                self._maintain()

    def _maintain(self) -> None:
        try:
            self._upkeep.step()
        except duckdb.Error as error:
            if not is_busy(error):  # else another writer was in the way: later
                raise

    def _commit(self, taken: Sequence[Effects]) -> None:
        batch = to_batch(taken, self._high_water)
        if batch.positions:
            self._committer.commit(batch)
            if self._held_open is not None:
                self._held_open.note_commit()
            self._upkeep.note({t: int(rows.num_rows) for t, rows in batch.tables.items()})
            self._high_water = {**self._high_water, **batch.positions}
        if taken:
            self._queue.committed(taken)


def create_or_open_writer(
    path: Path,
    identity: Identity,
    partitions: Collection[int],
    *,
    catalogue: str | None = None,
    also: Sequence[Identity] = (),
    settings: WriterSettings | None = None,
    crash_point: Callable[[str], None] = no_crash,
) -> LakeWriter:
    """Open the lake in this directory for writing, creating it if need be, and own some partitions.

    Args:
        path: the lake's directory.
        identity: whose effects will be put.
        partitions: of the log, whose effects will be put; at least one.
        catalogue: how to connect to the database of PostgreSQL that is to have the catalogue, so that
            several processes can write; where the lake is there already, what it has counts.
        also: other flows whose effects will be put; their partitions are among those given.
        settings: when to commit and to maintain.
        crash_point: called with each name in ``CRASH_POINTS``; tests end the process there.

    Raises:
        LakeError: another writer, another log, version or override, no lake, or a bad disk.
    """
    chosen = settings or WriterSettings()
    with explained(path):
        _prepare_directory(path, catalogue)
        lock = None if has_many_writers(path) else WriterLock(path)
    try:
        connection = open_lake(path, threads=chosen.threads)
        try:
            with explained(path):
                for one in (identity, *also):
                    create_or_check(connection, path, one)
                ownership = Ownership(connection, partitions)
                return LakeWriter(path, connection, ownership, lock, chosen, crash_point)
        except LakeError:
            connection.close()
            raise
    except LakeError:
        if lock is not None:
            lock.release()
        raise


def _prepare_directory(path: Path, catalogue: str | None) -> None:
    """Make the directory; leave alone one that holds something else."""
    others = sorted(
        p.name
        for p in (path.iterdir() if path.is_dir() else ())
        if not p.name.startswith(".") and p.name != "data"
    )
    if is_lake(path):  # asked after the look, since several may be starting
        _check_catalogue(path, catalogue)
        return
    if others:
        raise LakeError(
            f"{path} is no lake: it has no {CATALOG} but {others[0]}; choose a new directory"
        )
    make_directory(path)
    if catalogue is not None:
        draft = path / f".{POINTER}.{uuid.uuid4()}"  # several may be starting
        publish(draft, catalogue.encode())
        draft.replace(path / POINTER)


def _check_catalogue(path: Path, catalogue: str | None) -> None:
    if catalogue is None:
        return
    if not has_many_writers(path):
        raise LakeError(
            f"{path} has its catalogue in {CATALOG}, which one process writes, not in PostgreSQL; "
            "choose a new directory"
        )
    found = (path / POINTER).read_text(encoding="utf-8")
    if found != catalogue:
        raise LakeError(f"{path} has its catalogue at {found!r}, not at {catalogue!r}")
