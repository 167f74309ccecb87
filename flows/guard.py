"""How a dataflow ends: at the end of its input, when it is asked to, or because a step cannot go on.

An exception that leaves a step makes Bytewax print a panic before it is raised again, and skips what
closing would do. So the steps work under a guard: the first failure is kept, every step does nothing
from then on, the source ends, and whoever ran the flow raises what was kept. Under ``python -m
bytewax.run`` nobody asks afterwards, so there a failure is raised where it happens.
"""

import time
from types import TracebackType
from typing import Self

from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.run import cli_main


class Guard:
    """Shared by the steps of one flow.

    Attributes:
        keeps_failures: whether somebody asks for the failure after the run.
        failure: the first one.
        entered_at: when a step was entered last, by the monotonic clock; None before the first.
    """

    def __init__(self) -> None:
        self.keeps_failures = False
        self.failure: Exception | None = None
        self.entered_at: float | None = None
        self._asked_to_stop = False

    def stop(self) -> None:
        """Ask the flow to end; what was read so far is finished."""
        self._asked_to_stop = True

    @property
    def is_over(self) -> bool:
        """Whether the source should give nothing more."""
        return self._asked_to_stop or self.failure is not None

    def __enter__(self) -> Self:
        self.entered_at = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, StopIteration):
            return False
        self.failure = self.failure or error
        return self.keeps_failures


def run_guarded(flow: Dataflow, guard: Guard) -> None:
    """Run a flow on one worker until its source ends; raises what kept a step from going on."""
    guard.keeps_failures = True
    try:
        cli_main(flow)
    except BytewaxRuntimeError as error:
        cause: BaseException | None = error
        while isinstance(cause, BytewaxRuntimeError):
            cause = cause.__cause__
        raise (error if cause is None else cause) from None
    if guard.failure is not None:
        raise guard.failure
