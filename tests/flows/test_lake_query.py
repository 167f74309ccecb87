"""Reading a lake: refusal of writes, the product's views, the snippets of the README."""

import importlib
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest

import flows.lake
from flows.lake.layout import Identity
from flows.lake.query import connect_reader
from flows.lake.views import VIEWS
from flows.lake.writer import create_or_open_writer
from schemas.codes import Exclusion
from schemas.errors import LakeError
from schemas.ids import LogId
from schemas.tables import Effects, Table
from tests.support.effects import (
    NODES,
    allocation,
    decision,
    effects,
    measurement,
    node_row,
    order_id,
    stock,
    to_table,
)

LOG = Identity(LogId("log-1"))


def lake_of(path: Path, last: int, **rows: list[dict[str, Any]]) -> Path:
    with create_or_open_writer(path / "lake", LOG, [0]) as writer:
        tables = {Table(name): to_table(Table(name), given) for name, given in rows.items()}
        writer.put(Effects(0, last, tables))
    return path / "lake"


def rows(lake: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = connect_reader(lake)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO identity SELECT * FROM identity",
        "DELETE FROM stock_recent_0",
        "CREATE TABLE t (a INT)",
    ],
)
def test_a_reader_cannot_write(tmp_path: Path, statement: str) -> None:
    connection = connect_reader(lake_of(tmp_path, 0, decisions=[decision(0, 0)]))

    with pytest.raises(duckdb.Error, match="read-only mode"):
        connection.execute(statement)


def test_what_is_no_lake_is_refused_without_creating_one(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"is no lake: catalog\.sqlite is missing"):
        connect_reader(tmp_path / "nothing")

    assert not (tmp_path / "nothing").exists()


def test_statements_of_one_transaction_see_one_commit(tmp_path: Path) -> None:
    with create_or_open_writer(tmp_path / "lake", LOG, [0]) as writer:
        writer.put(effects(0, 9))
        writer.flush()
        connection = connect_reader(tmp_path / "lake")
        connection.execute("BEGIN")
        before = connection.execute("SELECT count(*) FROM decisions").fetchone()
        writer.put(effects(10, 39))
        writer.flush()
        inside = connection.execute("SELECT count(*) FROM decisions").fetchone()
        connection.execute("COMMIT")
        after = connection.execute("SELECT count(*) FROM decisions").fetchone()
        connection.close()

    assert (before, inside, after) == ((10,), (10,), (40,))


def test_every_sql_file_is_a_view_with_definition_and_source() -> None:
    folder = files("schemas") / "sql"
    texts = {p.name: p.read_text(encoding="utf-8") for p in folder.iterdir()}

    assert sorted(texts) == sorted(f"{name}.sql" for name in VIEWS)
    assert not {str(t) for t in Table} & set(VIEWS)
    for name, text in texts.items():
        assert text.startswith(f"-- {name.removesuffix('.sql')}: "), name
        assert "-- Definition" in text, name
        assert "-- Source: " in text, name


def test_orders_shows_each_order_as_it_stands_and_its_first_promise(tmp_path: Path) -> None:
    first = decision(0, 0)
    shadow = decision(0, 7, order_id=order_id(0), kind="SHADOW", outcome="UNROUTABLE")
    rerouted = decision(0, 5, order_id=order_id(0), kind="REROUTE", nodes=[NODES[2]])
    rerouted["latest_commit_at"], rerouted["original_commit_at"] = None, first["promise_at"]
    mine = {"order_id": order_id(0), "qty": 3}
    lake = lake_of(
        tmp_path,
        7,
        decisions=[first, decision(0, 1), rerouted, shadow],
        allocations=[
            allocation(0, 0, 0, **mine, node="DC-1"),
            allocation(0, 1, 0, node="DC-2", qty=4),
            allocation(0, 5, 0, **mine, node="DC-1", event="released"),
            allocation(0, 5, 1, **mine, node=NODES[2]),
            allocation(0, 6, 0, **mine, node=NODES[2], event="consumed"),
        ],
    )

    found = rows(
        lake,
        "SELECT order_id, latest_kind, nodes, units_placed, units_unserved, decisions, "
        "promise_at IS NULL, epoch(first_promise_at)::BIGINT, cost_minor FROM orders ORDER BY ALL",
    )

    promised = int(first["promise_at"].timestamp())
    assert found == [
        ("o-00000000", "REROUTE", ["ST-1"], 3, 1, 2, True, promised, 600 + 605),
        ("o-00000001", "ROUTE", ["DC-2"], 4, 0, 1, False, promised + 1, 601),
    ]


def test_stock_now_is_the_latest_version_of_each_cell(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, 9, stock=[stock(0, p) for p in range(10)])

    found = rows(lake, "SELECT node, sku, on_hand FROM stock_now ORDER BY node")

    assert found == [("DC-1", "SKU-1", 991), ("DC-2", "SKU-1", 993), ("ST-1", "SKU-1", 992)]


def test_open_allocations_are_placed_less_released_and_consumed(tmp_path: Path) -> None:
    placed = [allocation(0, 1, 0, qty=5), allocation(0, 2, 0, qty=3)]
    left = {"order_id": order_id(1), "sku": placed[0]["sku"], "node": placed[0]["node"]}
    done = {"order_id": order_id(2), "sku": placed[1]["sku"], "node": placed[1]["node"]}
    lake = lake_of(
        tmp_path,
        9,
        allocations=[
            *placed,
            allocation(0, 3, 0, **left, event="released", qty=1),
            allocation(0, 4, 0, **left, event="consumed", qty=2),
            allocation(0, 5, 0, **done, event="consumed", qty=3),
            allocation(0, 6, 1, event="planned", qty=4),
        ],
    )

    found = rows(lake, "SELECT order_id, open_qty, planned_qty FROM open_allocations ORDER BY 1")

    assert found == [("o-00000001", 2, 0), ("o-00000006", 0, 4)]


def test_candidates_name_the_node_and_why_it_was_excluded(tmp_path: Path) -> None:
    nodes = [node_row(0, n, name) for n, name in enumerate((*NODES[:2], "old name"))]
    nodes.append(node_row(1, 2, NODES[2]))
    lake = lake_of(tmp_path, 3, nodes=nodes, decisions=[decision(0, 2, nodes=["DC-1"])])

    found = rows(lake, "SELECT node, exclusion, feasible, chosen FROM candidates ORDER BY node_no")

    assert found == [
        ("DC-1", "FEASIBLE", True, True),
        ("DC-2", "X_NO_STOCK", False, False),
        ("ST-1", "X_CLOSED", False, False),
    ]


def test_every_exclusion_code_has_its_name_in_sql(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, 0, decisions=[decision(0, 0)])

    found = rows(lake, "SELECT name, code FROM exclusion_codes ORDER BY code")

    assert found == [(code.name, code.value) for code in Exclusion]


def test_routing_summary_follows_its_definitions(tmp_path: Path) -> None:
    split = decision(0, 0, nodes=["DC-1", "DC-2"], margin_minor=40, total_minor=900)
    plain = decision(0, 1, nodes=["DC-1"], late_probability=0.75, total_minor=500)
    rerouted = decision(0, 4, order_id=order_id(1), kind="REROUTE", nodes=["DC-2"], total_minor=700)
    short = decision(
        0, 2, nodes=[], outcome="BACKORDERED", units_served=0, units_backordered=4, total_minor=0
    )
    human = decision(0, 3, nodes=[], outcome="CANCELLED", units_served=0, selection="S_HUMAN")
    placed = [
        allocation(0, 0, 0, node="DC-1"),
        allocation(0, 0, 1, node="DC-2"),
        allocation(0, 1, 0, node="DC-1", qty=4),
        allocation(0, 4, 0, order_id=order_id(1), node="DC-1", event="released", qty=4),
        allocation(0, 4, 1, order_id=order_id(1), node="DC-2", qty=4),
    ]
    decided = [split, plain, short, human, rerouted]
    lake = lake_of(tmp_path, 4, decisions=decided, allocations=placed)

    connection = connect_reader(lake)
    row = connection.execute("SELECT * FROM routing_summary").pl().row(0, named=True)
    connection.close()

    counts = ("orders", "routed", "backordered", "unroutable", "cancelled", "splits")
    assert [row[name] for name in counts] == [4, 2, 1, 0, 1, 1]
    assert row["split_rate"] == 0.5
    assert row["nodes_per_order"] == 1.5
    assert row["fill_rate"] == pytest.approx(8 / 12)
    assert row["reroute_rate"] == 0.25
    assert row["first_assignment_kept_rate"] == 0.5
    assert row["auto_decision_rate"] == pytest.approx(4 / 5)
    assert (row["cost_minor"], row["cost_minor_per_order"]) == (2100, 1050)
    assert row["late_risk"] == 0.25
    assert (row["orders_with_margin"], row["median_margin_minor"]) == (1, 40)


def test_units_per_node_adds_up_by_event(tmp_path: Path) -> None:
    lake = lake_of(
        tmp_path,
        9,
        allocations=[
            allocation(0, 0, 0, node="DC-1", qty=5),
            allocation(0, 1, 0, node="DC-1", event="consumed", qty=3),
            allocation(0, 2, 0, node="DC-2", event="planned", qty=2),
        ],
    )

    found = rows(
        lake, "SELECT node, placed_units, open_units, planned_units FROM units_per_node ORDER BY 1"
    )

    assert found == [("DC-1", 5, 2, 0), ("DC-2", 0, 0, 2)]


def test_decision_latency_counts_a_slice_once_per_decision(tmp_path: Path) -> None:
    quick = measurement(0, 0, 97, decisions=98, advance_ms=1.0)
    slow = measurement(0, 98, 99, decisions=2, advance_ms=50.0)
    ticks = measurement(0, 100, 110, decisions=0, advance_ms=900.0)
    lake = lake_of(tmp_path, 110, measurements=[quick, slow, ticks])

    found = rows(lake, "SELECT partition, decisions, slices, p50_ms, p99_ms FROM decision_latency")

    assert sorted(found, key=str) == [(0, 100, 2, 1.0, 50.0), (None, 100, 2, 1.0, 50.0)]


def test_dead_letters_and_exceptions_are_counted(tmp_path: Path) -> None:
    cause = {"partition": 0, "tenant": "acme", "network": "eu", "index": 0}
    letters = [
        {**cause, "position": p, "kind": "order.amended", "reason": "UNKNOWN_ORDER", "detail": d}
        for p, d in ((0, "o-1"), (1, "o-2"))
    ]
    lake = lake_of(tmp_path, 1, dead_letters=letters)
    with create_or_open_writer(lake, LOG, [0]) as writer:
        writer.put(effects(2, 10))

    reasons = rows(lake, "SELECT kind, reason, records, example FROM dead_letters_by_reason")
    codes = rows(lake, "SELECT code, severity, exceptions, orders, units FROM exceptions_by_code")

    assert reasons == [("order.amended", "UNKNOWN_ORDER", 2, "o-2")]
    assert codes == [("SHORT_PICK", "warn", 2, 2, 2)]


def python_snippets() -> list[str]:
    readme = (files(flows.lake) / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", readme, re.DOTALL)


def without_network(snippet: str) -> str:
    """Load the extensions from the wheels in place of installing them."""
    for name in ("sqlite_scanner", "ducklake"):
        module = importlib.import_module(f"duckdb_extension_{name}")
        assert module.__file__
        folder = Path(module.__file__).parent / "extensions" / f"v{duckdb.__version__}"
        snippet = snippet.replace(f"LOAD {name}", f"LOAD '{folder / name}.duckdb_extension'")
        snippet = re.sub(rf"(?m)^.*INSTALL {name}.*\n", "", snippet)
    return snippet


@pytest.mark.parametrize("number", range(3))
def test_the_readme_tells_the_truth(tmp_path: Path, number: int) -> None:
    lake = lake_of(
        tmp_path,
        9,
        decisions=[decision(0, p) for p in range(10)],
        allocations=[allocation(0, p, 0) for p in range(10)],
    )
    snippets = python_snippets()
    script = without_network(snippets[number].replace("/path/to/lake", str(lake)))

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "10" in done.stdout
    assert len(snippets) == 3


def test_the_greener_option_of_an_order_is_shown_with_what_it_costs(tmp_path: Path) -> None:
    green = {
        "carbon_g": 900,
        "door_minutes": 600,
        "greenest_lane_id": "L-2",
        "greenest_carbon_g": 200,
        "greenest_total_minor": 1_000,
        "greenest_door_minutes": 1_500,
        "factor_set": "DESNZ-2025",
    }
    lake = lake_of(
        tmp_path,
        1,
        decisions=[decision(0, 0, **green), decision(0, 1, **green | {"greenest_carbon_g": 900})],
    )

    found = rows(
        lake,
        "SELECT order_id, saved_g, extra_cost_minor - (1000 - total_minor), extra_hours, distance_kind "
        "FROM carbon_options",
    )

    assert found == [("o-00000000", 700, 0, 15, "lane")]
