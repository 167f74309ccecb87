"""What a person asks of the store, and may have sent again, whether a process delivers from it or not."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.notices.deliveries import State, expiry
from flows.notices.store import connected, explained, stamp
from schemas.errors import StoreError


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries; what is None is any."""

    state: State | None = None
    way: str | None = None
    order: str | None = None
    template: str | None = None
    key: str | None = None


_SHOWN = (
    "key, way, order_id, template, audience, language, state, attempts, due_at, done_at, at, detail"
)


def counted(store: Path) -> dict[str, int]:
    """How many deliveries are in each state."""
    with _reading(store) as connection:
        rows = connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state")
        return dict(rows.fetchall())


def by_way(store: Path) -> list[dict[str, Any]]:
    """How many deliveries of each way are in each state, with the oldest that is not finished."""
    counts = ", ".join(f"sum(state = '{state}') AS {state}" for state in State)
    with _reading(store) as connection:
        return _rows(
            connection,
            f"SELECT way, {counts}, min(CASE WHEN done_at IS NULL THEN at END) AS oldest_open "
            "FROM deliveries GROUP BY way ORDER BY way",
        )


def passed_over(store: Path) -> list[dict[str, Any]]:
    """What no rule takes."""
    with _reading(store) as connection:
        return _rows(connection, "SELECT * FROM passed_over ORDER BY audience, template")


def places(store: Path) -> list[dict[str, Any]]:
    """How far the outbox was taken."""
    with _reading(store) as connection:
        return _rows(connection, "SELECT partition, position FROM cursor ORDER BY partition")


def listed(store: Path, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The newest deliveries that are wanted, the newest first."""
    condition, values = _condition(wanted)
    with _reading(store) as connection:
        return _rows(
            connection,
            f"SELECT {_SHOWN} FROM deliveries WHERE {condition} ORDER BY id DESC LIMIT ?",
            (*values, limit),
        )


def attempts_of(store: Path, key: str) -> list[dict[str, Any]]:
    """All attempts of a notification, the first one first."""
    with _reading(store) as connection:
        return _rows(
            connection,
            "SELECT way, attempts.at, attempts.status, outcome, attempts.detail, milliseconds "
            "FROM attempts JOIN deliveries ON delivery = id WHERE key = ? ORDER BY attempts.rowid",
            (key,),
        )


def again(
    store: Path, wanted: Wanted, now: datetime, expire_hours: float, *, dry_run: bool = False
) -> int:
    """Let dead and expired deliveries be sent again, with all their attempts; returns how many.

    What could not be put in words has nothing to send.
    """
    condition, values = _condition(wanted)
    finished = f"({condition}) AND state IN ('dead', 'expired') AND content <> ''"
    _must_exist(store)
    with explained(store), closing(connected(store)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = connection.execute(
                f"SELECT id, way, lane FROM deliveries WHERE {finished} ORDER BY id", values
            ).fetchall()
            if not dry_run:
                _revive(connection, found, now, expire_hours)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return len(found)


def _revive(
    connection: sqlite3.Connection,
    found: Sequence[tuple[int, str, str]],
    now: datetime,
    expire_hours: float,
) -> None:
    at, expires = stamp(now), stamp(expiry(now, expire_hours))
    connection.executemany(
        "UPDATE deliveries SET state = 'waiting', done_at = NULL, attempts = 0, due_at = ?, "
        "expires_at = ? WHERE id = ?",
        [(at, expires, id_) for id_, _, _ in found],
    )
    for way, lane in sorted({(way, lane) for _, way, lane in found}):
        connection.execute(
            "UPDATE deliveries SET is_next = (id = (SELECT min(id) FROM deliveries "
            "WHERE way = ? AND lane = ? AND done_at IS NULL)) "
            "WHERE way = ? AND lane = ? AND done_at IS NULL",
            (way, lane, way, lane),
        )


def _condition(wanted: Wanted) -> tuple[str, tuple[str, ...]]:
    asked = {
        "state": wanted.state,
        "way": wanted.way,
        "order_id": wanted.order,
        "template": wanted.template,
        "key": wanted.key,
    }
    given = {name: str(value) for name, value in asked.items() if value is not None}
    return " AND ".join(f"{name} = ?" for name in given) or "true", tuple(given.values())


@contextmanager
def _reading(store: Path) -> Iterator[sqlite3.Connection]:
    _must_exist(store)
    with explained(store), closing(sqlite3.connect(store, timeout=10.0)) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield connection


def _must_exist(store: Path) -> None:
    if not store.is_file():
        raise StoreError(
            f"{store} is not there: nothing was delivered yet; crossdock notify run does"
        )


def _rows(
    connection: sqlite3.Connection, query: str, values: Sequence[object] = ()
) -> list[dict[str, Any]]:
    found = connection.execute(query, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]
