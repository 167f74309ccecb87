"""The notify flow: what the lake's outbox says is told to customers, operators and partners.

::

    read_outbox ──► plan_deliveries ──► keep_deliveries ──► send_deliveries
    rows after      a message for       the store: once      what is due now,
    the cursor,     each way that a     for each key and     by the threads of
    often none      rule chooses        way, with the        its way
                                        cursor

It runs beside the job that writes the lake, or anywhere that can read it. Its own store (notices/store.py)
is all that it remembers: after a crash at any instant each message is sent at least once, with the same
key. Run it by ``crossdock notify run``, or as any Bytewax flow:
``python -m bytewax.run "flows.notify:live('FILE')"``.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition

from flows.guard import Guard, GuardedSink, run_guarded
from flows.lake.commit import no_crash
from flows.metrics import Metrics
from flows.notices.addresses import AddressBook
from flows.notices.deliveries import Delivery, State
from flows.notices.outbox import OutboxReader, Taken
from flows.notices.plan import Planner
from flows.notices.reports import counted
from flows.notices.sending import Clock, Dispatcher
from flows.notices.settings import NotifySettings
from flows.notices.store import Store
from flows.notices.texts import Texts
from flows.settings import Settings, load_settings
from schemas.errors import InputError

BUSY_PAUSE = timedelta(milliseconds=2)
"""Until the next turn while something is under way."""
IDLE_PAUSE = timedelta(milliseconds=20)
"""Otherwise."""
_CARE = timedelta(minutes=1)
"""Between two looks at the address book and at what can be forgotten."""


class Planned(NamedTuple):
    """What is to be kept of one look at the outbox."""

    deliveries: list[Delivery]
    passed_over: Counter[tuple[str, str]]
    taken: Taken


def build(job: "NotifyJob") -> Dataflow:
    """The flow."""
    flow = Dataflow("notify")
    taken = op.input("read_outbox", flow, _OutboxSource(job))
    planned = op.map("plan_deliveries", taken, job.plan)
    kept = op.map("keep_deliveries", planned, job.keep)
    op.output("send_deliveries", kept, GuardedSink(job.guard, job.send, job.close))
    return flow


def live(config: str = "") -> Dataflow:
    """The flow with the settings of a file, for ``python -m bytewax.run``."""
    return build(NotifyJob.open(load_settings(Path(config) if config else None)))


def run(job: "NotifyJob") -> None:
    """Deliver until the job is asked to stop, or has nothing to do and was told to end then."""
    try:
        run_guarded(build(job), job.guard)
    except BaseException:
        job.abort()
        raise


class NotifyJob:
    """One process that delivers: its cursor, its plans, its store, its ways."""

    def __init__(
        self,
        lake: Path,
        store: Path,
        settings: NotifySettings,
        *,
        ends_when_idle: bool = False,
        guard: Guard | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        metrics: Metrics | None = None,
        crash_point: Callable[[str], None] = no_crash,
    ) -> None:
        """Open lake and store, try texts and ways, and take up where the store left off.

        Args:
            lake: whose outbox is followed.
            store: an SQLite file, made if need be.
            settings: what is sent to whom.
            ends_when_idle: whether to end once nothing is new or due.
            guard: of the flow.
            clock: what time it is.
            metrics: to count in.
            crash_point: tests end the process there.

        Raises:
            CrossdockError: something cannot be used; the message says what.
        """
        self.lake = lake
        self.settings = settings
        self.guard = guard or Guard()
        self.metrics = metrics or Metrics()
        self.ends_when_idle = ends_when_idle
        self._clock = clock
        self._cared_at = clock() - _CARE
        self._turns_begun = self._turns_ended = 0
        texts, self.book = Texts(settings.language, settings.texts), AddressBook(settings.addresses)
        self._planner = Planner(settings, texts, self.book)
        with ExitStack() as opened:
            self.outbox = OutboxReader(lake, settings.poll_seconds)
            opened.callback(self.outbox.close)
            self.store = Store(store, self.outbox.logs, crash_point)
            opened.callback(self.store.close)
            self.outbox.begin(self.store.places())
            self._dispatcher = Dispatcher(
                self.store, settings, self.book, clock, self.metrics, crash_point
            )
            opened.pop_all()

    @classmethod
    def open(
        cls, settings: Settings, *, ends_when_idle: bool = False, guard: Guard | None = None
    ) -> "NotifyJob":
        """The job of a process with these settings."""
        lake, notify = needed(settings)
        return cls(lake, store_of(settings), notify, ends_when_idle=ends_when_idle, guard=guard)

    def look(self) -> Taken:
        """What is new in the outbox."""
        self._turns_begun += 1
        return self.outbox.take()

    def plan(self, taken: Taken) -> Planned:
        """By which ways each notification goes, and what it says."""
        planned = Planned([], Counter(), taken)
        with self.guard:
            now = self._clock()
            for row in taken.rows:
                deliveries = self._planner.plan(row, now)
                planned.deliveries.extend(deliveries)
                if not deliveries:
                    planned.passed_over[row.audience, row.template] += 1
        return planned

    def keep(self, planned: Planned) -> None:
        """Write deliveries and cursor down, unless a step has failed."""
        if self.guard.failure is not None or not planned.taken.places:
            return
        with self.guard:
            self.store.take(
                planned.deliveries, planned.passed_over, planned.taken.places, self._clock()
            )
            for one in planned.deliveries:
                if one.state is not State.WAITING:
                    self.metrics.not_sent(one.way, one.state)

    def send(self, _kept: None) -> None:
        """Settle what has ended, begin what is due, and now and then tidy up."""
        self._dispatcher.turn()
        now = self._clock()
        if now >= self._cared_at + _CARE:
            self._cared_at = now
            self.book.refresh()
            self.store.purge(now - timedelta(days=self.settings.keep_days))
        self._turns_ended += 1

    def is_over(self, taken: Taken) -> bool:
        """Whether the flow is to end, being told to end when idle."""
        is_caught_up = self._turns_begun - 1 == self._turns_ended > 0
        return (
            self.ends_when_idle and is_caught_up and not taken.places and self._dispatcher.is_idle()
        )

    def pause(self) -> timedelta:
        """Until the next turn."""
        return BUSY_PAUSE if self._dispatcher.is_busy else IDLE_PAUSE

    def watch(self) -> None:
        """Let the metrics ask how many deliveries are unfinished or dead."""
        for state in (State.WAITING, State.HELD, State.DEAD):
            self.metrics.watch(
                f"notify_{state}_deliveries",
                f"Deliveries that are {state}.",
                partial(self._count, state),
            )

    def _count(self, state: State) -> float:
        return counted(self.store.path).get(state, 0)

    def close(self) -> None:
        """Wait for what is under way, and give lake and store back."""
        self._dispatcher.close()
        self.store.close()
        self.outbox.close()

    def abort(self) -> None:
        """Stop as a crash would."""
        self._dispatcher.abort()
        self.store.close()
        self.outbox.close()


def needed(settings: Settings) -> tuple[Path, NotifySettings]:
    """The lake, and what is to be sent.

    Raises:
        InputError: one of them is not set.
    """
    if settings.lake is None:
        raise InputError("lake is not set: say where the lake is, in the file or CROSSDOCK_LAKE")
    if settings.notify is None:
        raise InputError(
            "nothing says what is sent to whom: add [notify] to the settings; see deploy/notify.toml"
        )
    return settings.lake, settings.notify


def store_of(settings: Settings) -> Path:
    """The file of the store: the one that is set, else beside the lake."""
    lake, notify = needed(settings)
    return notify.store or lake.with_name(f"{lake.name}.notify.sqlite")


class _OutboxSource(DynamicSource[Taken]):
    def __init__(self, job: NotifyJob) -> None:
        self.job = job

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_OutboxPartition":
        return _OutboxPartition(self.job)


class _OutboxPartition(StatelessSourcePartition[Taken]):
    def __init__(self, job: NotifyJob) -> None:
        self.job = job

    def next_batch(self) -> list[Taken]:
        if self.job.guard.is_over:
            raise StopIteration
        with self.job.guard:
            taken = self.job.look()
            if self.job.is_over(taken):
                raise StopIteration
            return [taken]
        return []

    def next_awake(self) -> datetime:
        return datetime.now(UTC) + self.job.pause()
