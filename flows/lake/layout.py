"""The lake's tables, and whom they belong to.

Commits go to ``<name>_recent_<owner>`` (one file a commit), maintenance moves them to
``<name>_settled``, and the view ``<name>`` joins all of them. An owner has tables of its own, since
DuckLake takes a DELETE and somebody else's INSERT into one table for a conflict: only what all
share, the settled half, ever conflicts, and seldom. Where rows have an ``order_id`` the settled half
is bucketed by it and its files are sorted by it, so that one order's rows are in one file in 16 and lie
together: a bucketed table costs 16 files a commit, an unbucketed one 433 ms a look-up among 10 million
rows instead of 18 (measured).

``identity`` (a row per flow) says of which log, policy override and version the rows are. Who owns which
partition, and how far its rows go: ownership.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb
import pyarrow as pa

from flows.lake.catalogue import number
from flows.lake.connection import ALIAS, METADATA
from flows.lake.durability import transacted
from flows.lake.views import create_views, views_sha256
from schemas.errors import LakeError
from schemas.ids import LogId
from schemas.tables import SCHEMAS, VERSION, Table

BUCKETS = 16
"""Stretches of a settled table. A query reads some rows of the catalogue for each file of the lake: more
stretches mean more files, which soon cost a look-up more than it is spared."""
FACTS = tuple(t for t in Table if t is not Table.MEASUREMENTS)


class Flow(StrEnum):
    """Whose effects may be in one lake: each flow reads a log of its own."""

    ROUTE = "route"
    TRACK = "track"

    @property
    def first_partition(self) -> int:
        """From where on its partitions are counted, so that (partition, position, index) is one row."""
        return 0 if self is Flow.ROUTE else TRACK_PARTITIONS


TRACK_PARTITIONS = 10_000
"""Partition 3 of the tracking log is 10,003 in the lake."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose rows of one flow the lake holds.

    Attributes:
        log_id: of the log that the effects are of.
        log_partitions: how many it has; with another number networks live elsewhere.
        policy_override_sha256: of the policy that overrides the log's own; empty without.
        flow: whose effects they are.
    """

    log_id: LogId
    log_partitions: int = 1
    policy_override_sha256: str = ""
    flow: Flow = Flow.ROUTE


def landing(table: Table, owner: int) -> str:
    """What the commits of an owner write; an owner is named by the first of its partitions."""
    return f"{table}_recent_{owner}"


def ownership(owner: int) -> str:
    """Positions of the partitions that an owner has."""
    return f"{_POSITIONS}{owner}"


def settled(table: Table) -> str:
    """The half that look-ups of old orders read."""
    return f"{table}_settled"


def create_or_check(connection: duckdb.DuckDBPyConnection, path: Path, identity: Identity) -> None:
    """Lay out an empty lake, or check that this one takes our rows; refresh the views.

    Raises:
        LakeError: something else, another version, another log or another policy override.
    """

    def create_or_refresh() -> bool:
        is_new = not _names(connection)
        if is_new:
            _create(connection, identity)
        else:
            check_version(connection, path)
            _check_identity(connection, path, identity)
        _refresh_views(connection)
        return is_new

    if transacted(connection, create_or_refresh):
        _start_statistics(connection, [settled(table) for table in Table])


def owners(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """All that ever wrote."""
    return sorted(
        int(name.removeprefix(_POSITIONS))
        for name in _names(connection)
        if name.startswith(_POSITIONS)
    )


def add_owner(connection: duckdb.DuckDBPyConnection, owner: int) -> None:
    """Give an owner its tables, within a transaction."""
    known = [*owners(connection), owner]
    connection.execute(
        f"CREATE TABLE {ownership(owner)} (partition INTEGER, position BIGINT, owner_epoch BIGINT)"
    )
    _join_positions(connection, known)
    for table in Table:
        _create_table(connection, landing(table, owner), SCHEMAS[table])
        _join(connection, table, known)


def start_statistics(connection: duckdb.DuckDBPyConnection, owner: int) -> None:
    """Let the tables of a new owner be quick to query."""
    _start_statistics(connection, [landing(table, owner) for table in Table])


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse what is no lake of ours, or one whose tables are not of this version."""
    if "identity" not in _names(connection):
        raise LakeError(f"{path} is no lake of Crossdock: its table identity is missing")
    row = connection.execute("SELECT version FROM identity").fetchone()
    found = row[0] if row else None
    if found != VERSION:
        raise LakeError(
            f"{path} has tables of version {found}, this program writes version {VERSION}; "
            "use the matching release, or build the lake anew from the log with --fresh"
        )


def identity_of(connection: duckdb.DuckDBPyConnection, flow: Flow = Flow.ROUTE) -> Identity:
    """Whose rows of a flow an opened lake holds; of no log, if it has none."""
    row = connection.execute(
        "SELECT log_id, log_partitions, policy_override_sha256 FROM identity WHERE flow = ?", [flow]
    ).fetchone()
    return Identity(row[0], row[1], row[2], flow) if row else Identity(LogId(""), 0, flow=flow)


def _check_identity(connection: duckdb.DuckDBPyConnection, path: Path, identity: Identity) -> None:
    found_identity = identity_of(connection, identity.flow)
    if not found_identity.log_id:
        _identify(connection, identity)
        return
    log_id, partitions = found_identity.log_id, found_identity.log_partitions
    override = found_identity.policy_override_sha256
    remedy = "use a new lake directory or --fresh"
    if log_id != identity.log_id:
        raise LakeError(f"{path} holds rows of log {log_id}, not of {identity.log_id}; {remedy}")
    if partitions != identity.log_partitions:
        raise LakeError(
            f"{path} was written when its log had {partitions} partitions; now it has "
            f"{identity.log_partitions}, so that networks live elsewhere and stock could be sold twice: "
            "make a new topic of the size you want, replay the recorded journal to it, "
            "and use a new lake directory"
        )
    if override != identity.policy_override_sha256:
        found, given = override or "none", identity.policy_override_sha256 or "none"
        raise LakeError(f"{path} was written under policy override {found}, not {given}; {remedy}")


def _create(connection: duckdb.DuckDBPyConnection, identity: Identity) -> None:
    for table in Table:
        _create_table(connection, settled(table), SCHEMAS[table])
        if "order_id" in SCHEMAS[table].names:
            connection.execute(
                f"ALTER TABLE {settled(table)} SET PARTITIONED BY (bucket({BUCKETS}, order_id))"
            )
        _join(connection, table, [])
    _join_positions(connection, [])
    connection.execute(
        "CREATE TABLE identity (version INTEGER, flow VARCHAR, log_id VARCHAR, "
        "log_partitions INTEGER, policy_override_sha256 VARCHAR, views_sha256 VARCHAR)"
    )
    _identify(connection, identity)


def _identify(connection: duckdb.DuckDBPyConnection, identity: Identity) -> None:
    override = identity.policy_override_sha256
    connection.execute(
        "INSERT INTO identity VALUES (?, ?, ?, ?, ?, '')",
        [VERSION, identity.flow, identity.log_id, identity.log_partitions, override],
    )


def _join_positions(connection: duckdb.DuckDBPyConnection, known: Sequence[int]) -> None:
    nothing = "SELECT 0 AS partition, 0::BIGINT AS position, 0::BIGINT AS owner_epoch WHERE false"
    parts = [nothing, *(f"SELECT * FROM {ownership(owner)}" for owner in known)]
    connection.execute(f"CREATE OR REPLACE VIEW positions AS {' UNION ALL '.join(parts)}")


def _join(connection: duckdb.DuckDBPyConnection, table: Table, known: Sequence[int]) -> None:
    names = [settled(table), *(landing(table, owner) for owner in known)]
    parts = " UNION ALL ".join(f"SELECT * FROM {name}" for name in names)
    connection.execute(f"CREATE OR REPLACE VIEW {table} AS {parts}")


def _create_table(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> None:
    connection.register("shape", schema.empty_table())
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM shape")
    connection.unregister("shape")


def _start_statistics(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Let tables have had a row, deleted again in the same transaction.

    DuckLake asks the catalogue for the statistics of a table that never had one at every query,
    column by column: 90 ms for ``decisions``.
    """

    def write_and_delete() -> None:
        for name in names:
            connection.execute(f"INSERT INTO {name} (partition) VALUES (NULL)")
            connection.execute(f"DELETE FROM {name}")

    transacted(connection, write_and_delete)


def _refresh_views(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute("SELECT DISTINCT views_sha256 FROM identity").fetchall()
    if found == [(views_sha256(),)]:
        return
    create_views(connection)
    connection.execute("UPDATE identity SET views_sha256 = ?", [views_sha256()])


def _names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Tables of the snapshot that DuckLake sees: its catalogue, read beside it, may be ahead of that."""
    seen = number(connection, f"SELECT id FROM ducklake_current_snapshot('{ALIAS}')")
    return {name for (name,) in connection.execute(_TABLE_NAMES, [seen]).fetchall()}


_POSITIONS = "positions_"
_TABLE_NAMES = (
    f"SELECT table_name FROM {METADATA}.ducklake_table "
    "WHERE begin_snapshot <= $1 AND coalesce(end_snapshot > $1, true)"
)
"""``duckdb_tables()`` works out what is in each table: a tenth of a second, once a connection."""
