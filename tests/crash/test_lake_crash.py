"""The lake's writer, killed: rows and positions are committed together or not at all."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.lake.commit import CRASH_POINTS
from flows.lake.digest import digest
from flows.lake.layout import Identity
from flows.lake.query import connect_reader
from flows.lake.writer import create_or_open_writer
from schemas.errors import LakeError
from schemas.ids import LogId
from tests.support.effects import LINES, effects

LOG = Identity(LogId("log-1"))
COMMITS = 4
SIZE = 20
"""Positions in a commit: more than are inlined, so that files are written."""


def crash_at(place: str) -> Callable[[str], None]:
    """Die like by kill -9 when the point is reached for the k-th time."""
    point, _, count = place.partition(":")
    left = {point: int(count or 0)}

    def reach(name: str) -> None:
        if name in left:
            left[name] -= 1
            if not left[name]:
                os._exit(137)

    return reach


def fold(lake: Path, place: str) -> None:
    """The job: put effects from the high-water on, a commit each, in cuts of its own."""
    with create_or_open_writer(lake, LOG, [0], crash_point=crash_at(place)) as writer:
        begin = writer.high_water(0) + 1
        for first in range(max(0, begin - 3), COMMITS * SIZE, SIZE):  # some of it seen before
            writer.put(effects(first, min(first + SIZE, COMMITS * SIZE) - 1))
            writer.flush()


def run(lake: Path, place: str = "") -> int:
    command = [sys.executable, __file__, "fold", str(lake)]
    return subprocess.run(command, env={**os.environ, "CRASH_AT": place}, check=False).returncode


def assert_whole_positions(lake: Path) -> None:
    connection = connect_reader(lake)
    position = connection.execute("SELECT max(position) FROM positions").fetchone()
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM allocations)"
    ).fetchone()
    connection.close()
    expected = 0 if position is None or position[0] is None else position[0] + 1
    assert counts == (expected, LINES * expected)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("undisturbed") / "lake"
    fold(lake, "")
    return lake


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_killed_writer_leaves_the_tables_of_one_that_was_not(
    tmp_path: Path, undisturbed: Path, point: str, k: int
) -> None:
    lake = tmp_path / "lake"

    killed = run(lake, f"{point}:{k}")
    assert_whole_positions(lake)
    finished = run(lake)

    assert (killed, finished) == (137, 0)
    assert_whole_positions(lake)
    assert digest([lake]) == digest([undisturbed])


def test_a_full_disk_is_one_clear_error_and_the_same_effects_commit_when_there_is_room(
    tmp_path: Path,
) -> None:
    lake = tmp_path / "lake"
    create_or_open_writer(lake, LOG, [0]).close()

    command = [sys.executable, __file__, "fill", str(lake)]
    full = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_whole_positions(lake)
    with create_or_open_writer(lake, LOG, [0]) as writer:
        writer.put(effects(0, 2999))

    assert full.stdout.count("\n") == 1, full.stderr
    assert "the disk is full or failing" in full.stdout
    assert "make room and start again" in full.stdout
    assert_whole_positions(lake)
    assert not list(lake.glob("data/**/*.partial"))


def test_a_full_disk_under_the_catalogue_is_one_clear_error(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    create_or_open_writer(lake, LOG, [0]).close()

    command = [sys.executable, __file__, "fill-catalogue", str(lake)]
    full = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "the disk is full or failing" in full.stdout, full.stdout + full.stderr
    assert_whole_positions(lake)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not write")
def test_a_directory_that_may_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    create_or_open_writer(lake, LOG, [0]).close()

    command = [sys.executable, __file__, "unprivileged", str(lake)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "read-only for this user" in said.stdout, said.stdout + said.stderr


def _print_error(job: Callable[[], None]) -> None:
    try:
        job()
    except LakeError as error:
        print(error)


def _fill(lake: Path, limit: int, last: int) -> None:
    writer = create_or_open_writer(lake, LOG, [0])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        writer.put(effects(0, last))
        writer.flush()
    finally:
        writer.abort()


def main() -> None:
    """What the child processes of these tests run."""
    task, lake = sys.argv[1], Path(sys.argv[2])
    if task == "fold":
        fold(lake, os.environ.get("CRASH_AT", ""))
    elif task == "fill":
        _print_error(lambda: _fill(lake, 60_000, 2999))  # less than the file of decisions
    elif task == "fill-catalogue":
        _print_error(lambda: _fill(lake, 16, 1))  # two rows: inlined, no file
    elif task == "unprivileged":
        create_or_open_writer(lake, LOG, [0]).close()  # loads what only root may read
        os.setuid(65534)
        _print_error(lambda: create_or_open_writer(lake, LOG, [0]).close())


if __name__ == "__main__":
    main()
