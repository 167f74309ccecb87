"""What tracking came to: read back from the lake, so that the figures are those anyone can query."""

from pathlib import Path
from typing import Any

from flows.commands.output import console, print_json, table
from flows.lake.query import connect_reader


def print_tracked(lake: Path, *, as_json: bool) -> None:
    """Orders by phase and exceptions by code, as tables or as one JSON object."""
    with connect_reader(lake) as connection:
        phases = connection.execute(
            "SELECT phase, count(*) AS orders FROM order_states GROUP BY phase ORDER BY orders DESC, phase"
        ).fetchall()
        open_now = connection.execute(
            "SELECT code, severity, count(DISTINCT (tenant, network, order_id)) AS orders "
            "FROM exceptions_open GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        counts = connection.execute(
            "SELECT count(*), count(*) FILTER (is_late), count(DISTINCT (tenant, network, order_id)) "
            "FROM timeline WHERE event_id IS NOT NULL"
        ).fetchone()
        letters = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
    assert counts is not None
    assert letters is not None
    said: dict[str, Any] = {
        "lake": str(lake),
        "records": counts[0],
        "late_records": counts[1],
        "orders": counts[2],
        "phases": dict(phases),
        "open_exceptions": [
            dict(zip(("code", "severity", "orders"), r, strict=True)) for r in open_now
        ],
        "dead_letters": letters[0],
    }
    if as_json:
        print_json(said)
        return
    rows = [(phase, f"{orders:,}") for phase, orders in phases]
    title = f"{said['orders']:,} orders"
    console().print(table(title, ("phase", "orders"), rows, numbers=("orders",)))
    if open_now:
        found = [(code, severity, f"{orders:,}") for code, severity, orders in open_now]
        console().print(
            table("Open exceptions", ("code", "severity", "orders"), found, numbers=("orders",))
        )
    late = f"{said['late_records']:,} of them late"
    console().print(f"{said['records']:,} records about orders, {late}")
    if said["dead_letters"]:
        console().print(f"{said['dead_letters']:,} dead letters: see the table dead_letters")
