"""A delivery, from planned to finished: one notification by one way."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"  # for its first attempt, the next one, or those before it
    HELD = "held"  # for the end of the quiet hours
    SENT = "sent"
    DEAD = "dead"  # refused, or tried too often
    EXPIRED = "expired"  # too old to be of use


UNFINISHED = (State.WAITING, State.HELD)


def expiry(at: datetime, hours: float) -> datetime:
    """When a notification is too old to be sent."""
    return at + timedelta(hours=hours)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message by one way.

    Attributes:
        key: of the notification; with the way, of the delivery.
        way: its name.
        lane: what has to go in order.
        content: JSON, without an address; empty if the row could not be put in words.
        detail: why it is finished already, if it is.
    """

    key: str
    way: str
    lane: str
    tenant: str
    network: str
    order_id: str | None
    audience: str
    template: str
    customer: str | None
    language: str
    at: datetime
    expires_at: datetime
    is_urgent: bool
    content: str
    state: State = State.WAITING
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that may be sent now."""

    id: int
    key: str
    way: str
    lane: str
    tenant: str
    network: str
    audience: str
    template: str
    customer: str | None
    language: str
    expires_at: datetime
    is_urgent: bool
    attempts: int
    content: str


class Attempt(NamedTuple):
    """What came of one attempt."""

    at: datetime
    milliseconds: float
    status: int | None


class Result(NamedTuple):
    """What becomes of a delivery.

    Attributes:
        due: the delivery.
        state: its next one.
        due_at: when it may be sent again, if it may.
        detail: in words.
        attempt: the attempt that led to it; None if there was none.
    """

    due: Due
    state: State
    due_at: datetime | None
    detail: str | None
    attempt: Attempt | None
