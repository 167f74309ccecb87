"""The views shipped with the product: ``schemas/sql/<name>.sql``, each one SELECT.

They are created again whenever their text differs from what the lake was given last, so a new
release needs no migration step. Names of codes come from the enumeration, through the view
``exclusion_codes``.
"""

import hashlib
from functools import cache
from importlib.resources import files

import duckdb

from schemas.codes import Exclusion

VIEWS = (
    "orders",
    "stock_now",
    "open_allocations",
    "candidates",
    "routing_summary",
    "carbon_options",
    "order_kpis",
    "channel_fairness",
    "node_backlog",
    "units_per_node",
    "decision_latency",
    "dead_letters_by_reason",
    "exceptions_by_code",
    "order_states",
    "shipments",
    "exceptions_open",
    "cold_chain",
    "stays",
    "locations_now",
    "estimates_now",
)
"""In order of dependency."""


@cache
def view_statements() -> dict[str, str]:
    """``name -> CREATE OR REPLACE VIEW ...`` in the order to run them."""
    codes = ", ".join(f"({code.value}, '{code.name}')" for code in Exclusion)
    bodies = {"exclusion_codes": f"SELECT code, name FROM (VALUES {codes}) AS codes (code, name)"}
    folder = files("schemas") / "sql"
    bodies |= {name: (folder / f"{name}.sql").read_text(encoding="utf-8") for name in VIEWS}
    return {name: f"CREATE OR REPLACE VIEW {name} AS\n{body}" for name, body in bodies.items()}


@cache
def views_sha256() -> str:
    """Identifies the text of all views."""
    return hashlib.sha256("\n".join(view_statements().values()).encode()).hexdigest()


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace every view in the lake in use."""
    for statement in view_statements().values():
        connection.execute(statement)
