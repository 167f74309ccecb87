"""Sealing and verifying a lake: seals depend on the facts alone, and what was changed is located."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.evidence.sealing import Difference, What, seal, verify
from flows.evidence.seals import read_chain, sealed_leaves
from flows.lake.connection import open_lake
from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from schemas.ids import LogId
from schemas.tables import Effects, Table
from tests.support.command_line import refused, run
from tests.support.effects import START, effects, order_id, to_table

LOG = Identity(LogId("log-1"))
BURSTS = ((0, 30), (4090, 4110), (8180, 8200), (12_300, 12_310))
"""First and last positions with facts: four blocks, one of them almost empty, the last not whole."""
CHANGED_PLACE = "FRAGILE-PORCELAIN-7731"


def write(lake: Path, stretches: Sequence[Effects], identity: Identity = LOG) -> Path:
    with create_or_open_writer(lake, identity, [0]) as writer:
        for one in stretches:
            writer.put(one)
            writer.flush()
    return lake


def bursts(size: int = 1000, upto: int = 20_000) -> list[Effects]:
    """All facts up to a position, so many positions a commit."""
    return [
        effects(begin, min(begin + size - 1, last, upto))
        for first, last in BURSTS
        for begin in range(first, min(last, upto) + 1, size)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed lake, written at once; only to be read."""
    lake = write(tmp_path_factory.mktemp("seals") / "lake", bursts())
    seal(lake, lake / "seals")
    return lake


@pytest.fixture
def sealed(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "lake"))


def chains(lake: Path) -> bytes:
    """The seals of partition 0."""
    seal(lake, lake / "seals")
    return (lake / "seals" / "partition-00000.jsonl").read_bytes()


def changed(lake: Path, statement: str) -> Path:
    """The lake after somebody has written to it."""
    connection = open_lake(lake)
    connection.execute(statement)
    connection.close()
    return lake


def differences(lake: Path, kept: Sequence[str] = ()) -> list[Difference]:
    return verify(lake, lake / "seals", list(kept)).differences


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(bytes(content))


def test_seals_depend_on_the_facts_alone(whole: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", bursts(size=9))
    assert run("lake", "maintain", "--lake", other).exit_code == 0

    assert chains(other) == chains(whole)
    assert len(chains(other).splitlines()) == 1 + 4


def test_seals_do_not_depend_on_when_they_were_made(whole: Path, tmp_path: Path) -> None:
    lake = write(tmp_path / "lake", bursts(upto=4100))
    first = seal(lake, lake / "seals").sealed[0]
    run("lake", "maintain", "--lake", lake)
    write(lake, bursts())
    second = seal(lake, lake / "seals").sealed[0]

    assert chains(lake) == chains(whole)
    assert first.whole is not None
    assert first.growing is not None
    assert second.whole is not None
    assert (first.whole.upto, first.growing.upto) == (4095, 4100)
    assert (second.whole.upto, second.unsealed) == (12_287, 0)
    assert differences(lake, [first.whole.chain]) == []


def test_changed_missing_and_added_rows_are_located(sealed: Path) -> None:
    changed(
        sealed,
        """
        UPDATE decisions_recent_0 SET total_minor = 1 WHERE position = 4097;
        DELETE FROM allocations_recent_0 WHERE position = 8185 AND line_no = 1;
        DELETE FROM decisions_recent_0 WHERE position = 0;
        INSERT INTO stock_recent_0 SELECT * REPLACE (9 AS "index") FROM stock WHERE position = 3;
        INSERT INTO exceptions_recent_0 SELECT * FROM exceptions WHERE position = 12305;
        """,
    )

    assert differences(sealed) == [
        Difference(What.MISSING, 0, 0),
        Difference(What.ADDED, 0, 0, "stock", 3, 9, "acme/eu"),
        Difference(What.CHANGED, 0, 1, "decisions", 4097, 0, f"acme/eu/{order_id(4097)}"),
        Difference(What.MISSING, 0, 1, "allocations", 8185, 1),
        Difference(What.ADDED, 0, 3, "exceptions", 12305, 3, f"acme/eu/{order_id(12305)}"),
    ]


def test_what_was_changed_before_a_block_was_whole_is_found_by_the_next_sealing(
    tmp_path: Path,
) -> None:
    lake = write(tmp_path / "lake", bursts(upto=20))
    before = chains(lake)
    changed(lake, "UPDATE decisions_recent_0 SET region = 'R2' WHERE position = 11")
    write(lake, bursts())

    done = run("audit", "seal", "--lake", lake, "--json")

    assert done.exit_code == 1
    (told,) = json.loads(done.stdout)["differences"]
    assert (told["what"], told["position"]) == ("changed", 11)
    assert chains(lake) == before


def test_a_flipped_byte_of_a_data_file_is_located(tmp_path: Path) -> None:
    rows = [
        {
            "partition": 0, "position": p, "index": 0, "tenant": "acme", "network": "eu",
            "order_id": order_id(p), "step": "SCANNED", "at": START,
            "place": CHANGED_PLACE if p == 33 else "hub",
        }
        for p in range(50)
    ]  # fmt: skip
    given = {Table.TIMELINE: to_table(Table.TIMELINE, rows)}
    lake = write(tmp_path / "lake", [Effects(0, 49, given)])
    chains(lake)
    (file,) = (lake / "data").glob("**/timeline_recent_0/*.parquet")

    for place in _places(file.read_bytes(), b"PORCELAIN"):
        flip(file, place)

    (told,) = differences(lake)
    assert (told.what, told.table, told.position) == (What.CHANGED, "timeline", 33)
    assert told.about == f"acme/eu/{order_id(33)}"


def _places(content: bytes, text: bytes) -> list[int]:
    """Where a text is in a file: in its page, and in the statistics that would skip it."""
    return [n for n in range(len(content)) if content.startswith(text, n)]


def test_a_reading_is_located_by_its_order_and_block(tmp_path: Path) -> None:
    rows = [
        {
            "partition": 0, "position": p, "index": 0, "tenant": "acme", "network": "eu",
            "order_id": f"o{p % 2}", "device": "logger", "type": "Temperature", "value": 4.0 + p / 8,
            "at": START,
        }
        for p in range(40)
    ]  # fmt: skip
    given = {Table.READINGS: to_table(Table.READINGS, rows)}
    lake = write(tmp_path / "lake", [Effects(0, 39, given)])
    sealed = seal(lake, lake / "seals").sealed[0]
    changed(lake, "UPDATE readings_recent_0 SET value = 5.0 WHERE position = 27")

    assert sealed.facts == 2
    assert differences(lake) == [Difference(What.CHANGED, 0, 0, "readings", 1, 0, "acme/eu/o1")]


@pytest.mark.parametrize(("block", "place"), [(0, 3), (1, 40), (2, 120), (3, 180)])
def test_a_flipped_byte_of_the_seals_is_located_by_its_line(
    sealed: Path, block: int, place: int
) -> None:
    file = sealed / "seals" / "partition-00000.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    flip(file, sum(len(line) for line in lines[: 1 + block]) + place)

    assert differences(sealed) == [Difference(What.SEAL, 0, block)]


def test_a_flipped_byte_of_the_leaves_is_located(sealed: Path) -> None:
    for name in ("00000001", "00000003-12310"):
        flip(sealed / "seals" / "partition-00000" / f"{name}.leaves", 40)

    assert differences(sealed) == [Difference(What.LEAVES, 0, 1), Difference(What.LEAVES, 0, 3)]


@pytest.mark.parametrize("begun", [4100, 12_304])
@pytest.mark.parametrize("point", ["before chain", "after chain"])
def test_a_sealing_that_dies_harms_neither_the_next_nor_whoever_verifies_meanwhile(
    whole: Path, tmp_path: Path, begun: int, point: str
) -> None:
    lake = write(tmp_path / "lake", bursts(upto=begun))
    seals = lake / "seals"
    seal(lake, seals)
    write(lake, bursts())
    found = []

    def die(here: str) -> None:
        found.append(verify(lake, seals, []).differences)
        if here == point:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seal(lake, seals, die)
    left = differences(lake)

    assert [*found, left] == [[]] * (len(found) + 1)
    assert seal(lake, seals).differences == []
    assert chains(lake) == chains(whole)
    leaves = [sorted(file.name for file in one.glob("seals/*/*")) for one in (lake, whole)]
    assert leaves[0] == leaves[1]


def test_who_has_read_a_chain_has_the_leaves_that_it_names(tmp_path: Path) -> None:
    lake = write(tmp_path / "lake", bursts(upto=4100))
    seal(lake, lake / "seals")
    before = read_chain(lake / "seals", 0)
    write(lake, bursts())
    seal(lake, lake / "seals")

    assert before is not None
    assert before.growing_link is not None
    assert sealed_leaves(lake / "seals", before, before.growing_link) is not None


def test_facts_and_leaves_that_were_both_changed_are_located_by_their_block(sealed: Path) -> None:
    changed(sealed, "UPDATE decisions_recent_0 SET region = 'R2' WHERE position = 11")
    flip(sealed / "seals" / "partition-00000" / "00000000.leaves", 40)

    assert differences(sealed) == [Difference(What.CHANGED, 0, 0)]


def test_seals_that_were_made_anew_are_found_out_by_a_value_that_was_kept(sealed: Path) -> None:
    report = seal(sealed, sealed / "seals").sealed[0]
    assert report.whole is not None
    kept = report.whole.chain
    changed(sealed, "UPDATE decisions_recent_0 SET total_minor = 1 WHERE position = 4097")
    for file in (sealed / "seals").glob("**/*.*"):
        file.unlink()
    chains(sealed)

    assert differences(sealed) == []
    assert differences(sealed, [kept]) == [Difference(What.NOT_ON_CHAIN, about=kept)]


def test_a_lake_that_ends_too_early_is_told(sealed: Path, tmp_path: Path) -> None:
    early = write(tmp_path / "early", bursts(upto=8190))

    report = verify(early, sealed / "seals", [])

    assert report.differences == [Difference(What.LAKE_ENDS, 0, 1, position=8190)]


def test_verifying_prints_where_and_exits_with_one(sealed: Path) -> None:
    fine = run("audit", "verify", "--lake", sealed)
    changed(sealed, "UPDATE decisions_recent_0 SET total_minor = 1 WHERE position = 4097")
    wrong = run("audit", "verify", "--lake", sealed)
    plain = run("audit", "verify", "--lake", sealed, "--json")

    assert [done.exit_code for done in (fine, wrong, plain)] == [0, 1, 1]
    assert "Every sealed fact is as it was sealed." in fine.stdout
    assert "for good" in fine.stdout
    assert "decisions 4097/0" in wrong.stdout
    said = json.loads(plain.stdout)
    assert not said["ok"]
    assert [d["position"] for d in said["differences"]] == [4097]


def _other_log(lake: Path) -> list[str | Path]:
    other = write(lake.with_name("other"), bursts(), Identity(LogId("log-2")))
    return ["audit", "verify", "--lake", other, "--seals", lake / "seals"]


def _damaged_start(lake: Path) -> list[str | Path]:
    flip(lake / "seals" / "partition-00000.jsonl", 0)
    return ["audit", "verify", "--lake", lake]


def _damaged_link(lake: Path) -> list[str | Path]:
    file = lake / "seals" / "partition-00000.jsonl"
    flip(file, file.read_bytes().index(b"root") + 10)
    return ["audit", "seal", "--lake", lake]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (lambda lake: ["audit", "seal", "--lake", lake / "no"], "is no lake"),
        (lambda lake: ["audit", "verify", "--lake", lake, "--seals", lake / "no"], "has no seals"),
        (_other_log, "its log_id is 'log-1', not 'log-2'"),
        (_damaged_start, "its first line does not say whose seals these are"),
        (_damaged_link, "was changed at block 0 (line 2)"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_two(
    sealed: Path, arguments: Callable[[Path], list[Any]], expected: str
) -> None:
    assert expected in refused(run(*arguments(sealed)))
