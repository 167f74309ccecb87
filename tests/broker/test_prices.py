"""A planner's records on a broker: ``crossdock prices --to kafka``, the journal, the fold."""

from pathlib import Path

import pytest

from flows.folding import run as run_route
from flows.kafka.client import KafkaSettings
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.newest_state import newest_network
from flows.route import RouteJob
from flows.settings import Settings
from models.routing.arrays import Count
from models.simulation.fulfilment import draw_world, records_of
from schemas.codec import encode_event
from schemas.control import ClockTicked
from tests.broker.test_ingest import consumed, ingest
from tests.support.broker import all_of, write
from tests.support.command_line import run

ORDERS = 150


def route(cluster: KafkaSettings, lake: Path) -> int:
    """Bring a lake up to the end of the journal; says which epoch of prices holds by then."""
    log = KafkaLog(cluster, cluster.journal)
    job = RouteJob.open(log, lake, settings=Settings())
    ends = {p: log.end(p) for p in job.starts}
    run_route(KafkaSource(log, job.starts, ends=ends, guard=job.guard), job)
    return int(newest_network(lake, None, Settings()).counts[Count.PRICE_EPOCH])


def test_published_prices_hold_for_the_running_job(
    cluster: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = records_of(draw_world(1, 1.05, ORDERS))
    world = [encode_event(e) for e in drawn if not isinstance(e, ClockTicked)]
    write(cluster.bootstrap, cluster.raw[0], [(0, line) for line in world])
    ingest(cluster, consumed(len(world)))
    lake, copy = tmp_path / "lake", tmp_path / "sent.ndjson"
    assert route(cluster, lake) == 0
    for name in ("bootstrap", "journal", "tracking", "dead_letters", "xref", "waiting", "group"):
        monkeypatch.setenv(f"CROSSDOCK_KAFKA__{name.upper()}", getattr(cluster, name))
    monkeypatch.setenv("CROSSDOCK_KAFKA__RAW", f'["{cluster.raw[0]}"]')

    for _ in range(2):  # the second time they are the same records, which count once
        said = run("prices", "--lake", lake, "--reevaluate", "--to", "kafka", "--out", copy)
        assert said.exit_code == 0, said.stderr
    sent = copy.read_bytes().splitlines()
    ingest(cluster, consumed(len(world) + 2 * len(sent)))

    assert [v for _, v in all_of(cluster, cluster.dead_letters)] == []
    journal = [v for _, v in all_of(cluster, cluster.journal) if b"clock.ticked" not in v]
    assert set(sent) == set(journal) - set(world)
    assert route(cluster, lake) == 1
