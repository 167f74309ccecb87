"""Effects on their way from the flow to the lake: a queue bounded by rows.

All methods may be called from any thread: flows put and wait, the writer's thread takes. Whoever
waits is woken when the other side stops, so that neither can hang on the other.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import LakeError
from schemas.tables import Effects, Table

COMMIT_SECONDS = 1.0
"""Rows wait so long at most; with a commit's 0.1 s that keeps to the 2 s from event to SQL."""
COMMIT_ROWS = 150_000
"""50,000 orders of two lines. A commit costs some 40 ms whatever its size and 0.5 to 0.8
microseconds a row, so larger ones gain little."""
IDLE_SECONDS = 0.2
"""With nothing more coming, rows are committed after this pause."""
QUEUE_ROWS = 450_000
"""Rows held at most: one commit under way and two waiting, some 80 MB."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """When to commit, and how much may wait."""

    commit_seconds: float = COMMIT_SECONDS
    commit_rows: int = COMMIT_ROWS
    idle_seconds: float = IDLE_SECONDS
    queue_rows: int = QUEUE_ROWS


class EffectsQueue:
    """The queue between flows and one writer."""

    def __init__(self, name: str, settings: QueueSettings) -> None:
        self._name = name
        self._settings = settings
        self._changed = threading.Condition()
        self._effects: deque[Effects] = deque()
        self._rows = 0  # of the effects above and of the commit under way
        self._put = 0  # effects ever put
        self._committed = 0  # effects ever committed
        self._flush_to = 0  # somebody waits for so many to be committed
        self._last_put = self._last_commit = time.monotonic()
        self._stopped = False
        self._failure: BaseException | None = None

    def put(self, effects: Effects) -> None:
        """Add effects; blocks while too many rows wait.

        Raises:
            LakeError: the writer has stopped; the message says why.
        """
        rows = _weight(effects)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(rows))
            self.raise_if_stopped()
            self._effects.append(effects)
            self._rows += rows
            self._put += 1
            self._last_put = time.monotonic()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything put so far is committed.

        Raises:
            LakeError: the writer stopped before that.
        """
        with self._changed:
            target = self._put
            self._flush_to = max(self._flush_to, target)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped or self._committed >= target)
            if self._committed < target:
                self.raise_if_stopped()

    def take(self, timeout: float | None) -> list[Effects] | None:
        """Wait for a commit to be due and take what waits.

        Returns:
            Effects in the order they were put; none where the timeout (seconds) passed first; None
            after ``stop``.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                due = self._due_at()
                if due is not None and due <= now:
                    taken = list(self._effects)
                    self._effects.clear()
                    return taken
                if until is not None and until <= now:
                    return []
                first = min((t for t in (due, until) if t is not None), default=None)
                self._changed.wait(None if first is None else first - now)
        return None

    def committed(self, taken: Sequence[Effects]) -> None:
        """Make room: these are in the lake, or were there before."""
        with self._changed:
            self._rows -= sum(map(_weight, taken))
            self._committed += len(taken)
            self._last_commit = time.monotonic()
            self._changed.notify_all()

    def stop(self, failure: BaseException | None = None) -> None:
        """Take and accept nothing more; the first failure is what ``put`` and ``flush`` raise."""
        with self._changed:
            self._stopped = True
            self._failure = self._failure or failure
            self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raise what stopped the writer, if anything did."""
        if isinstance(self._failure, LakeError):
            raise LakeError(str(self._failure)) from self._failure
        if self._failure is not None:
            raise self._failure

    def raise_if_stopped(self) -> None:
        """Raise what stopped the writer, or that it was closed."""
        self.raise_failure()
        if self._stopped:
            raise LakeError(f"{self._name}: the lake's writer is closed; open a new one")

    def _due_at(self) -> float | None:
        if not self._effects:
            return None
        if self._rows >= self._settings.commit_rows or self._flush_to > self._committed:
            return self._last_commit
        return min(
            self._last_commit + self._settings.commit_seconds,
            self._last_put + self._settings.idle_seconds,
        )

    def _has_room(self, rows: int) -> bool:
        return not self._rows or self._rows + rows <= self._settings.queue_rows


def _weight(effects: Effects) -> int:
    """Rows that an item occupies; one without rows still occupies a place."""
    return 1 + sum(effects.count(table) for table in Table)
