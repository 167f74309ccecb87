"""``kill -9`` at random moments, and resume: the lake ends as that of a run that never died.

While it happens a reader polls from this process; it must never see a row twice, or one vanish.
"""

import random
import signal
import subprocess
import time
from pathlib import Path

import duckdb

from flows.lake.digest import digest
from flows.lake.query import connect_reader
from schemas.errors import LakeError
from tests.support.runs import recorded_world, route, start_replay

KILLS = 20
SEED = 20261122


class Reader:
    """Polls the decisions of a lake, and remembers what it saw."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        self.rows = 0
        self.polls = 0

    def poll(self) -> None:
        """Look once; a lake that is not there yet is nothing to look at."""
        try:
            with connect_reader(self.lake) as reader:
                rows, distinct = reader.execute(
                    'SELECT count(*), count(DISTINCT (partition, position, "index")) FROM decisions'
                ).fetchall()[0]
        except (LakeError, duckdb.Error):
            assert self.polls == 0, "the lake could be read before, and cannot now"
            return
        assert rows == distinct, "a reader saw a row twice"
        assert rows >= self.rows, "a reader saw a row vanish"
        self.rows, self.polls = rows, self.polls + 1


def test_twenty_kills_leave_the_lake_of_a_run_that_never_died(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    moments = random.Random(SEED)
    log = recorded_world(tmp_path / "log", seed=SEED, records=4000)
    route(log, tmp_path / "undisturbed")
    lake, reader, kills = tmp_path / "lake", Reader(tmp_path / "lake"), 0

    while kills < KILLS:
        options = ["--slice-records", str(moments.choice([1, 7, 64]))]
        process = start_replay(log.path, lake, *options)
        _watch(process, reader, moments.uniform(0.5, 4.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        else:
            kills = KILLS
            assert process.returncode == 0, process.communicate()[1].decode()
        process.communicate()
    final = start_replay(log.path, lake)
    _, said = final.communicate()
    reader.poll()

    assert final.returncode == 0, said.decode()
    assert digest([lake]) == digest([tmp_path / "undisturbed"])


def test_an_interrupt_ends_the_job_cleanly_and_it_goes_on_later(tmp_path: Path) -> None:
    log = recorded_world(tmp_path / "log", seed=3, records=4000)
    route(log, tmp_path / "undisturbed")
    process = start_replay(log.path, tmp_path / "lake", "--slice-records", "1")
    reader = Reader(tmp_path / "lake")
    deadline = time.monotonic() + 120
    while reader.rows == 0 and process.poll() is None and time.monotonic() < deadline:
        reader.poll()

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=180)
    again = start_replay(log.path, tmp_path / "lake")
    again.communicate(timeout=300)

    assert b"Traceback" not in said
    assert again.returncode == 0
    assert digest([tmp_path / "lake"]) == digest([tmp_path / "undisturbed"])


def _watch(process: "subprocess.Popen[bytes]", reader: Reader, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        reader.poll()
