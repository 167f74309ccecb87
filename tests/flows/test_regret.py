"""``crossdock prices`` and ``crossdock regret`` as typed."""

import json
from pathlib import Path

import pytest

from flows.logs.parquet import ParquetLog, write_log
from models.simulation.fulfilment import draw_world, records_of
from schemas.codec import decode_line
from schemas.inventory import PricesPublished
from tests.support.command_line import refused, run

ORDERS = 150


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "log"
    write_log(path, records_of(draw_world(1, 1.05, ORDERS)))
    return path


@pytest.fixture(scope="module")
def lake(log: Path) -> Path:
    path = log.with_name("lake")
    assert run("replay", log, "--lake", path).exit_code == 0
    return path


def test_prices_are_a_record_that_the_router_takes(lake: Path, log: Path, tmp_path: Path) -> None:
    out, priced = tmp_path / "prices.ndjson", tmp_path / "priced"

    result = run("prices", "--lake", lake, "--out", out, "--json")

    said = json.loads(result.stdout)
    (line,) = out.read_bytes().splitlines()
    record = decode_line(line, 1)
    assert isinstance(record, PricesPublished)
    assert (said["network"], said["epoch"]) == ("world/world", 1)
    assert said["priced"] == sum(item.price_minor > 0 for item in record.data.items)
    assert 0 < said["dearest"][0]["price_minor"] <= 4_000
    assert said["forecast"]["units"] > 0
    assert run("import", out, "--out", priced).exit_code == 0


def test_better_plans_are_proposed_beside_the_prices(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "plans.ndjson"

    result = run("prices", "--lake", lake, "--out", out, "--reevaluate", "--json")

    told = json.loads(result.stdout)
    kinds = [json.loads(line)["type"] for line in out.read_bytes().splitlines()]
    assert kinds.count("plan.proposed") == told["proposals"]
    assert set(kinds) <= {"prices.published", "plan.proposed"}


def test_prices_are_the_same_when_they_are_asked_for_again(lake: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.ndjson", "b.ndjson")]

    for file in files:
        assert run("prices", "--lake", lake, "--out", file).exit_code == 0

    assert files[0].read_bytes() == files[1].read_bytes()


def test_prices_can_be_a_log_of_their_own(lake: Path, tmp_path: Path) -> None:
    result = run("prices", "--lake", lake, "--out", tmp_path / "log")

    assert result.exit_code == 0
    assert "WAPE by SKU and region" in result.stdout
    assert len(ParquetLog(tmp_path / "log")) == 1


def test_prices_name_a_network_that_is_not_there(lake: Path) -> None:
    assert "no checkpoint holds network a/b" in refused(
        run("prices", "--lake", lake, "--network", "a/b")
    )


def test_prices_need_a_lake(tmp_path: Path) -> None:
    assert "is no lake" in refused(run("prices", "--lake", tmp_path))


def test_regret_of_a_log_is_kept_in_its_lake_and_drawn(
    log: Path, lake: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "regret.svg"

    result = run("regret", log, "--lake", lake, "--plot", picture, "--every", "50", "--json")

    said = json.loads(result.stdout)
    policies = [row["policy"][:2] for row in said["policies"]]
    assert policies == ["B0", "B1", "B2", "B3", "B4", "B5", "B6"]
    assert picture.read_text().startswith("<?xml")
    kept = run("sql", "SELECT count(*) AS n FROM regret", "--lake", lake, "--json")
    assert json.loads(kept.stdout) == [{"n": 7}]


def test_regret_of_worlds_is_a_table_for_every_slack() -> None:
    result = run(
        "regret", "--worlds", "1", "--slack", "1.05,1.3", "--orders", "80", "--every", "40"
    )

    assert result.exit_code == 0
    assert "Stock slack 1.05" in result.stdout
    assert "B6 re-evaluated" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give either a recorded log or --worlds"),
        (("--worlds", "1", "--slack", "much"), "--slack much"),
        (("--worlds", "1", "--slack", "0"), "numbers above 0"),
        (("--worlds", "1", "--orders", "20", "--plot", "x.doc"), "the ending must be one of"),
    ],
)
def test_regret_says_what_it_cannot_use(options: tuple[str, ...], message: str) -> None:
    assert message in refused(run("regret", *options))


def test_regret_names_a_network_that_is_not_there(log: Path) -> None:
    assert "has no network a/b; it has world/world" in refused(
        run("regret", log, "--network", "a/b")
    )
