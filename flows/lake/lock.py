"""One writing process per lake: a lock on ``LAKE/.lock`` that dies with its process.

Two writers on one SQLite catalogue conflict and stall each other, so the second is refused at once.
The lock is courtesy; what makes a commit safe is the owner's epoch in ``positions`` (commit.py). A
process that hangs while it holds the lock is overruled with ``break_lock``: it can then still run,
but its next commit finds that its partitions have another owner.
"""

import fcntl
import os
from pathlib import Path
from typing import IO

from schemas.errors import LakeError

_NAME = ".lock"


class WriterLock:
    """Held from construction to ``release``.

    Raises:
        LakeError: another process holds it; the message says which.
    """

    def __init__(self, lake: Path) -> None:
        self._file = _locked(lake)
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Give the lake to the next writer."""
        self._file.close()


def break_lock(lake: Path) -> None:
    """Overrule a holder that hangs: the next writer takes its partitions over and fences it off."""
    (lake / _NAME).unlink(missing_ok=True)


def _locked(lake: Path) -> IO[str]:
    path = lake / _NAME
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise LakeError(
                f"{lake} is being written by another process (pid {holder}); stop it first"
            ) from error
        if _is_current(file, path):
            return file
        file.close()  # the lock was broken between opening and locking: take the new file


def _is_current(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
