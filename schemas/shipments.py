"""What becomes of a parcel, and of the customer after it. ``subject`` is the order id.

A milestone has three times (DCSA): planned, estimated and actual. For an actual one, ``time`` of the
envelope is when it happened; for the other two ``data.at`` says when it is to happen, and ``time`` when
that was said. What turns out to be wrong is not rewritten: a later record names it in ``retracts``.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.codes import Classifier, Milestone, Trouble
from schemas.envelope import Event, Id, Instant

Score = Annotated[int, Meta(ge=0, le=10)]
"""How likely the customer is to recommend the shop (NPS)."""

Stars = Annotated[int, Meta(ge=1, le=5)]
"""How satisfied the customer is (CSAT)."""

Text = Annotated[str, Meta(max_length=128)]


class Place(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Where; within ``radius_m`` of the point counts as there."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    radius_m: Annotated[float, Meta(gt=0, le=100_000)] = 250.0
    name: Text = ""


class ShipmentStep(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A milestone of one parcel; an order may have many, from one node or from several.

    Attributes:
        milestone: which.
        classifier: planned, estimated or actual.
        at: when it is to happen; for planned and estimated ones.
        package: the parcel, by its tracking number or any name that is unique within the order.
        node: that it left; empty where the carrier does not know it.
        carrier: who says so.
        reason: what went wrong, if something did.
        place: where.
        retracts: id of a record of the same source that was wrong.
    """

    milestone: Milestone
    classifier: Classifier = Classifier.ACTUAL
    at: Instant | None = None
    package: Id = "1"
    node: Text = ""
    carrier: Text = ""
    reason: Trouble = Trouble.NONE
    place: Place | None = None
    retracts: Text = ""


class Service(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Work at the customer's place; ``fixed`` says whether nothing was left to do."""

    fixed: bool = True
    reason: Text = ""
    technician: Text = ""


class Feedback(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """What the customer thinks; words are kept elsewhere, since they may name people."""

    nps: Score | None = None
    csat: Stars | None = None


class ShipmentMilestone(Event, tag="shipment.milestone", kw_only=True, frozen=True, gc=False):
    """Something happened to a parcel, or is planned or expected to."""

    data: ShipmentStep


class ServiceInstalled(Event, tag="service.installed", kw_only=True, frozen=True, gc=False):
    """The goods are installed."""

    data: Service


class ServiceAccepted(Event, tag="service.accepted", kw_only=True, frozen=True, gc=False):
    """The customer accepted the work."""

    data: Service


class ServiceVisited(Event, tag="service.visited", kw_only=True, frozen=True, gc=False):
    """A technician was there."""

    data: Service


class FeedbackReceived(Event, tag="feedback.received", kw_only=True, frozen=True, gc=False):
    """The customer answered."""

    data: Feedback
