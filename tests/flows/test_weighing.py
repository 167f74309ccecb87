"""``crossdock explain`` with the log: candidates, options and flip statements in words and as JSON."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.commands.weighing import flip_sentence
from flows.explain_texts import Language, texts_in
from flows.logs.parquet import write_log
from flows.weighing import FlipStatement
from models.routing.changes import CutOffChange, StockChange, WeightChange
from models.routing.flips import Flip
from models.routing.moments import Winner
from schemas.codes import Mode, PaymentState
from tests.support.builders import cancelled, counted, lane, line, named, node, order
from tests.support.command_line import refused, run
from tests.support.runs import route, spoil

ALL = ("--candidates", "--options", "--flips")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A log of two orders, and its lake."""
    folder = tmp_path_factory.mktemp("weighed")
    events = named(
        node("A"),
        node("B"),
        lane("A", cost=500),
        lane("A", lane_id="rail", cost=520, mode=Mode.RAIL),
        lane("B", cost=400),
        counted("A"),
        counted("B", {"S1": 1}),
        order("o-1", line("S1", 2, weight_g=800)),
        order("o-2", payment=PaymentState.PENDING),
        cancelled("o-1", {1: 1}),
    )
    log = write_log(folder / "log", events)
    route(log, folder / "lake")
    return folder / "log", folder / "lake"


def told(places: tuple[Path, Path], name: str, *options: str) -> str:
    result = run("explain", name, "--lake", places[1], "--log", places[0], *options)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.replace("│", " ").split())


def weighing(places: tuple[Path, Path], name: str) -> dict[str, Any]:
    result = run("explain", name, "--lake", places[1], "--log", places[0], *ALL, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)["weighing"]
    return found


def test_an_order_is_weighed_again_at_its_latest_choice(places: tuple[Path, Path]) -> None:
    found = weighing(places, "o-1")

    assert found["decision"] == "0/7/1"
    assert [(c["node"], c["code"], c["rank"]) for c in found["candidates"]] == [
        ("A", "FEASIBLE", 1),
        ("B", "X_NO_STOCK", 2),
    ]
    assert found["candidates"][1]["lacks"] == [
        {"line_no": 1, "sku": "S1", "wanted": 2, "available": 1, "code": "X_NO_STOCK"}
    ]
    assert found["chosen"]["legs"][0]["lane_id"] == "A>R1"
    assert found["greenest"]["legs"][0]["factor_id"] == "DESNZ-2025/rail"
    assert found["flips"][0]["field"] == "stock/B/S1"
    assert found["flips"][0]["delta"] == 1


def test_reasons_and_options_are_told_in_words(places: tuple[Path, Path]) -> None:
    text = told(places, "o-1", *ALL)

    assert "A A>R1 - chosen because it was the only plan possible" in text
    assert "B B>R1 X_NO_STOCK 1 wants 2 x S1, 1 available: has too little free stock" in text
    assert "chosen trade-off A A>R1 DESNZ-2025/road" in text
    assert "lowest carbon trade-off A rail DESNZ-2025/rail" in text
    assert "Lowest carbon: A by rail emits 14 g CO2e less, for +0.20 EUR and +0.0 h." in text
    assert "If B had 2 units of S1 on hand instead of 1 (+1), B would ship by B>R1." in text


def test_each_section_is_told_only_where_it_is_asked_for(places: tuple[Path, Path]) -> None:
    text = told(places, "o-1", "--options")

    assert "chosen trade-off" in text
    assert "If B had 2 units" not in text
    assert "chosen because it" not in text


def test_it_speaks_chinese(places: tuple[Path, Path]) -> None:
    text = told(places, "o-1", *ALL, "--lang", "zh")

    assert "若 B 的 S1 在手库存为 2 件而非 1 件(+1),则由 B 经 B>R1 发货。" in text
    assert "需要 2 x S1,可用 1" in text
    assert "最低碳方案:A 经 rail" in text


def test_a_held_order_has_nothing_to_weigh(places: tuple[Path, Path]) -> None:
    assert "cannot be weighed again: it had nothing to choose" in told(places, "o-2", *ALL)


def test_a_decision_is_explained_by_its_id(places: tuple[Path, Path]) -> None:
    assert "NEW_ORDER: the order arrived" in told(places, "0/7/1")


def test_a_decision_that_the_log_does_not_give_is_not_weighed(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    spoilt = tmp_path / "lake"
    shutil.copytree(places[1], spoilt)
    spoil(spoilt, "decisions", "UPDATE {} SET nodes = ['B'] WHERE position = 7")

    said = refused(run("explain", "o-1", "--lake", spoilt, "--log", places[0], "--flips"))

    assert "decision 0/7/1 is not what the log gives today: ['B'] in the lake, ['A'] again" in said


def test_without_the_log_there_is_nothing_to_weigh_by(places: tuple[Path, Path]) -> None:
    assert "say --log LOG as well" in refused(run("explain", "o-1", "--lake", places[1], "--flips"))


@pytest.mark.parametrize(
    ("flip", "english", "chinese"),
    [
        (
            Flip(WeightChange("carbon", 1.0, 350), Winner(("A", "B"), ("a", "b"))),
            "If the weight of carbon were 1.35 instead of 1 (+0.35), A + B would ship by a + b.",
            "若“碳排放”的权重为 1.35 而非 1(+0.35),则由 A + B 经 a + b 发货。",
        ),
        (
            Flip(StockChange("A", 9, -7, "S1", 2), Winner()),
            "If A had 2 units of S1 on hand instead of 9 (-7), no node would ship it then.",
            "若 A 的 S1 在手库存为 2 件而非 9 件(-7),则没有节点发货。",
        ),
        (
            Flip(CutOffChange("A", 500, 41, 20_000), Winner(("A",), ("a",))),
            "If the cut-off of A that day were 09:01 instead of 08:20 (+41 minutes), "
            "A would ship by a.",
            "若 A 当天的截单时间为 09:01 而非 08:20(+41 分钟),则由 A 经 a 发货。",
        ),
    ],
)
def test_flips_are_sentences(flip: Flip, english: str, chinese: str) -> None:
    statement = FlipStatement.of(flip)

    assert flip_sentence(statement, texts_in(Language.EN)) == english
    assert flip_sentence(statement, texts_in(Language.ZH)) == chinese
