"""Effects whose rows follow from the position alone, so that every cut gives the same rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from schemas.tables import SCHEMAS, Effects, Table

START = datetime(2026, 3, 1, tzinfo=UTC)
NODES = ("DC-1", "DC-2", "ST-1")
EXCLUSIONS = (0, 1, 21)
LINES = 2
"""Allocations of every order."""


def effects(first: int, last: int, *, partition: int = 0, tables: bool = True) -> Effects:
    """Effects of positions ``first`` to ``last``: an order each, every fifth with an exception."""
    positions = range(first, last + 1) if tables else ()
    rows: dict[Table, list[dict[str, Any]]] = {
        Table.DECISIONS: [decision(partition, p) for p in positions],
        Table.ALLOCATIONS: [
            allocation(partition, p, line) for p in positions for line in range(LINES)
        ],
        Table.EXCEPTIONS: [deviation(partition, p) for p in positions if p % 5 == 0],
        Table.STOCK: [stock(partition, p) for p in positions],
        Table.MEASUREMENTS: [measurement(partition, first, last)] if tables else [],
    }
    return Effects(partition, last, {t: to_table(t, r) for t, r in rows.items() if r})


def to_table(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as a table; strings dictionary-encoded as the flow gives them, absent values null."""
    columns = []
    for field in SCHEMAS[table]:
        column = pa.array([row.get(field.name) for row in rows], field.type)
        is_code = field.type == pa.string() and field.name != "order_id"
        columns.append(column.dictionary_encode() if is_code else column)
    return pa.table(columns, names=SCHEMAS[table].names)


def decision(partition: int, position: int, **changes: Any) -> dict[str, Any]:
    """A routed order of two lines; every third order is split over two nodes."""
    nodes = [NODES[0], NODES[1]] if position % 3 == 0 else [NODES[position % 2]]
    costs = {"freight_minor": 500, "handling_minor": 100 + position % 7}
    return {
        **_cause(partition, position, 0),
        "order_id": order_id(position),
        "revision": 1,
        "kind": "ROUTE",
        "trigger": "NEW_ORDER",
        "outcome": "FULLY_ROUTED",
        "selection": "S_LOWEST_TOTAL",
        "hold_reason": "NONE",
        "decided_at": START + timedelta(seconds=position),
        "policy_version": "p1",
        "model_sha256": "",
        "price_epoch": 0,
        "region": "R1",
        "channel": "web",
        "lines": LINES,
        "units_ordered": 4,
        "units_served": 4,
        "units_backordered": 0,
        "units_unserved": 0,
        "weight_g": 1200,
        "nodes": nodes,
        "lane_ids": [f"{node}>R1" for node in nodes],
        "promise_at": START + timedelta(days=2, seconds=position),
        "original_commit_at": START + timedelta(days=2, seconds=position),
        "latest_commit_at": START + timedelta(days=2, seconds=position),
        **costs,
        "total_minor": sum(costs.values()),
        "late_probability": 0.25,
        "out_of_range": False,
        "runner_up_nodes": [],
        "second_runner_up_nodes": [],
        "exclusions": list(EXCLUSIONS),
        **changes,
    }


def allocation(partition: int, position: int, line: int, **changes: Any) -> dict[str, Any]:
    """Two units of one line placed at a node."""
    return {
        **_cause(partition, position, 1 + line),
        "order_id": order_id(position),
        "line_no": line,
        "sku": f"SKU-{position % 11}",
        "node": NODES[(position + line) % 2],
        "lane_id": "L",
        "event": "placed",
        "qty": 2,
        "ship_date": (START + timedelta(days=1)).date(),
        **changes,
    }


def deviation(partition: int, position: int) -> dict[str, Any]:
    """An exception about the order."""
    return {
        **_cause(partition, position, 3),
        "code": "SHORT_PICK",
        "severity": "warn",
        "order_id": order_id(position),
        "node": NODES[0],
        "sku": "SKU-1",
        "qty": 1,
        "raised_at": START + timedelta(seconds=position),
    }


def stock(partition: int, position: int, **changes: Any) -> dict[str, Any]:
    """A version of one of three stock cells."""
    return {
        **_cause(partition, position, 4),
        "node": NODES[position % 3],
        "sku": "SKU-1",
        "on_hand": 1000 - position,
        "reserved": 10,
        "safety_stock": 5,
        "available": 985 - position,
        "at": START + timedelta(seconds=position),
        **changes,
    }


def measurement(
    partition: int, first: int, last: int, decisions: int | None = None, advance_ms: float = 1.5
) -> dict[str, Any]:
    """What the clock said about one slice."""
    count = last - first + 1
    return {
        "partition": partition,
        "first_position": first,
        "position": last,
        "records": count,
        "decisions": count if decisions is None else decisions,
        "advance_ms": advance_ms,
    }


def node_row(position: int, node_no: int, node: str, *, partition: int = 0) -> dict[str, Any]:
    """A version of a node."""
    return {
        **_cause(partition, position, node_no),
        "node_no": node_no,
        "node": node,
        "location_type": "store",
        "open": True,
        "at": START,
    }


def order_id(position: int) -> str:
    """The order that the record at this position brings."""
    return f"o-{position:08d}"


def _cause(partition: int, position: int, index: int) -> dict[str, Any]:
    return {
        "partition": partition,
        "position": position,
        "index": index,
        "tenant": "acme",
        "network": "eu",
    }
