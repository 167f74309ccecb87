"""Clock ticks for an import: record time moves the fold's clock as it would have live.

A tick for minute m says that everything recorded before the end of m has been read. It is written
when that is known, before the first record of a later minute, and carries the start of that later
minute; the idle minutes between are coalesced into it, so deadlines that fell into them fire before
the next record is decided. The last minute is closed at the end, and then the importer retires: a
source that is done must not hold back the clock of those that are not.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from schemas.control import ClockTicked, Tick
from schemas.envelope import Event

MINUTE = timedelta(minutes=1)


def with_ticks(events: Iterable[Event], source: str, tenant: str, network: str) -> Iterator[Event]:
    """The same events with a ``clock.ticked`` per minute of record time that holds records.

    Args:
        events: records in log order. A record time that goes back needs no tick: its minute is
            closed already, as for any late record.
        source: the importing process; also the subject of its ticks.
        tenant: tenant of the ticks.
        network: network of the ticks.
    """
    minute: datetime | None = None
    for event in events:
        recorded = (event.recordedtime or event.time).astimezone(UTC)
        own = recorded.replace(second=0, microsecond=0)
        if minute is not None and own > minute:
            yield _tick(own, source, tenant, network)
        minute = own if minute is None else max(minute, own)
        yield event
    if minute is not None:
        yield _tick(minute + MINUTE, source, tenant, network)
        yield _tick(minute + MINUTE, source, tenant, network, retired=True)


def _tick(
    at: datetime, source: str, tenant: str, network: str, *, retired: bool = False
) -> ClockTicked:
    suffix = "-retired" if retired else ""
    return ClockTicked(
        id=f"tick-{at:%Y%m%dT%H%MZ}{suffix}",
        source=source,
        subject=source,
        time=at,
        tenant=tenant,
        network=network,
        data=Tick(at=at, retired=retired),
    )
