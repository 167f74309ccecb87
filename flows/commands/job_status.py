"""``crossdock status``: how the live job is doing, from its topics, its lake and its checkpoints."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from confluent_kafka import TopicPartition

from flows.commands.config import Config, with_channels
from flows.commands.output import console, print_json, table
from flows.ingest import ingest_group
from flows.kafka.client import SECONDS, KafkaSettings, asked, bounds, consumer
from flows.kafka.topics import describe
from flows.lake.layout import Flow
from flows.lake.ownership import positions_of
from flows.lake.query import connect_reader
from flows.settings import load_settings
from schemas.errors import InputError

_FACTS = {
    "decisions": "SELECT count(*) FROM decisions",
    "last decision": "SELECT max(decided_at) FROM decisions",
    "last commit": "SELECT max(committed_at) FROM measurements",
    "decision p50, ms": "SELECT p50_ms FROM decision_latency WHERE partition IS NULL",
    "decision p99, ms": "SELECT p99_ms FROM decision_latency WHERE partition IS NULL",
    "records the folds refused": "SELECT count(*) FROM dead_letters",
    "records tracked": "SELECT count(*) FROM timeline WHERE event_id IS NOT NULL",
    "exceptions open": "SELECT count(*) FROM exceptions_open",
    "policy versions of the last day": """
        SELECT string_agg(DISTINCT policy_version, ', ') FROM decisions
        WHERE decided_at > (SELECT max(decided_at) FROM decisions) - INTERVAL 1 DAY""",
    "models of the last day": """
        SELECT string_agg(DISTINCT coalesce(nullif(left(model_sha256, 12), ''), 'rules'), ', ')
        FROM decisions
        WHERE decided_at > (SELECT max(decided_at) FROM decisions) - INTERVAL 1 DAY""",
}


def status(
    config: Config = None,
    lake: Annotated[Path | None, typer.Option(help="A lake; that of the settings without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Say how far the job is: lag per partition, last commit, latency, refusals, versions, state.

    Example: crossdock status --lake out/live/lake
    """
    settings = load_settings(config)
    where = lake or settings.lake
    if where is None:
        raise InputError("no lake is named: say --lake, or set lake in the file")
    with connect_reader(where) as connection:
        facts = {name: _one(connection, query) for name, query in _FACTS.items()}
        done = {row.partition: row.position for row in positions_of(connection)}
    facts["now"] = datetime.now(UTC)
    facts["state on disk, MB"] = _state_mb(where)
    lag = _lag(with_channels(settings), done) if settings.kafka is not None else []
    if as_json:
        print_json({"facts": facts, "lag": lag})
        return
    console().print(table(f"Job of {where}", ("", ""), list(facts.items())))
    if lag:
        columns = ("topic", "partition", "done to", "end", "lag")
        rows = [tuple(row.values()) for row in lag]
        console().print(table("Lag", columns, rows, numbers=columns[1:]))


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    found = connection.execute(query).pl()
    return found.item() if found.height else None


def _state_mb(lake: Path) -> float:
    """The newest checkpoint of every partition."""
    newest = [sorted(p.glob("*.checkpoint"))[-1:] for p in (lake / "state").glob("partition=*")]
    return round(sum(file.stat().st_size for files in newest for file in files) / 1e6, 3)


def _lag(kafka: KafkaSettings, done: dict[int, int]) -> list[dict[str, Any]]:
    """Messages that wait: on the raw topics for ingest, on the two logs for the lake."""
    client = consumer(kafka, ingest_group(kafka))
    rows = []
    for topic in kafka.raw:
        places = [TopicPartition(topic, p) for p in range(describe(kafka, topic).partitions)]
        question = partial(client.committed, places, timeout=SECONDS)
        committed: list[TopicPartition] = asked(kafka, "positions", question)
        rows += [_row(kafka, client, topic, at.partition, max(0, at.offset)) for at in committed]
    for flow, topic in ((Flow.ROUTE, kafka.journal), (Flow.TRACK, kafka.tracking)):
        for partition in range(describe(kafka, topic).partitions):
            at = done.get(flow.first_partition + partition, -1) + 1
            rows.append(_row(kafka, client, topic, partition, at))
    client.close()
    return rows


def _row(
    kafka: KafkaSettings, client: Any, topic: str, partition: int, done: int
) -> dict[str, Any]:
    first, end = bounds(kafka, client, topic, partition)
    at = max(first, done)
    return {"topic": topic, "partition": partition, "done": at, "end": end, "lag": end - at}
