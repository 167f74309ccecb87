"""How a dataflow ends: at the end of its input, when it is asked to, or because a step cannot go on.

An exception that leaves a step makes Bytewax print a panic before it is raised again, and skips what
closing would do. So the steps work under a guard: the first failure is kept, every step does nothing
from then on, the source ends, and whoever ran the flow raises what was kept. Under ``python -m
bytewax.run`` nobody asks afterwards, so there a failure is raised where it happens.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self, TypeVar

from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from flows.collector import collecting_seldom

Item = TypeVar("Item")
PATIENCE_SECONDS = 5.0
"""How long a flow that was asked to end waits for brokers that are away; supervisors give it 10 or 30."""


class Guard:
    """Shared by the steps of one flow.

    Attributes:
        keeps_failures: whether somebody asks for the failure after the run.
        failure: the first one.
        entered_at: when a step was entered last or said that it waits, by the monotonic clock; None
            before the first.
    """

    def __init__(self) -> None:
        self.keeps_failures = False
        self.failure: BaseException | None = None
        self.entered_at: float | None = None
        self._asked_at: float | None = None

    def stop(self) -> None:
        """Ask the flow to end; what was read so far is finished."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()

    def may_wait(self) -> bool:
        """Whether a step may go on waiting for others; that it asks shows that it does not hang."""
        self.entered_at = time.monotonic()
        return self._asked_at is None or self.entered_at < self._asked_at + PATIENCE_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether the source should give nothing more."""
        return self._asked_at is not None or self.failure is not None

    def __enter__(self) -> Self:
        self.entered_at = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None or isinstance(error, StopIteration):
            return False
        self.failure = self.failure or error
        return self.keeps_failures and isinstance(error, Exception)


class GuardedSink(DynamicSink[Item]):
    """The last step of a branch: what comes is put somewhere; at the end that is closed, once."""

    def __init__(
        self, guard: Guard, put: Callable[[Item], None], close: Callable[[], None] | None = None
    ) -> None:
        self.guard = guard
        self.put = put
        self.close = close
        self.workers = 0

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_SinkPartition[Item]":
        """The part of one worker."""
        self.workers += 1
        return _SinkPartition(self)

    def worker_is_done(self) -> None:
        """Close after the last of them, unless something failed."""
        self.workers -= 1
        if self.workers == 0 and self.close is not None and self.guard.failure is None:
            with self.guard:
                self.close()


class _SinkPartition(StatelessSinkPartition[Item]):
    def __init__(self, sink: GuardedSink[Item]) -> None:
        self.sink = sink

    def write_batch(self, items: list[Item]) -> None:
        if self.sink.guard.failure is None:
            with self.sink.guard:
                for item in items:
                    self.sink.put(item)

    def close(self) -> None:
        self.sink.worker_is_done()


def run_guarded(flow: Dataflow, guard: Guard) -> None:
    """Run a flow on one worker until its source ends; raises what kept a step from going on."""
    guard.keeps_failures = True
    try:
        with collecting_seldom():
            cli_main(flow)
    except BytewaxRuntimeError as error:
        cause: BaseException | None = error
        while isinstance(cause, BytewaxRuntimeError):
            cause = cause.__cause__
        raise (error if cause is None else cause) from None
    if guard.failure is not None:
        raise guard.failure


@contextmanager
def ending_in_order(guard: Guard) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C ask the flow to stop; a second one ends it at once, as a crash would."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        if guard.is_over:
            raise KeyboardInterrupt
        guard.stop()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
