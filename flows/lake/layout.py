"""The lake's tables, whom they belong to, and who owns their partitions.

Every table is a pair: commits go to ``<name>_recent`` (one file a commit), maintenance moves them
to ``<name>_settled``, and the view ``<name>`` joins the two. Where rows have an ``order_id`` the
settled half is bucketed by it, so that one order's rows are in one file in 64: a bucketed table
costs 64 files a commit, an unbucketed one 433 ms a look-up among 10 million rows instead of 18
(measured).

``identity`` (one row) says of which log, policy override and version the rows are. Who owns which
partition, and how far its rows go: ownership.py.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from flows.lake.views import create_views, views_sha256
from schemas.errors import LakeError
from schemas.ids import LogId
from schemas.tables import SCHEMAS, VERSION, Table

BUCKETS = 64
"""Files per settled table; 10 million orders make them 16 MB each."""
FACTS = tuple(t for t in Table if t is not Table.MEASUREMENTS)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose rows the lake holds."""

    log_id: LogId
    policy_override_sha256: str = ""


def landing(table: Table) -> str:
    """The half that commits write."""
    return f"{table}_recent"


def settled(table: Table) -> str:
    """The half that look-ups of old orders read."""
    return f"{table}_settled"


def create_or_check(connection: duckdb.DuckDBPyConnection, path: Path, identity: Identity) -> None:
    """Lay out an empty lake, or check that this one takes our rows; refresh the views.

    Raises:
        LakeError: something else, another version, another log or another policy override.
    """
    names = {row[0] for row in connection.execute(_TABLE_NAMES).fetchall()}
    connection.execute("BEGIN")
    if not names:
        _create(connection, identity)
    else:
        check_version(connection, path)
        _check_identity(connection, path, identity)
    _refresh_views(connection)
    connection.execute("COMMIT")
    if not names:
        _start_statistics(connection)


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse what is no lake of ours, or one whose tables are not of this version."""
    names = {row[0] for row in connection.execute(_TABLE_NAMES).fetchall()}
    if "identity" not in names:
        raise LakeError(f"{path} is no lake of Crossdock: its table identity is missing")
    row = connection.execute("SELECT version FROM identity").fetchone()
    found = row[0] if row else None
    if found != VERSION:
        raise LakeError(
            f"{path} has tables of version {found}, this program writes version {VERSION}; "
            "use the matching release, or build the lake anew from the log with --fresh"
        )


def _check_identity(connection: duckdb.DuckDBPyConnection, path: Path, identity: Identity) -> None:
    row = connection.execute("SELECT log_id, policy_override_sha256 FROM identity").fetchone()
    log_id, override = row if row else ("", "")
    remedy = "use a new lake directory or --fresh"
    if log_id != identity.log_id:
        raise LakeError(f"{path} holds rows of log {log_id}, not of {identity.log_id}; {remedy}")
    if override != identity.policy_override_sha256:
        found, given = override or "none", identity.policy_override_sha256 or "none"
        raise LakeError(f"{path} was written under policy override {found}, not {given}; {remedy}")


def _create(connection: duckdb.DuckDBPyConnection, identity: Identity) -> None:
    for table in Table:
        _create_table(connection, landing(table), SCHEMAS[table])
        _create_table(connection, settled(table), SCHEMAS[table])
        if "order_id" in SCHEMAS[table].names:
            connection.execute(
                f"ALTER TABLE {settled(table)} SET PARTITIONED BY (bucket({BUCKETS}, order_id))"
            )
        connection.execute(
            f"CREATE VIEW {table} AS "
            f"SELECT * FROM {settled(table)} UNION ALL SELECT * FROM {landing(table)}"
        )
    connection.execute(
        "CREATE TABLE identity (version INTEGER, log_id VARCHAR, "
        "policy_override_sha256 VARCHAR, views_sha256 VARCHAR)"
    )
    connection.execute(
        "INSERT INTO identity VALUES (?, ?, ?, '')",
        [VERSION, identity.log_id, identity.policy_override_sha256],
    )


def _create_table(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> None:
    connection.register("shape", schema.empty_table())
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM shape")
    connection.unregister("shape")


def _start_statistics(connection: duckdb.DuckDBPyConnection) -> None:
    """Let every table have had a row, deleted again in the same transaction.

    DuckLake asks the catalogue for the statistics of a table that never had one at every query,
    column by column: 90 ms for ``decisions``.
    """
    connection.execute("BEGIN")
    for table in Table:
        for name in (landing(table), settled(table)):
            connection.execute(f"INSERT INTO {name} (partition) VALUES (NULL)")
            connection.execute(f"DELETE FROM {name}")
    connection.execute("COMMIT")


def _refresh_views(connection: duckdb.DuckDBPyConnection) -> None:
    row = connection.execute("SELECT views_sha256 FROM identity").fetchone()
    if row is None or row[0] == views_sha256():
        return
    create_views(connection)
    connection.execute("UPDATE identity SET views_sha256 = ?", [views_sha256()])


_TABLE_NAMES = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
