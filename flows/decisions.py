"""Which decision: by its id, by its order, or by chance.

An id is ``partition/position/index``: the record that caused the decision, and which of its effects it is.
"""

import random
import re
from typing import Any

import duckdb
import msgspec

from flows.explanation import Explanation
from schemas.errors import InputError

CLOSE_MATCHES = 5
_SIMILAR = 0.85
"""Jaro-Winkler similarity from which an order id counts as a slip of the pen."""
_ID = re.compile(r"^(\d{1,9})/(\d{1,18})/(\d{1,9})$")


class DecisionRef(msgspec.Struct, frozen=True):
    """Where a decision is.

    Attributes:
        nth: of those that its record caused about the order, from 0.
        nodes: of the winner, with ``lane_ids``; empty without one.
    """

    partition: int
    position: int
    index: int
    tenant: str
    network: str
    order_id: str
    nth: int
    nodes: list[str]
    lane_ids: list[str]

    @property
    def id(self) -> str:
        """As users say it: partition/position/index."""
        return f"{self.partition}/{self.position}/{self.index}"

    def is_of(self, e: Explanation) -> bool:
        """Whether it is the decision that is explained."""
        return self.id == f"{e.partition}/{e.position}/{e.index}"


def named(connection: duckdb.DuckDBPyConnection, text: str) -> DecisionRef | None:
    """The decision of this id; None if the text is the id of none."""
    match = _ID.match(text)
    rows = rows_of(connection, _DECISION, [int(n) for n in match.groups()]) if match else []
    return msgspec.convert(rows[0], DecisionRef) if rows else None


def find_decision(connection: duckdb.DuckDBPyConnection, text: str) -> DecisionRef:
    """The decision of this id, or the latest about the order of this id.

    Raises:
        InputError: there is none, or the order is in several networks.
    """
    found = named(connection, text)
    if found is not None:
        return found
    rows = rows_of(connection, _LATEST, [text])
    if not rows:
        raise InputError(f"no decision about order {text!r}{similar_to(connection, text)}")
    latest = [msgspec.convert(row, DecisionRef) for row in rows]
    if len(latest) > 1:
        said = ", ".join(f"{d.id} ({d.tenant}/{d.network})" for d in latest)
        raise InputError(f"order {text!r} is in several networks; say which decision: {said}")
    return latest[0]


def find_choice(connection: duckdb.DuckDBPyConnection, text: str) -> DecisionRef:
    """As ``find_decision``, but of an order the latest decision that had something to choose."""
    if named(connection, text) is None:
        rows = rows_of(connection, _LATEST_CHOICE, [text])
        if len(rows) == 1:
            return msgspec.convert(rows[0], DecisionRef)
    return find_decision(connection, text)


def sample_decisions(
    connection: duckdb.DuckDBPyConnection, count: int, seed: int
) -> list[DecisionRef]:
    """So many decisions of the lake, in the order of the log; all if there are not as many."""
    rows = rows_of(connection, _EVERY, [])
    places = random.Random(seed).sample(range(len(rows)), min(count, len(rows)))
    return [msgspec.convert(rows[place], DecisionRef) for place in sorted(places)]


def similar_to(connection: duckdb.DuckDBPyConnection, order_id: str) -> str:
    """What to add to a message about an order that is not there."""
    found = rows_of(connection, _CLOSE, {"id": order_id, "n": CLOSE_MATCHES, "least": _SIMILAR})
    if not found:
        return "; see which there are with: crossdock sql 'SELECT order_id FROM orders' --lake LAKE"
    return f"; similar: {', '.join(row['order_id'] for row in found)}"


def rows_of(
    connection: duckdb.DuckDBPyConnection, query: str, values: list[Any] | dict[str, Any]
) -> list[dict[str, Any]]:
    """What a query yields, column by column."""
    rows: list[dict[str, Any]] = connection.execute(query, values).to_arrow_table().to_pylist()
    return rows


_REFS = """
SELECT partition, position, "index", tenant, network, order_id,
    row_number() OVER (
        PARTITION BY partition, position, tenant, network, order_id ORDER BY "index"
    ) - 1 AS nth, nodes, lane_ids
FROM decisions
WHERE {which} AND kind <> 'SHADOW'
QUALIFY {keep}
ORDER BY partition, position, "index"
"""
_DECISION = _REFS.format(which="partition = ? AND position = ?", keep='"index" = ?')
_NEWEST = """row_number() OVER (
    PARTITION BY tenant, network ORDER BY position DESC, "index" DESC
) = 1"""
_LATEST = _REFS.format(which="order_id = ?", keep=_NEWEST)
_LATEST_CHOICE = f"""
SELECT refs.* FROM ({_REFS.format(which="order_id = ?", keep="true")}) AS refs
SEMI JOIN (
    SELECT * FROM decisions WHERE kind <> 'CANCEL' AND hold_reason = 'NONE'
) USING (partition, position, "index")
QUALIFY {_NEWEST}
"""
_EVERY = _REFS.format(which="true", keep="true")
_CLOSE = """
SELECT DISTINCT order_id, starts_with(order_id, $id) AS begins,
    jaro_winkler_similarity(order_id, $id) AS likeness
FROM decisions
WHERE begins OR likeness >= $least
ORDER BY begins DESC, likeness DESC, order_id
LIMIT $n
"""
