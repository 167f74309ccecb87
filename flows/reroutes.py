"""What the tracker wants decided again: its REROUTE actions as records for the journal.

They are on their way durably before the lake is given the effects that hold the action, so a kill loses
none. After a restart effects that the lake has not are made again, and with them the same records, by the
same ``id``: the router drops the repeats. A replay of a recorded log writes the actions alone.
"""

import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import pyarrow.compute as pc

from flows.guard import Guard
from flows.kafka.client import KafkaSettings
from flows.kafka.producer import ReliableProducer
from flows.kafka.topics import describe
from flows.logs.log import partition_of
from flows.logs.parquet import LogWriter
from schemas.codec import encode_event
from schemas.codes import Action, ExceptionCode, RerouteReason
from schemas.ids import LogId, network_key
from schemas.reviews import Reroute, RerouteRequested
from schemas.tables import Effects, Table

_REASONS = {
    ExceptionCode.TEMP_EXCURSION_MINOR.name: RerouteReason.R_EXCURSION,
    ExceptionCode.TEMP_EXCURSION_MAJOR.name: RerouteReason.R_EXCURSION,
    ExceptionCode.HUMIDITY_EXCURSION.name: RerouteReason.R_EXCURSION,
    ExceptionCode.CARRIER_REJECTED.name: RerouteReason.R_CARRIER_FAIL,
    ExceptionCode.LOST.name: RerouteReason.R_CARRIER_FAIL,
    ExceptionCode.DAMAGED.name: RerouteReason.R_CARRIER_FAIL,
}
"""Why the router is asked; for all other exceptions the promise is at risk."""


class Reroutes(Protocol):
    """Whoever brings wishes to decide again to the journal."""

    def put(self, record: RerouteRequested) -> None:
        """Take one."""

    def flush(self) -> None:
        """Wait until everything put so far is durable."""


def reroutes(effects: Effects, log_id: LogId, after: int) -> Iterator[RerouteRequested]:
    """A record for each REROUTE action of the effects whose position is beyond ``after``."""
    actions = effects.given.get(Table.ACTIONS)
    if actions is None:
        return
    is_wish = pc.equal(actions["action"], Action.REROUTE.value)
    is_new = pc.greater(actions["position"], after)
    for row in actions.filter(pc.and_(is_wish, is_new)).to_pylist():
        reason = _REASONS.get(row["code"], RerouteReason.R_PROMISE_AT_RISK)
        yield RerouteRequested(
            id=row["record_id"],
            source=f"crossdock-track/{log_id}",
            subject=row["order_id"],
            time=row["at"],
            tenant=row["tenant"],
            network=row["network"],
            data=Reroute(reason=reason, node=row["node"] or ""),
        )


class KafkaReroutes:
    """By way of the first raw topic, as everybody else's records: ingest brings them to the journal."""

    def __init__(self, settings: KafkaSettings, guard: Guard | None = None) -> None:
        """Connect.

        Raises:
            BrokerError: no cluster or no topic there.
        """
        self._topic = settings.raw[0]
        self._partitions = describe(settings, self._topic).partitions
        self._producer = ReliableProducer(settings, guard)

    def put(self, record: RerouteRequested) -> None:
        """See ``Reroutes``."""
        key = network_key(record.tenant, record.network).encode()
        partition = zlib.crc32(key) % self._partitions
        self._producer.put(self._topic, partition, key, encode_event(record))

    def flush(self) -> None:
        """See ``Reroutes``."""
        self._producer.flush()


class RecordedReroutes:
    """Straight to a recorded journal: the embedded job's raw topic keeps nothing."""

    def __init__(
        self, writer: LogWriter, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Write to a journal that others write as well; ``clock`` says when a record is learnt."""
        self._writer = writer
        self._clock = clock

    def put(self, record: RerouteRequested) -> None:
        """See ``Reroutes``."""
        learnt = msgspec.structs.replace(record, recordedtime=self._clock())
        home = partition_of(network_key(record.tenant, record.network), self._writer.log.partitions)
        self._writer.append_to(home, learnt)

    def flush(self) -> None:
        """See ``Reroutes``."""
        self._writer.flush()
