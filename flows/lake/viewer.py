"""A database that holds what one viewer may see, and nothing else.

Theory of operation. Rights are not checked on the viewer's SQL: they are what the SQL can reach. The rows
and columns that the viewer may see are copied into a database in memory that has never had the lake
attached; then that database is closed to the outside (no files, no network, no extensions, no other
databases, no variables of this program) and its settings are locked. Whatever is asked of it, there is
nothing else there. What may be copied is data (tiers.py). It is what the lake said at one commit.

The price is the copying: cheap for one order or one customer. An operator gets the whole tenant in memory;
``crossdock sql`` without a role is for those who may see everything anyway.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from flows.lake.connection import quoted
from flows.lake.diagnosis import explained
from flows.lake.query import connect_reader
from flows.lake.tiers import EVERY, OF_NO_ORDER, Sight, Tier, sights_of, steps_of
from flows.order_tokens import is_token_of
from schemas.errors import InputError

MEMORY = "1GB"
"""That a viewer's database may take, its copy and the work of one statement."""
NAMED_ORDERS = 1_000
"""Up to so many orders are named one by one to the lake, so that it reads their files alone."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks.

    Attributes:
        tier: what kind of viewer.
        tenant: whose data; empty: the only one of the lake. Of a public viewer the token says.
        subject: the customer's token, or the name of the carrier or node; empty where there is none.
        order_id: only this order; a public viewer must name one.
        token: that lets the public see the order.
        secret: that tokens are made with.
    """

    tier: Tier
    tenant: str = ""
    subject: str = ""
    order_id: str = ""
    token: str = ""
    secret: str = ""


def open_viewer(lake: Path, viewer: Viewer) -> duckdb.DuckDBPyConnection:
    """A connection to a database of what the viewer may see, locked.

    Raises:
        InputError: the viewer is not told well enough, or may not see the order, or there is none.
        LakeError: the lake cannot be read.
    """
    _check(viewer)
    closed = duckdb.connect()
    closed.execute("SET TimeZone = 'UTC'")
    with connect_reader(lake) as reader, explained(lake):
        reader.execute("BEGIN")  # one commit for all tables
        tenant = _find_scope(reader, viewer)
        for sight in sights_of(viewer.tier):
            found = reader.execute(_query(reader, sight, viewer, tenant)).to_arrow_table()
            closed.register("found", found)
            closed.execute(f'CREATE TABLE "{sight.table}" AS SELECT * FROM found')
            closed.unregister("found")
    for statement in _LOCK:
        closed.execute(statement)
    return closed


def _check(viewer: Viewer) -> None:
    if viewer.tier is Tier.PUBLIC and not (viewer.order_id and viewer.token):
        raise InputError("the public sees one order: name it, and give its --token")
    if viewer.tier in (Tier.CUSTOMER, Tier.VIP) and not viewer.subject:
        raise InputError(f"--as {viewer.tier} needs --customer, the token of the order's customer")
    if viewer.tier is Tier.PARTNER and not viewer.subject:
        raise InputError("--as partner needs --partner, the name of a carrier or node")


def _find_scope(reader: duckdb.DuckDBPyConnection, viewer: Viewer) -> str:
    """Put the viewer's orders into the table ``scope``; returns the tenant."""
    tenant = viewer.tenant or _only_tenant(reader, viewer)
    which = f"tenant = {quoted(tenant)}"
    if viewer.order_id:
        which += f" AND order_id = {quoted(viewer.order_id)}"
    elif viewer.tier in (Tier.CUSTOMER, Tier.VIP):
        which += f" AND {_orders_of(reader, tenant, viewer.subject)}"
    query = _SCOPES[viewer.tier].format(which=which, subject=quoted(viewer.subject))
    reader.execute(f"CREATE TEMP TABLE scope AS {query}")
    reader.execute(f"CREATE TEMP TABLE named_nodes AS {_NODES.format(which=which)}")
    if viewer.tier is Tier.PUBLIC:
        _admit(reader, viewer, tenant)
    is_empty = reader.execute("SELECT count(*) FROM scope").fetchone() == (0,)
    if viewer.order_id and is_empty:
        raise InputError(f"order {viewer.order_id!r}: there is none that this viewer may see")
    return tenant


def _orders_of(reader: duckdb.DuckDBPyConnection, tenant: str, customer: str) -> str:
    """Those that ever named the customer: one column is read, and then their files alone."""
    rows = reader.execute(
        "SELECT DISTINCT order_id FROM timeline WHERE tenant = ? AND customer = ?",
        [tenant, customer],
    ).fetchall()
    return f"order_id IN ({', '.join([quoted(row[0]) for row in rows] or ['NULL'])})"


def _only_tenant(reader: duckdb.DuckDBPyConnection, viewer: Viewer) -> str:
    which = f"WHERE order_id = {quoted(viewer.order_id)}" if viewer.order_id else ""
    rows = reader.execute(
        f"SELECT DISTINCT tenant FROM timeline {which} UNION SELECT DISTINCT tenant FROM decisions {which}"
    ).fetchall()
    if len(rows) > 1:
        raise InputError("the lake has orders of several tenants: say --tenant")
    return str(rows[0][0]) if rows else ""


def _admit(reader: duckdb.DuckDBPyConnection, viewer: Viewer, tenant: str) -> None:
    """Leave in the scope the order that the token is for."""
    networks = [row[0] for row in reader.execute("SELECT DISTINCT network FROM scope").fetchall()]
    for network in networks:
        key = (tenant, str(network), viewer.order_id)
        if not is_token_of(viewer.secret, key, viewer.token):
            reader.execute("DELETE FROM scope WHERE network = ?", [network])


def _query(reader: duckdb.DuckDBPyConnection, sight: Sight, viewer: Viewer, tenant: str) -> str:
    """What to copy of one table."""
    columns = ", ".join(_column(name, sight) for name in sight.columns)
    conditions = [f"tenant = {quoted(tenant)}"]
    if sight.source not in OF_NO_ORDER:
        conditions += _named_orders(reader, viewer)
    values = _values(viewer)
    conditions += [_WORDS[word].format(**values) for word in sight.words]
    return f"SELECT {columns} FROM {sight.source} WHERE {' AND '.join(conditions)}"


def _column(name: str, sight: Sight) -> str:
    if name in sight.masked:
        return f'CASE WHEN "{name}" NOT IN (SELECT node FROM named_nodes) THEN "{name}" END AS "{name}"'
    return EVERY if name == EVERY else f'"{name}"'


def _named_orders(reader: duckdb.DuckDBPyConnection, viewer: Viewer) -> Iterable[str]:
    """The orders one by one, where they are few."""
    if viewer.order_id:
        yield f"order_id = {quoted(viewer.order_id)}"
    elif viewer.tier is not Tier.OPERATOR:
        rows = reader.execute(
            f"SELECT DISTINCT order_id FROM scope LIMIT {NAMED_ORDERS + 1}"
        ).fetchall()
        if len(rows) <= NAMED_ORDERS:
            yield f"order_id IN ({', '.join([quoted(row[0]) for row in rows] or ['NULL'])})"


def _values(viewer: Viewer) -> dict[str, str]:
    steps = ", ".join(quoted(step) for step in steps_of(viewer.tier))
    return {"steps": steps or "NULL", "subject": quoted(viewer.subject)}


_SCOPES = {
    Tier.PUBLIC: """
        SELECT DISTINCT network, order_id, NULL::VARCHAR AS package FROM timeline WHERE {which}""",
    Tier.CUSTOMER: """
        SELECT network, order_id, NULL::VARCHAR AS package FROM order_states
        WHERE {which} AND customer = {subject}""",
    Tier.VIP: """
        SELECT network, order_id, NULL::VARCHAR AS package FROM order_states
        WHERE {which} AND customer = {subject} AND tier = 'vip'""",
    Tier.PARTNER: """
        SELECT DISTINCT network, order_id, package FROM history
        WHERE {which} AND (carrier = {subject} OR node = {subject})
            AND taken_back_at IS NULL AND coalesce(classifier, 'ACT') = 'ACT'""",
    Tier.OPERATOR: """
        SELECT DISTINCT network, order_id, NULL::VARCHAR AS package FROM timeline WHERE {which}
        UNION
        SELECT DISTINCT network, order_id, NULL::VARCHAR FROM decisions WHERE {which}""",
}
"""Orders of a viewer, and of a partner the parcels (null: work of which no parcel is known).

A plan, or a report that was taken back, makes nobody a partner of a parcel.
"""
_NODES = """
SELECT DISTINCT node FROM timeline WHERE {which} AND node IS NOT NULL
UNION SELECT DISTINCT node FROM allocations WHERE {which}"""
"""Names of nodes that may stand for parcels; those of the viewer's orders."""
_WORDS = {
    "scope": "(network, order_id) IN (SELECT (network, order_id) FROM scope)",
    "parcel": "package IS NOT NULL"
    " AND (network, order_id, package) IN (SELECT (network, order_id, package) FROM scope)",
    "mine": "(carrier = {subject} OR node = {subject})",
    "standing": "taken_back_at IS NULL",
    "actual": "coalesce(classifier, 'ACT') = 'ACT'",
    "step": "step IN ({steps})",
    "tenant": "true",
}
_LOCK = (
    f"SET memory_limit = '{MEMORY}'",
    "SET temp_directory = ''",
    "SET secret_directory = ''",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
