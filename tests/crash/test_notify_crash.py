"""``kill -9`` of the process that delivers, at seeded moments: each message is seen once, an order's in order.

The moments: before and after new deliveries are committed with the cursor, before and after results are,
before an attempt, and after its answer came and before anybody knows. The children come from a server that has
all modules loaded.
"""

import random
import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from flows.notices import reports
from tests.support.jobs import seed
from tests.support.notices import (
    MARK,
    PARTITION,
    Moment,
    Receiver,
    Reply,
    Request,
    Row,
    end_of_a_life,
    fill,
    outbox_row,
    receiving,
    to_webhook,
)

SEED = 20261125
KILLS = 20
ORDERS = 12
ROWS = 240
"""Of each of two partitions."""
LIVES = 10
"""Enough to have sent again what was refused."""
POINTS = {"take": 3, "settle": 6, "attempt": 12}
"""Of what a process is to die, and how often it may have done it."""


def outbox(first: int, last: int) -> list[Row]:
    now = datetime.now(UTC)
    return [
        outbox_row(i // 3, i % 3, partition=p, order_id=f"{p}/{i % ORDERS}", at=now)
        for p in (PARTITION, PARTITION + 1)
        for i in range(first, last)
    ]


def moment(chance: random.Random) -> Moment:
    what = chance.choice(list(POINTS))
    return Moment(f"{chance.choice(['before', 'after'])} {what}", chance.randint(1, POINTS[what]))


class Moody:
    """Refuses each seventh key twice."""

    def __init__(self) -> None:
        self.refusals: Counter[str] = Counter()

    def __call__(self, request: Request) -> Reply:
        position, index = map(int, request.key.split("-")[2:])
        if (3 * position + index) % 7 == 0 and self.refusals[request.key] < 2:
            self.refusals[request.key] += 1
            return Reply(503)
        return Reply()


def test_twenty_kills_show_every_message_once_and_in_order(tmp_path: Path) -> None:
    chance, kills = random.Random(seed(SEED)), 0
    rows = outbox(0, ROWS)
    half = [row for row in rows if row["position"] < ROWS // 6]
    lake = fill(tmp_path / "lake", half)
    with receiving() as receiver:
        receiver.answer = Moody()
        settings = to_webhook(receiver, retry_seconds=[0.01] * 8)
        while kills < KILLS:
            if kills == KILLS // 2:
                fill(lake, [row for row in rows if row not in half])
            code = end_of_a_life(lake, settings, moment(chance))
            assert code == -signal.SIGKILL, "it had nothing left to do: more rows"
            kills += 1
        for _ in range(LIVES):
            assert end_of_a_life(lake, settings, None) == 0
            if not unfinished(lake):
                break

        check_once(receiver, rows)
        check_order(receiver, rows)
    assert len(receiver.requests) > len(rows), "no kill and no refusal made anything come twice"


def unfinished(lake: Path) -> int:
    return reports.counted(lake.with_name("notify.sqlite")).get("waiting", 0)


def key_of(row: Row) -> str:
    return f"{MARK}-{row['partition']}-{row['position']}-{row['index']}"


def check_once(receiver: Receiver, rows: list[Row]) -> None:
    """Everything was taken; the receiver itself shows a key once."""
    assert set(receiver.shown) == {key_of(row) for row in rows}
    taken = Counter(request.key for request in receiver.requests)
    assert max(taken.values()) <= KILLS


def check_order(receiver: Receiver, rows: list[Row]) -> None:
    """What came of an order, repeats and all, never went back to before what was taken already."""
    for order in {row["order_id"] for row in rows}:
        wanted = [key_of(row) for row in rows if row["order_id"] == order]
        came = [r.key for r in receiver.requests if r.json["subject"] == order]
        assert [key for key in receiver.shown if key in wanted] == wanted
        assert came == sorted(came, key=wanted.index), (
            "a later message was sent before an earlier one"
        )
