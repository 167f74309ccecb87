"""The views shipped with the product: ``schemas/sql/<name>.sql``, each one SELECT.

They are created again whenever their text differs from what the lake was given last, so a new
release needs no migration step. Names of codes come from the enumerations, through the view
``exclusion_codes`` and the function ``step_number``.

A SELECT that speaks of a ``moment`` is a table function of that name, which answers what was known then; the
view of the same name is what is known now, so that there is one text of both.
"""

import hashlib
from functools import cache
from importlib.resources import files

import duckdb

from models.lifecycle.steps import Step
from schemas.codes import Exclusion

VIEWS = (
    "history",
    "learnt_later",
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
    "works",
    "shipments",
    "order_states",
    "exceptions_open",
    "cold_chain",
    "stays",
    "locations_now",
    "estimates_now",
    "twin",
    "twin_nodes",
    "order_health",
    "service_kpis",
    "exception_kpis",
    "delay_warnings",
    "visibility",
    "consistency",
    "order_360",
    "trace",
)
"""In order of dependency."""
MOMENTS = frozenset(
    (
        "history",
        "learnt_later",
        "shipments",
        "order_states",
        "exceptions_open",
        "locations_now",
        "twin",
        "twin_nodes",
    )
)
"""Those that can be asked of a past moment as well."""


@cache
def view_statements() -> tuple[str, ...]:
    """What creates every view and function, in the order to run it."""
    codes = ", ".join(f"({code.value}, '{code.name}')" for code in Exclusion)
    names = f"SELECT code, name FROM (VALUES {codes}) AS codes (code, name)"
    steps = ", ".join(f"'{step.name}'" for step in Step)
    statements = [
        f"CREATE OR REPLACE VIEW exclusion_codes AS {names}",
        f"CREATE OR REPLACE MACRO step_number(step) AS list_position([{steps}], step)",
    ]
    for name in VIEWS:
        body = (files("schemas") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
        if name in MOMENTS:
            statements.append(f"CREATE OR REPLACE MACRO {name}(moment) AS TABLE\n{body}")
            body = f"SELECT * FROM {name}(TIMESTAMPTZ 'infinity')"
        statements.append(f"CREATE OR REPLACE VIEW {name} AS\n{body}")
    return tuple(statements)


@cache
def views_sha256() -> str:
    """Identifies the text of all views."""
    return hashlib.sha256("\n".join(view_statements()).encode()).hexdigest()


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace every view in the lake in use."""
    for statement in view_statements():
        connection.execute(statement)
