"""The notify flow on a lake: what is committed is told once, by one process, whatever else the lake does."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.lake.layout import Flow
from flows.metrics import Metrics
from flows.notices import outbox, reports
from flows.notices.outbox import WHOLE, OutboxReader, Place
from flows.notices.settings import NotifySettings
from flows.notices.store import Store
from flows.notify import NotifyJob
from schemas.errors import LakeError, StoreError
from tests.support.notices import (
    MARK,
    PARTITION,
    Hands,
    Receiver,
    deliver,
    fill,
    outbox_row,
    receiving,
    to_webhook,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def made_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [outbox_row(1), outbox_row(1, 1), outbox_row(5)]
    return fill(tmp_path_factory.mktemp("made") / "lake", rows)


@pytest.fixture
def lake(tmp_path: Path, made_lake: Path) -> Path:
    """A lake with three notifications; to make one takes a second, to copy it does not."""
    return Path(shutil.copytree(made_lake, tmp_path / "lake"))


FIRST = [f"{MARK}-10000-1-0", f"{MARK}-10000-1-1", f"{MARK}-10000-5-0"]


def keys(receiver: Receiver) -> list[str]:
    return [request.key for request in receiver.requests]


def test_what_is_committed_is_told_once_and_the_next_run_goes_on(
    lake: Path, receiver: Receiver
) -> None:
    settings, clock = to_webhook(receiver), Hands()
    settings["ways"]["hook"]["at_once"] = 1
    deliver(lake, clock, settings)
    first = keys(receiver)
    fill(lake, [outbox_row(6), outbox_row(9, audience="partner")])
    deliver(lake, clock, settings)

    assert first == FIRST
    assert keys(receiver) == [*FIRST, f"{MARK}-10000-6-0"]
    store = lake.with_name("notify.sqlite")
    assert reports.places(store) == [{"partition": PARTITION, "position": 9}]
    ignored = {"audience": "partner", "template": "SHIPPED", "notifications": 1}
    assert reports.passed_over(store) == [ignored]


def test_a_receiver_of_two_logs_takes_neither_for_a_repeat_of_the_other(
    lake: Path, tmp_path: Path, receiver: Receiver
) -> None:
    settings, clock = to_webhook(receiver), Hands()
    other = fill(tmp_path / "other" / "lake", [outbox_row(1, order_id="elsewhere")], log="log-2")
    deliver(lake, clock, settings)
    deliver(other, clock, settings)
    lake.with_name("notify.sqlite").unlink()  # told again by a store that knows nothing
    deliver(lake, clock, settings)

    shown = {request.json["id"]: request.json["subject"] for request in receiver.shown.values()}

    assert shown == dict(zip(FIRST, ("o-1", "o-1", "o-5"), strict=True)) | {
        f"{outbox.mark_of('log-2')}-10000-1-0": "elsewhere"
    }
    assert len(receiver.requests) == 7


def test_effects_of_one_record_may_be_taken_apart(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ROWS", 1)
    reader = OutboxReader(lake, poll_seconds=3600)

    taken = [reader.take() for _ in range(5)]
    reader.close()

    assert [[row.key for row in one.rows] for one in taken] == [*([key] for key in FIRST), [], []]
    assert [one.places.get(PARTITION) for one in taken] == [
        Place(1, 0),
        Place(1, 1),
        Place(5, 0),
        Place(5, WHOLE),
        None,
    ]


def test_a_commit_is_seen_without_waiting_for_the_next_look(lake: Path) -> None:
    reader = OutboxReader(lake, poll_seconds=3600)
    before = [len(reader.take().rows), len(reader.take().rows)]

    fill(lake, [outbox_row(6)])
    after = reader.take()
    reader.close()

    assert before == [3, 0]
    assert [row.position for row in after.rows] == [6]


def test_a_store_is_for_one_log_and_one_process(lake: Path, receiver: Receiver) -> None:
    settings, store = to_webhook(receiver), lake.with_name("notify.sqlite")
    job = NotifyJob(lake, store, NotifySettings.model_validate(settings), clock=Hands())

    with pytest.raises(StoreError, match="another process"):
        deliver(lake, Hands(), settings)
    job.close()
    with pytest.raises(StoreError, match="is of log log-1, the lake has rows of log-2"):
        Store(store, {Flow.TRACK: "log-2"})
    with pytest.raises(LakeError, match="is no lake"):
        deliver(lake.with_name("nowhere"), Hands(), settings)
    assert receiver.requests == []


def test_a_store_that_is_none_is_one_clear_line(lake: Path, receiver: Receiver) -> None:
    lake.with_name("notify.sqlite").write_text(
        "long enough to be no database at all, whatever it is"
    )

    with pytest.raises(StoreError, match="cannot be used as a store of deliveries"):
        deliver(lake, Hands(), to_webhook(receiver))


def test_gauges_say_what_waits_and_what_is_dead(lake: Path, receiver: Receiver) -> None:
    metrics, settings = Metrics(), NotifySettings.model_validate(to_webhook(receiver))
    store = lake.with_name("notify.sqlite")
    job = NotifyJob(lake, store, settings, clock=Hands(), metrics=metrics)
    job.watch()
    job.keep(job.plan(job.look()))

    waiting = metrics.registry.get_sample_value("crossdock_notify_waiting_deliveries")
    dead = metrics.registry.get_sample_value("crossdock_notify_dead_deliveries")
    job.close()

    assert (waiting, dead) == (3, 0)


def test_a_process_beside_the_writer_tells_at_once_and_ends_in_order(
    tmp_path: Path, lake: Path, receiver: Receiver
) -> None:
    config = tmp_path / "crossdock.toml"
    config.write_text(
        f'lake = "{lake}"\n[notify]\nexpire_hours = 1e6\n'
        f'[notify.ways.hook]\nkind = "webhook"\nurl = "{receiver.url}"\n'
        f'secret_file = "{tmp_path / "secret"}"\n'
        '[[notify.rules]]\naudience = "customer"\nways = ["hook"]\n'
    )
    (tmp_path / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    command = [sys.executable, "-m", "flows.cli", "notify", "run", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        receiver.wait_for(3)
        fill(lake, [outbox_row(6)])
        receiver.wait_for(4)
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=180)
    finally:
        process.kill()

    assert b"Ctrl-C ends it" in line
    assert (process.returncode, complaint) == (0, b"")
    assert sorted(keys(receiver)) == [*FIRST, f"{MARK}-10000-6-0"]
    assert reports.counted(tmp_path / "lake.notify.sqlite") == {"sent": 4}
