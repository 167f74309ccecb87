"""The lake's writer: what is committed, what is dropped, who is refused."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.lake import held_open
from flows.lake.connection import open_lake
from flows.lake.diagnosis import CATALOG
from flows.lake.digest import digest
from flows.lake.layout import Identity
from flows.lake.lock import break_lock
from flows.lake.query import connect_reader
from flows.lake.queue import QueueSettings
from flows.lake.writer import LakeWriter, WriterSettings, create_or_open_writer
from schemas.errors import LakeError
from schemas.ids import LogId
from schemas.tables import VERSION, Effects, Table
from tests.support.effects import LINES, decision, effects, to_table

LOG = Identity(LogId("log-1"))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def rows(lake: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = connect_reader(lake)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def pause(until: threading.Event) -> None:
    until.wait(60)


def written(lake: Path, *given: Effects) -> None:
    with create_or_open_writer(lake, LOG, range(6)) as writer:
        for item in given:
            writer.put(item)


@pytest.mark.parametrize("count", [3, 40])  # inlined in the catalogue, and in files
def test_what_was_flushed_is_seen_by_sql_while_the_writer_is_open(lake: Path, count: int) -> None:
    with create_or_open_writer(lake, LOG, range(6)) as writer:
        writer.put(effects(0, count - 1))
        writer.flush()

        found = rows(lake, "SELECT count(*), min(order_id), any_value(exclusions) FROM decisions")
        allocated = rows(lake, "SELECT count(*), sum(qty) FROM allocations")

    assert found == [(count, "o-00000000", [0, 1, 21])]
    assert allocated == [(LINES * count, LINES * count * 2)]


def test_an_idle_queue_is_committed_without_a_flush(lake: Path) -> None:
    committed = threading.Event()
    points = {"after_commit": committed}

    with create_or_open_writer(
        lake, LOG, range(6), crash_point=lambda point: points.get(point, threading.Event()).set()
    ) as writer:
        writer.put(effects(0, 2))

        assert committed.wait(30)


def test_no_commit_locks_anybody_out_to_copy_the_log_of_the_catalogue(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_open, "RENEW_AT_COMMITS", 3)
    log, sizes = lake / f"{CATALOG}-wal", []

    with create_or_open_writer(lake, LOG, range(6)) as writer:
        for at in range(6):
            writer.put(effects(at, at))
            writer.flush()
            sizes.append(log.stat().st_size if log.exists() else 0)

    assert 0 < sizes[0] < sizes[1]
    assert max(sizes) < 2 * sizes[1]
    assert not log.exists()


def test_effects_seen_twice_are_dropped(lake: Path) -> None:
    written(lake, effects(0, 29), effects(0, 29))
    written(lake, effects(0, 29))

    assert rows(lake, "SELECT count(*) FROM decisions") == [(30,)]


@pytest.mark.parametrize("in_one_commit", [True, False])
def test_effects_that_straddle_the_high_water_add_only_what_is_above_it(
    lake: Path, in_one_commit: bool
) -> None:
    if in_one_commit:
        written(lake, effects(0, 19), effects(10, 49))
    else:
        written(lake, effects(0, 19))
        written(lake, effects(10, 49))

    counted = "SELECT count(*), count(DISTINCT position), max(position) FROM decisions"
    assert rows(lake, counted) == [(50, 50, 49)]


def test_effects_without_rows_advance_the_position(lake: Path) -> None:
    with create_or_open_writer(lake, LOG, range(6)) as writer:
        before = writer.high_water(0)
        writer.put(effects(0, 7, tables=False))
        writer.flush()
        after = writer.high_water(0)

    assert (before, after) == (-1, 7)
    found = rows(lake, "SELECT partition, position FROM positions WHERE position >= 0")
    assert found == [(0, 7)]


def test_partitions_have_positions_of_their_own(lake: Path) -> None:
    written(lake, effects(0, 9, partition=0), effects(0, 4, partition=3))
    with create_or_open_writer(lake, LOG, range(6)) as writer:
        found = [writer.high_water(p) for p in (0, 1, 3)]

    assert found == [9, -1, 4]
    assert rows(lake, "SELECT count(*) FROM decisions WHERE partition = 3") == [(5,)]


def test_the_writer_stamps_measurements(lake: Path) -> None:
    written(lake, effects(0, 4))

    stamped = rows(lake, "SELECT count(*), count(committed_at) FROM measurements")
    assert stamped == [(1, 1)]


def test_facts_do_not_depend_on_how_they_were_committed(tmp_path: Path) -> None:
    digests = []
    for size in (1, 7, 60):
        lake = tmp_path / f"lake-{size}"
        with create_or_open_writer(lake, LOG, range(6)) as writer:
            for first in range(0, 60, size):
                writer.put(effects(first, min(first + size, 60) - 1))
                if size > 1:
                    writer.flush()
        digests.append(digest([lake]))

    assert digests[0] == digests[1] == digests[2]
    assert digests[0][Table.ALLOCATIONS][0] == 120


def test_lakes_that_share_the_rows_have_the_digest_of_one_that_has_all(tmp_path: Path) -> None:
    whole, left, right = (tmp_path / name for name in ("whole", "left", "right"))
    written(whole, effects(0, 20), effects(0, 10, partition=1))
    written(left, effects(0, 20))
    written(right, effects(0, 10, partition=1))

    assert digest([left, right]) == digest([whole])
    assert digest([left, left]) != digest([left])


def test_one_changed_value_changes_the_digest_of_its_table_alone(tmp_path: Path) -> None:
    changed = to_table(Table.DECISIONS, [decision(0, 0, weight_g=1201)])
    given = effects(0, 0)
    written(tmp_path / "a", given)
    written(tmp_path / "b", Effects(0, 0, {**given.tables, Table.DECISIONS: changed}))

    a, b = digest([tmp_path / "a"]), digest([tmp_path / "b"])

    assert [table for table in a if a[table] != b[table]] == [Table.DECISIONS]


def test_another_log_is_refused_with_the_remedy(lake: Path) -> None:
    written(lake, effects(0, 1))

    with pytest.raises(LakeError, match=r"log log-1, not of log-2; use a new lake directory or --"):
        create_or_open_writer(lake, Identity(LogId("log-2")), range(6))


def test_a_log_that_got_another_partition_is_refused(lake: Path) -> None:
    written(lake, effects(0, 1))

    with pytest.raises(LakeError, match=r"had 1 partitions; now it has 2.*sold twice"):
        create_or_open_writer(lake, replace(LOG, log_partitions=2), range(6))


def test_another_policy_override_is_refused(lake: Path) -> None:
    written(lake, effects(0, 1))

    with pytest.raises(LakeError, match="policy override none, not abc"):
        create_or_open_writer(lake, replace(LOG, policy_override_sha256="abc"), range(6))


def test_a_lake_of_another_version_is_refused_by_writer_and_reader(lake: Path) -> None:
    written(lake, effects(0, 1))
    connection = open_lake(lake)
    connection.execute("UPDATE identity SET version = 99")
    connection.close()

    with pytest.raises(LakeError, match=f"version 99, this program writes version {VERSION}"):
        create_or_open_writer(lake, LOG, range(6))
    with pytest.raises(LakeError, match="version 99"):
        connect_reader(lake)


def test_a_second_writer_is_told_which_process_has_the_lake(lake: Path) -> None:
    with create_or_open_writer(lake, LOG, range(6)):
        script = (
            "import sys; from pathlib import Path\n"
            "from flows.lake.layout import Identity\n"
            "from flows.lake.writer import create_or_open_writer\n"
            "from schemas.errors import LakeError\n"
            "try: create_or_open_writer(Path(sys.argv[1]), Identity('log-1'), range(6))\n"
            "except LakeError as error: print(error)\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", script, str(lake)], capture_output=True, text=True, check=True
        ).stdout

    holder = (lake / ".lock").read_text().strip()
    assert f"is being written by another process (pid {holder})" in said


def test_a_refused_writer_leaves_the_lake_to_the_next_one(lake: Path) -> None:
    written(lake, effects(0, 1))
    with pytest.raises(LakeError):
        create_or_open_writer(lake, Identity(LogId("log-2")), range(6))

    written(lake, effects(0, 3))

    assert rows(lake, "SELECT count(*) FROM decisions") == [(4,)]


@pytest.mark.parametrize("partition", [0, 5])  # one that both know, one that the new owner started
def test_an_owner_that_was_replaced_commits_nothing(lake: Path, partition: int) -> None:
    written(lake, effects(0, 9))
    zombie = create_or_open_writer(lake, LOG, range(6))
    break_lock(lake)
    with create_or_open_writer(lake, LOG, range(6)) as owner:
        owner.put(effects(10, 19, partition=partition))
        owner.flush()

        zombie.put(effects(10, 49, partition=partition))
        with pytest.raises(LakeError, match=f"fenced.*partition {partition}"):
            zombie.flush()
        zombie.abort()

        owner.put(effects(20, 29, partition=partition))

    counted = "SELECT count(*), count(DISTINCT (partition, position)) FROM decisions"
    assert rows(lake, counted) == [(30, 30)]


def test_a_takeover_during_a_commit_undoes_it(lake: Path) -> None:
    written(lake, effects(0, 9))
    entered, resume = threading.Event(), threading.Event()

    def wait_inside(point: str) -> None:
        if point == "before_commit":
            entered.set()
            pause(resume)

    zombie = create_or_open_writer(lake, LOG, range(6), crash_point=wait_inside)
    zombie.put(effects(10, 49))
    assert entered.wait(60)
    break_lock(lake)
    with create_or_open_writer(lake, LOG, range(6)) as owner:
        resume.set()
        with pytest.raises(LakeError, match="fenced"):
            zombie.flush()
        zombie.abort()
        owner.put(effects(10, 19))

    assert rows(lake, "SELECT count(*), max(position) FROM decisions") == [(20, 19)]


def test_put_waits_while_the_queue_is_full(lake: Path) -> None:
    resume, done = threading.Event(), threading.Event()
    small = WriterSettings(QueueSettings(commit_rows=10, queue_rows=40))
    with create_or_open_writer(
        lake, LOG, range(6), settings=small, crash_point=lambda _: pause(resume)
    ) as writer:
        writer.put(effects(0, 9))

        def put_more() -> None:
            writer.put(effects(10, 19))
            done.set()

        thread = threading.Thread(target=put_more)
        thread.start()
        waited = not done.wait(0.3)
        resume.set()
        thread.join(60)

    assert waited
    assert done.is_set()
    assert rows(lake, "SELECT count(*) FROM decisions") == [(20,)]


def test_effects_with_rows_beyond_their_position_stop_the_writer(lake: Path) -> None:
    writer = create_or_open_writer(lake, LOG, range(6))
    writer.put(Effects(0, 3, effects(0, 9).tables))

    with pytest.raises(ValueError, match="up to position 3 hold a row of 9"):
        writer.flush()
    with pytest.raises(ValueError, match="position 3"):
        writer.put(effects(10, 11))
    writer.abort()

    assert rows(lake, "SELECT count(*) FROM decisions") == [(0,)]


def test_a_closed_writer_accepts_nothing(lake: Path) -> None:
    writer = create_or_open_writer(lake, LOG, range(6))
    writer.close()

    with pytest.raises(LakeError, match="writer is closed"):
        writer.put(effects(0, 1))


def test_leaving_by_an_error_drops_what_waits(lake: Path) -> None:
    def fail(writer: LakeWriter) -> None:
        writer.put(effects(0, 4))
        writer.flush()
        raise KeyError

    slow = WriterSettings(QueueSettings(commit_seconds=600, idle_seconds=600))
    with (
        pytest.raises(KeyError),
        create_or_open_writer(lake, LOG, range(6), settings=slow) as writer,
    ):
        fail(writer)

    assert rows(lake, "SELECT count(*) FROM decisions") == [(5,)]


def test_a_damaged_catalogue_is_named(lake: Path) -> None:
    written(lake, effects(0, 1))
    (lake / "catalog.sqlite").write_bytes(b"nothing a database would hold" * 400)

    with pytest.raises(LakeError, match=r"catalog\.sqlite is damaged; restore"):
        create_or_open_writer(lake, LOG, range(6))
    with pytest.raises(LakeError, match=r"catalog\.sqlite is damaged; restore"):
        connect_reader(lake)


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    with pytest.raises(LakeError, match=r"no lake: it has no catalog\.sqlite but thesis\.txt"):
        create_or_open_writer(tmp_path, LOG, range(6))

    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_database_of_somebody_else_is_refused(lake: Path) -> None:
    lake.mkdir()
    connection = sqlite3.connect(lake / "catalog.sqlite")
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    first = open_lake(lake)
    first.execute("CREATE TABLE lake.theirs (a INTEGER)")
    first.close()

    with pytest.raises(LakeError, match="no lake of Crossdock"):
        create_or_open_writer(lake, LOG, range(6))


def test_a_moved_lake_can_be_read_and_written(lake: Path, tmp_path: Path) -> None:
    written(lake, effects(0, 29))
    elsewhere = tmp_path / "it's elsewhere"  # the quote is on purpose
    shutil.move(lake, elsewhere)

    written(elsewhere, effects(30, 59))

    assert rows(elsewhere, "SELECT count(*) FROM allocations") == [(120,)]
    assert not lake.exists()
    assert list(elsewhere.glob("data/main/decisions_recent_0/*.parquet"))


def test_views_are_replaced_when_the_product_has_other_ones(lake: Path) -> None:
    written(lake, effects(0, 4))
    connection = open_lake(lake)
    connection.execute("CREATE OR REPLACE VIEW orders AS SELECT 1 AS old")
    connection.execute("UPDATE identity SET views_sha256 = 'of an older release'")
    connection.close()

    written(lake, effects(5, 9))

    assert rows(lake, "SELECT count(order_id) FROM orders") == [(10,)]
