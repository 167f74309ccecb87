"""The real flow on recorded logs: however it is run, the lake holds the same rows."""

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.checkpoint_store import Directory
from flows.checkpoints import ROUTE_FORM, Checkpoint, Checkpoints, Origin
from flows.folding import run
from flows.lake.digest import digest
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog, write_log
from flows.logs.source import LogSource
from flows.route import RouteJob
from models.inference import load_model, runtime_fingerprint
from models.routing.fold import RouteState, advance
from models.routing.scoring import ScorerOf
from schemas.errors import LakeError, LogError, ModelError, PolicyError
from schemas.slices import Slice
from schemas.tables import SCHEMAS, Effects, Table
from tests.support.builders import model, order
from tests.support.runs import recorded_world, route, start_replay


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    return recorded_world(tmp_path_factory.mktemp("recorded") / "log", seed=7)


@pytest.fixture(scope="module")
def lake(log: ParquetLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "lake"
    route(log, path)
    return path


@pytest.mark.parametrize("slice_records", [1, 7, 256])
def test_slices_of_any_size_leave_the_same_lake(
    log: ParquetLog, lake: Path, tmp_path: Path, slice_records: int
) -> None:
    route(log, tmp_path / "lake", slice_records=slice_records)

    assert digest([tmp_path / "lake"]) == digest([lake])


def test_the_lake_holds_what_the_plain_fold_says(log: ParquetLog, lake: Path) -> None:
    expected = dict.fromkeys(Table, 0)
    for partition in range(log.partitions):
        state = RouteState(partition)
        for piece in log.read(partition):
            effects = advance(state, piece, lambda sha256: load_model(None, sha256))
            for table, rows in effects.tables.items():
                expected[table] += rows.num_rows

    found = digest([lake])

    assert {table: rows for table, (rows, _) in found.items()} == {t: expected[t] for t in found}
    assert expected[Table.DECISIONS] > 300


def test_partitions_routed_one_after_the_other_leave_the_same_lake(
    log: ParquetLog, lake: Path, tmp_path: Path
) -> None:
    for partition in range(log.partitions):
        route(log, tmp_path / "lake", partitions=[partition])

    assert digest([tmp_path / "lake"]) == digest([lake])


def test_partitions_routed_into_lakes_of_their_own_hold_the_same_together(
    log: ParquetLog, lake: Path, tmp_path: Path
) -> None:
    for partition in range(log.partitions):
        route(log, tmp_path / str(partition), partitions=[partition])

    assert digest([tmp_path / str(p) for p in range(log.partitions)]) == digest([lake])


def test_a_second_run_finds_nothing_to_do(log: ParquetLog, tmp_path: Path) -> None:
    route(log, tmp_path / "lake")
    once = digest([tmp_path / "lake"])

    job = RouteJob.open(log, tmp_path / "lake")
    left = job.remaining()
    job.abort()

    assert left == 0
    assert digest([tmp_path / "lake"]) == once


@pytest.mark.parametrize("slices", [1, 40, 150])
def test_an_interrupt_in_the_middle_of_a_step_loses_nothing(
    log: ParquetLog,
    lake: Path,
    tmp_path: Path,
    slices: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = itertools.count(1)

    def interrupted(state: RouteState, piece: Slice, scorer_of: ScorerOf) -> Effects:
        """Rows have changed, the position has not."""
        before, effects = state.position, advance(state, piece, scorer_of)
        if next(taken) == slices:
            state.position = before
            raise KeyboardInterrupt
        return effects

    with monkeypatch.context() as patched:
        patched.setattr("flows.route.advance", interrupted)
        job = RouteJob.open(log, tmp_path / "lake")
        with pytest.raises(KeyboardInterrupt):
            run(LogSource(log, job.starts, 3, guard=job.guard), job)
        job.abort()
    route(log, tmp_path / "lake")

    assert digest([tmp_path / "lake"]) == digest([lake])


def test_a_damaged_checkpoint_is_passed_over(log: ParquetLog, lake: Path, tmp_path: Path) -> None:
    route(log, tmp_path / "lake", partitions=[0])
    for file in (tmp_path / "lake" / "state").rglob("*.checkpoint"):
        file.write_bytes(file.read_bytes()[:-7])

    route(log, tmp_path / "lake")

    assert digest([tmp_path / "lake"]) == digest([lake])


def test_a_checkpoint_of_another_log_is_passed_over(log: ParquetLog, tmp_path: Path) -> None:
    state = RouteState(0)
    for piece in log.read(0):
        advance(state, piece, lambda sha256: load_model(None, sha256))
    mine = Origin(log.id, "", runtime_fingerprint())
    Checkpoints(Directory(tmp_path), mine, 1.0, ROUTE_FORM).save(Checkpoint(state), state.position)

    other = Checkpoints(
        Directory(tmp_path), Origin(log.id, "f" * 64, runtime_fingerprint()), 1.0, ROUTE_FORM
    )

    assert (
        Checkpoints(Directory(tmp_path), mine, 1.0, ROUTE_FORM)
        .load(0, state.position, None)
        .state.position
        == state.position
    )
    assert other.load(0, state.position, None).state.position == -1


def test_no_checkpoint_ahead_of_the_lake_is_taken(log: ParquetLog, tmp_path: Path) -> None:
    store = Checkpoints(Directory(tmp_path), Origin(log.id, "", "here"), 1.0, ROUTE_FORM)
    state = RouteState(0)
    positions = []
    piece = next(log.read(0))
    for start in range(0, 300, 100):
        advance(state, piece.cut(start, start + 100), lambda sha256: load_model(None, sha256))
        store.save(Checkpoint(state), -1)
        positions.append(state.position)

    assert store.load(0, positions[1] + 5, None).state.position == positions[1]
    assert store.load(0, positions[0] - 1, None).state.position == -1


def test_bytewax_runs_the_flow_as_any_other(log: ParquetLog, lake: Path, tmp_path: Path) -> None:
    flow = f"flows.route:replay('{log.path}', '{tmp_path / 'lake'}')"

    done = subprocess.run(
        [sys.executable, "-m", "bytewax.run", flow], capture_output=True, text=True, env=os.environ
    )

    assert done.returncode == 0, done.stderr
    assert digest([tmp_path / "lake"]) == digest([lake])


def test_a_lake_of_another_log_is_refused(log: ParquetLog, lake: Path, tmp_path: Path) -> None:
    other = write_log(tmp_path / "other", [order()])

    with pytest.raises(LakeError, match="of log"):
        RouteJob.open(other, lake)


def test_another_policy_override_is_refused(lake: Path, log: ParquetLog, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: mine\n")

    with pytest.raises(LakeError, match="policy"):
        RouteJob.open(log, lake, policy_file=policy)


def test_a_policy_with_a_fault_names_its_line_and_leaves_no_lake(
    log: ParquetLog, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: mine\nweights:\n  freight: -1\n")

    with pytest.raises(PolicyError, match=r"policy\.yaml:3"):
        RouteJob.open(log, tmp_path / "lake", policy_file=policy)

    assert not (tmp_path / "lake").exists()


def test_a_policy_override_decides_in_place_of_the_logs_own(
    log: ParquetLog, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: mine\n")
    job = RouteJob.open(log, tmp_path / "lake", policy_file=policy)
    _run(job)

    with connect_reader(tmp_path / "lake") as reader:
        versions = reader.execute("SELECT DISTINCT policy_version FROM decisions").fetchall()

    assert versions == [("mine",)]


def test_a_job_that_cannot_go_on_says_so_in_one_line(log: ParquetLog, tmp_path: Path) -> None:
    torn = recorded_world(tmp_path / "log", seed=8, records=60, partitions=1)
    (segment,) = torn.segments(0)
    segment.path.write_bytes(segment.path.read_bytes()[:-9])

    replayed = start_replay(torn.path, tmp_path / "lake")
    _, complaint = replayed.communicate(timeout=120)

    assert replayed.returncode == 2
    assert len(complaint.splitlines()) == 1
    assert segment.path.name.encode() in complaint


def test_a_lake_that_is_being_written_is_not_removed(log: ParquetLog, tmp_path: Path) -> None:
    job = RouteJob.open(log, tmp_path / "lake")

    second = start_replay(log.path, tmp_path / "lake", "--fresh")
    _, complaint = second.communicate(timeout=120)

    assert second.returncode == 2
    assert b"is being written by another process" in complaint
    _run(job)


def test_an_activated_model_that_is_absent_stops_the_job_by_name(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [model("ab" * 32), order()])
    job = RouteJob.open(log, tmp_path / "lake")

    with pytest.raises(ModelError, match="abab"):
        _run(job)
    job.abort()


def test_a_damaged_segment_stops_the_job_by_name(log: ParquetLog, tmp_path: Path) -> None:
    copied = recorded_world(tmp_path / "log", seed=8, records=60, partitions=1)
    (segment,) = copied.segments(0)
    content = bytearray(segment.path.read_bytes())
    content[len(content) // 2] ^= 1
    segment.path.write_bytes(content)
    job = RouteJob.open(copied, tmp_path / "lake")

    with pytest.raises(LogError, match=segment.path.name):
        _run(job)
    job.abort()


def test_a_log_that_ends_before_its_lake_is_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [order("o-1"), order("o-2")])
    route(log, tmp_path / "lake")
    (segment,) = log.segments(0)
    segment.path.unlink()

    with pytest.raises(LogError, match="ends at position 0, but the lake holds effects up to 1"):
        RouteJob.open(log, tmp_path / "lake")


def test_every_table_has_the_columns_that_were_promised(lake: Path) -> None:
    with connect_reader(lake) as reader:
        for table in (Table.DECISIONS, Table.ALLOCATIONS, Table.EXCEPTIONS, Table.STOCK):
            columns = [c[0] for c in reader.execute(f"FROM {table} LIMIT 0").description]
            assert columns == SCHEMAS[table].names


def test_no_effect_is_numbered_twice(lake: Path) -> None:
    facts: Sequence[str] = [t for t in Table if t is not Table.MEASUREMENTS]
    union = " UNION ALL ".join(f'SELECT partition, position, "index" FROM {t}' for t in facts)

    with connect_reader(lake) as reader:
        twice = reader.execute(
            f"SELECT * FROM ({union}) GROUP BY ALL HAVING count(*) > 1"
        ).fetchall()

    assert twice == []


def _run(job: RouteJob) -> None:
    assert isinstance(job.log, ParquetLog)
    run(LogSource(job.log, job.starts, guard=job.guard), job)
