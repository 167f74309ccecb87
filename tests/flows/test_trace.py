"""``crossdock trace`` and ``crossdock twin``: an order told back from its delivery to its decision."""

import json
from pathlib import Path

import pytest

from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from flows.logs.parquet import write_log
from schemas.ids import LogId
from schemas.tables import Effects, Table
from schemas.topics import LogOf
from tests.support.command_line import refused, run
from tests.support.devices import bound, sensed
from tests.support.effects import allocation, decision, to_table
from tests.support.tracks import feedback, moment, ordered, step, tick

NODE = "DC-1"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One delivered order, with a logger, in tracking and journal."""
    folder = tmp_path_factory.mktemp("trace")
    events = [
        ordered(0),
        bound(1, package="SF1"),
        step("packed", 2, package="SF1", node=NODE),
        step("handed_over", 3, package="SF1", node=NODE),
        *(sensed(4 + n, value) for n, value in enumerate((5.0, 12.5, 4.0))),
        step("delivered", 10, package="SF1"),
        step("signed", 11, package="SF1"),
        feedback(12, nps=10),
        tick(13),
    ]
    log = write_log(folder / "log", events, of=LogOf.TRACKING)
    assert run("replay", log.path, "--lake", folder / "lake").exit_code == 0
    rows = {
        Table.DECISIONS: [decision(0, 0, order_id="o1", nodes=[NODE], lane_ids=["DC-1>R1"])],
        Table.ALLOCATIONS: [
            allocation(0, 0, 0, order_id="o1", node=NODE, lane_id="DC-1>R1", qty=4),
            allocation(0, 0, 1, order_id="o1", node="DC-2", qty=2),
            allocation(0, 0, 2, order_id="o1", node="DC-2", qty=2, event="released", line_no=1),
        ],
    }
    with create_or_open_writer(folder / "lake", Identity(LogId("journal")), [0]) as writer:
        writer.put(Effects(0, 0, {table: to_table(table, given) for table, given in rows.items()}))
    return folder / "lake"


def test_a_delivered_order_is_traced_to_its_node_sensors_and_decision(lake: Path) -> None:
    told = json.loads(run("trace", "o1", "--lake", lake, "--json").stdout)

    (origin,) = told["origins"]  # what DC-2 was given was taken back
    assert (origin["node"], origin["lane_id"], origin["units"]) == (NODE, "DC-1>R1", 4)
    assert (origin["decision"], origin["trigger"]) == ("0/0/0", "NEW_ORDER")
    assert (origin["package"], origin["devices"], origin["readings"]) == ("SF1", ["logger"], 3)
    assert (origin["above"], origin["max_c"]) == (1, 12.5)
    assert [row["value"] for row in told["series"]] == [5.0, 12.5, 4.0]
    assert [row["step"] for row in told["way"]][-3:] == ["DELIVERED", "SIGNED", "FEEDBACK"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("signed for", "the order arrived", "12.5 °C")),
        ("zh", ("已签收", "订单到达", "12.5 °C")),
    ],
)
def test_the_story_is_told_in_both_languages(
    lake: Path, language: str, words: tuple[str, ...]
) -> None:
    result = run("trace", "o1", "--lake", lake, "--lang", language)

    assert result.exit_code == 0, result.output
    for word in (*words, NODE, "SF1", "0/0/0", "SKU-0 x 4"):
        assert word in result.stdout


def test_an_unknown_order_is_named_with_similar_ones(lake: Path) -> None:
    assert "nothing is known of order 'o2'" in refused(run("trace", "o2", "--lake", lake))


def test_the_twin_is_shown_as_it_is_and_as_it_was(lake: Path) -> None:
    asked = ("twin", "o1", "--lake", lake, "--json")

    (now,) = json.loads(run(*asked).stdout)
    (then,) = json.loads(run(*asked, "--at", moment(5.5).isoformat()).stdout)

    assert (now["phase"], now["in_hands_of"]) == ("SIGNED", "customer")
    assert (then["phase"], then["in_hands_of"], then["temperature"]) == (
        "HANDED_OVER",
        "carrier",
        12.5,
    )
    assert NODE in run("twin", "--node", NODE, "--lake", lake).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("o1", "--node", NODE), "exclude one another"),
        (("o9",), "nothing was known of order 'o9'"),
        (("--node", "XX"), "of node 'XX'"),
        (("o1", "--at", "noon"), "not a time"),
        (("o1", "--at", "2020-01-01"), "nothing was known at 2020-01-01"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    lake: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused(run("twin", *arguments, "--lake", lake))
