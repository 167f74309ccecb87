"""What is due is sent: each way by threads of its own, so that a slow receiver holds up nobody else.

Only the first unfinished delivery of a lane is ever due, and while it is under way it is not due again; so
an order's messages arrive in order, whatever happens to them. The store is written by the flow's thread alone.

A defect of ours in one attempt is logged and counted, and is otherwise an attempt like any other, which comes
again after its pause. A flow that stopped for it would stop for it again after each restart.
"""

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog

from flows.lake.commit import no_crash
from flows.metrics import Metrics
from flows.notices.addresses import AddressBook
from flows.notices.answers import Answered, Meaning
from flows.notices.deliveries import Attempt, Due, Result, State
from flows.notices.hours import quiet_until
from flows.notices.plan import receiver
from flows.notices.senders import Sender, sender_of
from flows.notices.settings import NotifySettings, Way
from flows.notices.store import Store
from schemas.codes import Audience

Clock = Callable[[], datetime]
_log = structlog.get_logger(__name__)
_WORST = timedelta(seconds=0.1)
"""A rate that was missed for so long is not made up for."""


class Sent(NamedTuple):
    """An attempt that has ended."""

    answered: Answered
    at: datetime
    milliseconds: float


class Pace:
    """So many a second and no more."""

    def __init__(self, per_second: float | None) -> None:
        self._pause = timedelta(seconds=1 / per_second) if per_second else None
        self._next_at: datetime | None = None

    def may(self, now: datetime) -> bool:
        """Whether one more may go; if so, it counts as gone."""
        if self._pause is None:
            return True
        if self._next_at is None or self._next_at < now - _WORST:
            self._next_at = now
        if self._next_at > now:
            return False
        self._next_at += self._pause
        return True


class _Post:
    """A way at work: its sender, its threads, and what is under way."""

    def __init__(self, name: str, way: Way) -> None:
        self.name = name
        self.way = way
        self.sender: Sender = sender_of(name, way)
        self.threads = ThreadPoolExecutor(way.at_once, f"notify {name}")
        self.under_way: dict[int, tuple[Due, Future[Sent]]] = {}
        self.pace = Pace(way.per_second)
        self.rests_until: datetime | None = None

    def room(self, now: datetime) -> int:
        """How many more may be begun."""
        if self.rests_until is not None and now < self.rests_until:
            return 0
        return self.way.at_once - len(self.under_way)


class Dispatcher:
    """All ways; ``turn`` is called over and over by one thread."""

    def __init__(
        self,
        store: Store,
        settings: NotifySettings,
        book: AddressBook,
        clock: Clock,
        metrics: Metrics,
        crash_point: Callable[[str], None] = no_crash,
    ) -> None:
        """Make the senders.

        Raises:
            InputError: a way cannot be used.
        """
        self._store = store
        self._settings = settings
        self._book = book
        self._clock = clock
        self._metrics = metrics
        self._crash_point = crash_point
        self._posts = [_Post(name, way) for name, way in settings.ways.items()]

    def turn(self) -> None:
        """Write down what has ended, and begin what is due."""
        now = self._clock()
        self._write_down(list(self._ended()), now)
        kept = [result for post in self._posts for result in self._begin(post, now)]
        self._write_down(kept, now)

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return any(post.under_way for post in self._posts)

    def is_idle(self) -> bool:
        """Whether nothing is under way or due."""
        now = self._clock()
        return not self.is_busy and not any(
            self._store.due(post.name, now, 1, ()) for post in self._posts if post.room(now)
        )

    def close(self) -> None:
        """Wait for what is under way, and write it down."""
        for post in self._posts:
            post.threads.shutdown()
        self._write_down(list(self._ended()), self._clock())
        self.abort()

    def abort(self) -> None:
        """Stop without waiting; what is under way will be sent again."""
        for post in self._posts:
            post.threads.shutdown(wait=False, cancel_futures=True)
            post.sender.close()

    def _ended(self) -> Iterator[Result]:
        """What attempts came to."""
        for post in self._posts:
            for due, future in [pair for pair in post.under_way.values() if pair[1].done()]:
                failure = future.exception()
                sent = future.result() if failure is None else self._failed(due, failure)
                del post.under_way[due.id]
                again_at = sent.answered.come_again_at
                if again_at is not None:
                    post.rests_until = again_at
                result = result_of(due, sent, self._settings.retry_seconds)
                self._metrics.notified(post.name, result.state, sent.milliseconds / 1e3)
                yield result

    def _failed(self, due: Due, failure: BaseException) -> Sent:
        """An attempt that a defect of ours has ended; what an exception says may have the address in it."""
        if not isinstance(failure, Exception):
            raise failure
        kind, place = type(failure).__name__, traceback.extract_tb(failure.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        _log.error("a defect ended an attempt", way=due.way, key=due.key, error=kind, where=where)
        self._metrics.defect(due.way)
        return Sent(Answered(Meaning.AGAIN, detail=f"a defect: {kind}"), self._clock(), 0.0)

    def _begin(self, post: _Post, now: datetime) -> Iterator[Result]:
        """Give to the threads what is due; what must not be sent is a result already."""
        room = post.room(now)
        if room <= 0:
            return
        for due in self._store.due(post.name, now, room, post.under_way.keys()):
            to, result = self._may_go(post, due, now)
            if result is not None:
                self._metrics.not_sent(post.name, result.state)
                yield result
            elif post.pace.may(now):
                future = post.threads.submit(self._attempt, post.sender, due, to)
                post.under_way[due.id] = due, future
            else:
                return

    def _may_go(self, post: _Post, due: Due, now: datetime) -> tuple[str, Result | None]:
        """Where a delivery goes to, or what becomes of it instead."""
        audience = Audience(due.audience)
        if due.expires_at <= now:
            return "", Result(due, State.EXPIRED, None, "too old to be of use", None)
        hours = self._settings.quiet_hours
        is_left_alone = audience is Audience.CUSTOMER and post.way.quiet and not due.is_urgent
        if hours is not None and is_left_alone:
            until = quiet_until(now, hours, self._settings.zone(due.tenant, due.network))
            if until is not None:
                return "", Result(due, State.HELD, until, "quiet hours", None)
        to = receiver(post.way, audience, self._book.find(due.customer))
        if not to:
            lost = "the address book has no address for the customer"
            return "", Result(due, State.DEAD, None, lost, None)
        return to, None

    def _attempt(self, sender: Sender, due: Due, to: str) -> Sent:
        """On a thread of the way."""
        self._crash_point("before attempt")
        at, began = self._clock(), time.monotonic()
        answered = sender.send(due, to, at)
        milliseconds = (time.monotonic() - began) * 1e3
        self._crash_point("after attempt")
        return Sent(answered, at, milliseconds)

    def _write_down(self, results: list[Result], now: datetime) -> None:
        if results:
            self._store.settle(results, now)


def result_of(due: Due, sent: Sent, pauses: list[float]) -> Result:
    """What becomes of a delivery after an attempt; ``pauses`` (s) are those between attempts."""
    answered = sent.answered
    attempt = Attempt(sent.at, sent.milliseconds, answered.status)
    if answered.meaning is Meaning.TAKEN:
        return Result(due, State.SENT, None, None, attempt)
    if answered.meaning is Meaning.FINAL:
        return Result(due, State.DEAD, None, answered.detail, attempt)
    if due.attempts >= len(pauses):
        detail = f"{answered.detail}; {due.attempts + 1} attempts"
        return Result(due, State.DEAD, None, detail, attempt)
    again_at = sent.at + timedelta(seconds=pauses[due.attempts])
    if answered.come_again_at is not None:
        again_at = max(again_at, answered.come_again_at)
    return Result(due, State.WAITING, again_at, answered.detail, attempt)
