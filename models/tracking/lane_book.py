"""The lanes of a partition: which one a parcel travels, and what its history is.

A *way* is what is known of a parcel's travel, as four words: the lane that the router chose, or, where none
is named, carrier, node and region as far as they are known. A lane has a row in the book once a parcel was
delivered on it; row 0 is the lane of which nothing is known. Every delivery teaches its lane and its network,
once: a parcel that was delivered twice by a correction counts as it was learnt first.

Bounded: a book that is full takes no more lanes until ``forget`` has dropped the half of them that
learnt least lately, which happens when the fold forgets (state.py).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME
from models.jit import borrowing_kernel
from models.lifecycle.steps import MILESTONES, Step
from models.tracking.arrays import ACTUAL, NOBODY, Cursor, LaneTables, Records, Tables
from models.tracking.features import planned_hours
from models.tracking.lanes import COLUMNS, HOUR_US, add, add_ratio, is_weekend, quantile_of, seen

LANE = np.dtype(
    [
        ("network", np.int32),
        ("lane", np.int32),  # words; ``NOBODY``: not known
        ("carrier", np.int32),
        ("node", np.int32),
        ("region", np.int32),
        ("taught", np.int64),  # position of what it learnt last
        (
            "gap_hours",
            np.float64,
        ),  # nine of ten gaps between scans are shorter; 0: too few are known
    ],
    align=True,
)
LANE_WORDS = ("lane", "carrier", "node", "region")
MAX_LANES = 8_192
"""Lanes of a partition whose history is kept: 6 MiB."""
LEAST_GAPS = 20
"""Gaps below which a lane says nothing about silence."""
GAP_SHARE = 0.9

Way = tuple[int, int, int, int]
UNKNOWN = 0
ABSENT = np.int64(NOBODY)
LANES = int(Cursor.LANES)
DELIVERED, SIGNED, PACKED = int(Step.DELIVERED), int(Step.SIGNED), int(Step.PACKED)


class History(IntEnum):
    """What is counted."""

    LEGS = 0  # from hand-over to delivery
    GAPS = 1  # from one scan to the next
    RATIOS = 2  # of the network alone: legs as multiples of what was promised


LEGS, GAPS, RATIOS = (int(h) for h in History)


@borrowing_kernel
def way_of(tables: Tables, order: int, node: int, carrier: int, works: int) -> Way:
    """The way of what a node ships of the order that was judged last."""
    for w in range(works):
        work = tables.works[w]
        if work.node == node and work.lane != NOBODY:
            return np.int64(work.lane), ABSENT, ABSENT, ABSENT
    region = tables.orders[order].region
    return ABSENT, np.int64(carrier), np.int64(node), np.int64(region)


@borrowing_kernel
def _slot(lanes: LaneTables, network: int, way: Way) -> int:
    """Where a lane is in the slots, or would be."""
    mixed = np.uint64(network)
    for word in way:
        mixed = (mixed ^ np.uint64(word + 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    mask = np.int64(len(lanes.slots) - 1)
    place = np.int64(mixed >> np.uint64(1)) & mask
    while lanes.slots[place] != UNKNOWN:
        row = lanes.rows[lanes.slots[place]]
        same = row.network == network and row.lane == way[0] and row.carrier == way[1]
        if same and row.node == way[2] and row.region == way[3]:
            break
        place = (place + 1) & mask
    return place


@borrowing_kernel
def find_lane(tables: Tables, network: int, way: Way) -> int:
    """The row of a lane; ``UNKNOWN`` if it never learnt anything."""
    return np.int64(tables.lanes.slots[_slot(tables.lanes, network, way)])


@borrowing_kernel
def _enter_lane(tables: Tables, network: int, way: Way) -> int:
    """The same, made if there is none and the book has room."""
    lanes, cursor = tables.lanes, tables.cursor
    if way[0] == way[1] == way[2] == way[3] == NOBODY:
        return UNKNOWN
    place = _slot(lanes, network, way)
    if lanes.slots[place] != UNKNOWN or cursor[LANES] == MAX_LANES:
        return np.int64(lanes.slots[place])
    new = cursor[LANES]
    row = lanes.rows[new]
    row.lane, row.carrier, row.node, row.region = way
    row.network, row.gap_hours = network, 0.0
    lanes.slots[place] = new
    cursor[LANES] += 1
    return new


@borrowing_kernel
def place_lanes(lanes: LaneTables, count: int) -> None:
    """Fill empty slots with all rows."""
    for row in range(1, count):
        lane = lanes.rows[row]
        words = (
            np.int64(lane.lane), np.int64(lane.carrier), np.int64(lane.node), np.int64(lane.region),
        )  # fmt: skip
        lanes.slots[_slot(lanes, lane.network, words)] = row


@borrowing_kernel
def handed_over_at(tables: Tables, k: int, parcels: int) -> int:
    """When the carrier got a parcel of the order that was judged last; ``NO_TIME``: not known."""
    parcel = tables.parcels[k]
    handed = parcel.handed_at
    for other in range(parcels):
        whole = tables.parcels[other]  # what the node says of all that it ships
        if whole.package == whole.node == parcel.node and parcel.node != NOBODY:
            if whole.handed_at != NO_TIME and (handed == NO_TIME or whole.handed_at < handed):
                handed = whole.handed_at
    return handed


@borrowing_kernel
def teach(tables: Tables, order: int, k: int, verdict: Records, position: int) -> None:
    """Let the lane of a parcel learn from its delivery, if it has not."""
    parcel, network = tables.parcels[k], tables.orders[order].network
    handed = handed_over_at(tables, k, verdict.parcels)
    if handed == NO_TIME or parcel.there_at <= handed:
        return
    arrival = _arrival(tables, order, parcel.package)
    if arrival == NOBODY:
        return
    tables.entries[arrival].is_taught = True
    way = way_of(tables, order, parcel.node, parcel.carrier, verdict.works)
    lane = _enter_lane(tables, network, way)
    tables.lanes.rows[lane].taught = position
    hours = (parcel.there_at - handed) / HOUR_US
    at_weekend = is_weekend(parcel.there_at)
    counts, networks = tables.lanes.counts, tables.lanes.networks
    add(networks[network, LEGS], hours, at_weekend)
    add_ratio(networks[network, RATIOS], hours, planned_hours(verdict.promise, handed))
    if lane != UNKNOWN:
        add(counts[lane, LEGS], hours, at_weekend)
        _teach_gaps(tables, order, parcel, lane)


@borrowing_kernel
def _arrival(tables: Tables, order: int, package: int) -> int:
    """The first delivery of a parcel; ``NOBODY`` if the lane has learnt from one already."""
    found, at = NOBODY, tables.orders[order].first
    while at != NOBODY:
        entry = tables.entries[at]
        if entry.at != NO_TIME and entry.package == package:
            if entry.is_taught:
                return NOBODY
            is_there = entry.step == DELIVERED or entry.step == SIGNED
            if found == NOBODY and is_there and entry.classifier == ACTUAL:
                found = at
        at = entry.next
    return found


@borrowing_kernel
def _teach_gaps(tables: Tables, order: int, parcel: Records, lane: int) -> None:
    gaps = tables.lanes.counts[lane, GAPS]
    at, before = tables.orders[order].first, NO_TIME
    while at != NOBODY:
        entry = tables.entries[at]
        at = entry.next
        if entry.package != parcel.package or entry.at == NO_TIME or entry.at > parcel.there_at:
            continue
        if entry.step >= MILESTONES or entry.step == PACKED or entry.classifier != ACTUAL:
            continue
        if before != NO_TIME and entry.at > before:
            add(gaps, (entry.at - before) / HOUR_US, False)
        before = entry.at
    if seen(gaps) >= LEAST_GAPS:
        tables.lanes.rows[lane].gap_hours = quantile_of(gaps, GAP_SHARE, tables.asked.blended)


class LaneBook:
    """The lanes of a partition and what its networks learnt; the rows in use are counted in the cursor."""

    def __init__(self) -> None:
        self.tables = LaneTables(
            np.full(64, NOBODY, LANE),
            np.zeros((64, 2, COLUMNS), np.uint32),
            np.zeros((0, len(History), COLUMNS), np.uint32),
            np.zeros(4 * MAX_LANES, np.int32),
        )
        self.tables.rows["gap_hours"] = 0

    def grow(self, used: int, networks: int) -> None:
        """Let there be room for one more lane, and for so many networks."""
        rows, counts, known, slots = self.tables
        if used == len(rows) and used < MAX_LANES:
            rows = np.concatenate([rows, rows])
            counts = np.concatenate([counts, np.zeros_like(counts)])
        if networks > len(known):
            more = np.zeros((networks - len(known), len(History), COLUMNS), np.uint32)
            known = np.concatenate([known, more])
        self.tables = LaneTables(rows, counts, known, slots)

    def forget(self, used: int) -> int:
        """Drop the half that learnt least lately, if the book is full; returns how many rows are left."""
        if used < MAX_LANES:
            return used
        newest = np.argsort(self.tables.rows["taught"][1:used], kind="stable")[used // 2 :]
        kept = np.concatenate([[0], 1 + np.sort(newest)])
        self._put(self.tables.rows[kept], self.tables.counts[kept])
        return len(kept)

    def renumber(self, used: int, numbers: npt.NDArray[np.int32]) -> None:
        """Words have other numbers from here on."""
        rows = self.tables.rows[:used]
        for name in LANE_WORDS:
            rows[name] = numbers[rows[name]]
        self._put(rows, self.tables.counts[:used])

    def words(self, used: int) -> npt.NDArray[np.int32]:
        """Numbers of the words that lanes are known by."""
        return np.concatenate([self.tables.rows[name][:used] for name in LANE_WORDS])

    def _put(self, rows: Records, counts: npt.NDArray[np.uint32]) -> None:
        slots = np.zeros_like(self.tables.slots)
        self.tables = self.tables._replace(rows=rows.copy(), counts=counts.copy(), slots=slots)
        place_lanes(self.tables, len(rows))

    def to_arrays(self, used: int) -> dict[str, npt.NDArray[Any]]:
        """What a checkpoint keeps."""
        rows, counts, networks, _ = self.tables
        return {"rows": rows[:used], "counts": counts[:used], "networks": networks}

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what ``to_arrays`` gave."""
        self.tables = self.tables._replace(networks=kept["networks"].copy())
        self._put(kept["rows"], kept["counts"])
