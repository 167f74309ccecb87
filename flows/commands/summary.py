"""What a replay came to: read back from the lake, so that the figures are those anyone can query."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from rich.table import Table as RichTable

from flows.commands.output import console
from flows.lake.query import connect_reader
from flows.logs.parquet import read_dead_letters


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a lake; money in minor units."""

    lake: str
    log: str
    networks: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    dead_letters: int
    import_dead_letters: int
    exceptions: int
    decisions: int
    decisions_per_second: float | None
    decision_ms_p50: float | None
    decision_ms_p99: float | None
    order_example: str | None


def summarise(lake: Path, log: Path) -> Summary:
    """Read the summary of a lake, and what the import of its log had to leave out."""
    letters = read_dead_letters(log)
    with connect_reader(lake) as connection:
        latency = _rows(connection, "SELECT * FROM decision_latency")
        spent = _rows(
            connection,
            "SELECT sum(decisions) AS decisions, sum(advance_ms) / 1e3 AS seconds FROM measurements",
        )[0]
        seconds = spent["seconds"] or 0.0
        routed = _rows(
            connection,
            "SELECT order_id FROM decisions WHERE margin_minor IS NOT NULL"
            " ORDER BY len(nodes) DESC, position LIMIT 1",
        )
        return Summary(
            lake=str(lake),
            log=str(log),
            networks=_rows(connection, "SELECT * FROM routing_summary ORDER BY tenant, network"),
            nodes=_rows(connection, "SELECT * FROM units_per_node ORDER BY ALL"),
            dead_letters=_count(connection, "dead_letters"),
            import_dead_letters=letters.num_rows if letters is not None else 0,
            exceptions=_count(connection, "exceptions"),
            decisions=_count(connection, "decisions"),
            decisions_per_second=int(spent["decisions"] or 0) / seconds if seconds else None,
            decision_ms_p50=latency[0].get("p50_ms") if latency else None,
            decision_ms_p99=latency[0].get("p99_ms") if latency else None,
            order_example=routed[0]["order_id"] if routed else None,
        )


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = connection.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(_rows(connection, f"SELECT count(*) AS n FROM {table}")[0]["n"])


def print_summary(summary: Summary, *, as_json: bool) -> None:
    """Print it as tables, or as one JSON object."""
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(asdict(summary)) + b"\n")
        return
    screen = console()
    for network in summary.networks:
        screen.print(_network(network))
    screen.print(_nodes(summary.nodes))
    screen.print(_speed(summary))
    screen.print("Try next:")
    order = summary.order_example or "ORDER_ID"
    for command in (
        f"crossdock explain {order} --lake {summary.lake}",
        f'crossdock sql "SELECT * FROM exceptions_by_code" --lake {summary.lake}',
        f"crossdock log show {summary.log} --kind order.received --limit 3",
    ):
        screen.print(f"  {command}", style="bold", highlight=False, soft_wrap=True)


_FIGURES = (
    ("orders", "orders", "{:,}"),
    ("routed", "routed", "{:,}"),
    ("partially routed", "partially_routed", "{:,}"),
    ("backordered", "backordered", "{:,}"),
    ("unroutable", "unroutable", "{:,}"),
    ("held", "held", "{:,}"),
    ("cancelled", "cancelled", "{:,}"),
    ("split over several nodes", "splits", "{:,}"),
    ("nodes per order", "nodes_per_order", "{:.3f}"),
    ("units placed of those ordered", "fill_rate", "{:.2%}"),
    ("cost of every plan decided", "cost_minor", "{:,.2f}"),
    ("cost per order", "cost_minor_per_order", "{:,.2f}"),
    ("carbon per order, g CO2e", "carbon_g_per_order", "{:,.0f}"),
    ("late risk, mean", "late_risk", "{:.1%}"),
)


def _network(row: dict[str, Any]) -> RichTable:
    table = RichTable(title=f"Network {row['tenant']}/{row['network']}", title_justify="left")
    table.add_column("orders by outcome, and what they cost")
    table.add_column("", justify="right")
    for label, name, shape in _FIGURES:
        value = row[name]
        if value is not None and name.startswith("cost"):
            value = value / 100
        table.add_row(label, "-" if value is None else shape.format(value))
    return table


def _nodes(rows: list[dict[str, Any]]) -> RichTable:
    table = RichTable(title="Units per node", title_justify="left")
    for name in rows[0] if rows else ():
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(v if isinstance(v, str) else f"{v:,}" for v in row.values()))
    return table


def _speed(summary: Summary) -> RichTable:
    table = RichTable(title="Speed", title_justify="left")
    table.add_column("decisions")
    table.add_column("", justify="right")
    rate = summary.decisions_per_second
    table.add_row("decisions", f"{summary.decisions:,}")
    table.add_row("decisions per second of routing", f"{rate:,.0f}" if rate else "-")
    table.add_row("routing time per decision, mean ms", f"{1e3 / rate:.3f}" if rate else "-")
    for label, value in (("p50", summary.decision_ms_p50), ("p99", summary.decision_ms_p99)):
        table.add_row(f"slice read to decided, {label} ms", f"{value:.2f}" if value else "-")
    table.add_row("exceptions raised", f"{summary.exceptions:,}")
    table.add_row("records the router refused", f"{summary.dead_letters:,}")
    table.add_row("dead letters of the import", f"{summary.import_dead_letters:,}")
    return table
