"""The deployed job killed and resumed, and what its operator sees."""

import random
import time
from pathlib import Path

import msgspec
import pytest

from flows.kafka.client import KafkaSettings
from flows.logs.kafka import KafkaLog
from tests.support.broker import all_of, on_kafka_alone, write
from tests.support.jobs import (
    check_ingest,
    check_no_repeats,
    check_route,
    command,
    configured,
    ended,
    has_ingested,
    killed,
    kills,
    positions,
    said,
    seed,
    started,
    wait,
    world_lines,
)

SEED = 20261124
BAD = [b"{", b"no record", b'{"type": "order.received"}']


@pytest.fixture
def config(cluster: KafkaSettings, tmp_path: Path) -> Path:
    return configured(cluster, tmp_path)


@on_kafka_alone
def test_a_job_that_is_killed_and_resumed_keeps_its_word(
    cluster: KafkaSettings, config: Path, tmp_path: Path
) -> None:
    chosen, lake = seed(SEED), tmp_path / "lake"
    moments, times = random.Random(chosen), kills(10)
    good = world_lines(tmp_path / "world", chosen, 2400)
    for part in _cut([*good, *BAD], times):
        write(cluster.bootstrap, cluster.raw[0], [(0, value) for value in part])
        process = command("run", "--config", config)
        time.sleep(moments.uniform(1.0, 4.0))
        killed(process)
    process = started("--config", config)
    log = KafkaLog(cluster, cluster.journal)
    wait(lambda: has_ingested(cluster, good))
    wait(lambda: all(positions(lake).get(p, -1) > 0 for p in range(log.partitions)))
    ended(process)

    check_ingest(cluster, good, BAD)
    check_route(cluster, config, tmp_path)
    check_no_repeats(cluster)


def test_an_operator_sees_and_mends(cluster: KafkaSettings, config: Path, tmp_path: Path) -> None:
    write(cluster.bootstrap, cluster.raw[0], [(0, value) for value in BAD])
    process = started("--config", config)
    wait(lambda: len(all_of(cluster, cluster.dead_letters)) == len(BAD))
    wait(lambda: len(positions(tmp_path / "lake")) > 0)
    ended(process)

    code, out, _ = said("dead-letters", "list", "--config", config, "--json")
    assert code == 0
    assert sum(msgspec.json.decode(line)["letters"] for line in out.splitlines()) == len(BAD)
    code, out, _ = said("dead-letters", "show", "--config", config, "--limit", "2")
    assert code == 0
    assert "SCHEMA_INVALID" in out
    code, _, complaint = said("dead-letters", "resend", "--config", config, "--dry-run")
    assert (code, "0 of 3 dead letters would be sent" in complaint) == (0, True)
    code, _, complaint = said("dead-letters", "resend", "--config", config, "--all")
    assert (code, "3 of 3 dead letters sent" in complaint) == (0, True)
    code, _, complaint = said("dead-letters", "resend", "--config", config, "--all")
    assert (code, "0 of 3 dead letters sent again; 3 had been sent" in complaint) == (0, True)
    code, out, _ = said("status", "--config", config, "--json")
    assert code == 0
    lag = {(r["topic"], r["partition"]): r["lag"] for r in msgspec.json.decode(out)["lag"]}
    assert sum(n for (topic, _), n in lag.items() if topic in cluster.raw) == len(BAD)


def _cut(values: list[bytes], parts: int) -> list[list[bytes]]:
    size = -(-len(values) // parts)
    return [values[n : n + size] for n in range(0, len(values), size)]
