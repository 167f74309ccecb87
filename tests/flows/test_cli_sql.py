"""``crossdock sql`` as typed."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from schemas.ids import LogId
from tests.support.command_line import refused, run
from tests.support.effects import effects


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty orders."""
    path = tmp_path_factory.mktemp("sql") / "lake"
    with create_or_open_writer(path, Identity(LogId("log-1")), [0]) as writer:
        writer.put(effects(0, 29))
    return path


def test_rows_are_a_table(lake: Path) -> None:
    query = "SELECT order_id, decided_at, nodes FROM orders ORDER BY 1 LIMIT 2"

    result = run("sql", query, "--lake", lake)

    assert result.exit_code == 0
    assert "o-00000000" in result.stdout
    assert "2026-03-01 00:00:01Z" in result.stdout
    assert "DC-1, DC-2" in result.stdout


def test_one_row_and_wide_rows_are_shown_column_by_column(lake: Path) -> None:
    one = run("sql", "SELECT * FROM orders LIMIT 1", "--lake", lake).stdout
    two = run("sql", "SELECT * FROM orders LIMIT 2", "--lake", lake).stdout

    assert "first_promise_at" in one
    assert "row 2" in two
    assert all(len(line) <= 160 for line in two.splitlines())


def test_no_rows_still_name_the_columns(lake: Path) -> None:
    result = run("sql", "SELECT order_id, region FROM orders WHERE false", "--lake", lake)

    assert result.exit_code == 0
    assert "region" in result.stdout


def test_json_is_an_array_of_objects_with_iso_instants(lake: Path) -> None:
    query = "SELECT decided_at, nodes, 1.5::DECIMAL(9, 2) AS d, sum(4)::HUGEINT AS h, NULL AS n"
    query += " FROM orders WHERE order_id = 'o-00000003' GROUP BY ALL"

    result = run("sql", query, "--lake", lake, "--json")

    assert json.loads(result.stdout) == [
        {
            "decided_at": "2026-03-01T00:00:03Z",
            "nodes": ["DC-2", "DC-1"],
            "d": 1.5,
            "h": 4,
            "n": None,
        }
    ]
    empty = run("sql", "SELECT 1 WHERE false", "--lake", lake, "--json")
    assert json.loads(empty.stdout) == []


def test_csv_has_a_header_and_keeps_lists(lake: Path) -> None:
    query = (
        "SELECT order_id, decided_at, nodes, promise_at FROM orders WHERE order_id = 'o-00000003'"
    )

    result = run("sql", query, "--lake", lake, "--csv")

    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["decided_at"] == "2026-03-01T00:00:03Z"
    assert json.loads(row["nodes"]) == ["DC-2", "DC-1"]


def test_rows_can_go_to_a_parquet_file(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "orders.parquet"

    result = run("sql", "SELECT * FROM orders", "--lake", lake, "--parquet", out)

    assert result.exit_code == 0
    assert pq.read_table(out).num_rows == 30
    assert [p.name for p in tmp_path.iterdir()] == ["orders.parquet"]


def test_the_number_of_rows_can_be_limited(lake: Path) -> None:
    result = run("sql", "SELECT * FROM orders", "--lake", lake, "--json", "--limit", "3")

    assert len(json.loads(result.stdout)) == 3


def test_long_tables_say_that_they_were_cut(lake: Path) -> None:
    result = run("sql", "SELECT a FROM range(2000) AS r (a)", "--lake", lake)

    assert "only the first 1000 rows" in result.stderr
    assert "1000" not in result.stdout.replace("│", " ").split()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT nope FROM orders", 'Referenced column "nope" not found'),
        ("SELECT * FROM order_s", "does not exist"),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
        ("SELECT 1; SELECT 2", "one statement is needed, 2 were given"),
        ("", "one statement is needed, 0 were given"),
        ("DELETE FROM stock", "only reads: DELETE is refused"),
        ("INSERT INTO identity SELECT * FROM identity", "only reads: INSERT"),
        ("WITH t AS (SELECT 1) INSERT INTO identity SELECT * FROM t", "only reads: INSERT"),
        ("CREATE TABLE t (a INTEGER)", "only reads: CREATE"),
        ("COPY orders TO 'x.csv'", "--parquet OUT"),
        ("ATTACH 'x' AS y", "only reads: ATTACH"),
        ("CALL ducklake_expire_snapshots('lake')", "only reads: CALL"),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_exit_code_2(
    lake: Path, query: str, said: str
) -> None:
    assert said in refused(run("sql", query, "--lake", lake))


def test_what_is_no_lake_is_refused(tmp_path: Path) -> None:
    assert "is no lake" in refused(run("sql", "SELECT 1", "--lake", tmp_path))


def test_forms_of_output_exclude_one_another(lake: Path) -> None:
    assert "exclude" in refused(run("sql", "SELECT 1", "--lake", lake, "--json", "--csv"))


def test_statements_come_from_standard_input_off_a_terminal(lake: Path) -> None:
    script = "SELECT count(*) AS orders FROM orders;\nSELECT 'x;y' AS word"

    result = run("sql", "--lake", lake, "--csv", stdin=script)

    assert result.stdout == "orders\n30\nword\nx;y\n"


def test_a_pivot_is_a_question(lake: Path) -> None:
    query = "PIVOT (SELECT outcome FROM orders) ON outcome USING count(*)"

    result = run("sql", query, "--lake", lake, "--json")

    assert json.loads(result.stdout) == [{"FULLY_ROUTED": 30}]


def test_questions_are_answered_while_a_job_writes(tmp_path: Path) -> None:
    count = ("sql", "SELECT count(*) AS n FROM orders", "--lake", tmp_path / "lake", "--json")
    with create_or_open_writer(tmp_path / "lake", Identity(LogId("log-1")), [0]) as writer:
        writer.put(effects(0, 9))
        writer.flush()
        first = json.loads(run(*count).stdout)
        writer.put(effects(10, 19))
        writer.flush()
        second = json.loads(run(*count).stdout)

    assert (first, second) == ([{"n": 10}], [{"n": 20}])
