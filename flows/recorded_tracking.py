"""What is decided, on a recorded tracking log: the embedded job's counterpart of the tracking topic.

After a restart effects are made again that may be there already; the tracking fold drops the repeats.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from flows.logs.log import partition_of
from flows.logs.parquet import LogWriter
from flows.public_records import public_records
from schemas.codec import Refusal, decode_line
from schemas.ids import LogId
from schemas.tables import Effects


class RecordedPublisher:
    """Write side; whoever else writes the log flushes it as well."""

    def __init__(
        self,
        writer: LogWriter,
        log_id: LogId,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Publish what is decided on a journal.

        Args:
            writer: of the tracking log.
            log_id: of the journal.
            clock: says when a record is learnt.
        """
        self._writer = writer
        self._log_id = log_id
        self._clock = clock
        self._given: dict[int, int] = {}

    def put(self, effects: Effects) -> None:
        """Add the public records."""
        partitions = self._writer.log.partitions
        for record in public_records(effects, self._log_id):
            event = decode_line(record.value, 1)
            assert not isinstance(event, Refusal), event.detail
            learnt = msgspec.structs.replace(event, recordedtime=self._clock())
            self._writer.append_to(partition_of(record.key.decode(), partitions), learnt)
        self._given[effects.partition] = effects.position

    def given(self, partition: int) -> int:
        """Position of the journal's partition up to which effects were put; -1 before the first."""
        return self._given.get(partition, -1)

    def flush(self) -> None:
        """Publish a segment."""
        self._writer.flush()

    def ends(self) -> Mapping[int, int]:
        """Nothing: repeats are for the fold to drop."""
        return {}

    def close(self) -> None:
        """Leave; the log is closed by whoever opened it."""
        self._writer.flush()
