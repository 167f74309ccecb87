"""``crossdock explain``: the numbers shown are those of the lake, and every code has its words."""

import json
import tomllib
from datetime import timedelta
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from flows.explain import explain_order
from flows.explain_texts import Language, texts_in
from flows.lake.layout import Identity
from flows.lake.query import connect_reader
from flows.lake.writer import create_or_open_writer
from schemas import codes
from schemas.errors import InputError
from schemas.ids import LogId, OrderId
from schemas.tables import COMPONENTS, Effects, Table
from tests.support.command_line import refused, run
from tests.support.effects import (
    NODES,
    START,
    allocation,
    decision,
    deviation,
    node_row,
    order_id,
    to_table,
)

SECTIONS = ("Exclusion", "Outcome", "Selection", "Trigger", "DecisionKind", "HoldReason")
MODEL = "ab" * 32


def lane_row(position: int, lane_id: str, **changes: Any) -> dict[str, Any]:
    node = lane_id.partition(">")[0]
    return {
        **node_row(position, 9, node),
        "lane_id": lane_id,
        "region": "R1",
        "carrier": "Swift",
        "service": "express",
        "mode": "road",
        "distance_km": 321.0,
        "transit_hours": 12.0,
        **changes,
    }


def costs(prefix: str, *values: int) -> dict[str, int]:
    named = {f"{prefix}{n}_minor": v for n, v in zip(COMPONENTS, values, strict=True)}
    return {**named, f"{prefix}total_minor": sum(values)}


def weighed(position: int, **changes: Any) -> dict[str, Any]:
    """A split order with two runners-up, scored by a model."""
    usual: dict[str, Any] = {
        "model_sha256": MODEL,
        "nodes": [NODES[0], NODES[1]],
        "lane_ids": ["DC-1>R1", "DC-2>R1"],
        "runner_up_nodes": ["DC-2"],
        "second_runner_up_nodes": ["DC-1"],
        "margin_minor": 13_000,
        "carbon_g": 1234,
        "transit_p50_hours": 20.0,
        "transit_p90_hours": 31.5,
        "handling_hours": 4.0,
        "late_probability": 0.125,
        **costs("", 123_456, 100, 20, 30, 4, 0, 150),
        **costs("runner_up_", 136_760, 0, 0, 0, 0, 0, 0),
        **costs("second_runner_up_", 200_000, 0, 0, 0, 0, 0, 0),
    }
    return decision(0, position, **usual | changes)


def lake_of(path: Path, *decisions: dict[str, Any], **more: list[dict[str, Any]]) -> Path:
    rows = {
        "nodes": [node_row(0, number, node) for number, node in enumerate(NODES)],
        "lanes": [lane_row(0, f"{node}>R1") for node in NODES],
        "decisions": list(decisions),
        **more,
    }
    last = max(int(r["position"]) for table in rows.values() for r in table)
    with create_or_open_writer(path / "lake", Identity(LogId("log-1")), [0]) as writer:
        writer.put(
            Effects(0, last, {Table(t): to_table(Table(t), r) for t, r in rows.items() if r})
        )
    return path / "lake"


def explained(lake: Path, name: str, *options: str) -> str:
    result = run("explain", name, "--lake", lake, *options)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.replace("│", " ").split())


def as_json(lake: Path, name: str, *options: str) -> list[dict[str, Any]]:
    result = run("explain", name, "--lake", lake, "--json", *options)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["decisions"]
    return found


def enumeration(name: str) -> type[Enum]:
    found: type[Enum] = getattr(codes, name)
    return found


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("section", [*SECTIONS, "ExceptionCode", "Phase"])
def test_every_code_has_its_words(language: Language, section: str) -> None:
    texts = texts_in(language).sections[section]

    assert list(texts) == [member.name for member in enumeration(section)]
    assert all(texts.values())


def test_both_languages_have_the_same_labels_and_places_for_values() -> None:
    both = [
        tomllib.loads((files("flows") / "texts" / f"{x}.toml").read_text(encoding="utf-8"))
        for x in Language
    ]

    for section in ("label", "component", "trace"):
        english, chinese = (texts[section] for texts in both)
        assert list(english) == list(chinese)
        for name, text in english.items():
            assert text.count("{") == chinese[name].count("{"), name
    assert list(both[0]["component"]) == [*COMPONENTS, "sum", "total"]


def test_the_plan_and_its_lines_are_told(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8), allocations=[allocation(0, 8, i) for i in range(2)])

    (found,) = as_json(lake, order_id(8))

    assert [p["node"] for p in found["packages"]] == ["DC-1", "DC-2"]
    assert found["packages"][0]["carrier"] == "Swift"
    assert found["packages"][0]["lines"][0] == {
        "line_no": 0,
        "sku": "SKU-8",
        "qty": 2,
        "event": "placed",
        "ship_date": "2026-03-02",
    }
    text = explained(lake, order_id(8))
    assert "DC-1 DC-1>R1 Swift express road 321 12.0 0: SKU-8 x 2" in text


def test_components_stand_beside_those_of_the_runners_up_and_add_up(tmp_path: Path) -> None:
    text = explained(lake_of(tmp_path, weighed(8)), order_id(8))

    assert "DC-1 + DC-2 DC-2 DC-1" in text
    assert "freight 1,234.56 1,367.60 2,000.00" in text
    assert "sum of the above 1,237.60 1,367.60 2,000.00" in text
    assert "total 1,237.60 1,367.60 2,000.00" in text
    assert "The components add up to the totals." in text
    assert "margin to the runner-up 130.00" in text


def test_components_that_do_not_add_up_are_called_out(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8, total_minor=1))

    assert "THE COMPONENTS DO NOT ADD UP TO THE TOTAL: DC-1, DC-2 123760 / 1" in explained(
        lake, order_id(8)
    )


def test_a_runner_up_that_serves_less_has_no_margin(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8, margin_minor=None))

    assert "serves fewer units" in explained(lake, order_id(8))


def test_the_model_or_the_rules_are_named(tmp_path: Path) -> None:
    lake = lake_of(
        tmp_path, weighed(8), weighed(9, model_sha256=""), weighed(10, out_of_range=True)
    )

    model, rules, odd = (explained(lake, order_id(i)) for i in (8, 9, 10))

    assert "abababababab: transit p50 20.0 h, p90 31.5 h" in model
    assert "late with probability 12.5%" in model
    assert "within the range of the training" in model
    assert "rules decided, no model was activated" in rules
    assert "range of the training" not in rules
    assert "OUT OF RANGE" in odd


def test_each_refused_node_is_told_with_its_reason(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8, nodes=["DC-1"], lane_ids=["DC-1>R1"]))

    text = explained(lake, order_id(8))

    assert "DC-1 - chosen" in text
    assert "DC-2 X_NO_STOCK has too little free stock to serve every unit" in text
    assert "ST-1 X_CLOSED is closed" in text


def test_an_exclusion_of_a_newer_release_is_shown_by_its_number(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8, exclusions=[0, 0, 99]))

    assert "ST-1 X_99 X_99" in explained(lake, order_id(8))


def test_a_decision_without_a_plan_says_so(tmp_path: Path) -> None:
    held = decision(
        0,
        8,
        outcome="HELD_FOR_REVIEW",
        hold_reason="AWAITING_PAYMENT",
        selection="S_NONE",
        nodes=[],
        lane_ids=[],
        exclusions=[0, 0, 0],
        promise_at=None,
    )

    text = explained(lake_of(tmp_path, held), order_id(8))

    assert "AWAITING_PAYMENT: waits for the payment" in text
    assert "No plan:" in text
    assert "No candidate nodes were weighed." in text


def test_planned_supply_is_told_apart(tmp_path: Path) -> None:
    waiting = decision(0, 8, nodes=[], lane_ids=[], outcome="BACKORDERED", backorder_due_at=START)
    planned = allocation(0, 8, 0, event="planned", lane_id=None, ship_date=None)

    text = explained(lake_of(tmp_path, waiting, allocations=[planned]), order_id(8))

    assert "0: SKU-8 x 2 (from planned supply)" in text
    assert "supply due 2026-03-01 00:00:00Z" in text


def test_exceptions_of_the_order_are_told(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8), exceptions=[deviation(0, 8)])

    assert "SHORT_PICK the node could not find all units warn DC-1 1" in explained(
        lake, order_id(8)
    )


def test_the_latest_decision_is_explained_and_all_are_listed(tmp_path: Path) -> None:
    again = weighed(9, order_id=order_id(8), kind="REROUTE", trigger="R_REJECTED")
    what_if = weighed(10, order_id=order_id(8), kind="SHADOW")
    lake = lake_of(tmp_path, weighed(8), again, what_if)

    (latest,) = as_json(lake, order_id(8))
    history = as_json(lake, order_id(8), "--all")

    assert (latest["position"], latest["kind"]) == (9, "REROUTE")
    assert [d["position"] for d in history] == [8, 9]
    assert "decisions, oldest first" in explained(lake, order_id(8), "--all")


def test_a_lane_is_shown_as_it_was_then(tmp_path: Path) -> None:
    lanes = [lane_row(0, "DC-1>R1"), lane_row(9, "DC-1>R1", carrier="Later", index=0)]

    (found,) = as_json(lake_of(tmp_path, weighed(8), lanes=lanes), order_id(8))

    assert [p["carrier"] for p in found["packages"]] == ["Swift", None]


def test_one_order_id_in_two_networks_is_explained_twice(tmp_path: Path) -> None:
    other = weighed(9, order_id=order_id(8), network="us")

    found = as_json(lake_of(tmp_path, weighed(8), other), order_id(8))

    assert [d["network"] for d in found] == ["eu", "us"]


def test_it_speaks_chinese(tmp_path: Path) -> None:
    text = explained(lake_of(tmp_path, weighed(8)), order_id(8), "--lang", "zh")

    assert "运费 1,234.56" in text
    assert "各项之和等于总成本" in text
    assert "S_LOWEST_TOTAL: 在满足件数最多的方案中成本最低" in text


def test_an_unknown_order_is_answered_with_similar_ones(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8), weighed(9))

    assert "similar: o-00000008, o-00000009" in refused(run("explain", "o-0000000", "--lake", lake))
    assert "similar: o-00000008" in refused(run("explain", "o-00000080", "--lake", lake))
    assert "see which there are" in refused(run("explain", "xyz", "--lake", lake))


def test_instants_keep_their_zone(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, weighed(8))
    with connect_reader(lake) as connection:
        (found,) = explain_order(connection, OrderId(order_id(8)))
        with pytest.raises(InputError):
            explain_order(connection, OrderId("x"))

    assert found.decided_at == START + timedelta(seconds=8)
