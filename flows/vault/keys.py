"""The vault: a key for each person, in one SQLite file, each kept under the master key.

A file and no topic: a topic that is compacted keeps what was removed until a cleaner comes by, and cannot say
that a person has one key only. Here two processes at once make one key, and a key that is destroyed is
overwritten. It holds keys and nothing else: without it, all that was sealed is unreadable, and so it is the one
thing of which an old backup must not be kept longer than a purge may take.

A key is asked for each time, never remembered: else a process would go on with one that is destroyed.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from flows.files import make_directory
from flows.vault.seals import Key, opened
from schemas.errors import InputError, StoreError

VERSION = 1
"""Of the tables below; another one is refused."""
KEY_BYTES = 32
_ID_BYTES = 16
_BUSY_SECONDS = 30.0
_MASTER, _CHECK = "master", b"crossdock vault"
"""A text under the master key shows whether it is the right one."""
_SCHEMA = f"""
CREATE TABLE master (checked BLOB NOT NULL);
CREATE TABLE keys (
  id TEXT PRIMARY KEY,      -- what sealed values name
  source TEXT NOT NULL,     -- of the channel's records
  owner TEXT NOT NULL,      -- a customer's token; of payloads that do not say whose they are, one of their own
  is_payload INTEGER NOT NULL, -- whether it is such a one
  locked BLOB,              -- the key under the master key; null: destroyed
  made_at TEXT NOT NULL,    -- in UTC
  destroyed_at TEXT
);
CREATE UNIQUE INDEX owners ON keys (source, owner) WHERE locked IS NOT NULL;
PRAGMA user_version = {VERSION};
"""


class Owner(NamedTuple):
    """Whose a key is.

    Attributes:
        source: of the channel's records.
        name: a customer's token, or that of a payload which does not say whose it is.
        is_payload: whether it is such a one.
    """

    source: str
    name: str
    is_payload: bool = False


class Holding(NamedTuple):
    """A key that an owner has, or had.

    Attributes:
        id: of the key.
        made_at: time, in UTC.
        destroyed_at: likewise; none of one that is there.
    """

    id: str
    made_at: str
    destroyed_at: str | None


class Vault:
    """The file, open; several processes may have it open at a time."""

    def __init__(
        self,
        path: Path,
        master_key: bytes,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open it, or make it.

        Raises:
            InputError: the master key is not the one that it was made with.
            StoreError: it cannot be used; the message says why.
        """
        self.path = path
        self._clock = clock
        self._master = Key(_MASTER, master_key)
        self._connection = _connected(path)
        try:
            with self._transaction():
                self._check()
        except (InputError, StoreError):
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave it."""
        self._connection.close()

    def keys_of(self, owners: Iterable[Owner]) -> dict[Owner, Key]:
        """The key of each owner; made, and durable, where there is none."""
        wanted = dict.fromkeys(owners)
        with self._explained():
            known = {owner: key for owner in wanted if (key := self._key_of(owner)) is not None}
        if len(known) == len(wanted):
            return known
        with self._transaction():  # others may have made some meanwhile
            return {owner: self._key_of(owner) or self._made(owner) for owner in wanted}

    def opened(self, raw: bytes) -> bytes:
        """A payload with what its sealed values hold; ``null`` where a key is destroyed."""
        with self._explained():
            return opened(raw, cache(self._key))

    def holdings(self, owner: Owner) -> list[Holding]:
        """Every key that an owner has or had, the newest last."""
        with self._explained():
            rows = self._connection.execute(
                "SELECT id, made_at, destroyed_at FROM keys WHERE source = ? AND owner = ? "
                "ORDER BY made_at, destroyed_at IS NULL",
                (owner.source, owner.name),
            )
            return [Holding(*row) for row in rows]

    def counts(self, source: str) -> Mapping[str, int]:
        """How many keys a source has: of customers, of payloads, and destroyed ones."""
        with self._explained():
            (found,) = self._connection.execute(
                "SELECT count(*) FILTER (WHERE locked IS NOT NULL AND NOT is_payload), "
                "count(*) FILTER (WHERE locked IS NOT NULL AND is_payload), "
                "count(*) FILTER (WHERE locked IS NULL) "
                "FROM keys WHERE source = ?",
                (source,),
            ).fetchall()
        return dict(zip(("customers", "payloads", "destroyed"), found, strict=True))

    def destroy(self, owner: Owner) -> int:
        """Destroy the key of an owner; returns how many there were, one or none."""
        return self._destroy("owner = ?", (owner.source, owner.name))

    def destroy_of_payloads(self, source: str, before: datetime) -> int:
        """Destroy the keys of a source's payloads that do not say whose they are, and are older."""
        return self._destroy("is_payload AND made_at < ?", (source, _stamp(before)))

    def _destroy(self, which: str, values: tuple[str, ...]) -> int:
        with self._transaction():
            gone = self._connection.execute(
                f"UPDATE keys SET locked = NULL, destroyed_at = ? "
                f"WHERE locked IS NOT NULL AND source = ? AND {which}",
                (_stamp(self._clock()), *values),
            )
            return gone.rowcount

    def _key(self, key_id: str) -> Key | None:
        """A key by its id; none where it is destroyed, or not of this vault."""
        row = self._connection.execute("SELECT locked FROM keys WHERE id = ?", (key_id,)).fetchone()
        return (
            None if row is None or row[0] is None else Key(key_id, self._unlocked(key_id, row[0]))
        )

    def _key_of(self, owner: Owner) -> Key | None:
        row = self._connection.execute(
            "SELECT id, locked FROM keys WHERE source = ? AND owner = ? AND locked IS NOT NULL",
            (owner.source, owner.name),
        ).fetchone()
        return None if row is None else Key(row[0], self._unlocked(*row))

    def _made(self, owner: Owner) -> Key:
        key_id, key = os.urandom(_ID_BYTES).hex(), os.urandom(KEY_BYTES)
        row = (
            *(key_id, owner.source, owner.name, owner.is_payload),
            *(self._master.encrypt(key_id.encode() + key), _stamp(self._clock())),
        )
        self._connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        return Key(key_id, key)

    def _unlocked(self, key_id: str, locked: bytes) -> bytes:
        """A key that was kept under the master key, with its id so that none can be put for another."""
        whole = self._master.decrypt(locked)
        if whole is None or not whole.startswith(key_id.encode()):
            raise StoreError(f"{self.path}: key {key_id} is damaged")
        return whole.removeprefix(key_id.encode())

    def _check(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise StoreError(
                f"{self.path} is of version {version}, this program writes version {VERSION}; "
                "use the matching release"
            )
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                self._connection.execute(statement)
            row = (self._master.encrypt(_CHECK),)
            self._connection.execute("INSERT INTO master VALUES (?)", row)
        (checked,) = self._connection.execute("SELECT checked FROM master").fetchone()
        if self._master.decrypt(checked) != _CHECK:
            raise InputError(f"{self.path} was made with another master key")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """What is within is durable at its end, or not there; others wait for it."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with _explained(self.path):
            yield


def _connected(path: Path) -> sqlite3.Connection:
    """A connection, to a file that nobody else of this machine can read."""
    make_directory(path.parent)
    path.touch(mode=0o600)
    with _explained(path):
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # no write-ahead log, in which a destroyed key would stay for a while
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA secure_delete = ON")
        return connection


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's complaints as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be used as a vault: {error}") from error


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
