"""Maintaining a lake: no row moves for a reader, and what is no longer needed goes."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.lake.catalogue import live_files
from flows.lake.connection import open_lake
from flows.lake.digest import digest
from flows.lake.layout import Flow, Identity
from flows.lake.maintenance import Retention, maintain, merge, next_to_merge
from flows.lake.query import connect_reader
from flows.lake.queue import QueueSettings
from flows.lake.upkeep import UpkeepSettings
from flows.lake.writer import WriterSettings, create_or_open_writer
from schemas.errors import LakeError
from schemas.ids import LogId
from tests.support.effects import LINES, effects, order_id

LOG = Identity(LogId("log-1"))
TRACKED = Identity(LogId("log-1"), flow=Flow.TRACK)
AT_ONCE = Retention(timedelta(0), timedelta(0), timedelta(0))
EAGER = WriterSettings(
    QueueSettings(commit_seconds=0.05, idle_seconds=0.02),
    UpkeepSettings(settle_at_rows=60, gather_at_commits=4, merge_files=2, housekeeping_commits=5),
)
"""Every step of upkeep comes about every few commits."""
DEADLINE_SECONDS = 120
MANY_ORDERS = """
    SELECT 10000 AS partition, range AS position, 0 AS "index", 'acme' AS tenant, 'eu' AS network,
        format('A-{}', range) AS order_id, 'ORDERED' AS step, 'RECEIVED' AS phase, 'shop' AS source,
        TIMESTAMPTZ '2026-01-05 08:00:00Z' AS "at", "at" AS recorded_at
    FROM range(1000)
"""


def write(lake: Path, first: int, last: int, size: int) -> None:
    with create_or_open_writer(lake, LOG, [0]) as writer:
        for begin in range(first, last + 1, size):
            writer.put(effects(begin, min(begin + size - 1, last)))
            writer.flush()


def one(lake: Path, statement: str) -> Any:
    connection = connect_reader(lake)
    try:
        row = connection.execute(statement).fetchone()
    finally:
        connection.close()
    assert row is not None
    return row[0]


def files_read(lake: Path, statement: str) -> list[int]:
    """How many files each scan of the statement opens."""
    connection = connect_reader(lake)
    try:
        plan = connection.execute(f"EXPLAIN ANALYZE {statement}").fetchall()[0][1]
    finally:
        connection.close()
    return sorted(map(int, re.findall(r"Total Files Read: (\d+)", plan)))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.02)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def test_maintenance_settles_every_row_and_changes_no_fact(lake: Path) -> None:
    write(lake, 0, 99, 25)
    write(lake, 100, 102, 3)  # inlined
    before = digest([lake])

    done = maintain(lake)

    assert done.rows_settled == 103 * (2 + LINES) + 21 + 5  # stock, exceptions, measurements
    assert one(lake, "SELECT count(*) FROM decisions_recent_0") == 0
    assert one(lake, "SELECT count(*) FROM decisions_settled") == 103
    assert digest([lake]) == before


def test_a_second_maintenance_finds_nothing_to_settle(lake: Path) -> None:
    write(lake, 0, 59, 20)
    maintain(lake)

    again = maintain(lake)

    assert (again.rows_settled, again.files_merged) == (0, 0)


def test_a_maintained_lake_goes_on_where_it_was(lake: Path) -> None:
    write(lake, 0, 59, 20)
    maintain(lake, AT_ONCE)

    with create_or_open_writer(lake, LOG, [0]) as writer:
        position = writer.high_water(0)
        writer.put(effects(50, 79))

    assert position == 59
    assert one(lake, "SELECT count(*) FROM decisions") == 80
    assert one(lake, "SELECT count(DISTINCT position) FROM decisions") == 80


def test_merged_files_hold_the_same_rows(lake: Path) -> None:
    for first in range(0, 120, 40):
        write(lake, first, first + 39, 40)
        maintain(lake)
    before = digest([lake])
    connection = open_lake(lake)
    files = live_files(connection)["decisions_settled"]
    while group := next_to_merge(connection, files=2):
        merge(connection, lake, group)
    left = live_files(connection)["decisions_settled"]
    connection.close()

    assert digest([lake]) == before
    assert left < files


def test_in_settled_and_merged_files_the_rows_of_an_order_lie_together(lake: Path) -> None:
    for first in range(0, 900, 300):
        write(lake, first, first + 299, 300)
        maintain(lake)
    connection = open_lake(lake, threads=1)
    merge(connection, lake, next_to_merge(connection, files=3))
    connection.close()

    files = list((lake / "data" / "main" / "allocations_settled").rglob("*.parquet"))

    orders = [pq.read_table(file, columns=["order_id"])["order_id"].to_pylist() for file in files]
    assert max(map(len, orders)) > LINES
    assert orders == [sorted(of_file) for of_file in orders]


def test_files_of_unlike_size_are_not_merged(lake: Path) -> None:
    write(lake, 0, 999, 1000)
    maintain(lake)
    write(lake, 1000, 1019, 20)
    maintain(lake)
    connection = open_lake(lake)

    group = next_to_merge(connection, files=2)
    connection.close()

    assert max((file.rows for file in group), default=0) < 8


def test_nothing_is_left_on_disk_but_what_tables_need(lake: Path) -> None:
    for first in range(0, 150, 50):
        write(lake, first, first + 49, 50)
        maintain(lake, AT_ONCE)
    connection = open_lake(lake, read_only=True)
    files = live_files(connection)
    connection.close()

    assert files["decisions_recent_0"] == 0
    assert len(list(lake.glob("data/**/*.parquet"))) == files.total()


def test_files_are_kept_for_the_grace_period(lake: Path) -> None:
    write(lake, 0, 79, 20)
    before = set(lake.glob("data/**/*.parquet"))

    kept = maintain(lake)
    removed = maintain(lake, AT_ONCE)

    assert kept.files_removed == 0
    assert removed.files_removed >= len(before)
    assert not before & set(lake.glob("data/**/*.parquet"))


def test_snapshots_are_kept_for_a_while(lake: Path) -> None:
    write(lake, 0, 2, 1)
    count = "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_snapshot"

    kept = (one(lake, count), maintain(lake).snapshots_forgotten)
    forgotten = maintain(lake, AT_ONCE).snapshots_forgotten

    assert kept[0] > 3
    assert kept[1] == 0
    assert forgotten >= kept[0] - 1
    assert one(lake, "SELECT count(*) FROM decisions") == 3


def test_a_file_left_by_a_crash_is_removed_after_a_day_only(lake: Path) -> None:
    write(lake, 0, 19, 20)
    left = lake / "data" / "main" / "decisions_recent_0" / "commit-of-a-crash.parquet"
    left.write_bytes(next(left.parent.glob("*.parquet")).read_bytes())

    maintain(lake)
    kept = left.exists()
    maintain(lake, AT_ONCE)

    assert kept
    assert not left.exists()
    assert one(lake, "SELECT count(*) FROM decisions") == 20


def test_a_lake_that_a_job_writes_is_left_to_the_job(lake: Path) -> None:
    with (
        create_or_open_writer(lake, LOG, [0]),
        pytest.raises(LakeError, match="is being written by another process"),
    ):
        maintain(lake)


def test_what_is_no_lake_is_not_maintained(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="is no lake"):
        maintain(tmp_path / "nothing")

    assert not (tmp_path / "nothing").exists()


def test_a_job_settles_its_lake_by_itself(lake: Path, tmp_path: Path) -> None:
    write(tmp_path / "left alone", 0, 199, 20)
    with create_or_open_writer(lake, LOG, [0], settings=EAGER) as writer:
        for first in range(0, 200, 20):
            writer.put(effects(first, first + 19))
            writer.flush()
        wait_until(lambda: one(lake, "SELECT count(*) FROM decisions_recent_0") < 60)

    assert one(lake, "SELECT count(*) FROM decisions_settled") > 100
    assert digest([lake]) == digest([tmp_path / "left alone"])


def test_a_job_forgets_the_history_of_its_positions(lake: Path) -> None:
    settings = WriterSettings(
        EAGER.queue, UpkeepSettings(housekeeping_commits=5, retention=AT_ONCE)
    )
    snapshots = "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_snapshot"
    with create_or_open_writer(lake, LOG, [0], settings=settings) as writer:
        for position in range(30):
            writer.put(effects(position, position))
            writer.flush()
        wait_until(lambda: one(lake, snapshots) < 10)

        assert writer.high_water(0) == 29
    assert one(lake, "SELECT position FROM positions") == 29


def test_a_look_up_opens_the_files_of_one_bucket(lake: Path) -> None:
    write(lake, 0, 999, 250)
    maintain(lake)

    assert files_read(lake, f"SELECT * FROM decisions WHERE order_id = '{order_id(77)}'") == [0, 1]


@pytest.mark.parametrize("view", ["timeline", "history", "order_states"])
def test_a_tracked_order_is_read_from_one_bucket_and_once(lake: Path, view: str) -> None:
    create_or_open_writer(lake, TRACKED, [Flow.TRACK.first_partition]).close()
    with open_lake(lake) as connection:
        connection.execute("INSERT INTO timeline_settled BY NAME" + MANY_ORDERS)

    assert one(lake, f"SELECT count(DISTINCT order_id) FROM {view}") == 1000
    assert one(lake, f"SELECT count(*) FROM {view} WHERE order_id = 'A-77'") == 1
    assert files_read(lake, f"SELECT * FROM {view} WHERE order_id = 'A-77'") == [0, 1]


def test_statistics_that_pass_over_no_file_are_forgotten(lake: Path) -> None:
    kept = """
        SELECT DISTINCT column_name FROM __ducklake_metadata_lake.ducklake_file_column_stats
        JOIN __ducklake_metadata_lake.ducklake_column USING (table_id, column_id)
        JOIN __ducklake_metadata_lake.ducklake_table USING (table_id)
        WHERE table_name LIKE 'decisions%' AND column_type NOT LIKE 'timestamp%'
    """
    write(lake, 0, 999, 250)
    assert one(lake, f"SELECT count(*) FROM ({kept})") > 10

    maintain(lake)

    names = one(lake, f"SELECT string_agg(column_name, ' ' ORDER BY column_name) FROM ({kept})")
    assert names == "order_id position"
    assert one(lake, "SELECT count(*) FROM decisions WHERE network <> '' AND position < 500") == 500


@pytest.mark.parametrize("by_command", [True, False])
def test_a_reader_in_another_process_never_sees_a_row_twice_or_vanish(
    lake: Path, tmp_path: Path, by_command: bool
) -> None:
    write(lake, 0, 9, 10)
    stop = tmp_path / "stop"
    with subprocess.Popen(
        [sys.executable, __file__, str(lake), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()  # it has begun
        if by_command:
            for first in range(10, 250, 60):
                write(lake, first, first + 59, 15)
                maintain(lake)
        else:
            with create_or_open_writer(lake, LOG, [0], settings=EAGER) as writer:
                for first in range(10, 250, 15):
                    writer.put(effects(first, first + 14))
                    writer.flush()
        stop.touch()
        said, errors = reader.communicate(timeout=DEADLINE_SECONDS)

    assert reader.returncode == 0, errors
    report = json.loads(said)
    assert report["wrong"] == []
    assert report["polls"] > 5
    assert report["last"] >= 10
    assert one(lake, "SELECT count(*) FROM decisions") == 250


def poll(lake: Path, stop: Path) -> dict[str, Any]:
    """What the reader does: every answer must be the rows of positions 0 to p, once each."""
    connection = connect_reader(lake)
    wrong: list[Any] = []
    polls = last = 0
    print("begun", flush=True)
    while not stop.exists():
        row = connection.execute(_POLL).fetchone()
        assert row is not None
        orders, distinct, lines, position = row
        whole = orders == distinct == position + 1 and lines == LINES * orders
        if not whole or orders < last:
            wrong.append(row)
        polls, last = polls + 1, orders
    return {"polls": polls, "last": last, "wrong": wrong}


_POLL = """
SELECT
    (SELECT count(*) FROM decisions),
    (SELECT count(DISTINCT order_id) FROM decisions),
    (SELECT count(*) FROM allocations),
    (SELECT position FROM positions WHERE partition = 0)
"""

if __name__ == "__main__":
    print(json.dumps(poll(Path(sys.argv[1]), Path(sys.argv[2]))))
