"""Checkpoints in an object store: a job goes on from there, on another machine as well."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from structlog.testing import capture_logs

from flows.checkpoint_store import CheckpointStore, Directory, Objects
from flows.checkpoints import TRACK_FORM, Checkpoint, Checkpoints, Origin
from flows.folding import run
from flows.lake.digest import digest
from flows.logs.parquet import ParquetLog
from flows.logs.source import LogSource
from flows.route import RouteJob
from flows.settings import Settings
from models.tracking.state import TrackState
from schemas.errors import CheckpointError, InputError
from schemas.ids import LogId
from tests.support.disk import room_for
from tests.support.runs import recorded_world, route


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server of this process that speaks S3."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="crossdock")
    client.close()
    yield f"s3://crossdock/state?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    return recorded_world(tmp_path_factory.mktemp("recorded") / "log", seed=11, records=600)


def part_of(log: ParquetLog, lake: Path, settings: Settings, slices: int) -> RouteJob:
    """Route the first slices; checkpoints come as often as they can."""
    job = RouteJob.open(log, lake, settings=settings)
    taken = []

    def count(_records: int) -> None:
        taken.append(1)
        if len(taken) >= slices:
            job.guard.stop()

    job.progress = count
    run(LogSource(log, job.starts, 8, guard=job.guard), job)
    return job


def test_a_job_goes_on_from_the_store(log: ParquetLog, bucket: str, tmp_path: Path) -> None:
    settings = Settings(checkpoints=bucket, checkpoint_seconds=0.01)
    route(log, tmp_path / "whole")

    stopped = part_of(log, tmp_path / "lake", settings, 40)
    again = RouteJob.open(log, tmp_path / "lake", settings=settings)
    starts = dict(again.starts)
    run(LogSource(log, again.starts, guard=again.guard), again)

    assert starts == {p: state.position + 1 for p, state in stopped.states.items()}
    assert max(starts.values()) > 0
    assert not (tmp_path / "lake" / "state").exists()
    assert digest([tmp_path / "lake"]) == digest([tmp_path / "whole"])


def test_what_is_kept_is_pruned(log: ParquetLog, bucket: str, tmp_path: Path) -> None:
    part_of(log, tmp_path / "lake", Settings(checkpoints=bucket, checkpoint_seconds=0.001), 60)

    names = Objects.at(bucket).names("partition=0000")

    assert 1 <= len(names) <= 4


def test_what_is_no_store_is_refused(log: ParquetLog, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="checkpoints = 'nowhere"):
        Objects.at("nowhere://bucket/prefix")
    with pytest.raises(InputError, match="leave credentials out"):
        Objects.at("s3://key:secret@bucket/prefix")
    absent = bucket.replace("crossdock", "absent")
    with pytest.raises(CheckpointError, match="s3://absent/state"):
        part_of(log, tmp_path / "lake", Settings(checkpoints=absent), 1)


def test_two_owners_write_apart(tmp_path: Path) -> None:
    paused, heir = Directory(tmp_path), Directory(tmp_path)
    one = paused.draft("partition=0000")
    one.write_bytes(b"the state of one")
    other = heir.draft("partition=0000")
    other.write_bytes(b"that of the other")
    heir.publish("partition=0000", "other", other)
    paused.publish("partition=0000", "one", one)

    assert sorted(heir.names("partition=0000")) == ["one", "other"]
    with heir.read("partition=0000", "one") as file:
        assert file.read() == b"the state of one"


def test_what_a_crash_left_is_swept_with_the_next_draft(tmp_path: Path) -> None:
    begin = (
        "import os, sys\nfrom pathlib import Path\nfrom flows.checkpoint_store import Directory\n"
        "Directory(Path(sys.argv[1])).draft('partition=0000')\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", begin, tmp_path], check=True, timeout=60)
    assert len(Directory(tmp_path).names("partition=0000")) == 1

    draft = Directory(tmp_path).draft("partition=0000")

    assert Directory(tmp_path).names("partition=0000") == [draft.name]


def test_what_a_crash_left_of_an_object_is_swept_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = (
        "import os, sys\nfrom flows.checkpoint_store import Objects\n"
        "print(Objects.at(sys.argv[1]).draft('partition=0000'))\nsys.stdout.flush()\nos._exit(0)"
    )
    drafts, uri = tmp_path / "drafts", (tmp_path / "bucket").as_uri()
    drafts.mkdir()
    monkeypatch.setenv("TMPDIR", str(drafts))
    monkeypatch.setattr(tempfile, "tempdir", None)
    command = [sys.executable, "-c", begin, uri]
    left = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout
    assert Path(left.strip()).exists()
    living = Objects.at(uri).draft("partition=0000")

    draft = Objects.at(uri).draft("partition=0000")

    assert sorted(drafts.iterdir()) == sorted([living, draft])
    assert draft.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_swept_is_left_alone(tmp_path: Path) -> None:
    odd = tmp_path / "partition=0000" / ".crossdock-odd.checkpoint.partial"
    odd.mkdir(parents=True)

    draft = Directory(tmp_path).draft("partition=0000")

    assert draft.exists()
    assert odd.exists()


def of(store: CheckpointStore) -> Checkpoints[TrackState]:
    return Checkpoints(store, Origin(LogId("log"), "", "here"), 1_000.0, TRACK_FORM)


def at(position: int) -> Checkpoint[TrackState]:
    state = TrackState(0)
    state.position = position
    return Checkpoint(state)


def test_a_draft_that_cannot_be_begun_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CheckpointError, match="file: no checkpoint could be written: "):
        of(Directory(tmp_path / "file")).take(at(1), -1)


def test_a_draft_that_cannot_be_written_is_let_go(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")

    with pytest.raises(CheckpointError, match="no checkpoint could be written"), room_for(100):
        of(Directory(tmp_path)).take(at(1), -1)

    assert os.listdir("/proc/self/fd") == before
    assert Directory(tmp_path).names("partition=0000") == []


def test_what_cannot_be_pruned_does_not_stop_the_job(tmp_path: Path) -> None:
    odd = tmp_path / "partition=0000" / f"{1:020d}-{'0' * 16}.checkpoint"
    odd.mkdir(parents=True)
    checkpoints = of(Directory(tmp_path))

    with capture_logs() as logged:
        for position in range(2, 7):
            checkpoints.save(at(position), 10)

    assert checkpoints.load(0, 100, None).state.position == 6
    assert {line["event"] for line in logged} == {"old checkpoints could not be removed"}
    assert not checkpoints.is_due(0)


class _Unlisted(Directory):
    """A store that cannot be listed at the moment, as a bucket may be."""

    def names(self, folder: str) -> list[str]:
        """Not now."""
        raise CheckpointError(f"{self.name} cannot be read: busy")


def test_a_store_that_cannot_be_listed_does_not_stop_the_job(tmp_path: Path) -> None:
    checkpoints = of(_Unlisted(tmp_path))

    checkpoints.take(at(1), -1)
    checkpoints.wait()

    assert not checkpoints.is_due(0)
    assert of(Directory(tmp_path)).load(0, 1, None).state.position == 1
