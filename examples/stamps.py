"""What every record of one import has in common, in one place."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict


class Stamp(TypedDict):
    """The envelope attributes of a record."""

    id: str
    source: str
    subject: str
    time: datetime
    recordedtime: datetime
    tenant: str
    network: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the records of an import come from and which network they belong to."""

    source: str
    tenant: str
    network: str

    def stamp(
        self, record_id: str, subject: str, time: datetime, recorded: datetime | None = None
    ) -> Stamp:
        """The envelope of one record; it was learnt when it happened unless told otherwise."""
        return Stamp(
            id=record_id,
            source=self.source,
            subject=subject,
            time=time,
            recordedtime=recorded or time,
            tenant=self.tenant,
            network=self.network,
        )
