"""``crossdock scenario``: list, run, bands that are left, and what is not there."""

import json
from pathlib import Path

import pytest

import flows.scenarios
from flows.logs.parquet import ParquetLog, write_log
from flows.plan_audit import audit
from flows.scenarios import read_scenario
from schemas.errors import InputError
from tests.support.builders import counted, lane, named, node, order
from tests.support.command_line import refused, run
from tests.support.runs import route, spoil


def test_the_list_names_every_scenario() -> None:
    listed = run("scenario", "list")
    as_json = json.loads(run("scenario", "list", "--json").stdout)

    assert listed.exit_code == 0
    assert [s["name"] for s in as_json][:2] == ["dtc-car", "last-unit"]
    assert all(s["name"] in listed.stdout for s in as_json)


def test_a_run_prints_its_figures_and_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    ended = run(
        *("scenario", "run", "last-unit", "--size", "1000", "--seed", "5"),
        *("--lake", tmp_path / "lake", "--out", tmp_path / "log"),
    )

    assert ended.exit_code == 0, ended.output
    assert "oversold" in ended.stdout
    assert "NO" not in ended.stdout
    assert len(ParquetLog(tmp_path / "log")) > 1000
    again = run("scenario", "run", "last-unit", "--out", tmp_path / "log")
    assert "exists and is not empty" in refused(again)


def test_a_lake_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "mine").touch()

    ended = run("scenario", "run", "last-unit", "--size", "10", "--lake", tmp_path / "lake")

    assert "choose another place for the new lake" in refused(ended)


def test_a_figure_that_leaves_its_band_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, '[kpi.fill_rate]\nmin = 0.9\nwhy = "cannot be"\n')
    monkeypatch.setattr(flows.scenarios, "FOLDER", folder)
    monkeypatch.setattr(read_scenario, "__defaults__", (folder,))

    ended = run("scenario", "run", "last-unit", "--size", "300", "--json")

    assert ended.exit_code == 1
    report = json.loads(ended.stdout)
    (figure,) = [f for f in report["figures"] if not f["ok"]]
    assert (figure["name"], figure["why"], report["ok"]) == ("fill_rate", "cannot be", False)


def folder_of(path: Path, kpis: str) -> Path:
    """The scenario last-unit with other bands."""
    place = path / "scenarios" / "last-unit"
    place.mkdir(parents=True)
    (place / "policy.yaml").write_text("version: p\n")
    (place / "expected.toml").write_text(f'title = "t"\nsize = 300\n{kpis}')
    return path / "scenarios"


def test_an_unknown_scenario_is_one_line_that_names_those_there_are() -> None:
    line = refused(run("scenario", "run", "nowhere"))

    assert "nowhere" in line
    assert "node-outage" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "expected.toml"),
        ('title = "t"\nsize = 1\n[kpi]\n', "size"),
        ('title = "t"\nsize = 100\n[kpi.x]\nwhy = "w"\nleast = 1\n', "least"),
    ],
)
def test_a_faulty_file_of_bands_is_told_with_its_place(
    text: str, said: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, "")
    (folder / "last-unit" / "expected.toml").write_text(text)

    with pytest.raises(InputError, match=said):
        read_scenario("last-unit", folder)


def test_a_scenario_without_its_folder_needs_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scenarios need a checkout"):
        read_scenario("last-unit", tmp_path)


# The audit ----------------------------------------------------------------------------------------


@pytest.fixture
def routed(tmp_path: Path) -> tuple[ParquetLog, Path]:
    events = named(
        node("A"),
        lane("A"),
        counted("A", {"S1": 5}),
        order("o-1", ("S1", 2)),
        order("o-2", ("S1", 3)),
    )
    log = write_log(tmp_path / "log", events)
    route(log, tmp_path / "lake")
    return log, tmp_path / "lake"


def test_an_audit_of_a_good_lake_finds_nothing(routed: tuple[ParquetLog, Path]) -> None:
    found = audit(*routed)

    assert (found.plans, found.placements, found.feasibility) == (2, 2, 1.0)
    assert not found.broken


@pytest.mark.parametrize(
    ("table", "statement", "rule"),
    [
        ("allocations", "UPDATE {} SET qty = 4 WHERE order_id = 'o-2'", "oversold"),
        ("allocations", "UPDATE {} SET qty = 3 WHERE order_id = 'o-1'", "more held than ordered"),
        (
            "allocations",
            "UPDATE {} SET lane_id = 'Z' WHERE order_id = 'o-1'",
            "unknown node or lane",
        ),
        ("allocations", "UPDATE {} SET line_no = 9", "unknown order or line"),
        (
            "allocations",
            "UPDATE {} SET event = 'released' WHERE order_id = 'o-1'",
            "given back without being held",
        ),
        ("allocations", "UPDATE {} SET ship_date = ship_date - 9", "cut-off"),
    ],
)
def test_an_audit_names_the_rule_that_a_row_breaks(
    table: str, statement: str, rule: str, routed: tuple[ParquetLog, Path]
) -> None:
    log, lake = routed
    spoil(lake, table, statement)

    found = audit(log, lake)

    assert rule in found.broken
    assert rule in found.examples[rule]
