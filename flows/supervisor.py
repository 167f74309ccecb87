"""Several processes of the job on one machine; one that ends is started again, later each time.

On more machines a StatefulSet or systemd does this (``deploy/``). The processes share nothing but the
topics and the lake, so nothing else depends on who is running.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from flows.guard import Guard

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""One that ran for longer than this is started again after the first pause."""
END_SECONDS = 20.0
"""Given to end in order; twice what a process needs."""
_LOOK_SECONDS = 0.1
_log = structlog.get_logger(__name__)


@dataclass
class _Child:
    ordinal: int
    surroundings: Mapping[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    pause: float = field(default=FIRST_PAUSE_SECONDS)
    due_at: float = 0.0

    def start(self, command: Sequence[str]) -> None:
        """A session of its own: Ctrl-C is for the supervisor, which ends them in order."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            command, env={**os.environ, **self.surroundings}, start_new_session=True
        )

    def mourn(self, code: int) -> None:
        """Note the end, and when to start again."""
        now = time.monotonic()
        if now - self.started_at > LONGEST_PAUSE_SECONDS:
            self.pause = FIRST_PAUSE_SECONDS
        self.process, self.due_at = None, now + self.pause
        _log.warning(
            "process ended; it is started again",
            ordinal=self.ordinal,
            code=code,
            seconds=self.pause,
        )
        self.pause = min(2 * self.pause, LONGEST_PAUSE_SECONDS)


def supervise(
    command: Sequence[str], surroundings: Sequence[Mapping[str, str]], guard: Guard
) -> bool:
    """Run one process for each surroundings until asked to stop.

    Args:
        command: of each of them.
        surroundings: environment variables of each.
        guard: says when to stop.

    Returns:
        Whether all of them ended in order.
    """
    children = [_Child(ordinal, mine) for ordinal, mine in enumerate(surroundings)]
    while not guard.is_over:
        for child in children:
            if child.process is None and time.monotonic() >= child.due_at:
                child.start(command)
            elif child.process is not None and (code := child.process.poll()) is not None:
                child.mourn(code)
        time.sleep(_LOOK_SECONDS)
    return _end([child.process for child in children if child.process is not None])


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> bool:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    codes = []
    for process in processes:
        try:
            codes.append(process.wait(max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            process.kill()
            codes.append(process.wait())
    return not any(codes)
