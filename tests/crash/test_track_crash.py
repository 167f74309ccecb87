"""``kill -9`` of who tracks milestones and telemetry, and of who tells its outbox, at seeded moments.

The lake ends as that of a run that never died, and the receiver has shown each of its messages once, those of
an order in order.
"""

import itertools
import random
import signal
import time
from pathlib import Path

from flows.lake.digest import digest
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog, write_log
from flows.notices import reports
from flows.notices.outbox import mark_of
from flows.ticks import with_ticks
from models.simulation.parcels import NETWORK, TENANT, Road, travel
from schemas.topics import LogOf
from tests.support.jobs import Job, kills, positions, seed
from tests.support.notices import Moment, Receiver, end_of_a_life, receiving, to_webhook
from tests.support.runs import start_replay, track

SEED = 20261126
LIVES = 10
"""Enough to have told everything."""
POINTS = ("after attempt", "before settle", "after take", "before attempt", "after settle")
"""Where the teller dies in turn: at first when an answer came that nobody has written down."""


def road(path: Path, chosen: int, parcels: int) -> ParquetLog:
    """Parcels with loggers, late and doubled reports, some of them held up, some too warm."""
    events, _ = travel(Road(chosen, parcels, delayed=0.3, cold=0.3))
    return write_log(path, with_ticks(events, "simulation", TENANT, NETWORK), of=LogOf.TRACKING)


def killed_at_work(process: Job, lake: Path, seconds: float) -> bool:
    """Kill it some time after it has committed something; False: it had ended by itself."""
    begun, deadline = positions(lake), time.monotonic() + 120
    while positions(lake) == begun and process.poll() is None:
        assert time.monotonic() < deadline, "it does not commit anything"
    time.sleep(seconds)
    is_at_work = process.poll() is None
    process.kill()
    process.communicate()
    return is_at_work


def messages(lake: Path) -> list[tuple[str, str]]:
    """Key and order of what customers are to be told, in the order of the log."""
    with connect_reader(lake) as reader:
        (log,) = reader.execute("SELECT log_id FROM identity").fetchone() or ("",)
        rows = reader.execute(
            'SELECT partition, position, "index", order_id FROM outbox '
            "WHERE audience = 'customer' ORDER BY ALL"
        ).fetchall()
    return [("-".join(map(str, (mark_of(log), *row[:3]))), row[3]) for row in rows]


def check_told(receiver: Receiver, wanted: list[tuple[str, str]]) -> None:
    """Each was shown once, and those of an order one after the other."""
    shown = [(key, request.json["subject"]) for key, request in receiver.shown.items()]
    assert sorted(shown) == sorted(wanted)
    for order in {order for _, order in wanted}:
        mine = [[one for one in said if one[1] == order] for said in (shown, wanted)]
        assert mine[0] == mine[1], order


def test_kills_change_nothing_of_what_is_tracked_and_told(tmp_path: Path) -> None:
    chosen, times = seed(SEED), kills(20)
    chance, points = random.Random(chosen), itertools.cycle(POINTS)
    log = road(tmp_path / "log", chosen, parcels=14 + 2 * times)
    track(log, tmp_path / "undisturbed")
    lake, deaths, tellers = tmp_path / "lake", 0, 0

    with receiving() as receiver:
        settings = to_webhook(receiver, retry_seconds=[0.01] * 8, expire_hours=1e6)
        for _ in range(times):
            slices = chance.choice(["1", "7"])
            process = start_replay(log.path, lake, "--slice-records", slices)
            deaths += killed_at_work(process, lake, chance.uniform(0, 0.3))
            tellers += end_of_a_life(lake, settings, Moment(next(points), 1)) == -signal.SIGKILL
        final = start_replay(log.path, lake)
        _, said = final.communicate()
        assert final.returncode == 0, said.decode()
        for _ in range(LIVES):
            assert end_of_a_life(lake, settings, None) == 0
            if not reports.counted(lake.with_name("notify.sqlite")).get("waiting", 0):
                break

        wanted = messages(tmp_path / "undisturbed")
        check_told(receiver, wanted)
    assert digest([lake]) == digest([tmp_path / "undisturbed"])
    assert deaths > 0, "it had nothing left to do: more parcels"
    assert tellers > 0
    assert len(receiver.requests) > len(wanted) > 20, "no kill made anything come twice"
