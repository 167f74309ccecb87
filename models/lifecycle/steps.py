"""Everything that can enter the history of an order, each with its number.

The numbers are part of the checkpoint format, and steps at the same instant are taken in their order: so
what usually comes first comes first here, and a new step goes to the end.
"""

from enum import IntEnum

from schemas.codes import Milestone


class Step(IntEnum):
    """What happened; up to ``DAMAGED`` to a parcel, the milestones in their order."""

    PACKED = 0
    HANDED_OVER = 1
    SCANNED = 2
    DEPARTED = 3
    ARRIVED = 4
    CUSTOMS_PRESENTED = 5
    CUSTOMS_HELD = 6
    CUSTOMS_CLEARED = 7
    OUT_FOR_DELIVERY = 8
    AVAILABLE_FOR_PICKUP = 9
    ATTEMPT_FAILED = 10
    DELIVERED = 11
    SIGNED = 12
    RETURNING = 13
    RETURNED = 14
    LOST = 15
    DAMAGED = 16
    ORDERED = 17
    HELD = 18
    ROUTED = 19
    BACKORDERED = 20
    UNROUTABLE = 21
    CANCELLED = 22
    OFFERED = 23
    WITHDRAWN = 24
    WORK_ACCEPTED = 25
    WORK_REFUSED = 26
    PICKED = 27
    SHORT_PICKED = 28
    INSTALLED = 29
    VISITED = 30
    ACCEPTED = 31
    FEEDBACK = 32
    REPORTED = 33  # the router found a deviation
    RETRACTED = 34  # stands in for a step that was taken back, whether or not it has come yet
    PAID = 35
    BOUND = 36  # a device goes with a parcel; from here on nothing is in the order of time
    RELEASED = 37
    DEVIATED = 38  # a device reported something that must not be, for a while
    STAYED = 39  # a parcel was at the place that it was to leave
    SENSED = 40  # never an entry: a reading
    LOCATED = 41  # nor this: a position
    TOLD = 42  # what was told last of a parcel; kept where devices are, as ``notices.py`` says
    RAISED = 43  # an exception that stands; in a list of its own, see ``causes.py``


STEP_OF = {milestone: Step(number) for number, milestone in enumerate(Milestone)}
"""The step of each milestone."""
MILESTONES = len(STEP_OF)
