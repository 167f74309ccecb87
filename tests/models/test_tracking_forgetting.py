"""What the tracking fold forgets, and what it makes of news about an order that it has forgotten."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import models.tracking.fold as fold
from models.tracking.arrays import ENTRY, NOBODY, ORDER, Cursor
from models.tracking.history import forget
from schemas.envelope import Event
from schemas.tables import Table
from tests.support.devices import bound, sensed
from tests.support.tracks import Tracked, decided, feedback, offered, ordered, step, tick, track

DAY = 24.0
GONE = 60 * DAY
"""When whatever ends within two days is forgotten."""
ROUTED = [ordered(0), decided(0.1, promise=48, cause=1), offered(0.1, "N", cause=1)]
SENT = [tick(0), *ROUTED, step("handed_over", 5, node="N")]
CLOSED = [*SENT, step("delivered", 30, node="N"), tick(31), tick(103), tick(18 * DAY)]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after every other record for what may be forgotten."""
    monkeypatch.setattr(fold, "FORGET_EVERY", 2)


def after(*events: Event) -> Tracked:
    """What comes of these, and of a year on which nobody says anything."""
    return track([*events, *(tick(GONE + day * DAY) for day in (1, 2, 3, 40, 120, 300, 500, 501))])


def since(tracked: Tracked, table: Table) -> list[str]:
    """Words of the rows that came after the order was forgotten."""
    name = {Table.EXCEPTIONS: "code", Table.OUTBOX: "template"}[table]
    before = len(track(CLOSED).rows(table))
    return [row[name] for row in tracked.rows(table)[before:]]


def test_nothing_is_said_twice_of_an_order_that_was_forgotten() -> None:
    again = [step("delivered", 30, node="N"), ordered(0), tick(GONE + 1)]

    tracked = after(*CLOSED, tick(GONE), tick(GONE), *again)

    assert tracked.rows(Table.TIMELINE)[len(track(CLOSED).rows(Table.TIMELINE)) :]
    assert since(tracked, Table.OUTBOX) == []
    assert since(tracked, Table.EXCEPTIONS) == []


def test_an_answer_long_after_the_end_begins_no_order() -> None:
    tracked = after(*CLOSED, tick(GONE), tick(GONE), feedback(GONE, nps=9))

    rows = tracked.rows(Table.TIMELINE)
    assert [row["phase"] for row in rows if row["step"] == "FEEDBACK"] == [None]
    assert tracked.exceptions() == []


def test_a_logger_that_nobody_stopped_raises_nothing() -> None:
    talk = [sensed(GONE + hour, 99.0) for hour in range(9)]

    assert after(*CLOSED, tick(GONE), tick(GONE), *talk).exceptions() == []
    assert after(tick(GONE), *talk).exceptions() == []
    assert after(tick(GONE), bound(GONE), *talk).exceptions()


def test_an_order_that_is_decided_anew_is_told_of_again() -> None:
    tracked = after(*CLOSED, tick(GONE), tick(GONE), decided(GONE, promise=GONE + 20, cause=9))

    assert "CONFIRMED" in since(tracked, Table.OUTBOX)
    assert "DELAY_BREACHED" in since(tracked, Table.EXCEPTIONS)


@pytest.mark.parametrize(
    "events",
    [
        SENT,
        [*SENT, step("lost", 30)],
        [*SENT, step("damaged", 30)],
        [*SENT, step("returning", 30)],
        [tick(0), ordered(0)],
        [tick(0), ordered(0), decided(1, outcome="UNROUTABLE")],
        [tick(0), ordered(0), decided(1, outcome="HELD_FOR_REVIEW")],
        [tick(0), ordered(0, installation=True), step("delivered", 9)],
        [tick(0), bound(0), sensed(1, 5.0)],
        [tick(0), sensed(1, 5.0)],
        [step("scanned", 1)],
    ],
)
def test_every_order_is_forgotten_in_the_end(events: list[Event]) -> None:
    assert len(track(events).state.keys) == 1

    tracked = after(*events)

    assert len(tracked.state.keys) == 0


def test_an_order_is_remembered_as_long_as_its_date_is_to_come() -> None:
    far = [tick(0), ordered(0), decided(0.1, outcome="BACKORDERED", promise=200 * DAY, cause=1)]

    tracked = track([*far, tick(100 * DAY), tick(100 * DAY), tick(199 * DAY), tick(201 * DAY)])

    assert ("DELAY_BREACHED", "raised") in tracked.exceptions()


def histories(orders: npt.NDArray[Any], entries: npt.NDArray[Any]) -> list[list[int]]:
    """Keys of the entries of each order, from the first on."""
    found = []
    for at in orders["first"].tolist():
        mine = []
        while at != NOBODY:
            mine.append(int(entries["key"][at]))
            at = int(entries["next"][at])
        found.append(mine)
    return found


def test_histories_that_stay_are_whole_and_lie_together() -> None:
    chance = np.random.default_rng(1)
    orders, entries = np.zeros(400, ORDER), np.zeros(3_000, ENTRY)
    orders["first"], entries["key"] = NOBODY, np.arange(3_000)
    cursor = np.zeros(len(Cursor), np.int64)
    cursor[[Cursor.FREE, Cursor.USED]] = NOBODY, 3_000
    for entry in chance.permutation(3_000).tolist():
        order = int(chance.integers(400))
        entries["next"][entry], orders["first"][order] = orders["first"][order], entry
    before, gone = histories(orders, entries), chance.random(400) < 0.4

    forget(orders, entries, cursor, gone)

    kept = [mine for mine, is_gone in zip(before, gone, strict=True) if not is_gone]
    assert histories(orders[: len(kept)], entries) == kept
    assert cursor[Cursor.USED] == sum(map(len, kept))
    assert (np.diff(entries["key"][: cursor[Cursor.USED]].astype(np.int64)) > 0).all()


def test_who_carries_a_parcel_is_still_known_when_words_were_forgotten() -> None:
    sent = [
        decided(59 * DAY, "o2", promise=62 * DAY, cause=2),
        offered(59 * DAY, "M", "o2", cause=2),
    ]
    carried = step("handed_over", 59 * DAY, "o2", package="2", node="M", carrier="slow")

    tracked = track([*CLOSED, *sent, carried, *(tick(GONE + hour) for hour in range(0, 90, 3))])

    assert list(tracked.state.keys) == ["acme/eu/o2"]
    assert tracked.rows(Table.ESTIMATES)[-1]["lane"] == "slow/M"
