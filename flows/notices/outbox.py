"""Following the lake's ``outbox`` from another process, or this one: what is new since the cursor.

A commit of the lake never splits a position, so a place per partition says exactly what was taken. The
catalogue's files tell cheaply whether anything was committed; they are only looked at, never opened,
and the lake is asked every ``poll_seconds`` in any case.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import structlog

from flows.lake.connection import has_many_writers
from flows.lake.diagnosis import CATALOG, explained
from flows.lake.layout import Flow, identity_of
from flows.lake.query import connect_reader
from schemas.errors import LakeError
from schemas.ids import OrderId

ROWS = 500
"""Taken at a time, so that what is due need not wait long for what is new."""
PATIENCE_SECONDS = 60.0
"""How long a lake may be away, since its maintenance or its database may be, before the flow ends."""
WHOLE = 2**31 - 1
"""Index after every effect of a position."""

_log = structlog.get_logger()


class Place(NamedTuple):
    """The last effect that was taken; ``effect`` is its index at its position."""

    position: int
    effect: int


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of the outbox of one log; what it has by name is checked when it is planned."""

    partition: int
    position: int
    index: int
    tenant: str
    network: str
    order_id: OrderId | None
    package: str | None
    audience: str
    template: str
    customer: str | None
    tier: str | None
    channel: str | None
    language: str | None
    code: str | None
    link: str | None
    details: str | None
    at: datetime
    log_mark: str

    @property
    def key(self) -> str:
        """What a receiver knows repeats by, whatever other logs and deployments tell it."""
        return f"{self.log_mark}-{self.partition}-{self.position}-{self.index}"


class Taken(NamedTuple):
    """New rows in order, by partition, and the places after them."""

    rows: list[Notification]
    places: Mapping[int, Place]


_COLUMNS = ", ".join(f'"{f.name}"' for f in fields(Notification) if f.name != "log_mark")
_NEW = f"""SELECT {_COLUMNS} FROM outbox
WHERE partition = $partition AND position BETWEEN $position AND $high
AND (position > $position OR "index" > $effect)
ORDER BY position, "index" LIMIT $room"""


def mark_of(log_id: str) -> str:
    """A log's id in eight letters: enough to tell the logs apart that one receiver hears of."""
    return hashlib.sha256(log_id.encode()).hexdigest()[:8]


class OutboxReader:
    """A cursor over the outbox of one lake."""

    def __init__(self, lake: Path, poll_seconds: float) -> None:
        """Open the lake.

        Raises:
            LakeError: there is none, or it cannot be read.
        """
        self.lake = lake
        self._places: dict[int, Place] = {}
        self._poll_seconds = poll_seconds
        self._seen: tuple[int, ...] = ()
        self._looked_at = -poll_seconds
        self._failing_since: float | None = None
        self._connection: duckdb.DuckDBPyConnection | None = connect_reader(lake)
        self._catalogue = self._file()
        self.logs = self._logs(self._connection)

    def begin(self, places: Mapping[int, Place]) -> None:
        """Go on after these places."""
        self._places = dict(places)

    def take(self) -> Taken:
        """What is new; nothing while the catalogue has not changed.

        Raises:
            LakeError: the lake cannot be read for a minute, or has become another one.
        """
        seen, now = self._stamp(), time.monotonic()
        if seen == self._seen and now < self._looked_at + self._poll_seconds:
            return Taken([], {})
        self._looked_at = now
        try:
            with explained(self.lake):
                taken = self._take()
        except LakeError as error:
            self._wait_or_raise(error, now)
            return Taken([], {})
        self._failing_since = None
        self._seen = seen if len(taken.rows) < ROWS else ()
        self._places |= taken.places
        return taken

    def close(self) -> None:
        """Let the lake go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self) -> Taken:
        connection = self._opened()
        connection.execute("BEGIN")
        try:
            return self._read(connection)
        finally:
            connection.execute("COMMIT")

    def _read(self, connection: duckdb.DuckDBPyConnection) -> Taken:
        rows: list[Notification] = []
        places: dict[int, Place] = {}
        mark = mark_of(identity_of(connection, Flow.TRACK).log_id)
        ends = connection.execute("SELECT partition, position FROM positions ORDER BY 1").fetchall()
        for partition, high in ends:
            place = self._places.get(partition, Place(-1, WHOLE))
            room = ROWS - len(rows)
            if room == 0 or place >= Place(high, WHOLE):
                continue
            asked = {"partition": partition, "high": high, "room": room, **place._asdict()}
            found = connection.execute(_NEW, asked).to_arrow_table()
            new = [Notification(**row, log_mark=mark) for row in found.to_pylist()]
            rows += new
            is_all = len(new) < room
            last = Place(high, WHOLE) if is_all else Place(new[-1].position, new[-1].index)
            places[partition] = last
        return Taken(rows, places)

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """The connection; a new one if the lake was made anew, or could not be read the last time."""
        if self._connection is not None and self._file() == self._catalogue:
            return self._connection
        self.close()
        connection = connect_reader(self.lake)
        logs = self._logs(connection)
        if any(logs.get(flow, log) != log for flow, log in self.logs.items()):
            connection.close()
            raise LakeError(f"{self.lake} holds rows of another log than before; see notify --help")
        self._connection, self._catalogue = connection, self._file()
        return connection

    def _wait_or_raise(self, error: LakeError, now: float) -> None:
        self.close()
        if self._failing_since is None:
            self._failing_since = now
            _log.warning("the lake cannot be read; looking again", why=str(error))
        elif now > self._failing_since + PATIENCE_SECONDS:
            raise error

    def _logs(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Of which logs the rows are, by flow."""
        with explained(self.lake):
            found = {flow.value: identity_of(connection, flow).log_id for flow in Flow}
        return {flow: log for flow, log in found.items() if log}

    def _file(self) -> int:
        """Which file the catalogue is."""
        return 0 if has_many_writers(self.lake) else _inode(self.lake / CATALOG)

    def _stamp(self) -> tuple[int, ...]:
        """Changes whenever something is committed; says nothing of a catalogue in PostgreSQL."""
        stamp: list[int] = []
        for name in (CATALOG, f"{CATALOG}-wal"):
            try:
                state = (self.lake / name).stat()
            except FileNotFoundError:
                continue
            stamp += [state.st_ino, state.st_mtime_ns, state.st_size]
        return tuple(stamp)


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return -1
