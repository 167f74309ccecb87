"""Rare records that change the network itself: nodes, lanes, capacity, signals, prices, the policy.

They are applied one by one, in plain Python, between two stretches of the walk. Each takes effect for
the records after it. Facts about nodes and lanes are returned as rows for the lake.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Slot
from models.intake.columns import NO_TIME
from models.ledger.window import is_repeated, make_room
from models.policy.document import parse_policy
from models.promising.calendar import RING_DAYS, UNBOUNDED, roll
from models.routing.arrays import Count, Recall
from models.routing.codes import HAZMAT_BIT
from models.routing.costs import tariff_rows
from models.routing.network import Network, SignalState
from schemas.codes import (
    CapacityMeasure,
    DeadLetterReason,
    LocationType,
    Mode,
    ModelOf,
    SignalKind,
    TempClass,
)
from schemas.errors import PolicyError
from schemas.kinds import Kind
from schemas.tables import Table
from schemas.topics import KINDS, LogOf

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MODES, _PLACES = list(Mode), list(LocationType)


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """One control record as plain values; times in us."""

    kind: Kind
    position: int
    subject: str
    time: int
    record_time: int
    clock: int  # of the partition; NO_TIME before the first tick
    key: tuple[np.uint64, np.uint64]  # of (source, id)
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ControlRow:
    """A row for the lake that a control record caused."""

    table: Table
    position: int
    values: Mapping[str, Any]


def apply_control(network: Network, record: ControlRecord) -> list[ControlRow]:
    """Let a control record take effect; a repeat does nothing."""
    now = record.record_time
    if record.clock != NO_TIME:
        now = min(max(now, record.clock), record.clock + 86_400_000_000)
    terms = network.heap[Slot.TERMS]
    make_room(network.heap, 1)
    span, most = int(terms["dedupe_us"][0]), int(terms["dedupe_max"][0])
    if is_repeated(network.heap.addresses, *record.key, now, span, most):
        return []
    network.log_time = max(network.log_time, now)
    return _APPLY[record.kind](network, record, now)


def _needs(classes: list[str], hazmat: bool) -> int:
    bits = sum(1 << i for i, t in enumerate(TempClass) if t.value in classes)
    return bits | (HAZMAT_BIT if hazmat else 0)


def _dead(record: ControlRecord, reason: DeadLetterReason, detail: str, now: int) -> ControlRow:
    values = {
        "kind": record.kind.tag,
        "subject": record.subject,
        "reason": reason.name,
        "detail": detail,
        "at": now,
        "raw": None,
    }
    return ControlRow(Table.DEAD_LETTERS, record.position, values)


def _set_node(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    data = record.data
    code = network.names["nodes"].intern_one(record.subject)
    network.grow_cells()
    node = network.heap[Slot.NODES][code]
    if node["is_open"] and not data["open"]:
        _recall(network, Recall.NODE, code)
    node["is_open"] = data["open"]
    node["location_type"] = _PLACES.index(LocationType(data["location_type"]))
    node["offers"] = _needs(data["temp_classes"], data["hazmat"])
    node["per_unit"] = data["handling_per_unit_minor"]
    node["per_package"] = data["handling_per_package_minor"]
    node["restricted"] = bool(data["customers"])
    network.heap[Slot.PLACES]["offset_us"][code] = data["utc_offset_minutes"] * 60_000_000
    network.customers_of[code] = [
        network.names["customers"].intern_one(c) for c in data["customers"]
    ]
    keys = [(n << 32) | c for n, listed in network.customers_of.items() for c in listed]
    network.heap.put(Slot.CUSTOMER_KEYS, np.array(sorted(keys), np.int64))
    network.fit_scratch(0)
    values = {
        "node_no": code,
        "node": record.subject,
        "location_type": data["location_type"],
        "open": data["open"],
        "at": now,
    }
    return [ControlRow(Table.NODES, record.position, values)]


def _set_capacity(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    data, heap = record.data, network.heap
    node = network.names["nodes"].find_one(record.subject)
    if node < 0:
        detail = f"capacity for node {record.subject}, which no node.set declared"
        return [_dead(record, DeadLetterReason.UNKNOWN_NODE, detail, now)]
    roll(heap.addresses, now)
    if heap[Slot.DAYS]["booked"][node].any():
        _recall(network, Recall.DAYS, node)
    capacity = UNBOUNDED if data["capacity"] is None else data["capacity"]
    counts_orders = data["measure"] == CapacityMeasure.ORDERS.value
    if counts_orders != heap[Slot.PLACES]["counts_orders"][node]:
        _book_anew(network, node, counts_orders)
    heap[Slot.PLACES]["counts_orders"][node] = counts_orders
    if data["day"] is None:
        for weekday in data["weekdays"] or range(1, 8):
            _rule(heap[Slot.WEEKDAYS][node, weekday - 1], capacity, data)
        return []
    day = data["day"].toordinal() - _EPOCH_DAY
    first = int(heap[Slot.FIRST_DAY][0])
    if not first <= day < first + RING_DAYS:
        detail = f"day {data['day']} is not within {RING_DAYS} days from yesterday"
        return [_dead(record, DeadLetterReason.QUANTITY_OVERFLOW, detail, now)]
    _rule(heap[Slot.DAYS][node, day % RING_DAYS], capacity, data)
    return []


def _book_anew(network: Network, node: int, counts_orders: bool) -> None:
    """Let what the node holds be booked in orders or in units from here on; what has left stays booked."""
    heap = network.heap
    rows = heap[Slot.ALLOCATIONS][: int(network.counts[Count.ALLOCATIONS])]
    mine = np.flatnonzero((rows["line"] >= 0) & (rows["supply"] < 0) & (rows["node"] == node))
    booked = rows["qty"][mine].copy()
    if counts_orders:
        package = np.stack([heap[Slot.LINES]["order"][rows["line"][mine]], rows["day"][mine]])
        booked[:] = 0
        booked[np.unique(package, axis=1, return_index=True)[1]] = 1
    ring = rows["day"][mine] % RING_DAYS
    in_ring = rows["day"][mine] >= heap[Slot.FIRST_DAY][0]
    before = rows["booked"][mine]  # with units that have left, if units are counted
    before = np.minimum(before, rows["qty"][mine]) if counts_orders else before
    change = (booked - before)[in_ring]
    np.add.at(heap[Slot.DAYS]["booked"][node], ring[in_ring], change)
    rows["booked"][mine] = booked


def _recall(network: Network, what: Recall, code: int) -> None:
    """Have the walk take back the work that the record affects."""
    network.recalled = (what, code)


def _rule(row: Any, capacity: int, data: Mapping[str, Any]) -> None:
    row["capacity"], row["cut_off"], row["open"] = capacity, data["cut_off_minute"], data["open"]


def _set_lane(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    data = record.data
    node = network.names["nodes"].find_one(data["node"])
    if node < 0:
        detail = f"lane from node {data['node']}, which no node.set declared"
        return [_dead(record, DeadLetterReason.UNKNOWN_NODE, detail, now)]
    code = network.names["lanes"].intern_one(record.subject)
    network.grow_lanes()
    lane = network.heap[Slot.LANES][code]
    if lane["is_open"] and not data["open"]:
        _recall(network, Recall.LANE, code)
    lane["node"] = node
    lane["region"] = network.names["regions"].intern_one(data["region"])
    lane["carrier"] = network.names["carriers"].intern_one(data["carrier"])
    lane["service"] = network.names["services"].intern_one(data["service"])
    lane["offers"] = _needs(data["temp_classes"], data["hazmat"])
    lane["is_open"], lane["mode"] = data["open"], _MODES.index(Mode(data["mode"]))
    lane["distance_km"], lane["transit_hours"] = data["distance_km"], data["transit_hours"]
    lane["parcel_g"] = round(data["parcel_max_kg"] * 1000)
    lane["parcel_cm3"] = round(data["parcel_max_litres"] * 1000)
    lane["volumetric"] = data["volumetric_kg_per_m3"] / 1000.0  # kg a m3 is mg a cm3
    lane["distance_log"] = np.log1p(data["distance_km"])
    lane["transit_log"] = np.log1p(data["transit_hours"])
    bands = tariff_rows(data["bands"])
    if code == len(network.lane_bands):
        network.lane_bands.append(bands)
    else:
        network.lane_bands[code] = bands
    names = ("node", "region", "carrier", "service", "mode", "origin_port", "distance_km")
    values = {n: data[n] for n in (*names, "transit_hours", "open")}
    values |= {"lane_id": record.subject, "at": now}
    return [ControlRow(Table.LANES, record.position, values)]


def link_lanes(network: Network) -> None:
    """Rebuild what is derived from the lanes: tariffs in a row, and the lanes of each region."""
    heap, count = network.heap, len(network.lane_bands)
    lanes = heap[Slot.LANES][:count]
    lengths = np.array([len(b) for b in network.lane_bands], np.int32)
    lanes["bands"], lanes["first_band"] = lengths, np.cumsum(lengths) - lengths
    by_region = np.lexsort((np.arange(count), lanes["node"], lanes["region"])).astype(np.int32)
    regions = len(network.names["regions"])
    first = np.zeros(regions + 1, np.int32)
    np.cumsum(np.bincount(lanes["region"], minlength=regions), out=first[1:])
    signal, old = np.zeros((regions, 2), np.float32), heap[Slot.REGION_SIGNAL][:regions]
    signal[: len(old)] = old
    heap.put(Slot.BANDS, np.concatenate([*network.lane_bands, np.zeros((0, 5))]))
    heap.put(Slot.REGION_FIRST, first)
    heap.put(Slot.REGION_LANES, by_region)
    heap.put(Slot.REGION_SIGNAL, signal)
    heap.put(Slot.REGION_FLOOR, _floors(network, lanes, regions))
    network.fit_scratch(0)


def _floors(network: Network, lanes: Any, regions: int) -> npt.NDArray[np.float64]:
    """(regions,) what no package to a region can cost less than, weighted, in minor units."""
    floors = np.full(regions, np.inf)
    if len(lanes):
        bands, weights = network.heap[Slot.BANDS], network.policy.weights
        starts = np.maximum(bands[:, 4], bands[:, 2] + bands[:, 3] * bands[:, 0] / 1000.0)
        freight = np.minimum.reduceat(starts, lanes["first_band"])
        handling = network.heap[Slot.NODES]["per_package"][lanes["node"]]
        least = np.floor(weights.freight * freight + weights.handling * handling) - 1.0
        np.minimum.at(floors, lanes["region"], least)
    return floors


def _observe(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    data = record.data
    kinds = {SignalKind.WEATHER.value: 0, SignalKind.PROMOTION.value: 1}
    if data["kind"] in kinds:
        region = network.names["regions"].intern_one(record.subject)
        starts, ends = (round(data[n].timestamp() * 1e6) for n in ("starts_at", "ends_at"))
        network.signals.append(
            SignalState(region, kinds[data["kind"]], data["severity"], starts, ends)
        )
        link_lanes(network)
        network.refresh_signals()
    return []


def _set_prices(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    data, rows = record.data, []
    network.counts[Count.PRICE_EPOCH] = data["epoch"]
    for item in data["items"]:
        node = network.names["nodes"].find_one(item["node"])
        if node < 0:
            detail = f"price at node {item['node']}, which no node.set declared"
            rows.append(_dead(record, DeadLetterReason.UNKNOWN_NODE, detail, now))
            continue
        sku = network.names["skus"].intern_one(item["sku"])
        network.grow_cells()
        network.heap[Slot.PRICES][sku, node] = item["price_minor"]
    return rows


def _activate_policy(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    try:
        network.set_policy(parse_policy(record.data["document"], f"policy {record.subject}"))
    except PolicyError as error:
        return [_dead(record, DeadLetterReason.SCHEMA_INVALID, str(error), now)]
    return []


def _activate_model(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    if record.data["of"] != ModelOf.ROUTE.value:
        return _refuse(network, record, now)
    network.model_sha256 = record.data["sha256"]
    return []


def _refuse(network: Network, record: ControlRecord, now: int) -> list[ControlRow]:
    detail = f"{record.kind.tag} is for the tracking log; the router has no use for it"
    return [_dead(record, DeadLetterReason.WRONG_LOG, detail, now)]


_APPLY: Mapping[Kind, Callable[[Network, ControlRecord, int], list[ControlRow]]] = {
    Kind.NODE_SET: _set_node,
    Kind.CAPACITY_SET: _set_capacity,
    Kind.LANE_SET: _set_lane,
    Kind.SIGNAL_OBSERVED: _observe,
    Kind.PRICES_PUBLISHED: _set_prices,
    Kind.POLICY_ACTIVATED: _activate_policy,
    Kind.MODEL_ACTIVATED: _activate_model,
    **dict.fromkeys(KINDS[LogOf.TRACKING] - KINDS[LogOf.JOURNAL], _refuse),
}
CONTROL_KINDS = tuple(_APPLY)
