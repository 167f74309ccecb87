"""Why an order was decided as it was, read back from the lake: nothing here is computed anew.

An ``Explanation`` is one decision with its plan, the costs of the winner and of its runners-up,
what the model said, the candidate nodes with their exclusions, and the exceptions of the order. The
plan's lines are the allocations that the same record caused; a lane is shown as it was then.
"""

from typing import Any

import duckdb
import msgspec

from flows.decisions import rows_of, similar_to
from flows.explanation import Candidate, Explanation, Line, Package, Plan
from schemas.codes import Exclusion
from schemas.errors import InputError
from schemas.ids import OrderId
from schemas.tables import COMPONENTS


def explain_order(connection: duckdb.DuckDBPyConnection, order_id: OrderId) -> list[Explanation]:
    """Every decision of the order, oldest first within each network; what-ifs are left out.

    Raises:
        InputError: the lake has no decision of it; the message names similar orders.
    """
    decisions = rows_of(connection, _DECISIONS, [order_id])
    if not decisions:
        raise InputError(f"no decision about order {order_id!r}{similar_to(connection, order_id)}")
    return [_explanation(connection, row) for row in decisions]


def placements(connection: duckdb.DuckDBPyConnection, e: Explanation) -> list[tuple[str, int]]:
    """Where the order ships from as it stands: nodes and units, handed over or not."""
    rows = rows_of(connection, _PLACED, [e.tenant, e.network, e.order_id])
    return [(row["node"], row["units"]) for row in rows]


def latest_only(explanations: list[Explanation]) -> list[Explanation]:
    """The latest decision in each network; an id is unique within one network only."""
    return list({(e.tenant, e.network): e for e in explanations}.values())


def _explanation(connection: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> Explanation:
    found = {
        "packages": _packages(connection, row),
        "plans": [
            _plan(row, p) for p in ("", "runner_up_", "second_runner_up_") if row[f"{p}nodes"]
        ],
        "candidates": _candidates(connection, row),
        "exceptions": rows_of(connection, _EXCEPTIONS, _scope(row)),
    }
    return msgspec.convert({**row, **found}, Explanation, from_attributes=True)


def _plan(row: dict[str, Any], prefix: str) -> Plan:
    costs = {name: row[f"{prefix}{name}_minor"] or 0 for name in COMPONENTS}
    total = row[f"{prefix}total_minor"] or 0
    return Plan(row[f"{prefix}nodes"], costs, total, sum(costs.values()))


def _packages(connection: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> list[Package]:
    """A package per node of the winner, then one per node that planned supply is promised from."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in rows_of(connection, _ALLOCATIONS, [*_scope(row), row["position"]]):
        lines.setdefault(line["node"], []).append(line)
    lanes = {lane["lane_id"]: lane for lane in rows_of(connection, _LANES, _at(row))}
    lane_of = dict(zip(row["nodes"] or [], row["lane_ids"] or [], strict=False))
    packages = []
    for node in dict.fromkeys([*lane_of, *lines]):
        lane_id = lane_of.get(node)
        shipped = [msgspec.convert(line, Line) for line in lines.get(node, [])]
        lane = lanes.get(lane_id) or {}
        particulars = {n: v for n, v in lane.items() if n != "lane_id"}
        packages.append(Package(node, lane_id, shipped, **particulars))
    return packages


def _candidates(connection: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> list[Candidate]:
    """Nodes that were weighed; a decision that weighed none has no exclusion and no winner."""
    codes, winners = row["exclusions"] or [], row["nodes"] or []
    if not any(codes) and not winners:
        return []
    names = {n["node_no"]: n["node"] for n in rows_of(connection, _NODES, _at(row))}
    return [
        Candidate(node := names.get(number, f"#{number}"), _code(code), node in winners)
        for number, code in enumerate(codes)
    ]


def _code(code: int) -> str:
    """The name of an exclusion; one of a newer release by its number."""
    return Exclusion(code).name if code in set(Exclusion) else f"X_{code}"


def _scope(row: dict[str, Any]) -> list[Any]:
    return [row["tenant"], row["network"], row["order_id"]]


def _at(row: dict[str, Any]) -> list[Any]:
    return [row["tenant"], row["network"], row["position"]]


_DECISIONS = """
SELECT * FROM decisions WHERE order_id = ? AND kind <> 'SHADOW'
ORDER BY tenant, network, position, "index"
"""
_ALLOCATIONS = """
SELECT line_no, sku, node, qty, event, ship_date FROM allocations
WHERE tenant = ? AND network = ? AND order_id = ? AND position = ?
    AND event IN ('placed', 'planned')
ORDER BY "index"
"""
_PLACED = """
SELECT
    node,
    sum(CASE event WHEN 'placed' THEN qty WHEN 'released' THEN -qty ELSE 0 END)::BIGINT AS units
FROM allocations
WHERE tenant = ? AND network = ? AND order_id = ?
GROUP BY node
HAVING units > 0
ORDER BY min((position, "index"))
"""
_EXCEPTIONS = """
SELECT code, severity, node, sku, qty, raised_at FROM exceptions
WHERE tenant = ? AND network = ? AND order_id = ?
ORDER BY position, "index"
"""
_LANES = """
SELECT lane_id, carrier, service, mode, distance_km, transit_hours FROM lanes
WHERE tenant = ? AND network = ? AND position <= ?
QUALIFY row_number() OVER (PARTITION BY lane_id ORDER BY position DESC, "index" DESC) = 1
"""
_NODES = """
SELECT node_no, node FROM nodes
WHERE tenant = ? AND network = ? AND position <= ?
QUALIFY row_number() OVER (PARTITION BY node_no ORDER BY position DESC, "index" DESC) = 1
"""
