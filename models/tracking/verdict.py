"""What is said of an order: its phase, the exceptions that hold and how loud, and when to look again."""

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
        ("loud", np.uint64),  # those of them that need a person
        ("due", np.int64),  # when to look again
        ("promise", np.int64),  # the date that stands
        ("last", np.int64),  # when the newest of what is known happened
        ("closed_at", np.int64),
        ("phase", np.uint8),
        ("goods", np.uint8),  # the same without units that no node has
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
def show(tables: Tables, verdict: Records, code: int, position: int, package: int) -> None:
    """An exception holds, and this shows it."""
    verdict.active |= np.uint64(1) << np.uint64(code)
    tables.evidence[code, 0], tables.evidence[code, 1] = position, package
    tables.evidence[code, 2] = NOBODY


@borrowing_kernel
def expect(verdict: Records, at: int, clock: int) -> bool:
    """Whether a time has come; if not, look again then."""
    if at == NO_TIME:
        return False
    if clock >= at:
        return True
    verdict.due = min(verdict.due, at)
    return False
