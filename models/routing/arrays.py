"""What the kernels work on besides the state: records, scores, scratch space, and what comes out.

Column numbers of the packed integer tables live here too, so that the kernels that write a column and
the module that names it cannot disagree.
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Heap, Slot, opener
from models.routing.costs import TOTAL
from models.routing.features import N_FEATURES, N_QUANTITIES

MAX_PACKAGES = 4
PLANS = 3  # the winner and two runners-up
EXACT_LINES = 4  # orders of more lines are covered greedily
MAX_PIECES = 8  # planned supplies that one line may draw on
COSTS = TOTAL + 1

Floats = npt.NDArray[np.float32]


class Count(IntEnum):
    """Rows in use and cursors of a network: ``counts: (n,) int64``."""

    LINES = 0
    ALLOCATIONS = 1  # rows ever used; free ones are chained
    FREE_ALLOCATION = 2
    SUPPLIES = 3
    CLOCK = 4  # at the last tick, us; NO_TIME before the first
    PUBLISHED = 5  # clock of the last publication of stock
    ASSUMED = 6  # clock of the last sweep for hand-overs taken for granted
    PRICE_EPOCH = 7
    ORDERS = 8
    SERIAL = 9  # placements so far
    CHECKED = 10  # clock of the last sweep for work that nobody answered


class Field(IntEnum):
    """Columns of ``fields``; what a kind does not have is 0 or -1."""

    REGION = 0
    REVISION = 1
    CHANNEL = 2
    PRIORITY = 3
    NO_SPLIT = 4
    PAYMENT = 5
    REQUESTED_BY = 6  # also due time of supply
    CARRIER = 7
    SERVICE = 8
    CUSTOMER = 9
    NODE = 10
    NAME = 11  # supply id
    FLAG = 12  # blocking work, full cancellation
    REQUESTED_FROM = 13
    TIER = 14
    VALUE = 15  # of the goods, minor units
    DECISION = 16  # position of the decision that a proposal would replace
    WISH = 17  # Trigger of a wish to decide again; Verdict of a review
    CURRENCY = 18
    WANTS = 19  # bits of ``models.intake.columns.Wants``
    TOKEN = (
        20  # of any customer; the last: numbered anew now and then, so no part of a content's hash
    )


RECORD = np.dtype(
    [
        ("position", np.int64),
        ("event_time", np.int64),
        ("record_time", np.int64),
        ("clock", np.int64),  # of the partition; NO_TIME before the first tick
        ("key_a", np.uint64),  # of (source, id)
        ("key_b", np.uint64),
        (
            "first_line",
            np.int64,
        ),  # the batch has one row more than records, for the end of the last
        ("order", np.int32),
        ("kind", np.int8),
    ],
    align=True,
)
"""A record of one network, in log order, as numbers; what its kind adds is in ``Field``."""

ITEM = np.dtype(
    [
        ("qty", np.int64),  # units, counted units or signed change
        ("number", np.int64),
        ("weight_g", np.int64),
        ("volume_cm3", np.int64),
        ("safety", np.int64),  # of a count; of a return: 1 if it can be sold again
        ("sku", np.int32),
        ("needs", np.int32),
    ],
    align=True,
)
"""A line or an item of a record; of a proposal: package (``qty``), node (``sku``) and line."""

open_records = opener(Slot.RECORDS, RECORD)
open_fields = opener(Slot.FIELDS, np.int64, 2)
open_items = opener(Slot.ITEMS, ITEM)

open_first_row = opener(Slot.FIRST_ROW, np.int64)  # first score row of a record's order
open_asked = opener(Slot.ASKED, np.int64, 2)  # (n, 2) order and first row, scored on demand
open_features = opener(Slot.FEATURES, np.float32, 2)  # (rows, 16)
open_quantities = opener(Slot.QUANTITIES, np.float32, 2)  # (rows, 4), rounded to their grid
open_ranges = opener(Slot.RANGES, np.float32, 2)  # (2, 16) least and greatest input in training

open_bands = opener(Slot.BANDS, np.float64, 2)  # (n, 5), see costs.charge
open_region_first = opener(Slot.REGION_FIRST, np.int32)  # (regions + 1,) into region_lanes
open_region_lanes = opener(Slot.REGION_LANES, np.int32)
open_region_floor = opener(Slot.REGION_FLOOR, np.float64)  # least that any package there can cost
open_region_signal = opener(Slot.REGION_SIGNAL, np.float32, 2)  # weather, promotion; of the view
open_customer_keys = opener(Slot.CUSTOMER_KEYS, np.int64)  # sorted node << 32 | customer
open_counts = opener(Slot.COUNTS, np.int64)

WANT = np.dtype(
    [
        ("qty", np.int64),
        ("left", np.int64),
        ("weight", np.int64),
        ("volume", np.int64),
        ("line", np.int32),
        ("sku", np.int32),
        ("need", np.int32),
        ("kept", np.int32),  # units of the SKU that no node gives to this order
    ],
    align=True,
)
"""A line that is being decided."""

SEEN = np.dtype(
    [
        ("estimate", np.int64),  # cost of serving what it can, alone
        ("units", np.int64),  # units it could serve
        ("offers", np.int32),  # what node and its usable lanes can carry
        ("reach_from", np.int32),  # its usable lanes are among these of the region
        ("reach_to", np.int32),
        ("excluded", np.uint8),  # Exclusion
    ],
    align=True,
)
"""A node as one decision sees it."""

TOP = np.dtype(
    [
        ("packages", np.int64),
        ("units", np.int64),
        ("late", np.int64),  # packages that arrive after the date asked for
        ("lines", np.int64),  # EXACT_LINES bits a package: what it takes; 0: what it can
    ]
)

GREEN = np.dtype(
    [
        ("grams", np.float64),  # CO2e; infinite: no node serves everything alone
        ("hours", np.float64),  # to the door, at the median
        ("total", np.int64),
        ("lane", np.int64),
    ]
)
"""The lane that could ship the whole order with the least emissions."""

open_green = opener(Slot.GREEN, GREEN)  # (1,)
open_tier_points = opener(Slot.TIER_POINTS, np.int64, 2)  # (tiers, 2) points, whether privileged
open_channel_points = opener(Slot.CHANNEL_POINTS, np.int64, 2)  # (channels, 2)
open_recalls = opener(Slot.RECALLS, np.int64)  # (allocations,) rows to be taken back
open_again = opener(
    Slot.AGAIN, np.int64, 2
)  # (allocations, 2) order, trigger; the last comes first
open_wants = opener(Slot.WANTS, WANT)
open_seen = opener(Slot.SEEN, SEEN)
open_priced = opener(
    Slot.PRICED, np.int64, 2
)  # (nodes, COSTS + 2) of nodes serving all; late, node
open_candidates = opener(Slot.CANDIDATES, np.int32)
open_usable = opener(Slot.USABLE, np.uint8)  # (lanes of the region,)
open_holds = opener(Slot.HOLDS, np.int64, 2)  # (candidates, EXACT_LINES) units a node could give
open_group_cost = opener(Slot.GROUP_COST, np.int64, 2)  # (2**EXACT_LINES, MAX_PACKAGES) ascending
open_group_nodes = opener(Slot.GROUP_NODES, np.int64, 2)  # and the nodes; -1: none
open_pick = opener(Slot.PICK, np.int32)  # (MAX_PACKAGES,) nodes of the plan being weighed
open_top = opener(Slot.TOP, TOP)  # (PLANS,) best plans so far; packages 0: none
open_top_nodes = opener(Slot.TOP_NODES, np.int32, 2)  # (PLANS, MAX_PACKAGES)
open_top_cost = opener(Slot.TOP_COST, np.int64, 2)  # (PLANS, COSTS)
open_cost = opener(Slot.COST, np.int64)  # (COSTS,) of the plan being weighed
open_package = opener(Slot.PACKAGE, np.int64, 2)  # (MAX_PACKAGES, 5) node, lane, row, day, units
open_grams = opener(Slot.GRAMS, np.float64)  # (2,) carbon and weight of the plan being weighed
open_pieces = opener(Slot.PIECES, np.int64, 2)  # (n, 3) wanted line, package, qty
open_agenda = opener(Slot.AGENDA, np.int32)  # SKUs whose available stock rose
open_cursor = opener(Slot.CURSOR, np.int64)


class Cursor(IntEnum):
    """Where the walk stands; all of it is 0 or -1 between two records."""

    RECORD = 0
    EFFECTS = 1  # effects of this record so far
    STARTED = 2  # the record itself is done, the agenda is being worked
    AGENDA_NEXT = 3
    AGENDA_END = 4
    PRIORITY = 5
    WAITING = 6  # waiting line to look at next; -2: begin the priority's queue
    WANTED = 7  # the order whose scores are wanted
    PIECES = 8
    PACKAGES = 9
    ORDERED_LINES = 10
    SWEEP = 11
    AGAIN = 12  # orders to be decided again
    RECALL = 13  # Recall
    RECALL_OF = 14  # the node or lane
    RECALL_NEXT = 15
    RECALL_END = 16  # -1: not collected yet
    PROPOSAL = 17  # the record's proposal is to be weighed
    LATE = 18  # late packages of the plan being weighed
    PARCELS = 19  # of the plan being weighed
    NOW = 20  # log time of the record, fixed when it was begun
    LATEST = 21  # greatest log time of any record


class Recall(IntEnum):
    """Which units are taken back from nodes that have not picked them."""

    NONE = 0
    STOCK = 1  # more is reserved at the node than there is
    NODE = 2  # the node is closed
    LANE = 3  # the lane is closed
    DAYS = 4  # more is booked at the node on a day than it ships
    ANSWERS = 5  # nobody accepted the work in time


class Made(IntEnum):
    """Columns of a decision in ``made_rows`` before its costs."""

    POSITION = 0
    INDEX = 1
    ORDER = 2
    REVISION = 3
    KIND = 4
    TRIGGER = 5
    OUTCOME = 6
    SELECTION = 7
    HOLD = 8
    AT = 9
    LINES = 10
    ORDERED = 11
    SERVED = 12
    BACKORDERED = 13
    UNSERVED = 14
    WEIGHT = 15
    PROMISE = 16
    DUE = 17
    CARBON = 18
    OUT_OF_RANGE = 19
    MARGIN = 20
    HAS_MARGIN = 21
    REGION = 22
    CHANNEL = 23
    REQUESTED = 24
    FIRST_PROMISE = 25
    LATEST_PROMISE = 26
    ATTEMPTS = 27
    PRIORITY = 28  # score
    PARCELS = 29
    GREEN_LANE = 30  # -1: none
    GREEN_CARBON = 31
    GREEN_TOTAL = 32
    GREEN_MINUTES = 33
    DOOR_MINUTES = 34
    CUSTOMER = 35  # token; -1: none
    TIER = 36
    CURRENCY = 37
    VALUE = 38
    WANTS = 39
    COSTS = 40  # PLANS x COSTS columns from here on


MADE_WIDTH = Made.COSTS + PLANS * COSTS

open_made_rows = opener(Slot.MADE_ROWS, np.int64, 2)  # (n, MADE_WIDTH)
open_plan_sizes = opener(Slot.PLAN_SIZES, np.int32, 2)  # (n, PLANS) packages
open_plan_nodes = opener(Slot.PLAN_NODES, np.int32, 3)  # (n, PLANS, MAX_PACKAGES)
open_plan_lanes = opener(Slot.PLAN_LANES, np.int32, 2)  # (n, MAX_PACKAGES)
open_said_rows = opener(Slot.SAID_ROWS, np.float32, 2)  # (n, 4)
open_exclusion_rows = opener(Slot.EXCLUSION_ROWS, np.uint8, 2)  # (n, nodes)
open_move_rows = opener(Slot.MOVE_ROWS, np.int64, 2)  # (n, len(Move))
open_raised_rows = opener(Slot.RAISED_ROWS, np.int64, 2)  # (n, len(Raised))
open_dead_rows = opener(Slot.DEAD_ROWS, np.int64, 2)  # (n, len(Dead))
open_out_lengths = opener(Slot.OUT_LENGTHS, np.int64)  # (4,) decisions, moves, raised, dead


class Move(IntEnum):
    """Columns of ``move_rows``."""

    POSITION = 0
    INDEX = 1
    ORDER = 2
    LINE_NO = 3
    SKU = 4
    NODE = 5
    LANE = 6
    EVENT = 7
    QTY = 8
    DAY = 9
    SHIP_BY = 10


class Raised(IntEnum):
    """Columns of ``raised_rows``."""

    POSITION = 0
    INDEX = 1
    CODE = 2
    ORDER = 3
    NODE = 4
    SKU = 5
    QTY = 6
    AT = 7


class Dead(IntEnum):
    """Columns of ``dead_rows``."""

    POSITION = 0
    INDEX = 1
    REASON = 2
    KIND = 3
    RECORD = 4  # index in the batch
    AT = 5


class Event(IntEnum):
    """What happened to units of an order line at a node."""

    PLACED = 0
    RELEASED = 1
    CONSUMED = 2
    PLANNED = 3
    UNPLANNED = 4


class Stop(IntEnum):
    """Why the walk returned."""

    DONE = 0
    WANTS_SCORES = 1  # of the order in the cursor
    OUT_OF_ROOM = 2  # empty the outputs, grow the allocations, come back
    OUT_OF_LINES = 3  # grow the lines, come back
    PUBLISH = 4  # stock is to be published, then come back


def put_scratch(heap: Heap, nodes: int, skus: int, lanes: int, lines: int) -> None:
    """Scratch for a network of this size and orders of at most so many lines."""
    tables: dict[int, npt.NDArray[Any]] = {
        Slot.WANTS: np.zeros(lines, WANT),
        Slot.SEEN: np.zeros(nodes, SEEN),
        Slot.CANDIDATES: np.zeros(nodes, np.int32),
        Slot.USABLE: np.zeros(lanes, np.uint8),
        Slot.HOLDS: np.zeros((nodes, EXACT_LINES), np.int64),
        Slot.GROUP_COST: np.zeros((1 << EXACT_LINES, MAX_PACKAGES), np.int64),
        Slot.GROUP_NODES: np.zeros((1 << EXACT_LINES, MAX_PACKAGES), np.int64),
        Slot.PICK: np.zeros(MAX_PACKAGES, np.int32),
        Slot.TOP: np.zeros(PLANS, TOP),
        Slot.TOP_NODES: np.zeros((PLANS, MAX_PACKAGES), np.int32),
        Slot.TOP_COST: np.zeros((PLANS, COSTS), np.int64),
        Slot.COST: np.zeros(COSTS, np.int64),
        Slot.PRICED: np.zeros((nodes, COSTS + 2), np.int64),
        Slot.GREEN: np.zeros(1, GREEN),
        Slot.PACKAGE: np.zeros((MAX_PACKAGES, 5), np.int64),
        Slot.GRAMS: np.zeros(2, np.float64),
        Slot.PIECES: np.zeros((lines * MAX_PACKAGES, 3), np.int64),
        Slot.AGENDA: np.zeros(skus, np.int32),
        Slot.CURSOR: np.zeros(len(Cursor), np.int64),
    }
    for slot, table in tables.items():
        heap.put(slot, table)
    cursor = heap[Slot.CURSOR]
    cursor[Cursor.WAITING], cursor[Cursor.RECALL_END] = -2, -1
    cursor[Cursor.PRIORITY] = 9


def put_outputs(heap: Heap, nodes: int, decisions: int, moves: int) -> None:
    """Empty outputs with this much room."""
    tables: dict[int, npt.NDArray[Any]] = {
        Slot.MADE_ROWS: np.empty((decisions, MADE_WIDTH), np.int64),
        Slot.PLAN_SIZES: np.empty((decisions, PLANS), np.int32),
        Slot.PLAN_NODES: np.empty((decisions, PLANS, MAX_PACKAGES), np.int32),
        Slot.PLAN_LANES: np.empty((decisions, MAX_PACKAGES), np.int32),
        Slot.SAID_ROWS: np.empty((decisions, N_QUANTITIES), np.float32),
        Slot.EXCLUSION_ROWS: np.empty((decisions, nodes), np.uint8),
        Slot.MOVE_ROWS: np.empty((moves, len(Move)), np.int64),
        Slot.RAISED_ROWS: np.empty((moves, len(Raised)), np.int64),
        Slot.DEAD_ROWS: np.empty((moves, len(Dead)), np.int64),
        Slot.OUT_LENGTHS: np.zeros(4, np.int64),
    }
    for slot, table in tables.items():
        heap.put(slot, table)


def put_scores(
    heap: Heap, first_row: npt.NDArray[np.int64], asked: npt.NDArray[np.int64],
    features: Floats, quantities: Floats,
) -> None:  # fmt: skip
    """Model rows of the orders that may be decided next; see the openers for the shapes."""
    assert features.shape[1] == N_FEATURES
    heap.put(Slot.FIRST_ROW, first_row)
    heap.put(Slot.ASKED, asked)
    heap.put(Slot.FEATURES, features)
    heap.put(Slot.QUANTITIES, quantities)
