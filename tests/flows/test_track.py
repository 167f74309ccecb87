"""The track flow on recorded logs: what the plain fold says is in the lake, however it was run."""

import itertools
import json
from datetime import timedelta
from pathlib import Path

import pytest

from flows.folding import run
from flows.lake.digest import digest
from flows.lake.query import connect_reader
from flows.logs.log import ReadSlice
from flows.logs.parquet import LogWriter, ParquetLog, write_log
from flows.logs.source import LogSource
from flows.route import RouteJob
from flows.settings import Settings
from flows.track import TrackJob
from models.inference import shipped_model_sha256
from models.tracking.fold import advance
from models.tracking.state import TrackState
from schemas.codec import encode_event
from schemas.codes import ModelOf
from schemas.errors import LakeError, LogError
from schemas.kinds import Kind
from schemas.tables import Table, to_tables
from schemas.topics import LogOf
from tests.support import builders
from tests.support.command_line import run as command
from tests.support.journeys import disturbed, records, with_ticks
from tests.support.tracks import activated, decided, feedback, moment, policy, step, tick

PARTITIONS = 2


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    """Every tick in every partition, each order in its own."""
    path = tmp_path_factory.mktemp("track") / "log"
    events = with_ticks(disturbed(records(7, 60), 7), range(0, 500, 20))
    with LogWriter.create(path, PARTITIONS, of=LogOf.TRACKING) as writer:
        for event in events:
            if event.subject == "ingest":
                for partition in range(PARTITIONS):
                    writer.append_to(partition, event)
            else:
                writer.append(event)
    return ParquetLog(path)


def tracked(log: ParquetLog, lake: Path, **changes: int) -> Path:
    """Run the whole log into a lake."""
    job = TrackJob.open(log, lake)
    run(LogSource(log, job.starts, **changes), job)  # type: ignore[arg-type]
    return lake


@pytest.fixture(scope="module")
def lake(log: ParquetLog) -> Path:
    return tracked(log, log.path.with_name("lake"))


def test_the_lake_holds_what_the_plain_fold_says(log: ParquetLog, lake: Path) -> None:
    for partition in range(PARTITIONS):
        state = TrackState(10_000 + partition)
        effects = [advance(state, piece) for piece in log.read(partition)]
        expected = to_tables(effects)
        with connect_reader(lake) as connection:
            for table in (Table.TIMELINE, Table.EXCEPTIONS, Table.ESTIMATES):
                found = connection.execute(
                    f'SELECT * FROM {table} WHERE partition = ? ORDER BY position, "index"',
                    [10_000 + partition],
                ).to_arrow_table()
                rows = expected[table].sort_by([("position", "ascending"), ("index", "ascending")])
                assert found.to_pylist() == rows.to_pylist()


@pytest.mark.parametrize("records_at_once", [1, 2, 7])
def test_slices_of_any_size_make_the_same_tables(
    log: ParquetLog, lake: Path, tmp_path: Path, records_at_once: int
) -> None:
    other = tracked(log, tmp_path / "lake", slice_records=records_at_once)

    assert digest([other]) == digest([lake])


def test_a_run_that_was_stopped_goes_on(log: ParquetLog, lake: Path, tmp_path: Path) -> None:
    for stop in (0.2, 0.5, 0.9, 1.0):
        job = TrackJob.open(log, tmp_path / "lake", settings=Settings(checkpoint_seconds=0.001))
        for partition, start in job.starts.items():
            end = int(log.end(partition) * stop)
            pieces = (
                p.cut(0, max(0, end - int(p.positions[0]))) for p in log.read(partition, start)
            )
            for piece in pieces:
                for a, b in itertools.pairwise([*range(0, len(piece), 50), len(piece)]):
                    job.writer.put(job.advance(ReadSlice(piece.cut(a, b), 0.0)))
        job.writer.flush()
        job.finish()
        job.abort()

    assert digest([tmp_path / "lake"]) == digest([lake])


def test_journal_and_tracking_log_may_share_a_lake(log: ParquetLog, tmp_path: Path) -> None:
    events = [builders.node("A"), builders.lane("A"), builders.counted("A", {"S1": 5})]
    events.append(builders.order("o1", ("S1", 1), when=builders.at(9)))
    journal = write_log(tmp_path / "journal", builders.named(*events))

    assert command("replay", journal.path, "--lake", tmp_path / "lake").exit_code == 0
    done = command("replay", log.path, "--lake", tmp_path / "lake", "--json")
    again = command("replay", journal.path, "--lake", tmp_path / "lake")

    assert json.loads(done.stdout)["orders"] == 60
    assert "up to date" in again.stderr
    with connect_reader(tmp_path / "lake") as connection:
        flows = connection.execute("SELECT flow, log_id FROM identity ORDER BY flow").fetchall()
        routed = connection.execute("SELECT count(*) FROM decisions").fetchone()
    assert flows == [("route", journal.id), ("track", log.id)]
    assert routed == (1,)


def test_another_tracking_log_is_refused(log: ParquetLog, lake: Path, tmp_path: Path) -> None:
    other = write_log(tmp_path / "log", [step("delivered", 1)], of=LogOf.TRACKING, partitions=2)

    with pytest.raises(LakeError, match="holds rows of log"):
        TrackJob.open(other, lake)


def test_a_journal_is_not_tracked_and_a_tracking_log_not_routed(tmp_path: Path) -> None:
    journal = write_log(tmp_path / "journal", builders.named(builders.node("A")))
    tracking = write_log(tmp_path / "log", [step("delivered", 1)], of=LogOf.TRACKING)

    with pytest.raises(LogError, match="of the kind journal, not tracking"):
        TrackJob.open(journal, tmp_path / "a")
    with pytest.raises(LogError, match="of the kind tracking, not journal"):
        RouteJob.open(tracking, tmp_path / "b")


def test_a_record_of_the_journal_is_a_dead_letter_here(tmp_path: Path) -> None:
    events = [step("delivered", 1), *builders.named(builders.node("A")), tick(2)]
    log = write_log(tmp_path / "log", events, of=LogOf.TRACKING)

    assert command("replay", log.path, "--lake", tmp_path / "lake").exit_code == 0

    with connect_reader(tmp_path / "lake") as connection:
        rows = connection.execute("SELECT kind, reason FROM dead_letters").fetchall()
    assert rows == [("node.set", "WRONG_LOG")]


def test_views_say_how_orders_parcels_and_exceptions_stand(tmp_path: Path) -> None:
    events = [
        step("delivered", 0.5, planned=20),
        step("handed_over", 1, package="a"),
        step("attempt_failed", 20, package="a"),
        decided(0.7, "o2", customer="c-7", tier="vip", currency="EUR"),
        step("delivered", 25, "o2"),
        feedback(26, "o2", nps=2),
        tick(30),
    ]
    log = write_log(tmp_path / "log", events, of=LogOf.TRACKING)
    assert command("replay", log.path, "--lake", tmp_path / "lake").exit_code == 0

    with connect_reader(tmp_path / "lake") as connection:
        states = connection.execute(
            "SELECT order_id, phase, nps, customer, tier FROM order_states ORDER BY order_id"
        ).fetchall()
        parcels = connection.execute(
            "SELECT order_id, package, phase, failed_attempts FROM shipments ORDER BY ALL"
        ).fetchall()
        open_ = connection.execute(
            "SELECT order_id, code, severity, package FROM exceptions_open ORDER BY ALL"
        ).fetchall()
    assert states == [
        ("o1", "ATTEMPT_FAILED", None, None, None),
        ("o2", "SIGNED", 2, "c-7", "vip"),
    ]
    assert parcels == [
        ("o1", "1", None, 0),
        ("o1", "a", "ATTEMPT_FAILED", 1),
        ("o2", "1", "DELIVERED", 0),
    ]
    assert open_ == [
        ("o1", "ATTEMPT_FAILED", "warn", "a"),
        ("o2", "FEEDBACK_NEGATIVE", "high", None),
    ]


def test_a_view_says_what_was_told_of_each_arrival_last(tmp_path: Path) -> None:
    events = [
        decided(0, promise=50),
        decided(0, "o2", promise=50),
        step("handed_over", 1),
        tick(2),
        step("delivered", 40),
        tick(41),
    ]
    log = write_log(tmp_path / "log", events, of=LogOf.TRACKING)
    assert command("replay", log.path, "--lake", tmp_path / "lake").exit_code == 0

    query = "SELECT order_id, package, p50_at, delivered_at, round(error_hours) AS wrong"
    with connect_reader(tmp_path / "lake") as connection:
        found = connection.execute(f"{query} FROM estimates_now ORDER BY ALL").to_arrow_table()

    first, second = found.to_pylist()
    assert (first["order_id"], first["package"], first["wrong"]) == ("o1", "1", -10)
    assert first["delivered_at"] == moment(40)
    assert (second["order_id"], second["package"], second["wrong"]) == ("o2", None, None)
    # Nothing is known of the lane: half of what is promised arrives in time.
    for row in (first, second):
        assert abs(row["p50_at"] - moment(50)) < timedelta(minutes=5)


def test_the_shipped_model_estimates_once_it_is_activated(tmp_path: Path) -> None:
    sha256 = shipped_model_sha256(ModelOf.ARRIVAL)
    events = [activated(sha256), decided(0, promise=50), step("handed_over", 1), tick(2)]
    log = write_log(tmp_path / "log", events, of=LogOf.TRACKING)
    assert command("replay", log.path, "--lake", tmp_path / "lake").exit_code == 0

    with connect_reader(tmp_path / "lake") as connection:
        rows = connection.execute(
            "SELECT p50_at, p90_at FROM estimates WHERE model_sha256 = ?", [sha256]
        ).to_arrow_table()

    assert len(rows) == 2
    assert all(moment(1) < row["p50_at"] < row["p90_at"] for row in rows.to_pylist())


def test_a_model_that_is_not_at_hand_stops_the_partition_with_a_clear_line(tmp_path: Path) -> None:
    events = [decided(0, promise=50), activated("a" * 64), step("handed_over", 1)]
    log = write_log(tmp_path / "log", events, of=LogOf.TRACKING)

    done = command("replay", log.path, "--lake", tmp_path / "lake")

    assert done.exit_code == 2
    assert f"model {'a' * 64}: no *.onnx with this sha256" in done.stderr


def test_models_are_imported_for_the_log_of_those_who_use_them(tmp_path: Path) -> None:
    events = [activated("a" * 64), activated("b" * 64, of=ModelOf.ROUTE), step("delivered", 1)]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(map(encode_event, events)) + b"\n")
    options = ("--as", "tracking", "--partitions", "2", "--json")

    done = command("import", file, "--out", tmp_path / "log", *options)

    assert json.loads(done.stdout)["dead_letters"] == {"WRONG_LOG": 1}
    kinds = [
        k for p in range(2) for piece in ParquetLog(tmp_path / "log").read(p) for k in piece.kinds
    ]
    assert kinds.count(Kind.MODEL_ACTIVATED) == 2


def test_files_become_a_tracking_log_with_ticks_and_policies_in_every_partition(
    tmp_path: Path,
) -> None:
    events = [
        policy("version: p\n", "p"),
        step("delivered", 1),
        step("delivered", 2, "o2"),
        *builders.named(builders.node("A")),
    ]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(map(encode_event, events)) + b"\n")
    options = ("--as", "tracking", "--partitions", "2", "--json")

    done = command("import", file, "--out", tmp_path / "log", *options)

    assert json.loads(done.stdout)["dead_letters"] == {"WRONG_LOG": 1}
    log = ParquetLog(tmp_path / "log")
    for partition in range(2):
        (piece,) = log.read(partition)
        kinds = piece.kinds.tolist()
        assert kinds.count(Kind.POLICY_ACTIVATED) == 1
        assert kinds.count(Kind.CLOCK_TICKED) > 1


def test_a_tracking_record_on_a_journal_is_a_dead_letter(tmp_path: Path) -> None:
    journal = write_log(tmp_path / "log", [*builders.named(builders.node("A")), step("lost", 1)])

    assert command("replay", journal.path, "--lake", tmp_path / "lake").exit_code == 0

    with connect_reader(tmp_path / "lake") as connection:
        rows = connection.execute("SELECT kind, reason FROM dead_letters").fetchall()
    assert rows == [("shipment.milestone", "WRONG_LOG")]
