"""What is said of an order: its phase, the exceptions that hold and how loud, and when to look again.

An exception has a *cause*: its code, and the parcel or the node that it is about, if it is not the order's own.
Two parcels that are lost are two exceptions; two loggers of one parcel that find it too warm are one.
"""

import numpy as np

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.tracking.arrays import NOBODY, Records, Tables
from schemas.codes import ExceptionCode, Severity

HIGH_FROM_THE_START = frozenset(
    (
        ExceptionCode.DELAY_BREACHED,
        ExceptionCode.LOST,
        ExceptionCode.DAMAGED,
        ExceptionCode.EXPIRED,
        ExceptionCode.FEEDBACK_NEGATIVE,
        ExceptionCode.TEMP_EXCURSION_MAJOR,
        ExceptionCode.DOOR_OPEN,
    )
)
"""Exceptions that ask for a person from the start (domain.md D.6)."""
VERDICT = np.dtype(
    [
        ("active", np.uint64),  # exceptions that hold, bit by code
        ("shown", np.int32),  # how many causes they have, gathered in the scratch
        ("due", np.int64),  # when to look again
        ("promise", np.int64),  # the date that stands
        ("last", np.int64),  # when the newest of what is known happened
        ("closed_at", np.int64),
        ("phase", np.uint8),
        ("parcels", np.int32),  # how many were gathered in the scratch
        (
            "reminder",
            np.uint8,
        ),  # topic of what the customer is to be reminded of by now; 0: nothing
        ("deadline", np.int64),  # of that
        ("works", np.int32),
        ("is_known", np.bool_),  # something says that there is such an order
        ("is_over", np.bool_),  # it was forgotten: nothing is told of it, or waited for
        ("late", np.uint8),  # how probably it comes late, says the decision; see ``PARTS``
    ],
    align=True,
)


def severity_of(code: int, is_loud: bool) -> Severity:
    """How loud an exception is; ``is_loud``: it was escalated."""
    return Severity.HIGH if is_loud or code in HIGH_FROM_THE_START else Severity.WARN


@borrowing_kernel
def find_shown(tables: Tables, verdict: Records, code: int, package: int, node: int) -> int:
    """Where in the scratch an exception of this cause is; ``NOBODY``: it does not hold."""
    for k in range(verdict.shown):
        shown = tables.shown[k]
        if shown.code == code and shown.package == package and shown.node == node:
            return k
    return NOBODY


@borrowing_kernel
def show(tables: Tables, verdict: Records, code: int, position: int, package: int) -> int:
    """An exception holds of a parcel, or of the order, and this shows it; says where it is in the scratch."""
    return _show(tables, verdict, code, position, package, np.int64(NOBODY))


@borrowing_kernel
def show_of_node(tables: Tables, verdict: Records, code: int, position: int, node: int) -> None:
    """The same of what a node is to do."""
    _show(tables, verdict, code, position, np.int64(NOBODY), node)


@borrowing_kernel
def _show(
    tables: Tables, verdict: Records, code: int, position: int, package: int, node: int
) -> int:
    place = find_shown(tables, verdict, code, package, node)
    if place == NOBODY:
        place = np.int64(verdict.shown)
        verdict.shown += 1
        verdict.active |= np.uint64(1) << np.uint64(code)
        shown = tables.shown[place]
        shown.code, shown.package, shown.node = code, package, node
        shown.is_loud, shown.is_standing = False, False
    tables.shown[place].position = position
    return place


@borrowing_kernel
def hide(tables: Tables, verdict: Records, code: int, package: int) -> None:
    """An exception of a parcel does not hold after all."""
    place = find_shown(tables, verdict, code, package, np.int64(NOBODY))
    if place == NOBODY:
        return
    verdict.shown -= 1
    tables.shown[place] = tables.shown[verdict.shown]
    verdict.active = np.uint64(0)
    for k in range(verdict.shown):
        verdict.active |= np.uint64(1) << np.uint64(tables.shown[k].code)


@borrowing_kernel
def expect(verdict: Records, at: int, clock: int) -> bool:
    """Whether a time has come; if not, look again then."""
    if at == NO_TIME:
        return False
    if clock >= at:
        return True
    verdict.due = min(verdict.due, at)
    return False
