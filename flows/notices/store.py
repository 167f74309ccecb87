"""The durable memory of ``notify``: how far the outbox was taken, every delivery, every attempt.

A plain SQLite file of its own, beside the lake and never the lake's catalogue; anybody may read it. A turn
of the flow is a few transactions at most: new deliveries together with the cursor, results together with
what they set free. So after ``kill -9`` a delivery is there once, and what was sent but not yet written down is
sent again with the same key: at least once, and visible once where the key is honoured.

Of each way, the deliveries of one order are a *lane*: only its first unfinished one may be sent.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from flows.files import make_directory
from flows.lake.commit import no_crash
from flows.notices.deliveries import UNFINISHED, Delivery, Due, Result, State
from flows.notices.outbox import Place
from schemas.errors import StoreError

VERSION = 1
"""Of the tables below; another one is refused."""
PURGED = 5_000
"""Finished deliveries removed at a time."""
_BUSY_SECONDS = 30.0


_SCHEMA = f"""
CREATE TABLE lake_logs (flow TEXT PRIMARY KEY, log_id TEXT NOT NULL);
CREATE TABLE cursor (partition INTEGER PRIMARY KEY, position INTEGER NOT NULL, "index" INTEGER NOT NULL);
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL,          -- partition-position-index of the outbox's row; what receivers know repeats by
  way TEXT NOT NULL,
  lane TEXT NOT NULL,         -- what goes in order
  tenant TEXT NOT NULL,
  network TEXT NOT NULL,
  order_id TEXT,
  audience TEXT NOT NULL,
  template TEXT NOT NULL,
  customer TEXT,              -- a token
  language TEXT NOT NULL,
  at TEXT NOT NULL,           -- of the notification; all times are UTC
  expires_at TEXT NOT NULL,
  is_urgent INTEGER NOT NULL,
  content TEXT NOT NULL,      -- JSON, as it is sent, but for the address; empty: no words could be found
  state TEXT NOT NULL,        -- {", ".join(State)}
  is_next INTEGER NOT NULL,   -- first unfinished one of its lane
  due_at TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  detail TEXT,                -- of the last attempt
  taken_at TEXT NOT NULL,
  done_at TEXT,
  UNIQUE (key, way)
);
CREATE INDEX due ON deliveries (way, due_at) WHERE is_next;
CREATE INDEX lanes ON deliveries (way, lane, id) WHERE done_at IS NULL;
CREATE INDEX done ON deliveries (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX orders ON deliveries (order_id);
CREATE INDEX states ON deliveries (state, way);
CREATE TABLE attempts (
  delivery INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  at TEXT NOT NULL,
  status INTEGER,             -- of HTTP or SMTP; null: no answer
  outcome TEXT NOT NULL,      -- state after it
  detail TEXT,
  milliseconds REAL NOT NULL
);
CREATE INDEX attempts_of ON attempts (delivery);
CREATE TABLE passed_over (
  audience TEXT, template TEXT, notifications INTEGER NOT NULL, PRIMARY KEY (audience, template)
); -- what no rule takes
CREATE VIEW dead_letters AS
  SELECT key, way, order_id, template, audience, customer, attempts, detail, at, done_at
  FROM deliveries WHERE state = 'dead';
PRAGMA user_version = {VERSION};
"""
_DELIVERY = (
    "key, way, lane, tenant, network, order_id, audience, template, customer, language, at, expires_at, "
    "is_urgent, content, state, detail"
)
_DUE = (
    "id, key, way, lane, tenant, network, audience, template, customer, language, expires_at, is_urgent, "
    "attempts, content"
)
_INSERT = f"""INSERT OR IGNORE INTO deliveries ({_DELIVERY}, is_next, due_at, taken_at, done_at)
VALUES ({", ".join("?" * 16)}, 0, ?, ?, ?)"""
_URGE = """UPDATE deliveries SET is_urgent = 1, due_at = CASE state WHEN 'held' THEN ? ELSE due_at END,
state = 'waiting' WHERE way = ? AND lane = ? AND done_at IS NULL"""
_PROMOTE = """UPDATE deliveries SET is_next = 1 WHERE id = (
SELECT min(id) FROM deliveries WHERE way = ? AND lane = ? AND done_at IS NULL)"""


class Store:
    """The file, open for the one process that delivers."""

    def __init__(
        self,
        path: Path,
        logs: Mapping[str, str],
        crash_point: Callable[[str], None] = no_crash,
    ) -> None:
        """Open or make it.

        Args:
            path: of the file.
            logs: of which logs the lake's rows are, by flow: the cursor counts for these alone.
            crash_point: tests end the process there.

        Raises:
            StoreError: another process delivers from it, it is of another version or of another lake.
        """
        self.path = path
        self._crash_point = crash_point
        make_directory(path.parent)
        self._lock = _locked(path)
        try:
            self._connection = connected(path)
            with self._explained():
                self._check(logs)
        except StoreError:
            self._lock.close()
            raise

    def places(self) -> dict[int, Place]:
        """How far each partition was taken."""
        with self._explained():
            rows = self._connection.execute('SELECT partition, position, "index" FROM cursor')
            return {partition: Place(*place) for partition, *place in rows}

    def take(
        self,
        deliveries: Sequence[Delivery],
        passed_over: Mapping[tuple[str, str], int],
        places: Mapping[int, Place],
        now: datetime,
    ) -> None:
        """Keep new deliveries and the cursor after them, both or neither."""
        with self._transaction("take"):
            self._connection.executemany(_INSERT, [_row(one, now) for one in deliveries])
            open_ones = [one for one in deliveries if one.state in UNFINISHED]
            for way, lane in {(one.way, one.lane) for one in open_ones if one.is_urgent}:
                self._connection.execute(_URGE, (stamp(now), way, lane))
            self._promote((one.way, one.lane) for one in open_ones)
            self._connection.executemany(
                "INSERT INTO passed_over VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
                "notifications = notifications + excluded.notifications",
                [(*what, count) for what, count in passed_over.items()],
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)",
                [(partition, *place) for partition, place in places.items()],
            )

    def due(self, way: str, now: datetime, limit: int, without: Collection[int]) -> list[Due]:
        """What may be sent by a way, the longest due first."""
        with self._explained():
            rows = self._connection.execute(
                f"SELECT {_DUE} FROM deliveries WHERE is_next AND way = ? AND due_at <= ? "
                "ORDER BY due_at, id LIMIT ?",
                (way, stamp(now), limit + len(without)),
            ).fetchall()
        found = [Due(*(*row[:10], instant(row[10]), bool(row[11]), *row[12:])) for row in rows]
        return [one for one in found if one.id not in without][:limit]

    def settle(self, results: Sequence[Result], now: datetime) -> None:
        """Write down what came of deliveries, and let the next of their lanes go."""
        with self._transaction("settle"):
            for result in results:
                self._settle(result, now)
            finished = [r.due for r in results if r.state not in UNFINISHED]
            self._promote((due.way, due.lane) for due in finished)

    def purge(self, before: datetime) -> int:
        """Forget some of what was finished before; returns how many."""
        with self._transaction("purge"):
            gone = self._connection.execute(
                "DELETE FROM deliveries WHERE id IN "
                "(SELECT id FROM deliveries WHERE done_at < ? LIMIT ?)",
                (stamp(before), PURGED),
            )
            return gone.rowcount

    def close(self) -> None:
        """Let the next process have it."""
        self._connection.close()
        self._lock.close()

    def _settle(self, result: Result, now: datetime) -> None:
        due, is_done = result.due, result.state not in UNFINISHED
        self._connection.execute(
            "UPDATE deliveries SET state = ?, due_at = coalesce(?, due_at), detail = ?, done_at = ?, "
            "is_next = ?, attempts = attempts + ? WHERE id = ?",
            (
                result.state,
                stamp(result.due_at) if result.due_at is not None else None,
                result.detail,
                stamp(now) if is_done else None,
                not is_done,
                result.attempt is not None,
                due.id,
            ),
        )
        if result.attempt is not None:
            at, milliseconds, status = result.attempt
            row = (due.id, stamp(at), status, result.state, result.detail, milliseconds)
            self._connection.execute("INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?)", row)

    def _promote(self, lanes: Iterable[tuple[str, str]]) -> None:
        """Let the first unfinished delivery of each lane be the next."""
        self._connection.executemany(_PROMOTE, sorted(set(lanes)))

    def _check(self, logs: Mapping[str, str]) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise StoreError(
                f"{self.path} is of version {version}, this program writes version {VERSION}; "
                "use the matching release"
            )
        if version == 0:
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        with self._transaction("open"):
            known = dict(self._connection.execute("SELECT flow, log_id FROM lake_logs"))
            for flow, log in logs.items():
                if known.get(flow, log) != log:
                    raise StoreError(
                        f"{self.path} is of log {known[flow]}, the lake has rows of {log}: their positions "
                        "mean other orders; set another store under [notify]"
                    )
                row = (flow, log)
                self._connection.execute("INSERT OR IGNORE INTO lake_logs VALUES (?, ?)", row)

    @contextmanager
    def _transaction(self, name: str) -> Iterator[None]:
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._crash_point(f"before {name}")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        self._crash_point(f"after {name}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with explained(self.path):
            yield


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made if need be; what is committed survives a power cut.

    Raises:
        StoreError: it cannot be opened, or is no such file.
    """
    with explained(path):
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's complaints as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be used as a store of deliveries: {error}") from error


def stamp(at: datetime) -> str:
    """An instant as it is kept: of one length, so that the order of texts is that of times."""
    return at.isoformat(timespec="microseconds")


def instant(text: str) -> datetime:
    """The instant of a stamp."""
    return datetime.fromisoformat(text)


def _row(one: Delivery, now: datetime) -> tuple[object, ...]:
    is_done = one.state not in UNFINISHED
    return (
        *(one.key, one.way, one.lane, one.tenant, one.network, one.order_id, one.audience),
        *(one.template, one.customer, one.language, stamp(one.at), stamp(one.expires_at)),
        *(one.is_urgent, one.content, one.state, one.detail),
        *(stamp(now), stamp(now), stamp(now) if is_done else None),
    )


def _locked(path: Path) -> IO[str]:
    """A lock that dies with its process: two that deliver would mix up the order of messages."""
    file = path.with_name(f"{path.name}.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StoreError(
            f"{path}: another process (pid {holder}) delivers from it; stop it first"
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
