"""The cross-reference: what a foreign id stands for, and when.

A message that knows the order only by a foreign id (tracking number, device, order of a channel) has
the attribute ``xref`` in place of ``network`` and ``subject``. Ingest looks it up and makes a record for
each subject that the id stood for at the message's ``time``: of the message's ``tenant`` alone, as a tracking
number of one company may be one of another too; of any where it has none, as it may not know that either.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.envelope import Event, Id, Instant, Name

ForeignId = Annotated[str, Meta(min_length=3, max_length=256, pattern="^[a-z][a-z0-9_-]*:.+$")]
"""Kind and value, as ``tracking:SF1039`` or ``shop:100231``."""


MOST_ASSIGNMENTS = 1_000
BEFORE, AFTER = timedelta(days=30), timedelta(days=180)
"""Around the time at which an order left as a parcel, what is said of the parcel's number is of this order:
labels are made weeks ahead, and carriers use numbers again after some months."""


class Assignment(msgspec.Struct, kw_only=True, frozen=True):
    """What the id stood for: from ``valid_from`` on, until before ``valid_to``."""

    tenant: Name
    network: Name
    subjects: Annotated[list[Id], Meta(min_length=1, max_length=1000)]
    valid_from: Instant | None = None
    valid_to: Instant | None = None

    def holds_at(self, time: Instant) -> bool:
        """Whether the id stood for it then."""
        begins = self.valid_from is None or self.valid_from <= time
        return begins and (self.valid_to is None or time < self.valid_to)


class CrossReference(msgspec.Struct, kw_only=True, frozen=True):
    """What is known of one foreign id: the value of its key on the topic."""

    assignments: Annotated[list[Assignment], Meta(max_length=MOST_ASSIGNMENTS)]

    def says(self, other: Assignment) -> bool:
        """Whether it has those subjects already, at some time of the other assignment."""
        return any(
            (a.tenant, a.network) == (other.tenant, other.network)
            and set(other.subjects) <= set(a.subjects)
            and (a.valid_to is None or other.valid_from is None or other.valid_from < a.valid_to)
            and (a.valid_from is None or other.valid_to is None or a.valid_from < other.valid_to)
            for a in self.assignments
        )

    @classmethod
    def of(cls, said: Iterable["CrossReference"]) -> "CrossReference":
        """All that was said of one foreign id; of too many the first are forgotten."""
        parts = list(said)
        if len(parts) == 1:
            return parts[0]
        every = [assignment for one in parts for assignment in one.assignments]
        return cls(assignments=every[-MOST_ASSIGNMENTS:])


class Foreign(msgspec.Struct, kw_only=True, frozen=True):
    """What has to be known of a message to look it up; ``tenant`` is empty where it may be anyone's."""

    xref: ForeignId
    tenant: Annotated[str, Meta(max_length=128)] = ""
    id: Id
    source: Id
    time: Instant


def foreign_of(raw: bytes) -> Foreign | None:
    """How to look a message up; None for one that is not to be."""
    if b'"xref"' not in raw:
        return None
    try:
        foreign = _FOREIGN.decode(raw)
        msgspec.json.decode(raw)  # what the type leaves out must be whole as well
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return foreign


def cross_reference(raw: bytes) -> CrossReference:
    """Raises ``msgspec.DecodeError`` for what is none."""
    return _CROSS_REFERENCE.decode(raw)


def key_of(name: str, assignment: Assignment) -> bytes:
    """The key on the topic of one thing that a foreign id stands for, beside that of the foreign id itself."""
    about = (assignment.tenant, assignment.network, assignment.subjects, assignment.valid_from)
    return msgspec.json.encode([name, *about])


def name_of(key: bytes) -> str:
    """The foreign id that a key on the topic is about."""
    if key.startswith(b"["):  # no foreign id does
        with suppress(msgspec.DecodeError, UnicodeDecodeError, IndexError):
            return str(msgspec.json.decode(key, type=list[Any])[0])
    return key.decode(errors="replace")


def assignment_of(event: Event) -> Assignment:
    """What the foreign id of a parcel stands for, by the event that says it left."""
    return Assignment(
        tenant=event.tenant,
        network=event.network,
        subjects=[event.subject],
        valid_from=event.time - BEFORE,
        valid_to=event.time + AFTER,
    )


def resolved(raw: bytes, foreign: Foreign, known: CrossReference) -> list[bytes]:
    """The message as a record of each subject, by an id of its own; none where none is known."""
    body: dict[str, Any] = msgspec.json.decode(raw)
    del body["xref"]
    found = dict.fromkeys(
        (a.tenant, a.network, subject)
        for a in known.assignments
        if a.holds_at(foreign.time) and foreign.tenant in ("", a.tenant)
        for subject in a.subjects
    )
    return [
        msgspec.json.encode(
            body
            | {"tenant": tenant, "network": network, "subject": subject}
            | ({"id": f"{foreign.id}/{n}"} if n else {})
        )
        for n, (tenant, network, subject) in enumerate(found)
    ]


_FOREIGN = msgspec.json.Decoder(Foreign)
_CROSS_REFERENCE = msgspec.json.Decoder(CrossReference)
