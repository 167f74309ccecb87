"""One writer of a lake for two flows of one process: a lake on SQLite has one writer at a time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flows.lake.layout import Flow, Identity
from flows.lake.writer import LakeWriter, create_or_open_writer
from flows.logs.log import Log
from flows.settings import Settings


def open_for_both(lake: Path, logs: Mapping[Flow, Log], settings: Settings) -> LakeWriter:
    """The writer for this process's partitions of all these logs; whoever opened it closes it.

    Raises:
        LakeError: the lake cannot be written, or is of other logs.
    """
    route, track = (Identity(log.id, log.partitions, "", flow) for flow, log in logs.items())
    partitions = [
        flow.first_partition + p
        for flow, log in logs.items()
        for p in settings.mine(log.partitions)
    ]
    return create_or_open_writer(
        lake, route, partitions, catalogue=settings.lake_catalogue, also=[track]
    )


@contextmanager
def ending_on_failure(writer: LakeWriter | None) -> Iterator[None]:
    """Give the lake back if what is to use it cannot be opened."""
    try:
        yield
    except BaseException:
        if writer is not None:
            writer.abort()
        raise
