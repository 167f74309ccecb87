"""Stretches of a device's readings, good and bad, and which of the bad ones are one.

Theory of operation. Readings of one sort that are no further apart than the policy says are one stretch, of
which its first and its last are kept: single-linkage clustering on a line. So stretches grow and join in any
order of arrival and come to the same, a repeated reading adds nothing, and a device that reports often costs
an entry, however long it does.

A device that reports more rarely has a stretch for each reading. Two bad ones that follow each other are one
for all that, if no good one lies between and the device was not silent meanwhile: for no longer than the policy
waits for a reading, or than twice what it took before. That is worked out each time anew, so a good reading
that comes late parts them after all. A stretch of good ones that reaches over a gap between bad ones has a
reading in it, as the gap is longer than what lies between two of its own.

Stretches that are over for a day and that nothing parts become one, so that a device that reports every hour
has no more than a day of them. Only what comes later than that, between two such readings, is judged otherwise.
"""

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import Step
from models.tracking.arrays import NEVER, NOBODY, Records, Sort, Tables
from models.tracking.devices import BOUND, DEVIATED, add_first, entry_of
from models.tracking.history import drop, is_full

OFF_ROUTE, SHOCK, LIGHT, WET = (int(s) for s in (Sort.OFF_ROUTE, Sort.SHOCK, Sort.LIGHT, Sort.WET))
IN_BAND, DRY = int(Sort.IN_BAND), int(Sort.DRY)
ON_ROUTE, ELSEWHERE = int(Sort.ON_ROUTE), int(Sort.ELSEWHERE)
STAYED, ARRIVED = int(Step.STAYED), int(Step.ARRIVED)
SETTLED_US = 24 * 3_600_000_000
"""So long after its last reading a stretch may become one with its neighbour."""
USUAL = 2
"""Times the interval before, within which a device is not silent: one of its readings may be lost."""


@borrowing_kernel
def with_slack(span_us: int) -> int:
    """A quarter more: a logger that reports every hour is now and then a little late."""
    return span_us + span_us // 4


@borrowing_kernel
def good_of(sort: int) -> int:
    """The sort of the good readings of what a sort is about; ``NOBODY``: none are kept."""
    if sort >= IN_BAND:
        return sort
    if sort == OFF_ROUTE:
        return ON_ROUTE
    if sort == WET:
        return DRY
    return NOBODY if sort in (SHOCK, LIGHT) else IN_BAND


@borrowing_kernel
def _is_of(entry: Records, device: int, good: int) -> bool:
    """Whether an entry is a stretch of a device's readings of the quantity that a good sort is of."""
    return entry.step == DEVIATED and entry.node == device and good_of(entry.classifier) == good


@borrowing_kernel
def extend(
    tables: Tables, record: Records, sort: int, at: int, beyond: bool, joined_us: int, gap_us: int
) -> bool:
    """Take a reading into the stretches of its sort.

    Args:
        tables: the order's stretches are changed.
        record: its.
        sort: of reading.
        at: when.
        beyond: it is beyond all measure.
        joined_us: readings so close are one stretch.
        gap_us: a device is waited for so long.

    Returns:
        Whether anything is new.
    """
    entries, order, device = tables.entries, record.order, record.entry.node
    mine, is_new, known = NOBODY, False, tables.orders[order].entries
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry, following = entries[place], entries[place].next
        same = entry.step == DEVIATED and entry.node == device and entry.classifier == sort
        if same and entry.cause - joined_us <= at <= entry.said + joined_us:
            if mine == NOBODY:
                mine = place
                is_new = at < entry.cause or at > entry.said
                entry.cause, entry.said = min(entry.cause, at), max(entry.said, at)
            else:
                _join(tables, order, mine, place)
                is_new = True
        place = following
    if mine == NOBODY:
        if is_full(tables, order):
            return False
        mine, is_new = add_first(tables, record, DEVIATED), True
        entries[mine].classifier, entries[mine].also = sort, NEVER
        entries[mine].cause = entries[mine].said = at
    if beyond and at < entries[mine].also:
        entries[mine].also, is_new = at, True
    if is_new:
        entries[mine].position = record.position
    if tables.orders[order].entries > known:
        _settle(tables, order, mine, gap_us)
    return is_new


@borrowing_kernel
def part(tables: Tables, record: Records, sort: int, at: int, joined_us: int, gap_us: int) -> bool:
    """Take a good reading; returns whether its order is to be judged anew.

    That is if it comes late and may part what was one stretch, and if it may be usual by now that the device
    reports more often, or less: not of every reading of a device that reports often.
    """
    order, known = record.order, tables.orders[record.order].entries
    if not extend(tables, record, sort, at, False, joined_us, gap_us):
        return False
    if tables.orders[order].entries != known:
        return True
    entries, place = tables.entries, tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if _is_of(entry, record.entry.node, sort) and entry.said >= at:
            if entry.classifier != sort:
                return True
            if entry.cause <= at and entry.said - entry.cause <= joined_us:
                return True
        place = entry.next
    return False


@borrowing_kernel
def _settle(tables: Tables, order: int, newest: int, gap_us: int) -> None:
    """Let neighbours be one that are over for long and that nothing parts, of what a new stretch is about."""
    entries, mine = tables.entries, tables.entries[newest]
    owner = entries[entry_of(tables, order, BOUND, mine.node)]
    good, before = good_of(mine.classifier), max(owner.said, owner.position) - SETTLED_US
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry, following = entries[place], NOBODY
        if entry.said < before and _is_of(entry, mine.node, good):
            if entry.classifier == good:
                following = _next_of(tables, order, entry)
            else:
                following = goes_on(tables, order, entry, gap_us)
        if following != NOBODY and entries[following].said < before:
            _join(tables, order, place, following)
        else:
            place = entry.next


@borrowing_kernel
def _join(tables: Tables, order: int, kept: int, gone: int) -> None:
    """Let one stretch be part of another."""
    one, other = tables.entries[kept], tables.entries[gone]
    one.cause, one.said = min(one.cause, other.cause), max(one.said, other.said)
    one.also, one.position = min(one.also, other.also), max(one.position, other.position)
    drop(tables, order, gone)


@borrowing_kernel
def _next_of(tables: Tables, order: int, stretch: Records) -> int:
    """The next stretch of the same sort, if none of the other kind lies between; else ``NOBODY``."""
    entries, found = tables.entries, NOBODY
    good = good_of(stretch.classifier)
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if entry.cause > stretch.said and entry.classifier == stretch.classifier:
            is_nearer = found == NOBODY or entry.cause < entries[found].cause
            if is_nearer and _is_of(entry, stretch.node, good):
                found = place
        place = entry.next
    if good == NOBODY or found == NOBODY:
        return NOBODY
    if good == ELSEWHERE and _has_stay(tables, order, stretch.said, entries[found].cause):
        return NOBODY
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        is_between = entry.said > stretch.said and entry.cause < entries[found].cause
        is_other = (entry.classifier == good) != (stretch.classifier == good)
        if is_between and is_other and _is_of(entry, stretch.node, good):
            return NOBODY
        place = entry.next
    return found


@borrowing_kernel
def _has_stay(tables: Tables, order: int, after: int, before: int) -> bool:
    """Whether a parcel of the order was at one of its places in between."""
    entries, place = tables.entries, tables.orders[order].first
    while place != NOBODY:
        entry = entries[place]
        is_stay = entry.at != NO_TIME and (entry.step == STAYED or entry.step == ARRIVED)
        if is_stay and entry.also != NO_TIME and entry.said > after and entry.at < before:
            return True
        place = entry.next
    return False


@borrowing_kernel
def _interval_before(tables: Tables, order: int, stretch: Records) -> int:
    """From the reading before a stretch to its first, us; 0: there is none, or it lies within another."""
    entries, last, good = tables.entries, NO_TIME, good_of(stretch.classifier)
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        if entry.cause < stretch.cause and _is_of(entry, stretch.node, good):
            if entry.said >= stretch.cause:
                return 0
            last = max(last, entry.said)
        place = entry.next
    return 0 if last == NO_TIME else stretch.cause - last


@borrowing_kernel
def goes_on(tables: Tables, order: int, stretch: Records, gap_us: int) -> int:
    """The bad stretch that goes on with one; ``NOBODY``: none, or the device was silent between."""
    found = _next_of(tables, order, stretch)
    if found == NOBODY:
        return NOBODY
    gap = tables.entries[found].cause - stretch.said
    if gap <= with_slack(gap_us) or gap <= USUAL * _interval_before(tables, order, stretch):
        return found
    return NOBODY


@borrowing_kernel
def begins(tables: Tables, order: int, stretch: int, gap_us: int) -> bool:
    """Whether a bad stretch goes on with no other one."""
    entries, last = tables.entries, NOBODY
    mine = entries[stretch]
    place = tables.orders[order].first
    while place != NOBODY and entries[place].at == NO_TIME:
        entry = entries[place]
        same = entry.step == DEVIATED and entry.classifier == mine.classifier
        if same and entry.node == mine.node and entry.said < mine.cause:
            if last == NOBODY or entry.said > entries[last].said:
                last = place
        place = entry.next
    return last == NOBODY or goes_on(tables, order, entries[last], gap_us) != stretch


@borrowing_kernel
def usual_us(tables: Tables, order: int, device: int, good: int) -> int:
    """How far apart a device's readings of a quantity were lately, us; 0: close, or too few are known.

    The lesser of the last two intervals, so that one silence is not usual.
    """
    entries, following, least = tables.entries, NEVER, NEVER
    for n in range(3):
        last = NOBODY
        place = tables.orders[order].first
        while place != NOBODY and entries[place].at == NO_TIME:
            entry = entries[place]
            if entry.cause < following and _is_of(entry, device, good):
                if last == NOBODY or entry.said > entries[last].said:
                    last = place
            place = entry.next
        if last == NOBODY or (n < 2 and entries[last].said > entries[last].cause):
            return 0
        if n > 0:
            least = min(least, following - entries[last].said)
        following = entries[last].cause
    return max(0, least)
