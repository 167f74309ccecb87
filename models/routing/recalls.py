"""Work that is taken back from nodes which have not picked it yet.

Stock was not there after all, a node or a lane closed, capacity was cut, or nobody accepted the work. A
record says what is recalled (``Recall``). The allocations concerned are collected once, lowest priority
first and of equal priority the youngest first, and taken back one by one until the cause is gone. Their
orders are decided again after that, in the opposite order.
"""

import numpy as np

from models.heap import Addresses
from models.jit import kernel
from models.ledger.stock import open_cells
from models.promising.calendar import RING_DAYS, UNBOUNDED, local_day, open_days, rule
from models.routing.arrays import open_counts, open_cursor, open_recalls
from models.routing.books import (
    ask_again,
    has_room,
    raise_exception,
    rows_of,
    withdraw,
    withdraw_all,
)
from models.routing.codes import (
    C_RECALL,
    C_RECALL_END,
    C_RECALL_NEXT,
    C_RECALL_OF,
    DONE,
    E_TIMEOUT,
    N_ALLOCATIONS,
    N_CHECKED,
    N_CLOCK,
    OFFERED,
    OUT_OF_ROOM,
    PACKED,
    PICKED,
    RECALL_ANSWERS,
    RECALL_DAYS,
    RECALL_LANE,
    RECALL_NODE,
    RECALL_NOTHING,
    RECALL_STOCK,
    T_CAPACITY,
    T_CARRIER,
    T_CLOSED,
    T_STOCK,
    T_TIMEOUT,
)
from models.routing.costs import open_terms
from models.routing.state import open_allocations, open_blocked, open_lines, open_orders

CHECK_EVERY_US = 60_000_000
"""How often work that nobody accepted is looked for, in log time."""


@kernel
def recall(heap: Addresses, what: int, of: int) -> None:
    """Have units taken back after the record at hand; one cause a record."""
    cursor = open_cursor(heap)
    cursor[C_RECALL], cursor[C_RECALL_OF], cursor[C_RECALL_END] = what, of, -1


@kernel
def _too_many(heap: Addresses, node: int, day: int, now: int) -> bool:
    """Whether more is booked than the node ships on a day that is not over."""
    if day < local_day(heap, node, now):
        return False
    is_open, _, capacity = rule(heap, node, day)
    booked = open_days(heap).booked[node, day % RING_DAYS]
    return not is_open or (capacity != UNBOUNDED and booked > capacity)


@kernel
def _to_take(heap: Addresses, row: int, now: int) -> int:
    """Units of an allocation that are to be taken back, as things stand."""
    allocations = open_allocations(heap)
    cells = open_cells(heap)
    cursor = open_cursor(heap)
    what, of, node = cursor[C_RECALL], cursor[C_RECALL_OF], allocations.node[row]
    qty = np.int64(allocations.qty[row])
    if what == RECALL_LANE:
        return qty if allocations.lane[row] == of else 0
    if what == RECALL_ANSWERS:
        waited = open_counts(heap)[N_CLOCK] - allocations.placed_at[row]
        silent = allocations.stage[row] == OFFERED and waited >= open_terms(heap).accept_us[0]
        return qty if silent else 0
    if node != of:
        return 0
    if what == RECALL_STOCK:
        sku = open_lines(heap).sku[allocations.line[row]]
        lacks = np.int64(cells.reserved[sku, node]) - np.int64(cells.on_hand[sku, node])
        return max(0, min(qty, lacks))
    if what == RECALL_DAYS:
        return qty if _too_many(heap, node, allocations.day[row], now) else 0
    return qty


@kernel
def _goes_after(heap: Addresses, row: int, other: int) -> bool:
    """Whether an allocation is taken back after another: of a higher priority, or older."""
    allocations = open_allocations(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    mine = orders.priority[lines.order[allocations.line[row]]]
    others = orders.priority[lines.order[allocations.line[other]]]
    if mine != others:
        return mine > others
    return allocations.serial[row] < allocations.serial[other]


@kernel
def _sift(heap: Addresses, at: int, end: int) -> None:
    """Restore the heap order below a place of the list: the last to be taken back is on top."""
    recalls = open_recalls(heap)
    while 2 * at + 1 < end:
        child = 2 * at + 1
        if child + 1 < end and _goes_after(heap, recalls[child + 1], recalls[child]):
            child += 1
        if not _goes_after(heap, recalls[child], recalls[at]):
            return
        recalls[at], recalls[child] = recalls[child], recalls[at]
        at = child


@kernel
def _collect(heap: Addresses, now: int) -> None:
    """List the allocations concerned that no node has picked, in the order of taking them back."""
    allocations = open_allocations(heap)
    cursor = open_cursor(heap)
    recalls = open_recalls(heap)
    found = 0
    for row in range(open_counts(heap)[N_ALLOCATIONS]):
        held = allocations.line[row] >= 0 and allocations.supply[row] < 0
        if held and allocations.stage[row] < PICKED and _to_take(heap, row, now) > 0:
            recalls[found] = row
            found += 1
    for at in range(found // 2 - 1, -1, -1):
        _sift(heap, at, found)
    for end in range(found - 1, 0, -1):
        recalls[0], recalls[end] = recalls[end], recalls[0]
        _sift(heap, 0, end)
    cursor[C_RECALL_NEXT], cursor[C_RECALL_END] = 0, found


@kernel
def _trigger(what: int) -> int:
    if what == RECALL_STOCK:
        return T_STOCK
    if what == RECALL_NODE:
        return T_CLOSED
    if what == RECALL_LANE:
        return T_CARRIER
    return T_CAPACITY if what == RECALL_DAYS else T_TIMEOUT


@kernel
def _count_silence(heap: Addresses, position: int, row: int, qty: int, now: int) -> None:
    """The node did not answer: it is not asked again, and the order has one attempt less."""
    allocations = open_allocations(heap)
    blocked = open_blocked(heap)
    orders = open_orders(heap)
    order, node = open_lines(heap).order[allocations.line[row]], allocations.node[row]
    word, bit = node >> 6, np.uint64(1) << np.uint64(node & 63)
    if not blocked[order, word] & bit:
        blocked[order, word] |= bit
        orders.attempts[order] = min(100, orders.attempts[order] + 1)
    raise_exception(heap, position, E_TIMEOUT, order, node, -1, qty, now)


@kernel
def take_back(heap: Addresses, position: int, now: int) -> int:
    """Take back what the record recalled; see ``Stop`` for what is returned."""
    allocations = open_allocations(heap)
    cursor = open_cursor(heap)
    lines = open_lines(heap)
    orders = open_orders(heap)
    recalls = open_recalls(heap)
    what = cursor[C_RECALL]
    if what == RECALL_NOTHING:
        return DONE
    if cursor[C_RECALL_END] < 0:
        _collect(heap, now)
    while cursor[C_RECALL_NEXT] < cursor[C_RECALL_END]:
        row = recalls[cursor[C_RECALL_NEXT]]
        gone = allocations.line[row] < 0  # with the rest of an order that must not be split
        qty = 0 if gone else _to_take(heap, row, now)
        if qty > 0:
            order = lines.order[allocations.line[row]]
            if not has_room(heap, 1 + rows_of(heap, order)):
                return OUT_OF_ROOM
            if what == RECALL_ANSWERS:
                _count_silence(heap, position, row, qty, now)
            withdraw(heap, position, row, qty)
            if orders.no_split[order]:
                withdraw_all(heap, position, order, -1, PACKED)
            ask_again(heap, order, _trigger(what))
        cursor[C_RECALL_NEXT] += 1
    cursor[C_RECALL], cursor[C_RECALL_END] = RECALL_NOTHING, -1
    return DONE


@kernel
def look_for_silence(heap: Addresses) -> None:
    """After a tick: recall the work that no node accepted in time, once a minute of the clock."""
    counts = open_counts(heap)
    clock = counts[N_CLOCK]
    if open_terms(heap).accept_us[0] > 0 and clock - counts[N_CHECKED] >= CHECK_EVERY_US:
        counts[N_CHECKED] = clock
        recall(heap, RECALL_ANSWERS, -1)
