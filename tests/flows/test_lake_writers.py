"""A lake with several writers: its catalogue is in PostgreSQL, each writer has its own partitions."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.lake.connection import METADATA, open_lake
from flows.lake.digest import digest
from flows.lake.durability import transacted
from flows.lake.layout import Identity, add_owner
from flows.lake.maintenance import maintain
from flows.lake.query import connect_reader
from flows.lake.queue import QueueSettings
from flows.lake.upkeep import UpkeepSettings
from flows.lake.writer import LakeWriter, WriterSettings, create_or_open_writer
from schemas.errors import LakeError
from schemas.ids import LogId
from tests.support.effects import effects
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres
LOG = Identity(LogId("log-1"))
EAGER = WriterSettings(
    QueueSettings(commit_rows=200),
    UpkeepSettings(settle_at_rows=500, gather_at_commits=4, merge_files=2, housekeeping_commits=5),
)


@pytest.fixture
def catalogue(postgres_server: PostgresServer) -> str:
    return postgres_server.database()


@pytest.fixture
def open_writer(tmp_path: Path, catalogue: str) -> Callable[..., LakeWriter]:
    def opened(*partitions: int, **options: Any) -> LakeWriter:
        return create_or_open_writer(
            tmp_path / "lake", LOG, partitions, catalogue=catalogue, **options
        )

    return opened


def rows(lake: Path, statement: str) -> list[tuple[Any, ...]]:
    with connect_reader(lake) as reader:
        return reader.execute(statement).fetchall()


def test_writers_commit_side_by_side_and_one_maintains(
    open_writer: Callable[..., LakeWriter], tmp_path: Path
) -> None:
    """Facts are those of one writer after the other, settled, gathered and merged meanwhile."""
    writers = [open_writer(*mine, settings=EAGER) for mine in ([0, 2], [1], [3])]

    def work(writer: LakeWriter, partitions: list[int]) -> None:
        for first in range(0, 600, 15):
            for partition in partitions:
                writer.put(effects(first, first + 14, partition=partition))
            if first % 60 == 0:
                writer.flush()
        writer.flush()

    threads = [
        threading.Thread(target=work, args=(writer, mine))
        for writer, mine in zip(writers, [[0, 2], [1], [3]], strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for writer in writers:
        writer.close()

    alone = tmp_path / "alone"
    with create_or_open_writer(alone, LOG, range(4)) as writer:
        for partition in range(4):
            writer.put(effects(0, 599, partition=partition))
    assert digest([tmp_path / "lake"]) == digest([alone])
    found = rows(tmp_path / "lake", "SELECT partition, position FROM positions ORDER BY ALL")
    assert found == [(p, 599) for p in range(4)]
    assert rows(tmp_path / "lake", "SELECT count(*) > 0 FROM decisions_settled") == [(True,)]


def test_owners_of_other_partitions_do_not_notice_a_takeover(
    open_writer: Callable[..., LakeWriter], tmp_path: Path
) -> None:
    left, right = open_writer(0), open_writer(1)
    left.put(effects(0, 9, partition=0))
    right.put(effects(0, 9, partition=1))
    left.flush()
    right.flush()

    with open_writer(1) as heir:
        assert heir.high_water(1) == 9
        left.put(effects(10, 19, partition=0))
        left.flush()
        right.put(effects(10, 39, partition=1))
        with pytest.raises(LakeError, match=r"fenced.*partition 1"):
            right.flush()
        right.abort()
        heir.put(effects(10, 19, partition=1))
    left.close()

    counted = "SELECT partition, count(*), max(position) FROM decisions GROUP BY ALL ORDER BY ALL"
    assert rows(tmp_path / "lake", counted) == [(0, 20, 19), (1, 20, 19)]


def test_a_takeover_during_a_commit_undoes_it(
    open_writer: Callable[..., LakeWriter], tmp_path: Path
) -> None:
    entered, resume = threading.Event(), threading.Event()

    def wait_inside(point: str) -> None:
        if point == "before_commit":
            entered.set()
            resume.wait(60)

    zombie = open_writer(0, crash_point=wait_inside)
    zombie.put(effects(0, 49))
    assert entered.wait(60)
    with open_writer(0) as owner:
        resume.set()
        with pytest.raises(LakeError, match="fenced"):
            zombie.flush()
        zombie.abort()
        owner.put(effects(0, 19))

    assert rows(tmp_path / "lake", "SELECT count(*), max(position) FROM decisions") == [(20, 19)]


@pytest.mark.parametrize(
    ("before", "after"), [([[0, 1, 2, 3]], [[0, 2], [1, 3]]), ([[0], [1, 2, 3]], [[0, 1], [2, 3]])]
)
def test_partitions_change_hands(
    open_writer: Callable[..., LakeWriter],
    tmp_path: Path,
    before: list[list[int]],
    after: list[list[int]],
) -> None:
    for first, owners in ((0, before), (10, after), (20, before)):
        for mine in owners:
            with open_writer(*mine) as writer:
                assert [writer.high_water(p) for p in mine] == [first - 1] * len(mine)
                for partition in mine:
                    writer.put(effects(first, first + 9, partition=partition))

    found = rows(tmp_path / "lake", "SELECT * FROM positions ORDER BY partition")
    assert found == [(p, 29, 3) for p in range(4)]


def test_all_start_at_once_on_a_lake_that_is_not_there(
    open_writer: Callable[..., LakeWriter], tmp_path: Path
) -> None:
    failures: list[BaseException] = []

    def work(partition: int) -> None:
        try:
            with open_writer(partition) as writer:
                writer.put(effects(0, 9, partition=partition))
        except BaseException as error:  # shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(p,)) for p in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert not failures
    assert rows(tmp_path / "lake", "SELECT count(*) FROM decisions") == [(40,)]


def test_what_cannot_be_is_said_in_one_line(
    open_writer: Callable[..., LakeWriter], tmp_path: Path, postgres_server: PostgresServer
) -> None:
    open_writer(0).close()
    create_or_open_writer(tmp_path / "alone", LOG, [0]).close()

    with pytest.raises(LakeError, match="owner of partition 0 maintains it"):
        maintain(tmp_path / "lake")
    with pytest.raises(LakeError, match=r"one process writes, not in PostgreSQL"):
        create_or_open_writer(tmp_path / "alone", LOG, [0], catalogue="dbname=x")
    with pytest.raises(LakeError, match="not at 'dbname=x'"):
        create_or_open_writer(tmp_path / "lake", LOG, [0], catalogue="dbname=x")
    nobody = f"host=127.0.0.1 port=1 dbname=x user={'x'}"
    with pytest.raises(LakeError, match="PostgreSQL cannot be reached"):
        create_or_open_writer(tmp_path / "other", LOG, [0], catalogue=nobody)


def test_a_writer_that_is_paused_inside_postgres_is_cut_off_by_it(
    open_writer: Callable[..., LakeWriter], tmp_path: Path
) -> None:
    """Its open transaction would hold up all the others; a reader may take its time."""
    asked = (
        f"SELECT * FROM postgres_query('{METADATA}', "
        "'SELECT current_setting(''idle_in_transaction_session_timeout'')')"
    )
    open_writer(0).close()

    with open_lake(tmp_path / "lake") as writer, connect_reader(tmp_path / "lake") as reader:
        limits = writer.execute(asked).fetchall(), reader.execute(asked).fetchall()

    assert limits == ([("10s",)], [("0",)])


@pytest.mark.parametrize("looked_at", ["positions", f"{METADATA}.ducklake_table"])
def test_an_owner_that_comes_while_another_is_added_is_not_forgotten(
    open_writer: Callable[..., LakeWriter], tmp_path: Path, looked_at: str
) -> None:
    """DuckLake and its catalogue's tables are read in transactions of their own: which began first?"""
    open_writer(5).close()
    others = [1]

    with open_lake(tmp_path / "lake") as connection:

        def add() -> None:
            connection.execute(f"SELECT count(*) FROM {looked_at}").fetchall()
            while others:
                with open_writer(others.pop()) as other:
                    other.put(effects(0, 9, partition=1))
            add_owner(connection, 0)

        transacted(connection, add)

    assert rows(tmp_path / "lake", "SELECT count(*) FROM decisions") == [(10,)]
