"""Many finished segments added to a log as one: all of them, even if the process is killed in between.

::

    LOG/.append.json           which staged files are to be the log's, and under which names

The plan is on disk before the first file is moved. Whoever opens the log for writing next completes a
plan that it finds, so that an import is in the log wholly, once the log is written to again.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from flows.files import make_directory, publish, sync_directory

_PLAN = ".append.json"


def staging_of(log: Path) -> Path:
    """Where files for this log are staged: beside it, on the same disk."""
    place = log.absolute()
    return place.with_name(f".{place.name}.partial")


def is_pending(log: Path) -> bool:
    """Whether a plan is not completed yet."""
    return (log / _PLAN).exists()


def move(log: Path, files: Iterable[tuple[str, str]]) -> None:
    """Move staged files into the log; the pairs are names within staging and within the log."""
    publish(log / _PLAN, json.dumps(list(files)).encode())
    complete(log)


def complete(log: Path) -> bool:
    """Do what is left of a plan; returns whether there was one."""
    if not is_pending(log):
        return False
    staging = staging_of(log)
    touched = set()
    for staged, final in json.loads((log / _PLAN).read_bytes()):
        source, target = staging / staged, log / final
        make_directory(target.parent)
        if source.exists():  # otherwise it was moved before the process was killed
            source.rename(target)
        touched.add(target.parent)
    for folder in sorted(touched):
        sync_directory(folder)
    (log / _PLAN).unlink()
    sync_directory(log)
    return True
