"""The clock of an import: one importer's ticks, in every partition that has records.

An input that brings clock ticks (an exported log) keeps them, and none are added: then its
partitions move by the same ticks as before. Ticks that come after the import had to write its own
are kept too; the fold takes the minimum over both.
"""

from collections.abc import Iterable, Iterator

import msgspec

from flows.logs.parquet import LogWriter, ParquetLog
from flows.ticks import with_ticks
from schemas.control import ClockTicked
from schemas.envelope import Event
from schemas.errors import InputError

_OURS = ""
"""Tenant of a tick that is not yet meant for a partition; no decoded record has an empty one."""


class Clock:
    """Writes records and the ticks between them.

    Attributes:
        written: ticks added so far.
    """

    def __init__(self, start: int = 0, heard_by: dict[int, tuple[str, str]] | None = None) -> None:
        """Start a clock whose ids depend on where in the log its import begins.

        Args:
            start: records in the log before this import.
            heard_by: tenant and network to address in each partition that has records already.
        """
        self.written = 0
        self._source = f"crossdock-import/{start}"
        self._heard_by = heard_by or {}
        self._brought = False
        self._filled: set[int] = set()
        self._ticked: set[int] = set()

    @classmethod
    def of_log(cls, log: ParquetLog) -> "Clock":
        """The clock of an import that adds to this log."""
        heard_by: dict[int, tuple[str, str]] = {}
        for partition in range(log.partitions):
            for piece in log.read(partition):
                row = piece.envelope.slice(0, 1).to_pylist()[0]
                heard_by[partition] = (row["tenant"], row["network"])
                break
        return cls(len(log), heard_by)

    def record(self, events: Iterable[Event], writer: LogWriter) -> Iterator[Event]:
        """Write the events and their ticks; gives the events, not the ticks that were added.

        Raises:
            InputError: the input brings ticks, but for some partition none.
        """
        for event in with_ticks(self._watched(events), self._source, _OURS, _OURS):
            if event.tenant != _OURS:
                self._write(event, writer)
                yield event
            elif self.written or not self._brought:
                self._spread(event, writer)
        silent = sorted(self._filled - self._ticked)
        if self._brought and silent:
            raise InputError(
                f"the input's clock.ticked records leave partition {silent[0]} without a clock; "
                "import with the number of partitions it was recorded with, or without them"
            )

    def _watched(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            self._brought |= isinstance(event, ClockTicked)
            yield event

    def _write(self, event: Event, writer: LogWriter) -> None:
        for partition in writer.append(event):
            self._heard_by.setdefault(partition, (event.tenant, event.network))
            (self._ticked if isinstance(event, ClockTicked) else self._filled).add(partition)

    def _spread(self, tick: Event, writer: LogWriter) -> None:
        for partition, (tenant, network) in self._heard_by.items():
            writer.append_to(
                partition, msgspec.structs.replace(tick, tenant=tenant, network=network)
            )
            self._ticked.add(partition)
            self.written += 1
