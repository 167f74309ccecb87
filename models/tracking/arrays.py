"""The tables of the tracking fold as its kernels see them: names of columns and codes.

An order is a list of entries, its *history*, sorted by when things happened; everything else about it is
worked out from that list and the clock (judge.py). So an order's state does not depend on the order in which
its records came.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.policy.answers import MOST_RULES
from schemas.codes import Action, Classifier, ExceptionCode, TempClass

Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.uint32]
Records = Any
"""A table of records, or a row of one; kernels read its columns by name."""
NEVER = np.iinfo(np.int64).max
NOBODY = -1
BLOCK = 1024
"""Orders whose earliest deadline is kept as one, so that a tick need not look at every order."""
CODES = max(ExceptionCode) + 1
MAX_ENTRIES = 512
"""Records of one order that its state remembers; history.py says what goes first, and what comes beyond is
kept in the lake alone."""
MOST_SHOWN = 5 * MAX_ENTRIES + CODES
"""Exceptions of one order that can hold at once: an entry makes one parcel at most, and a parcel has five at
most (its phase, the carrier's reason, silence, its end, a long stay); the others are the order's own."""
ACTUAL, PLANNED = map(list(Classifier).index, (Classifier.ACTUAL, Classifier.PLANNED))
"""Of a milestone's ``classifier``; of what has none the first."""
PARTS, NO_PART = 200, 255
"""A share of one as a byte: so many parts; not known."""

ENTRY = np.dtype(
    [
        ("at", np.int64),  # when it happened, or was said: us
        ("key", np.uint64),  # of (source, id)
        ("said", np.int64),  # planned or estimated time, date told or units; of an actual milestone
        # who reported it, a word
        ("also", np.int64),  # of an offer when it has to leave; of a plan, and of a stay, the place
        ("cause", np.int64),  # of what the router says: where in the journal its cause is;
        # of a plan the radius of its place, m; else -1
        ("position", np.int64),  # in the log
        ("package", np.int32),  # word; of an offer its lane
        ("node", np.int32),
        ("next", np.int32),
        ("step", np.uint8),
        ("classifier", np.uint8),  # of a decision how probably it is late, see ``PARTS``
        ("reason", np.uint8),  # ``ExceptionCode``, or 0; of a device how far along it was last
        ("is_taught", np.bool_),  # the lane has learnt from this delivery
    ],
    align=True,
)
"""An order has a dozen of these, so their size is that of the state: 64 bytes, some of which mean something
else for each sort of entry. What devices tell is kept in entries as well, which come first and have no ``at``,
in no order. Of a device (``BOUND``): ``said`` when it last measured, ``position`` when it last knew where it
was, ``also`` the limits of its binding, ``cause`` the time of that, ``classifier`` the class of ``CLASSES``. Of
its release: ``said`` the time. Of a deviation: ``cause`` and ``said`` its first and last reading, ``also`` the
first that was beyond all measure, ``classifier`` which of ``Sort``. Of what was told of a parcel (``TOLD``):
``node`` its name, ``said`` and ``also`` when it happened and which step it was, ``classifier`` its phase. Of an
exception that stands (``RAISED``): ``reason`` its code, ``package`` or ``node`` what it is about,
``classifier`` whether it was escalated."""
ORDER = np.dtype(
    [
        ("due", np.int64),  # when to look at it again, us
        ("ask_at", np.int64),  # when to estimate its arrival again; ``NEVER``: there is none
        ("raised", np.uint64),  # bit by ``ExceptionCode``: one of its causes stands
        ("closed_at", np.int64),
        ("known_at", np.int64),  # log time at the newest record of it
        ("told", np.uint64),  # bit by topic, see topics.py: what is told once of an order
        ("promised", np.int64),  # the date told last
        ("heard", np.uint64),  # bit by code: a customer was told of it, and not of its end
        ("offered", np.uint64),  # bit by code: an amount was proposed
        ("value", np.int64),  # see ``FACT``, from here
        ("teller", np.int64),
        ("revision", np.int32),  # 0: nothing of it is known
        ("customer", np.int32),
        ("tier", np.int32),
        ("channel", np.int32),
        ("region", np.int32),
        ("currency", np.int32),  # to here
        ("first", np.int32),  # entry
        ("standing", np.int32),  # first entry of another list: exceptions that stand, see causes.py
        ("entries", np.int32),
        ("network", np.int32),
        ("phase", np.uint8),
        ("wants", np.uint8),  # this as well
        ("was_forgotten", np.bool_),  # see forgotten.py
    ],
    align=True,
)
FACT = np.dtype(
    [
        ("value", np.int64),  # of its goods, minor units
        ("teller", np.int64),  # who says so; of those of one revision the greatest counts
        ("revision", np.int32),
        ("customer", np.int32),  # words; ``NOBODY``: it has none
        ("tier", np.int32),
        ("channel", np.int32),
        ("region", np.int32),
        ("currency", np.int32),
        ("wants", np.uint8),  # as ``models.intake.columns.Wants``
    ],
    align=True,
)
"""What a record says of the order itself."""
FACT_WORDS = ("customer", "tier", "channel", "region", "currency")
PARCEL = np.dtype(
    [
        ("package", np.int32),
        ("node", np.int32),
        (
            "ships_for",
            np.int32,
        ),  # node whose work it is counted for: its own, else one it may be of
        ("attempts", np.int32),
        ("phase", np.uint8),
        ("step", np.uint8),  # the last that moved it
        ("reason", np.uint8),
        ("position", np.int64),
        ("at", np.int64),
        ("carrier", np.int32),  # word
        ("handed_at", np.int64),  # first seen after packing
        ("heard_at", np.int64),
        ("there_at", np.int64),  # first delivered or signed for
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
        ("lane", np.int32),  # word, of the newest offer
        ("phase", np.uint8),  # ROUTED, RELEASED, PICKED
    ],
    align=True,
)
"""What a node was offered of it."""
SHOWN = np.dtype(
    [
        ("position", np.int64),  # of the record that shows it; ``NOBODY``: time has passed
        ("package", np.int32),  # what it is about, a word; ``NOBODY`` in both: the order itself
        ("node", np.int32),
        ("code", np.uint8),
        ("is_loud", np.bool_),  # it needs a person
        ("is_standing", np.bool_),  # it was raised before
    ],
    align=True,
)
"""An exception that holds of the order that is being judged; each cause once."""
RECORD = np.dtype(
    [
        ("position", np.int64),
        ("clock", np.int64),
        ("order", np.int64),
        ("network", np.int64),
        ("retracts", np.uint64),  # key of what was wrong; 0: nothing; of telemetry the rest of it
        ("detail", np.int32),  # of telemetry: its first report, or its fix; of others: their fact
        ("count", np.int32),  # reports
        ("entry", ENTRY),
    ],
    align=True,
)
REPORT = np.dtype(
    [
        ("at", np.int64),
        ("low", np.float64),  # the least that it says: degrees Celsius, %, g or lux
        ("high", np.float64),  # the greatest
        ("band_low", np.float64),  # what it was judged by; NaN: by nothing
        ("band_high", np.float64),
        ("quantity", np.uint8),
        ("state", np.uint8),  # ``ReadingState``
    ],
    align=True,
)
FIX = np.dtype(
    [
        ("latitude", np.float64),
        ("longitude", np.float64),
        ("progress", np.float64),  # share of the planned way; NaN: none is known
        ("remaining_km", np.float64),
        ("off_route_km", np.float64),
    ],
    align=True,
)
STOP = np.dtype(
    [
        ("latitude", np.float64),
        ("longitude", np.float64),
        ("radius_m", np.float64),
        ("place", np.int64),  # both as one number
        ("planned_at", np.int64),
        ("told_at", np.int64),
        ("km", np.float64),  # along the way
        ("package", np.int32),
        ("is_arrival", np.bool_),  # a parcel gets there; else it leaves from there
    ],
    align=True,
)
MAX_STOPS = 32
MOST_ENTERED = 1_001 + 5 * MAX_STOPS + MOST_SHOWN
"""Entries that one record can need: its reports, or the ends of stays; what is told of parcels; exceptions."""
CLASSES: list[TempClass | None] = [None, *TempClass]
"""Rows of the bands of a network."""


class Quantity(IntEnum):
    """What is measured, as far as there is a rule for it."""

    NONE = 0
    TEMPERATURE = 1
    HUMIDITY = 2
    SHOCK = 3
    LIGHT = 4


class Sort(IntEnum):
    """What a deviation is."""

    COLD = 0
    WARM = 1
    WET = 2
    SHOCK = 3
    LIGHT = 4
    OFF_ROUTE = 5


class Bound(IntEnum):
    """Columns of the bands, by network and class."""

    LOW = 0  # degrees Celsius; infinite: none
    HIGH = 1
    LEAST = 2
    MOST = 3
    MINOR_US = 4
    MAJOR_US = 5


class Limit(IntEnum):
    """Columns of other limits, by network."""

    HUMIDITY = 0
    SHOCK = 1
    LIGHT = 2
    CORRIDOR_KM = 3
    CORRIDOR_SHARE = 4
    SILENCE_GAPS = 5
    CHANGE_SHARE = 6
    LATE = 7
    SAFE = 8


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
    JOINED = 8
    GAP = 9
    HUMIDITY = 10
    STALE = 11
    OFF_ROUTE = 12
    DWELL = 13
    LEFT = 14
    STAY = 15
    DEDUPE = 16
    DEDUPE_RECORDS = 17  # a number
    REMIND = 18
    ROUTE = 19
    PICK = 20
    PACK = 21
    CUSTOMS = 22
    SILENCE_LEAST = 23
    SILENCE_MOST = 24
    EVERY = 25
    CHANGE = 26
    CONFIRM = 27
    MARGIN = 28
    WITHDRAWN = 29
    OUT = 30


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
    NODE = 9


NOTICE = np.dtype(
    [
        ("record", np.int64),
        ("index", np.int64),  # the first of ``ANSWERS`` that are its own
        ("at", np.int64),  # when it happened, or log time
        ("promise", np.int64),  # the date that stands
        ("other", np.int64),  # of another date the one before; of a reminder the deadline; of a
        # predicted delay when it is expected
        ("active", np.uint64),  # exceptions that hold
        ("value", np.int64),  # of the order then, as are the following words
        ("order", np.int32),
        ("package", np.int32),
        ("node", np.int32),
        ("customer", np.int32),
        ("tier", np.int32),
        ("channel", np.int32),
        ("currency", np.int32),
        ("topic", np.uint8),  # see topics.py
        ("change", np.uint8),  # of an exception, see ``Change``
        ("is_loud", np.bool_),
        ("phase", np.uint8),  # of the order
    ],
    align=True,
)
"""Something that may be told, or answered by an action. What becomes of it is worked out in answers.py."""
ANSWERS = len(Action) + 2 * MOST_RULES
"""Indexes that a notice keeps for its answers, whether or not it needs them: actions, what is told, what is
told of an amount. So the walk can go on counting before anybody has worked out the answers."""
NOTICES = 16_384
"""Room for notices, emptied when it is full."""


class Moved(IntEnum):
    """Columns of a row for what nobody reported.

    Time alone, a position, or a correction that names another parcel has moved something.
    """

    RECORD = 0
    INDEX = 1
    ORDER = 2
    PHASE = 3
    AT = 4
    STEP = 5  # NOBODY: a deadline; RETRACTED: a correction
    PACKAGE = 6
    PLACE = 7
    HOLDS = 8  # 0: it, or what was said of the parcel, did not happen after all
    PACKAGE_PHASE = 9


class Cursor(IntEnum):
    """Where the walk is."""

    RECORD = 0
    RAISED = 1
    MOVED = 2
    FREE = 3  # first free entry; NOBODY: none
    USED = 4  # entries ever used
    SWEPT = 5  # orders that the tick under way has looked at
    INDEX = 6  # effects of the record under way
    NOTICED = 7
    ASKED = 8
    LANES = 9  # rows in use


class LaneTables(NamedTuple):
    """What deliveries took, see lane_book.py."""

    rows: Records
    counts: Counts  # (rows, 2, COLUMNS), see ``History``
    networks: Counts  # (networks, 3, COLUMNS)
    slots: npt.NDArray[np.int32]  # where the row of a key is; 0: free


class Asked(NamedTuple):
    """Questions for the model, see asking.py."""

    questions: Records
    features: npt.NDArray[np.float32]  # (questions, N_INPUTS)
    notices: Records  # of a delay, should the round that a question ends come to one
    blended: npt.NDArray[np.float64]  # (2, BUCKETS) scratch, see lanes.py


class Tables(NamedTuple):
    """Everything that the walk works on."""

    orders: Records
    entries: Records
    blocks: Ints  # earliest deadline of so many orders
    terms: Ints  # (networks, len(Term))
    bands: npt.NDArray[np.float64]  # (networks, len(CLASSES), len(Bound))
    limits: npt.NDArray[np.float64]  # (networks, len(Limit))
    answered: npt.NDArray[np.bool_]  # (networks, TOPICS), see topics.py
    records: Records
    reports: Records
    fixes: Records
    facts: Records
    packages: npt.NDArray[np.int32]  # of each telemetry record
    phases: npt.NDArray[np.uint8]  # (records, 2) of order and parcel after each record
    flags: npt.NDArray[np.uint8]
    raised: Ints
    moved: Ints
    notices: Records
    parcels: Records
    works: Records
    stops: Records
    shown: Records
    seen: int  # heap of the window in which telemetry is told from its repeats
    cursor: Ints
    lanes: LaneTables
    asked: Asked
