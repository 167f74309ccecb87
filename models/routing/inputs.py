"""Model inputs of an order on every lane to its region, and the rules that score without a model.

Nothing here reads the exact ledger: what changes is read from the view, so that a row depends on the
record and the tile it falls in, never on how the log was cut.
"""

import numpy as np
import numpy.typing as npt

from models.heap import Addresses
from models.intake.columns import NO_TIME
from models.jit import kernel
from models.ledger.stock import fetch_seen, open_free_seen
from models.promising.calendar import find_day, load, starts_at
from models.routing.arrays import (
    Field,
    open_fields,
    open_items,
    open_records,
    open_region_first,
    open_region_lanes,
    open_region_signal,
)
from models.routing.costs import HOUR_US, open_terms
from models.routing.features import Feature, Quantity
from models.routing.state import open_lanes, open_lines, open_nodes, open_orders
from schemas.codes import Mode

(
    DISTANCE, TRANSIT, IS_AIR, IS_SEA, WEIGHT, UNITS, LINES, LOAD, COVER, WAIT, HOUR_SIN, HOUR_COS,
    WEEKEND, WEATHER, PROMOTION, SLACK,
) = (int(f) for f in Feature)  # fmt: skip
P50, P90, LATE, HANDLING = (int(q) for q in Quantity)
F_REGION, F_REQUESTED = int(Field.REGION), int(Field.REQUESTED_BY)
DAY_HOURS = 24
AIR, SEA = list(Mode).index(Mode.AIR), list(Mode).index(Mode.SEA)
COVER_FULL = 10.0
SLACK_SCALE_HOURS = 240.0
GRID_HOURS = np.float32(64)  # quantities are kept in 1/64 hours and 1/4096 of probability
GRID_PROBABILITY = np.float32(4096)
AHEAD = 4  # records
RULE_KM_PER_HOUR = 50.0
RULE_PICKUP_HOURS = 12.0
RULE_HANDLING_HOURS = 8.0
RULE_SPREAD = np.float32(1.5)  # p90 / p50 of lead times in public parcel data is 1.5 to 2


@kernel
def _cover(
    heap: Addresses,
    node: int,
    skus: npt.NDArray[np.int32],
    qty: npt.NDArray[np.int64],
    a: int,
    b: int,
) -> float:
    free_seen = open_free_seen(heap)
    least = COVER_FULL
    for j in range(a, b):
        least = min(least, free_seen[skus[j], node] / max(1, qty[j]))
    return max(0.0, least) / COVER_FULL


@kernel
def _fill(
    heap: Addresses,
    region: int,
    skus: npt.NDArray[np.int32],
    qty: npt.NDArray[np.int64],
    a: int,
    b: int,
    weight_g: int,
    due: int,
    now: int,
    x: npt.NDArray[np.float32],
    row: int,
) -> int:
    """Rows of one order from ``row`` on, one per lane of the region; returns the next free row."""
    lanes = open_lanes(heap)
    nodes = open_nodes(heap)
    region_first = open_region_first(heap)
    region_lanes = open_region_lanes(heap)
    region_signal = open_region_signal(heap)
    units = 0
    for j in range(a, b):
        units += qty[j]
    hours = now // HOUR_US
    angle = 2.0 * np.pi * (hours % DAY_HOURS) / DAY_HOURS
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    weekend = np.float32((hours // DAY_HOURS + 3) % 7 >= 5)
    weight_log = np.float32(np.log1p(weight_g / 1000.0))
    units_log, lines_log = np.float32(np.log1p(units)), np.float32(np.log1p(b - a))
    slack = (due - now) / HOUR_US / SLACK_SCALE_HOURS
    for k in range(region_first[region], region_first[region + 1]):
        lane = region_lanes[k]
        node = lanes.node[lane]
        wait_log = nodes.wait_log[node]
        x[row, DISTANCE], x[row, TRANSIT] = lanes.distance_log[lane], lanes.transit_log[lane]
        x[row, IS_AIR], x[row, IS_SEA] = lanes.mode[lane] == AIR, lanes.mode[lane] == SEA
        x[row, WEIGHT], x[row, UNITS], x[row, LINES] = weight_log, units_log, lines_log
        x[row, LOAD], x[row, WAIT] = nodes.load[node], wait_log
        x[row, COVER] = _cover(heap, node, skus, qty, a, b)
        x[row, HOUR_SIN], x[row, HOUR_COS], x[row, WEEKEND] = sine, cosine, weekend
        x[row, WEATHER] = region_signal[region, 0]
        x[row, PROMOTION] = region_signal[region, 1]
        waits = np.expm1(np.float64(wait_log)) / SLACK_SCALE_HOURS if wait_log > 0 else 0.0
        x[row, SLACK] = min(1.0, max(-1.0, slack - waits))
        row += 1
    return row


@kernel
def _look_ahead(heap: Addresses, i: int) -> None:
    """Ask for the view of the SKUs that a later record wants."""
    items = open_items(heap)
    records = open_records(heap)
    for j in range(records.first_line[i], records.first_line[i + 1]):
        fetch_seen(heap, items.sku[j])


@kernel
def fill_records(
    heap: Addresses,
    chosen: npt.NDArray[np.int64],
    now: npt.NDArray[np.int64],
    first_row: npt.NDArray[np.int64],
    x: npt.NDArray[np.float32],
) -> None:
    """Rows of the orders that these records carry.

    Args:
        heap: the network and its records.
        chosen: which of the records; each carries a whole order.
        now: log time of each, us.
        first_row: (records,) filled with the first row of each.
        x: (rows, 16) filled; rows are the lanes of each order's region, in order.
    """
    fields = open_fields(heap)
    items = open_items(heap)
    records = open_records(heap)
    terms = open_terms(heap)
    row = 0
    for k in range(len(chosen)):
        i = chosen[k]
        region = fields[i, F_REGION]
        first_row[i] = row
        if k + AHEAD < len(chosen):
            _look_ahead(heap, chosen[k + AHEAD])
        if region < 0:
            continue
        a, b = records.first_line[i], records.first_line[i + 1]
        weight = 0
        for j in range(a, b):
            weight += items.qty[j] * items.weight_g[j]
        due = fields[i, F_REQUESTED]
        if due == NO_TIME:
            due = now[k] + terms.standard_us[0]
        row = _fill(heap, region, items.sku, items.qty, a, b, weight, due, now[k], x, row)


@kernel
def fill_order(heap: Addresses, order: int, now: int, x: npt.NDArray[np.float32]) -> None:
    """Rows of an order of the books, with the units that are still to be served."""
    lines = open_lines(heap)
    orders = open_orders(heap)
    terms = open_terms(heap)
    region = orders.region[order]
    if region < 0:
        return
    first, count = orders.first_line[order], orders.lines[order]
    skus = np.empty(count, np.int32)
    qty = np.empty(count, np.int64)
    n, weight = 0, 0
    for line in range(first, first + count):
        left = lines.qty[line] - lines.reserved[line] - lines.consumed[line]
        if left > 0:
            skus[n], qty[n] = lines.sku[line], left
            weight += left * lines.weight_g[line]
            n += 1
    due = orders.requested_by[order]
    if due == NO_TIME:
        due = now + terms.standard_us[0]
    _fill(heap, region, skus, qty, 0, n, weight, due, now, x, 0)


@kernel
def refresh_nodes(heap: Addresses, count: int, now: int) -> None:
    """Load and wait of the first ``count`` nodes, as the features see them until the next refresh."""
    nodes = open_nodes(heap)
    horizon = open_terms(heap).horizon_days[0]
    for node in range(count):
        day = find_day(heap, node, now, 1, horizon)
        waits = max(0, starts_at(heap, node, day) - now) / HOUR_US if day >= 0 else 0.0
        nodes.wait_log[node] = np.log1p(waits)
        nodes.load[node] = load(heap, node, now)


@kernel
def round_quantities(y: npt.NDArray[np.float32]) -> None:
    """Put what a model said on its grid, in place."""
    for row in range(len(y)):
        for q in range(y.shape[1]):
            grid = GRID_PROBABILITY if q == LATE else GRID_HOURS
            y[row, q] = np.floor(y[row, q] * grid + np.float32(0.5)) / grid


def score_by_rules(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What is expected of a lane when no model is activated.

    The lane's published transit, or its distance at truck speed plus a pick-up; p90 a fixed multiple
    of it; late if the slack is used up, with a straight line from p50 to p90.

    Args:
        features: (n, 16) float32, see ``Feature``.

    Returns:
        (n, 4) float32, see ``Quantity``.
    """
    published = np.expm1(features[:, TRANSIT])
    driven = np.expm1(features[:, DISTANCE]) / RULE_KM_PER_HOUR + RULE_PICKUP_HOURS
    y = np.empty((len(features), 4), np.float32)
    y[:, P50] = np.where(published > 0, published, driven)
    y[:, P90] = RULE_SPREAD * y[:, P50]
    y[:, HANDLING] = RULE_HANDLING_HOURS
    slack = features[:, SLACK] * np.float32(SLACK_SCALE_HOURS)
    early, late = y[:, P50] + y[:, HANDLING], y[:, P90] + y[:, HANDLING]
    share = (late - slack) / np.maximum(late - early, np.float32(1.0))
    y[:, LATE] = np.clip(share * np.float32(0.4) + np.float32(0.1), 0.0, 1.0)
    y[:, LATE] = np.where(slack > late, np.float32(0.05), y[:, LATE])
    return y
