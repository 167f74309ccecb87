"""Proofs about one order, and their check by somebody who has nothing but the file."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from flows.evidence.sealing import seal
from flows.folding import run as run_flow
from flows.logs.parquet import ParquetLog, write_log
from flows.logs.source import LogSource
from flows.track import TrackJob
from models.evidence.chain import BLOCK, Link, beginning, link
from models.evidence.merkle import leaf
from models.evidence.proof import Proof, ProvenFact, ProvenPartition
from schemas.tables import Effects, Table
from schemas.topics import LogOf
from tests.flows.test_audit_seals import bursts, changed, differences, flip, write
from tests.support.command_line import refused, run
from tests.support.devices import bound, series
from tests.support.effects import START, order_id, to_table
from tests.support.journeys import disturbed, records, with_ticks

README = Path(__file__).parents[2] / "flows" / "evidence" / "README.md"
ORDER = order_id(4100)
"""Its facts are in block 1."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write(tmp_path_factory.mktemp("proofs") / "lake", bursts())
    seal(path, path / "seals")
    return path


@pytest.fixture(scope="module")
def proof(lake: Path) -> Path:
    file = lake.with_name("proof.json")
    done = run("audit", "prove", ORDER, "--lake", lake, "--out", file)
    assert done.exit_code == 0, done.output
    return file


def chain_values(lake: Path) -> list[str]:
    lines = (lake / "seals" / "partition-00000.jsonl").read_text().splitlines()[1:]
    return [json.loads(line)["chain"] for line in lines]


def without_crossdock(
    proof: Path, folder: Path, kept: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """The check as the README gives it, in an interpreter that has nothing installed."""
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S)
    script = folder / "check.py"
    script.write_text(code)
    command = [sys.executable, "-I", "-S", str(script), str(proof), *kept]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_a_proof_is_checked_without_the_lake(lake: Path, proof: Path) -> None:
    alone = run("audit", "check", proof)
    by_value = [run("audit", "check", proof, "--root", v) for v in chain_values(lake)]

    assert alone.exit_code == 0, alone.output
    assert "The proof fits together" in alone.stdout
    assert f"Order acme/eu/{ORDER}: 4 facts" in alone.stdout
    assert [done.exit_code for done in by_value] == [1, 0, 0, 0]
    assert "is not covered by any value given" in by_value[0].stdout
    assert "Every fact is as it was sealed, by the values that you kept." in by_value[1].stdout


def test_a_proof_holds_the_facts_of_its_order_alone(proof: Path) -> None:
    said = json.loads(run("audit", "check", proof, "--json").stdout)

    rows = [row for one in said["facts"] for row in one["rows"]]
    assert [row["table"] for row in rows] == [
        "decisions",
        "allocations",
        "allocations",
        "exceptions",
    ]
    assert {row["order_id"] for row in rows} == {ORDER}
    assert b"o-00004101" not in proof.read_bytes()
    assert said["ok"]
    assert said["faults"] == []


def test_a_proof_is_checked_without_crossdock(lake: Path, proof: Path, tmp_path: Path) -> None:
    told = [without_crossdock(proof, tmp_path, [value]) for value in chain_values(lake)]
    without_value = without_crossdock(proof, tmp_path, [])

    assert [done.returncode for done in (*told, without_value)] == [1, 0, 0, 0, 1]
    facts = json.loads(proof.read_bytes())["partitions"][0]["facts"]
    assert told[1].stdout.splitlines() == [fact["text"] for fact in facts]
    assert "no value that was kept covers it" in told[0].stderr


def forged(folder: Path, texts: Sequence[str], blocks: Sequence[int]) -> tuple[Path, list[Link]]:
    """A proof by somebody who makes up facts, a block for each, and a chain that fits them."""
    links: list[Link] = []
    before = beginning(b"whoever made it")
    for text, block in zip(texts, blocks, strict=True):
        previous = links[-1].chain if links else before
        links.append(link(previous, block, (block + 1) * BLOCK - 1, 1, leaf(text)))
    fact = ProvenFact(block=blocks[-1], leaf=0, path=[], text=texts[-1])
    part = ProvenPartition(partition=0, before=before, links=links, facts=[fact])
    proof = Proof(format="crossdock-proof-1", order="o", tenant="t", network="n", partitions=[part])
    file = folder / "forged.json"
    file.write_bytes(msgspec.json.encode(proof))
    return file, links


@pytest.mark.parametrize("block", [0, 1])
def test_what_was_put_behind_a_kept_value_is_not_proven(tmp_path: Path, block: int) -> None:
    texts = ['{"step":"DELIVERED"}', '{"step":"LOST"}']
    file, links = forged(tmp_path, texts, [0, block])

    done = without_crossdock(file, tmp_path, [links[0].chain])
    by_crossdock = run("audit", "check", file, "--root", links[0].chain)

    assert (done.returncode, done.stdout) == (1, "")
    assert by_crossdock.exit_code == 1


@pytest.mark.parametrize("text", ["[" * 200_000, '{"at":1e30,"table":"timeline"}', '{"at":NaN}'])
def test_a_forged_fact_that_nobody_can_read_is_a_fault(tmp_path: Path, text: str) -> None:
    file, links = forged(tmp_path, [text], [0])

    for more in ([], ["--json"], ["--root", links[0].chain]):
        done = run("audit", "check", file, *more)
        assert done.exit_code == 1, done.output
        assert "is no row of a lake" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("text", "offset"), [(b"S_LOWEST", 3), (b'qty\\":2', 6), (b'"root":"', 8), (b'"path":["', 9)]
)
def test_a_flipped_byte_of_a_proof_is_located(
    lake: Path, proof: Path, tmp_path: Path, text: bytes, offset: int
) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(proof.read_bytes())
    flip(file, file.read_bytes().index(text) + offset)

    done = run("audit", "check", file, "--json")

    assert done.exit_code == 1, done.output
    assert {fault["block"] for fault in json.loads(done.stdout)["faults"]} == {1}
    assert without_crossdock(file, tmp_path, chain_values(lake)).returncode != 0


def test_nothing_is_proven_of_what_was_changed(tmp_path: Path) -> None:
    lake = write(tmp_path / "lake", bursts())
    seal(lake, lake / "seals")
    changed(
        lake, f"UPDATE allocations_recent_0 SET qty = 3 WHERE order_id = '{ORDER}' AND line_no = 0"
    )

    done = run("audit", "prove", ORDER, "--lake", lake, "--out", tmp_path / "proof.json")

    assert done.exit_code == 1
    assert "allocations 4100/1" in done.stdout
    assert not (tmp_path / "proof.json").exists()


def test_an_order_in_two_networks_needs_its_network(tmp_path: Path) -> None:
    rows = [
        {
            "partition": 0, "position": p, "index": 0, "tenant": "acme", "network": network,
            "order_id": "o1", "step": "ORDERED", "at": START,
        }
        for p, network in enumerate(("eu", "us"))
    ]  # fmt: skip
    given = {Table.TIMELINE: to_table(Table.TIMELINE, rows)}
    lake, out = write(tmp_path / "lake", [Effects(0, 1, given)]), tmp_path / "proof.json"
    seal(lake, lake / "seals")
    prove: list[str | Path] = ["audit", "prove", "o1", "--lake", lake, "--out", out]

    assert "is in acme/eu, acme/us: say which by --network" in refused(run(*prove))
    assert run(*prove, "--network", "acme/us").exit_code == 0
    said = json.loads(run("audit", "check", out, "--json").stdout)
    assert (said["network"], len(said["facts"])) == ("us", 1)


def test_what_cannot_be_proven_or_checked_is_one_line(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    (tmp_path / "no.json").write_text('{"format": "crossdock-proof-2"}')
    deep = '{"format": "crossdock-proof-1", "partitions": [{"facts": [{"epcis": {"event": {"a":'
    (tmp_path / "deep.json").write_text(deep + "[" * 200_000)

    unknown = refused(run("audit", "prove", "o-0000410O", "--lake", lake, "--out", out))
    unsealed = run("audit", "prove", ORDER, "--lake", lake, "--out", out, "--seals", tmp_path)

    assert "no fact about order 'o-0000410O' is sealed; similar: o-00004100" in unknown
    assert "has no seals" in refused(unsealed)
    for name in ("no.json", "deep.json"):
        assert "is no proof, or was damaged" in refused(run("audit", "check", tmp_path / name))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> ParquetLog:
    """Parcels on their way, one with a logger."""
    path = tmp_path_factory.mktemp("audit") / "log"
    journeys = disturbed(records(5, 20), 5)
    readings = [bound(1.0, "cold"), *series([5.0] * 30, "cold", begin=1.5)]
    events = sorted([*journeys, *readings], key=lambda event: event.time)
    return write_log(path, with_ticks(events, range(0, 200, 20)), of=LogOf.TRACKING)


def tracked(log: ParquetLog, lake: Path, slice_records: int) -> Path:
    job = TrackJob.open(log, lake)
    run_flow(LogSource(log, job.starts, slice_records=slice_records), job)
    return lake


def test_replays_have_equal_seals_whatever_their_slices_and_maintenance(
    log: ParquetLog, tmp_path: Path
) -> None:
    whole = tracked(log, tmp_path / "whole", 4096)
    pieces = tracked(log, tmp_path / "pieces", 7)
    assert run("lake", "maintain", "--lake", pieces).exit_code == 0

    first, second = (seal(lake, lake / "seals").sealed for lake in (whole, pieces))

    assert first == second
    assert first[0].growing is not None
    assert first[0].facts > 100
    assert differences(pieces) == []


def test_milestones_are_proven_with_their_epcis_events(log: ParquetLog, tmp_path: Path) -> None:
    lake, out = tracked(log, tmp_path / "lake", 4096), tmp_path / "proof.json"
    seal(lake, lake / "seals")

    for order in ("o1", "cold"):
        made = run("audit", "prove", order, "--lake", lake, "--out", out, "--json")
        done = run("audit", "check", out, "--json")
        assert done.exit_code == 0, done.output
        facts = json.loads(done.stdout)["facts"]
        assert json.loads(made.stdout)["epcis_events"] == len([f for f in facts if f["epcis"]])
        if order == "o1":
            proof = json.loads(out.read_bytes())
            events = [f["epcis"] for f in proof["partitions"][0]["facts"] if f["epcis"]]
            assert events
            assert all(e["hash"].startswith("ni:///sha-256;") for e in events)
            assert {e["event"]["action"] for e in events} == {"OBSERVE"}
        else:
            assert [len(f["rows"]) for f in facts if f["rows"][0]["table"] == "readings"] == [30]
