"""What the router decided, as everybody may read it: the public stream on the tracking log.

``subject`` is the order id; (``source``, ``id``) is the cause in the journal, the same in every replay. The
fields are those of the lake's ``decisions`` and ``allocations`` (tables.py), where they are explained.
"""

import msgspec

from schemas.envelope import Event, Instant


class Decision(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A decision without its runners-up; words are those of ``codes.py``.

    From ``region`` to ``acceptance`` it says what the order says at ``revision``, so that whoever follows the
    order need not read the journal. A decision from before that has no currency.
    """

    outcome: str
    kind: str = ""
    trigger: str = ""
    selection: str = ""
    hold_reason: str = ""
    revision: int = 1
    policy_version: str = ""
    model_sha256: str = ""
    region: str | None = None
    channel: str | None = None
    customer: str | None = None
    tier: str | None = None
    currency: str | None = None
    value_minor: int = 0
    installation: bool = False
    acceptance: bool = False
    units_ordered: int = 0
    units_served: int = 0
    units_backordered: int = 0
    units_unserved: int = 0
    nodes: list[str] = []
    lane_ids: list[str] = []
    promise_at: Instant | None = None
    backorder_due_at: Instant | None = None
    requested_by: Instant | None = None
    original_commit_at: Instant | None = None
    latest_commit_at: Instant | None = None
    attempts: int = 0
    priority_score: int = 0
    parcels: int = 0
    total_minor: int = 0
    carbon_g: int = 0
    late_probability: float | None = None
    margin_minor: int | None = None


class OfferedLine(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Units of one line."""

    line_no: int
    sku: str
    qty: int


class OfferedWork(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Units that a node is to ship, or is not to ship any more.

    ``ship_date`` is a day at the node, which is over at ``ship_by_at``. What is older does not say when.
    """

    node: str
    lines: list[OfferedLine]
    lane_id: str | None = None
    ship_date: str | None = None
    ship_by_at: Instant | None = None
    priority_score: int = 0


class RaisedException(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A deviation that the router found."""

    code: str
    severity: str
    node: str | None = None
    sku: str | None = None
    qty: int | None = None


class DecisionRouted(Event, tag="decision.routed", kw_only=True, frozen=True, gc=False):
    """Nodes were chosen."""

    data: Decision


class DecisionRerouted(Event, tag="decision.rerouted", kw_only=True, frozen=True, gc=False):
    """Other nodes were chosen."""

    data: Decision


class DecisionHeld(Event, tag="decision.held", kw_only=True, frozen=True, gc=False):
    """The order waits for its payment."""

    data: Decision


class DecisionBackordered(Event, tag="decision.backordered", kw_only=True, frozen=True, gc=False):
    """Planned supply was promised."""

    data: Decision


class DecisionUnroutable(Event, tag="decision.unroutable", kw_only=True, frozen=True, gc=False):
    """Nobody can ship it."""

    data: Decision


class DecisionCancelled(Event, tag="decision.cancelled", kw_only=True, frozen=True, gc=False):
    """The order, or part of it, is not to be shipped."""

    data: Decision


class ReviewRequested(Event, tag="review.requested", kw_only=True, frozen=True, gc=False):
    """A person is to decide."""

    data: Decision


class WorkOffered(Event, tag="work.offered", kw_only=True, frozen=True, gc=False):
    """A node is to ship units of the order."""

    data: OfferedWork


class WorkWithdrawn(Event, tag="work.withdrawn", kw_only=True, frozen=True, gc=False):
    """It is not to, any more."""

    data: OfferedWork


class ExceptionRaised(Event, tag="exception.raised", kw_only=True, frozen=True, gc=False):
    """The router found a deviation."""

    data: RaisedException
