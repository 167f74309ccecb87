"""One decision: choose a plan, write it into the books, and say what was decided.

What no plan serves is backordered; what no supply covers is unserved, and the order stays open for an
amendment or a person.
"""

import numpy as np

from models.heap import Addresses, copy, fill
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.promising.calendar import open_places
from models.routing.arrays import (
    COSTS,
    MAX_PACKAGES,
    PLANS,
    Made,
    open_cursor,
    open_exclusion_rows,
    open_features,
    open_grams,
    open_green,
    open_made_rows,
    open_out_lengths,
    open_package,
    open_pieces,
    open_plan_lanes,
    open_plan_nodes,
    open_plan_sizes,
    open_quantities,
    open_ranges,
    open_said_rows,
    open_seen,
    open_top,
    open_top_cost,
    open_top_nodes,
    open_wants,
)
from models.routing.backorders import backorder
from models.routing.books import (
    next_effect,
    place,
    raise_exception,
    stop_waiting,
    unplan,
)
from models.routing.candidates import gather_lines
from models.routing.codes import (
    C_PARCELS,
    C_PIECES,
    E_DELAY,
    FEASIBLE,
    HANDLING_Q,
    LATE_Q,
    NO_HOLD,
    OPEN,
    P50,
    P90,
    T_BETTER,
    X_CAPACITY,
    X_CUTOFF,
)
from models.routing.commitments import commit, priority_score
from models.routing.costs import TOTAL
from models.routing.packages import arrives_at, hours_to_door, told
from models.routing.plans import choose
from models.routing.state import open_lines, open_orders
from schemas.codes import DecisionKind, ExceptionCode, Outcome, Selection

ROUTE, REROUTE, CANCEL = (
    int(DecisionKind.ROUTE),
    int(DecisionKind.REROUTE),
    int(DecisionKind.CANCEL),
)
FULLY_ROUTED, PARTIALLY_ROUTED = int(Outcome.FULLY_ROUTED), int(Outcome.PARTIALLY_ROUTED)
BACKORDERED, UNROUTABLE_OUTCOME = int(Outcome.BACKORDERED), int(Outcome.UNROUTABLE)
CANCELLED, HELD_FOR_REVIEW = int(Outcome.CANCELLED), int(Outcome.HELD_FOR_REVIEW)
S_NONE, S_ONLY, S_LOWEST = (
    int(Selection.S_NONE),
    int(Selection.S_ONLY_FEASIBLE),
    int(Selection.S_LOWEST_TOTAL),
)
S_TIE, S_MOST = int(Selection.S_TIE_BREAK), int(Selection.S_MOST_UNITS)
S_HUMAN, S_DATE = int(Selection.S_HUMAN), int(Selection.S_KEEPS_DATE)
UNROUTABLE, CAPACITY_EXHAUSTED = (
    int(ExceptionCode.UNROUTABLE),
    int(ExceptionCode.CAPACITY_EXHAUSTED),
)
SPLIT_LIMIT_REACHED = int(ExceptionCode.SPLIT_LIMIT_REACHED)
(
    M_POSITION, M_INDEX, M_ORDER, M_REVISION, M_KIND, M_TRIGGER, M_OUTCOME, M_SELECTION, M_HOLD,
    M_AT, M_LINES, M_ORDERED, M_SERVED, M_BACKORDERED, M_UNSERVED, M_WEIGHT, M_PROMISE, M_DUE,
    M_CARBON, M_OUT_OF_RANGE, M_MARGIN, M_HAS_MARGIN, M_REGION, M_CHANNEL, M_REQUESTED,
    M_FIRST_PROMISE, M_LATEST_PROMISE, M_ATTEMPTS, M_PRIORITY, M_PARCELS, M_GREEN_LANE,
    M_GREEN_CARBON, M_GREEN_TOTAL, M_GREEN_MINUTES, M_DOOR_MINUTES, M_CUSTOMER, M_TIER, M_CURRENCY, M_VALUE,
    M_WANTS, M_COSTS,
) = (int(m) for m in Made)  # fmt: skip


@kernel
def outcome_of(heap: Addresses, order: int) -> int:
    """Where the whole order stands, by the units of its lines."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    first = orders.first_line[order]
    wanted, routed, waiting = 0, 0, 0
    for line in range(first, first + orders.lines[order]):
        wanted += lines.qty[line]
        routed += lines.reserved[line] + lines.consumed[line]
        waiting += lines.waiting[line]
    if wanted == 0:
        return CANCELLED
    if routed == wanted:
        return FULLY_ROUTED
    if routed > 0:
        return PARTIALLY_ROUTED
    return BACKORDERED if waiting > 0 else UNROUTABLE_OUTCOME


@kernel
def _place_plan(heap: Addresses, position: int, now: int) -> None:
    """Write the weighed plan into the books."""
    cursor = open_cursor(heap)
    package = open_package(heap)
    pieces_of = open_pieces(heap)
    places = open_places(heap)
    wants = open_wants(heap)
    packed = -1
    for p in range(cursor[C_PIECES]):
        i, k, qty = pieces_of[p]
        node, lane, score, day, _ = package[k]
        booked = qty
        if places.counts_orders[node]:
            booked = 1 if k != packed else 0
        packed = k
        date = told(heap, arrives_at(heap, score, node, day, now))
        place(heap, position, wants.line[i], node, lane, qty, day, booked, date, now)


@kernel
def write_decision(
    heap: Addresses, position: int, order: int, kind: int, trigger: int, hold: int, now: int
) -> int:
    """A decision row without a plan; returns its number, for a plan to be added."""
    exclusion_rows = open_exclusion_rows(heap)
    lines = open_lines(heap)
    made_rows = open_made_rows(heap)
    orders = open_orders(heap)
    out_lengths = open_out_lengths(heap)
    plan_lanes = open_plan_lanes(heap)
    plan_nodes = open_plan_nodes(heap)
    plan_sizes = open_plan_sizes(heap)
    said_rows = open_said_rows(heap)
    row = out_lengths[0]
    out_lengths[0] += 1
    made, first = made_rows[row], orders.first_line[order]
    fill(made, 0)
    made[M_POSITION], made[M_INDEX], made[M_ORDER] = position, next_effect(heap), order
    made[M_REVISION], made[M_KIND], made[M_TRIGGER] = orders.revision[order], kind, trigger
    made[M_SELECTION], made[M_HOLD], made[M_AT] = S_NONE, hold, now
    made[M_LINES] = orders.lines[order]
    for line in range(first, first + orders.lines[order]):
        made[M_ORDERED] += lines.qty[line]
        routed = lines.reserved[line] + lines.consumed[line]
        made[M_UNSERVED] += lines.qty[line] - routed - lines.waiting[line]
    made[M_PROMISE], made[M_DUE] = NO_TIME, NO_TIME
    commit(heap, order)
    made[M_REQUESTED], made[M_FIRST_PROMISE] = (
        orders.requested_by[order],
        orders.first_promise[order],
    )
    made[M_LATEST_PROMISE], made[M_ATTEMPTS] = orders.latest_promise[order], orders.attempts[order]
    made[M_PRIORITY], made[M_GREEN_LANE] = priority_score(heap, order, now), -1
    made[M_REGION], made[M_CHANNEL] = orders.region[order], orders.channel[order]
    made[M_CUSTOMER], made[M_TIER] = orders.token[order], orders.tier[order]
    made[M_CURRENCY], made[M_VALUE] = orders.currency[order], orders.value_minor[order]
    made[M_WANTS] = orders.wants[order]
    made[M_OUTCOME] = HELD_FOR_REVIEW if hold != NO_HOLD else outcome_of(heap, order)
    orders.outcome[order], orders.hold[order] = made[M_OUTCOME], hold
    fill(plan_sizes[row], 0)
    for plan in range(PLANS):
        fill(plan_nodes[row, plan], -1)
    fill(plan_lanes[row], -1)
    fill(said_rows[row], 0.0)
    fill(exclusion_rows[row], 0)
    return row


@kernel
def _write_greenest(heap: Addresses, row: int) -> None:
    """Add the lane with the least emissions, where one node could serve everything."""
    green = open_green(heap)
    made = open_made_rows(heap)[row]
    if green.grams[0] < np.inf:
        made[M_GREEN_LANE], made[M_GREEN_TOTAL] = green.lane[0], green.total[0]
        made[M_GREEN_CARBON] = np.int64(np.floor(green.grams[0] + 0.5))
        made[M_GREEN_MINUTES] = np.int64(np.floor(green.hours[0] * 60.0 + 0.5))


@kernel
def _write_plan(heap: Addresses, row: int, total: int, now: int) -> None:
    """Add the weighed plan, its runners-up and what the model said to a decision row."""
    cursor = open_cursor(heap)
    features = open_features(heap)
    grams = open_grams(heap)
    made_rows = open_made_rows(heap)
    package = open_package(heap)
    plan_lanes = open_plan_lanes(heap)
    plan_nodes = open_plan_nodes(heap)
    plan_sizes = open_plan_sizes(heap)
    quantities = open_quantities(heap)
    ranges = open_ranges(heap)
    said_rows = open_said_rows(heap)
    top = open_top(heap)
    top_cost = open_top_cost(heap)
    top_nodes = open_top_nodes(heap)
    made, size = made_rows[row], top.packages[0]
    promise, out_of_range, door_hours = NO_TIME, False, 0.0
    for k in range(size):
        node, lane, score, day, _ = package[k]
        plan_lanes[row, k] = lane
        said = quantities[score]
        said_rows[row, P50] = max(said_rows[row, P50], said[P50])
        said_rows[row, P90] = max(said_rows[row, P90], said[P90])
        said_rows[row, HANDLING_Q] = max(said_rows[row, HANDLING_Q], said[HANDLING_Q])
        said_rows[row, LATE_Q] = max(said_rows[row, LATE_Q], said[LATE_Q])
        promise = max(promise, told(heap, arrives_at(heap, score, node, day, now)))
        door_hours = max(door_hours, hours_to_door(heap, score, node, day, now))
        for f in range(features.shape[1]):
            value = features[score, f]
            out_of_range |= value < ranges[0][f] or value > ranges[1][f]
    made[M_PROMISE], made[M_OUT_OF_RANGE] = promise, out_of_range
    made[M_DOOR_MINUTES] = np.int64(np.floor(door_hours * 60.0 + 0.5))
    made[M_WEIGHT] = np.int64(grams[1])
    made[M_CARBON], made[M_PARCELS] = np.int64(np.floor(grams[0] + 0.5)), cursor[C_PARCELS]
    _write_greenest(heap, row)
    for plan in range(PLANS):
        plan_sizes[row, plan] = top.packages[plan]
        if top.packages[plan] > 0:
            for k in range(MAX_PACKAGES):
                plan_nodes[row, plan, k] = top_nodes[plan, k]
            for c in range(COSTS):
                made[M_COSTS + plan * COSTS + c] = top_cost[plan, c]
    comparable = top.packages[1] > 0 and top.units[1] == top.units[0]
    made[M_HAS_MARGIN] = comparable
    if comparable:
        made[M_MARGIN] = top_cost[1, TOTAL] - top_cost[0, TOTAL]
    if top.units[0] < total:
        made[M_SELECTION] = S_MOST
    elif top.packages[1] == 0:
        made[M_SELECTION] = S_ONLY
    elif comparable and made[M_MARGIN] < 0:
        made[M_SELECTION] = S_DATE
    else:
        tied = comparable and made[M_MARGIN] == 0 and top.packages[1] == size
        made[M_SELECTION] = S_TIE if tied else S_LOWEST


@kernel
def _raise_shortfall(heap: Addresses, position: int, order: int, unserved: int, now: int) -> None:
    """Say why units are unserved, as one exception."""
    seen = open_seen(heap)
    top = open_top(heap)
    code, held = UNROUTABLE, 0
    for node in range(len(seen)):
        if seen.excluded[node] in (X_CAPACITY, X_CUTOFF):
            code = CAPACITY_EXHAUSTED
        elif seen.excluded[node] == FEASIBLE:
            held += 1
    if top.packages[0] > 0 and held > top.packages[0]:
        code = SPLIT_LIMIT_REACHED
    raise_exception(heap, position, code, order, -1, -1, unserved, now)


@kernel
def decide(
    heap: Addresses,
    order: int,
    row0: int,
    now: int,
    position: int,
    trigger: int,
    kind: int,
    only_waiting: bool,
) -> bool:
    """Decide an order and write everything that follows from it.

    Args:
        heap: the network, scores, scratch and outputs.
        order: its units that are neither reserved nor consumed are decided.
        row0: first of its score rows.
        now: log time, us.
        position: of the record that is the cause.
        trigger: see ``Trigger``.
        kind: see ``DecisionKind``.
        only_waiting: serve the backordered units, all of them or nothing.

    Returns:
        Whether there was anything to say; a backorder that still cannot be served says nothing.
    """
    exclusion_rows = open_exclusion_rows(heap)
    made_rows = open_made_rows(heap)
    orders = open_orders(heap)
    seen = open_seen(heap)
    top = open_top(heap)
    wants = open_wants(heap)
    n, total, shared = gather_lines(heap, order, only_waiting)
    served = 0
    fill(top.packages, 0)
    if n > 0:
        served = choose(heap, order, row0, n, shared, total, now)
    if only_waiting:
        if served < total or total == 0:
            return False
        unplan(heap, position, order)
        for i in range(n):
            stop_waiting(heap, wants.line[i])
    if served > 0:
        _place_plan(heap, position, now)
    units, due = 0, NO_TIME
    if served < total:
        units, due = backorder(heap, position, order, row0, n, served, now)
    orders.state[order], orders.touched_at[order] = OPEN, now
    orders.decided_at[order] = position
    row = write_decision(heap, position, order, kind, trigger, NO_HOLD, now)
    made = made_rows[row]
    made[M_SERVED], made[M_BACKORDERED], made[M_DUE] = served, units, due
    if n > 0:
        copy(seen.excluded, exclusion_rows[row])
    if served > 0:
        _write_plan(heap, row, total, now)
        if orders.pinned[order] >= 0:
            made[M_SELECTION] = S_HUMAN
    orders.pinned[order] = -1
    if served + units < total:
        _raise_shortfall(heap, position, order, total - served - units, now)
    _foresee_delay(heap, position, order, now)
    return True


@kernel
def _foresee_delay(heap: Addresses, position: int, order: int, now: int) -> None:
    """Say so if the date that stands is later than the one asked for: it is what can be offered."""
    orders = open_orders(heap)
    asked, standing = orders.requested_by[order], orders.latest_promise[order]
    if asked != NO_TIME and standing > told(heap, asked):
        units = 0
        lines, first = open_lines(heap), orders.first_line[order]
        for line in range(first, first + orders.lines[order]):
            units += lines.qty[line] - lines.consumed[line]
        raise_exception(heap, position, E_DELAY, order, -1, -1, units, now)


@kernel
def replace_plan(heap: Addresses, order: int, total: int, now: int, position: int) -> None:
    """Place the weighed plan, ranked first, of a proposal that was found better."""
    exclusion_rows = open_exclusion_rows(heap)
    made_rows = open_made_rows(heap)
    orders = open_orders(heap)
    _place_plan(heap, position, now)
    orders.touched_at[order], orders.decided_at[order] = now, position
    row = write_decision(heap, position, order, REROUTE, T_BETTER, NO_HOLD, now)
    made_rows[row, M_SERVED] = total
    copy(open_seen(heap).excluded, exclusion_rows[row])
    _write_plan(heap, row, total, now)
    _foresee_delay(heap, position, order, now)
