"""What people, the tracker and the planner ask of an order that was decided. ``subject`` is the order id."""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.codes import OverrideReason, RerouteReason, Verdict
from schemas.envelope import Event, Id


class Review(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A person's decision: route it after all, ship it from ``node``, or cancel it."""

    verdict: Verdict
    node: Annotated[str, Meta(max_length=128)] = ""
    reviewer: Annotated[str, Meta(max_length=128)] = ""
    reason: OverrideReason = OverrideReason.OPERATOR_FORCED
    note: Annotated[str, Meta(max_length=1_000)] = ""


class Reroute(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Decide again what is not yet picked: all of it, or what is at ``node``, which ``blocking`` excludes."""

    reason: RerouteReason = RerouteReason.R_OPERATOR
    node: Annotated[str, Meta(max_length=128)] = ""
    blocking: bool = False


class ProposedPackage(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Order lines (by number, whole) that one node is to ship; no lines: what it can."""

    node: Id
    lines: Annotated[list[Annotated[int, Meta(ge=1, le=1_000_000)]], Meta(max_length=5_000)] = []


class Proposal(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Another plan for an order, as good as the books were at journal position ``computed_at``.

    ``decision`` is the position of the decision that it would replace: if the order was decided again
    since, the proposal is void.
    """

    decision: Annotated[int, Meta(ge=0)]
    computed_at: Annotated[int, Meta(ge=0)]
    packages: Annotated[list[ProposedPackage], Meta(min_length=1, max_length=4)]
    saving_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0


class ReviewDecided(Event, tag="review.decided", kw_only=True, frozen=True, gc=False):
    """A person decided about an order."""

    data: Review


class RerouteRequested(Event, tag="reroute.requested", kw_only=True, frozen=True, gc=False):
    """Somebody wants an order decided again."""

    data: Reroute


class PlanProposed(Event, tag="plan.proposed", kw_only=True, frozen=True, gc=False):
    """The planner found a better plan; the router checks it when it arrives."""

    data: Proposal
