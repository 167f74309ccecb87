"""The two logs, what may be on each, and what each is partitioned by."""

from enum import StrEnum

from schemas.codes import ModelOf
from schemas.control import ModelActivated
from schemas.envelope import Event
from schemas.ids import network_key
from schemas.kinds import KIND_OF, Kind


class LogOf(StrEnum):
    """What a log is of."""

    JOURNAL = "journal"  # keyed by network: what the router decides on
    TRACKING = "tracking"  # keyed by order: what became of it


_OF_JOURNAL = frozenset(Kind(k) for k in range(Kind.ORDER_RECEIVED, Kind.PLAN_PROPOSED + 1))
_OF_BOTH = frozenset(
    (
        Kind.ORDER_RECEIVED,
        Kind.ORDER_AMENDED,
        Kind.ORDER_CANCELLED,
        Kind.PAYMENT_UPDATED,
        *(Kind(k) for k in range(Kind.WORK_ACCEPTED, Kind.WORK_HANDED_OVER + 1)),
        Kind.CLOCK_TICKED,
        Kind.POLICY_ACTIVATED,
        Kind.MODEL_ACTIVATED,
    )
)
KINDS = {
    LogOf.JOURNAL: _OF_JOURNAL,
    LogOf.TRACKING: (frozenset(Kind) - _OF_JOURNAL) | _OF_BOTH,
}
"""Kinds of record by log; some are on both."""

BY_ROUTER = frozenset(
    (Kind.ORDER_RECEIVED, Kind.ORDER_AMENDED, Kind.ORDER_CANCELLED, Kind.PAYMENT_UPDATED)
)
"""Kinds that ingest leaves to the router, whose decisions say what of them concerns the tracking log."""

EVERYWHERE = frozenset((Kind.CLOCK_TICKED, Kind.POLICY_ACTIVATED, Kind.MODEL_ACTIVATED))
"""Kinds that every partition of the tracking log has to know of."""

LOG_OF = {ModelOf.ROUTE: LogOf.JOURNAL, ModelOf.ARRIVAL: LogOf.TRACKING}
"""The log on which a model is activated."""


def belongs(event: Event, of: LogOf) -> bool:
    """Whether a record may be on a log."""
    if isinstance(event, ModelActivated):
        return LOG_OF[event.data.of] is of
    return KIND_OF[type(event)] in KINDS[of]


def is_sent_to(event: Event, of: LogOf) -> bool:
    """Whether ingest writes it there."""
    by_router = of is LogOf.TRACKING and KIND_OF[type(event)] in BY_ROUTER
    return belongs(event, of) and not by_router


def key_on(event: Event, of: LogOf) -> str:
    """What a record is partitioned by on a log: its network, or its order."""
    key = network_key(event.tenant, event.network)
    return key if of is LogOf.JOURNAL else f"{key}/{event.subject}"
