"""The tables of the tracking fold as its kernels see them: names of columns and codes.

An order is a list of entries, its *history*, sorted by when things happened; everything else about it is
worked out from that list and the clock (judge.py). So an order's state does not depend on the order in which
its records came.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.codes import ExceptionCode

Ints = npt.NDArray[np.int64]
Records = Any
"""A table of records, or a row of one; kernels read its columns by name."""
NEVER = np.iinfo(np.int64).max
NOBODY = -1
BLOCK = 1024
"""Orders whose earliest deadline is kept as one, so that a tick need not look at every order."""
CODES = max(ExceptionCode) + 1
MAX_ENTRIES = 512
"""Records of one order that its state remembers; what comes beyond is kept in the lake alone."""

ENTRY = np.dtype(
    [
        ("at", np.int64),  # when it happened, or was said: us
        ("key", np.uint64),  # of (source, id)
        ("said", np.int64),  # planned or estimated time, date told, units or revision
        ("also", np.int64),  # of a decision the first date told; of an offer when it has to leave;
        # of an order its ``Wants``
        ("cause", np.int64),  # of what the router says: where in the journal its cause is; else -1
        ("position", np.int64),  # in the log
        ("package", np.int32),
        ("node", np.int32),
        ("next", np.int32),
        ("step", np.uint8),
        ("classifier", np.uint8),
        ("reason", np.uint8),  # ``ExceptionCode``, or 0
    ],
    align=True,
)
ORDER = np.dtype(
    [
        ("due", np.int64),  # when to look at it again, us
        ("raised", np.uint64),  # bit by ``ExceptionCode``
        ("loud", np.uint64),  # those of them that were escalated
        ("closed_at", np.int64),
        ("first", np.int32),  # entry
        ("entries", np.int32),
        ("network", np.int32),
        ("phase", np.uint8),
    ],
    align=True,
)
PARCEL = np.dtype(
    [
        ("package", np.int32),
        ("node", np.int32),
        ("attempts", np.int32),
        ("phase", np.uint8),
        ("step", np.uint8),  # the last that moved it
        ("reason", np.uint8),
        ("position", np.int64),
        ("at", np.int64),
    ],
    align=True,
)
"""A parcel of the order that is being judged. One that is named like its node stands for all that the node
ships, as long as no other parcel of that node is known."""
WORK = np.dtype(
    [
        ("node", np.int32),
        ("units", np.int64),  # offered and not withdrawn
        ("cause", np.int64),  # of the newest offer
        ("offered_at", np.int64),  # that one
        ("ship_by", np.int64),  # end of the node's day, by that one
        ("position", np.int64),
        ("accepted_at", np.int64),  # an answer counts if it is not older than the offer
        ("picked_at", np.int64),
        ("phase", np.uint8),  # ROUTED, RELEASED, PICKED
    ],
    align=True,
)
"""What a node was offered of it."""
RECORD = np.dtype(
    [
        ("position", np.int64),
        ("clock", np.int64),
        ("order", np.int32),
        ("network", np.int32),
        ("retracts", np.uint64),  # key of what was wrong; 0: nothing
        ("entry", ENTRY),
    ],
    align=True,
)


class Wants(IntEnum):
    """Bits of the services that an order is to have."""

    INSTALLATION = 1
    ACCEPTANCE = 2


class Term(IntEnum):
    """Columns of the policy's terms, by network: all in us."""

    SIGN = 0
    INSTALL = 1
    ACCEPT = 2
    FEEDBACK = 3
    SILENCE = 4
    EXPIRED = 5
    HAND_OVER = 6
    RETENTION = 7


class Flag(IntEnum):
    """What the fold thought of a record."""

    TAKEN = 0
    LATE = 1  # something that happened later was known already
    REPEATED = 2
    BEYOND = 3  # the order's history is full


class Change(IntEnum):
    """What happened to an exception."""

    RAISED = 0
    ESCALATED = 1
    RESOLVED = 2


class Raised(IntEnum):
    """Columns of an exception's row."""

    RECORD = 0
    INDEX = 1
    ORDER = 2
    CODE = 3
    CHANGE = 4
    LOUD = 5
    PACKAGE = 6
    EVIDENCE = 7  # position of the record that shows it; NOBODY: none does, time has passed
    AT = 8


class Moved(IntEnum):
    """Columns of a row for an order that time alone has moved."""

    RECORD = 0
    INDEX = 1
    ORDER = 2
    PHASE = 3
    AT = 4


class Cursor(IntEnum):
    """Where the walk is."""

    RECORD = 0
    RAISED = 1
    MOVED = 2
    FREE = 3  # first free entry; NOBODY: none
    USED = 4  # entries ever used
    SWEPT = 5  # orders that the tick under way has looked at
    INDEX = 6  # effects of the record under way


class Tables(NamedTuple):
    """Everything that the walk works on."""

    orders: Records
    entries: Records
    blocks: Ints  # earliest deadline of so many orders
    terms: Ints  # (networks, len(Term))
    records: Records
    phases: npt.NDArray[np.uint8]  # (records, 2) of order and parcel after each record
    flags: npt.NDArray[np.uint8]
    raised: Ints
    moved: Ints
    parcels: Records
    works: Records
    evidence: Ints  # (CODES, 2) position and package of what shows an exception
    cursor: Ints
