"""Records as a simulated source says them: stamped, and numbered by kind so that ids repeat by seed."""

from collections import Counter
from datetime import datetime
from typing import Any, TypedDict, TypeVar

import msgspec

from schemas.envelope import Event

SOURCE = "simulation"
Said = TypeVar("Said", bound=Event)


class Stamp(TypedDict):
    """Attributes of an event apart from its data."""

    id: str
    source: str
    subject: str
    time: datetime
    recordedtime: datetime
    tenant: str
    network: str


class Scribe:
    """Writes the records of one network; two records have one id only if they are told to."""

    def __init__(self, tenant: str, network: str) -> None:
        self.tenant = tenant
        self.network = network
        self._said: Counter[str] = Counter()

    def say(
        self, kind: type[Said], subject: str, at: datetime, data: Any, event_id: str = ""
    ) -> Said:
        """One record, learnt when it happened.

        Args:
            kind: its class.
            subject: what it is about.
            at: when it happened.
            data: as the class has it.
            event_id: the next number of its kind without.
        """
        tag = str(kind.__struct_config__.tag)
        if not event_id:
            event_id = f"{tag}-{self._said[tag]}"
            self._said[tag] += 1
        stamp = Stamp(
            id=event_id,
            source=SOURCE,
            subject=subject,
            time=at,
            recordedtime=at,
            tenant=self.tenant,
            network=self.network,
        )
        return kind(**stamp, data=data)  # type: ignore[call-arg]


def repeated(event: Said, at: datetime, event_id: str = "") -> Said:
    """The same record once more, learnt later; under another id if one is given."""
    return msgspec.structs.replace(event, id=event_id or event.id, recordedtime=at)
