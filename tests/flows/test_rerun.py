"""``crossdock replay --decision`` and ``--sample``: decisions taken again are what the lake holds."""

import json
import shutil
from pathlib import Path

import pytest

from flows.commands.rerun import DIFFERENT
from flows.decisions import DecisionRef, find_decision, sample_decisions
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog, write_log
from flows.past import Past
from schemas.errors import LogError
from tests.support.builders import order
from tests.support.command_line import refused, run
from tests.support.runs import recorded_world, route, spoil


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    return recorded_world(tmp_path_factory.mktemp("recorded") / "log", seed=7)


@pytest.fixture(scope="module")
def lake(log: ParquetLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "lake"
    route(log, path, slice_records=100, checkpoint_seconds=0.001)
    return path


def test_every_decision_of_a_log_is_identical(log: ParquetLog, lake: Path) -> None:
    result = run("replay", log.path, "--lake", lake, "--sample", "100000", "--json")

    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["identical"] == report["decisions"] > 300
    assert report["rows"] > report["decisions"]
    assert report["differences"] == []


def test_a_sample_is_chosen_by_its_seed(lake: Path) -> None:
    with connect_reader(lake) as connection:
        samples = [sample_decisions(connection, 20, seed) for seed in (1, 1, 2)]

    assert samples[0] == samples[1] != samples[2]
    assert len(samples[0]) == 20


def test_one_decision_is_taken_again_from_a_checkpoint(log: ParquetLog, lake: Path) -> None:
    with connect_reader(lake) as connection:
        late = sample_decisions(connection, 100_000, 0)[-1]
        assert find_decision(connection, late.id) == late
    began = Past.open(log, lake).start(late.partition, late.position).position

    result = run("replay", log.path, "--lake", lake, "--decision", late.id)

    assert 0 < began < late.position
    assert result.exit_code == 0, result.output
    assert "identical: 1 records taken again" in result.stdout


def test_an_order_stands_for_its_latest_decision(log: ParquetLog, lake: Path) -> None:
    with connect_reader(lake) as connection:
        rows = connection.execute(
            "SELECT order_id, arg_max(position, position) FROM decisions "
            "GROUP BY order_id HAVING count(DISTINCT network) = 1 ORDER BY ALL LIMIT 1"
        ).fetchall()
        (order_id, position) = rows[0]
        found = find_decision(connection, order_id)

    assert (found.order_id, found.position) == (order_id, position)
    assert run("replay", log.path, "--lake", lake, "--decision", order_id).exit_code == 0


def test_what_differs_is_named_and_ends_with_code_1(
    log: ParquetLog, lake: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "lake"
    shutil.copytree(lake, spoilt)
    with connect_reader(spoilt) as connection:
        first, second, *_ = sample_decisions(connection, 100_000, 0)
    spoil(spoilt, "decisions", f"UPDATE {{}} SET units_ordered = 77 {at(first)}")
    spoil(spoilt, "decisions", f"DELETE FROM {{}} {at(second)}")

    result = run("replay", log.path, "--lake", spoilt, "--decision", first.id)

    assert result.exit_code == DIFFERENT
    assert f"decisions │ {first.id}" in result.stdout
    assert "units_ordered │ 77" in result.stdout
    sampled = run("replay", log.path, "--lake", spoilt, "--sample", "100000", "--json")
    assert sampled.exit_code == DIFFERENT
    report = json.loads(sampled.stdout)
    assert report["identical"] + report["different"] == report["decisions"]
    assert {d["table"] for d in report["differences"]} == {"decisions"}


def test_a_log_or_a_policy_that_the_lake_was_not_made_with_is_refused(
    log: ParquetLog, lake: Path, tmp_path: Path
) -> None:
    other = write_log(tmp_path / "other", [order()], partitions=2)
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: other\n")
    again = ("replay", log.path, "--lake", lake, "--sample", "1")

    assert "was not made from" in refused(
        run("replay", other.path, "--lake", lake, "--sample", "1")
    )
    assert "policy override none" in refused(run(*again, "--policy", policy))
    assert "no decision about order 'x'" in refused(run(*again[:4], "--decision", "x"))
    assert "either --decision" in refused(run(*again, "--decision", "x"))
    assert "either --decision" in refused(run("replay", log.path, "--sample", "1"))


def test_an_order_of_several_networks_asks_which(log: ParquetLog, lake: Path) -> None:
    with connect_reader(lake) as connection:
        rows = connection.execute(
            "SELECT order_id FROM decisions GROUP BY order_id "
            "HAVING count(DISTINCT network) > 1 ORDER BY ALL LIMIT 1"
        ).fetchall()

    said = refused(run("replay", log.path, "--lake", lake, "--decision", rows[0][0]))

    assert "is in several networks; say which decision: " in said


def test_a_position_that_the_log_does_not_have_is_said(log: ParquetLog, lake: Path) -> None:
    past = Past.open(log, lake)

    with pytest.raises(LogError, match="no record at position 1000000"):
        list(past.causes(past.start(0, 1_000_000), [1_000_000]))


def at(decision: DecisionRef) -> str:
    return f"WHERE partition = {decision.partition} AND position = {decision.position}"
