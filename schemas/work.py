"""What a node answers to the work it was offered. ``subject`` is the order id."""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.envelope import Event, Id, Units


class WorkLine(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Units of one order line at one node."""

    line_no: Annotated[int, Meta(ge=1, le=1_000_000)]
    qty: Units


class Work(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """No lines: all that the order has at this node."""

    node: Id
    lines: Annotated[list[WorkLine], Meta(max_length=5_000)] = []
    reason: Annotated[str, Meta(max_length=128)] = ""
    blocking: bool = True


class WorkAccepted(Event, tag="work.accepted", kw_only=True, frozen=True, gc=False):
    """The node takes the work."""

    data: Work


class WorkRejected(Event, tag="work.rejected", kw_only=True, frozen=True, gc=False):
    """The node refuses; ``blocking`` keeps the order from coming back to it."""

    data: Work


class WorkTimedOut(Event, tag="work.timed_out", kw_only=True, frozen=True, gc=False):
    """The node did not answer in time."""

    data: Work


class WorkShortPicked(Event, tag="work.short_picked", kw_only=True, frozen=True, gc=False):
    """Fewer units were found than reserved; ``lines`` says how many are missing."""

    data: Work


class WorkPicked(Event, tag="work.picked", kw_only=True, frozen=True, gc=False):
    """The units are off the shelf."""

    data: Work


class WorkPacked(Event, tag="work.packed", kw_only=True, frozen=True, gc=False):
    """The package is closed."""

    data: Work


class WorkHandedOver(Event, tag="work.handed_over", kw_only=True, frozen=True, gc=False):
    """The carrier has the package: the units leave the stock."""

    data: Work
