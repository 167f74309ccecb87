"""Trees, chains, EPCIS events and proofs: what was changed is found, and where."""

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from models.evidence import proof
from models.evidence.chain import BLOCK, Link, beginning, broken, link
from models.evidence.epcis import canonical, event_hash, event_of
from models.evidence.merkle import EMPTY, SIZE, leaf, path, root, root_of, split
from models.evidence.proof import Proof, ProvenFact, ProvenPartition, check, milestone_of

TRANSPORTING = {
    "type": "ObjectEvent",
    "eventTime": "2023-02-02T11:04:03.141Z",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["https://id.gs1.org/00/040123451111111110"],
    "action": "OBSERVE",
    "bizStep": "transporting",
    "readPoint": {"id": "geo:50.947573340894124,6.922120147375441"},
}
"""An example (TimeStampRoundOff) of github.com/RalphTro/epcis-event-hash-generator, as is the next."""
SHIPPING = {
    "type": "ObjectEvent",
    "eventTime": "2023-02-02T11:04:03.142Z",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["https://id.gs1.org/00/040123451111111110"],
    "action": "OBSERVE",
    "bizStep": "shipping",
    "disposition": "in_transit",
    "readPoint": {"id": "https://id.gs1.org/414/4012345000115"},
}
CERTIFICATES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
CERTIFICATES += ["606162636465666768696a6b6c6d6e6f"]
"""Leaves of the published test tree of certificate transparency, hex."""


def leaves(count: int) -> bytes:
    return b"".join(leaf(f"fact {n}") for n in range(count))


def naive_root(digests: list[bytes]) -> bytes:
    """As RFC 6962 writes it: split at the largest power of two below the number of leaves."""
    if len(digests) <= 1:
        return digests[0] if digests else sha256().digest()
    half = 1
    while half * 2 < len(digests):
        half *= 2
    left, right = naive_root(digests[:half]), naive_root(digests[half:])
    return sha256(b"\1" + left + right).digest()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_roots_are_those_of_certificate_transparency(count: int, expected: str) -> None:
    texts = [sha256(b"\0" + bytes.fromhex(text)).digest() for text in CERTIFICATES[:count]]

    assert root(b"".join(texts)).hex() == expected


def test_roots_and_paths_are_right_for_every_number_of_leaves() -> None:
    for count in range(34):
        digests = leaves(count)
        assert root(digests) == naive_root(split(digests))
        for number, digest in enumerate(split(digests)):
            siblings = path(digests, number)
            assert root_of(digest, number, count, siblings) == root(digests)
    assert root(b"") == EMPTY


def test_a_path_leads_from_its_own_leaf_alone() -> None:
    digests = leaves(21)
    siblings, digest = path(digests, 5), leaf("fact 5")

    assert root_of(leaf("fact 6"), 5, 21, siblings) != root(digests)
    assert root_of(digest, 4, 21, siblings) != root(digests)
    assert root_of(digest, 21, 21, siblings) is None
    assert root_of(digest, 5, 21, siblings[:-1]) is None
    assert root_of(digest, 5, 21, [*siblings, digest]) is None


def chain_of(counts: list[int]) -> tuple[str, list[Link]]:
    previous = start = beginning(b"origin")
    links = []
    for block, count in enumerate(counts):
        upto = (block + 1) * BLOCK - 1
        links.append(link(previous, block, upto, count, root(leaves(count))))
        previous = links[-1].chain
    return start, links


def test_a_link_is_the_hash_of_a_line_of_text() -> None:
    start, (first, second) = chain_of([3, 0])

    line = f"{first.chain} 1 8191 0 {EMPTY.hex()}"

    assert second.chain == sha256(line.encode()).hexdigest()
    assert start == sha256(b"origin").hexdigest()
    assert first.is_whole


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(
    "change", [{"root": "0" * 64}, {"chain": "f" * 64}, {"facts": 9}, {"upto": 1}]
)
def test_a_changed_link_is_the_only_one_that_is_broken(number: int, change: dict[str, Any]) -> None:
    start, links = chain_of([3, 0, 5, 1, 2])
    changed: list[Link | None] = [*links]
    changed[number] = msgspec.structs.replace(links[number], **change)

    assert broken(start, links) == []
    assert broken(start, changed) == [number]


def test_a_link_that_cannot_be_read_is_the_only_one_that_is_broken() -> None:
    start, links = chain_of([3, 0, 5])

    assert broken(start, [links[0], None, links[2]]) == [1]


def test_a_link_that_was_taken_out_is_missed_where_it_was() -> None:
    start, links = chain_of([3, 0, 5, 2])

    assert broken(start, [links[0], *links[2:]])[0] == 1
    assert broken("0" * 64, links) == [0]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (TRANSPORTING, "0550df44527332c1fe417c5837fe61b9e71eaa93307b88519dac549bf2d4dcf9"),
        (SHIPPING, "af7658e711574363633f20b3dadc7bc4c13c6f612cf96d95e03c421c0e58f3c6"),
    ],
)
def test_event_hashes_are_those_of_the_reference_implementation(
    event: dict[str, Any], expected: str
) -> None:
    assert event_hash(event) == f"ni:///sha-256;{expected}?ver=CBV2.0"
    assert event_hash(dict(reversed(event.items()))) == event_hash(event)


def fact(position: int = 7, **changes: Any) -> dict[str, Any]:
    """A row of the timeline, as it is hashed."""
    row = {
        "table": "timeline", "at": 1_767_621_600_123_456, "classifier": "ACT", "index": 0,
        "latitude": None, "longitude": None, "network": "eu", "node": "dc north", "order_id": "o:1",
        "package": "SF1", "partition": 10_000, "position": position, "step": "HANDED_OVER",
        "tenant": "acme",
    }  # fmt: skip
    return row | changes


def test_a_milestone_is_an_epcis_event() -> None:
    assert event_of(fact()) == {
        "type": "ObjectEvent",
        "eventTime": "2026-01-05T14:00:00.123Z",
        "eventTimeZoneOffset": "+00:00",
        "epcList": ["urn:crossdock:package:acme:eu:o%3A1:SF1"],
        "action": "OBSERVE",
        "bizStep": "shipping",
        "disposition": "in_transit",
        "readPoint": {"id": "urn:crossdock:node:dc%20north"},
    }


def test_an_event_has_only_what_is_known() -> None:
    lost = event_of(fact(step="LOST", node=None, package=None))
    seen = event_of(fact(step="SCANNED", latitude=52.5, longitude=-0.25))

    assert lost is not None
    assert seen is not None
    assert "bizStep" not in lost
    assert "readPoint" not in lost
    assert lost["epcList"] == ["urn:crossdock:order:acme:eu:o%3A1"]
    assert canonical(seen).endswith("readPointid=geo:52.5,-0.25")


@pytest.mark.parametrize(
    "changes",
    [{"step": "ORDERED"}, {"step": "SCANNED", "classifier": "EST"}, {"classifier": "RET"}],
)
def test_what_is_no_actual_milestone_is_no_event(changes: dict[str, Any]) -> None:
    assert event_of(fact(**changes)) is None


def a_proof(*, order: str = "o:1") -> Proof:
    """Of two facts in blocks 1 and 2 of four."""
    rows = {1: fact(BLOCK + 5), 2: fact(2 * BLOCK, step="ORDERED", node="")}
    texts = {block: json.dumps(row) for block, row in rows.items()}
    _, links = chain_of([4, 1])
    facts = []
    for block in (1, 2, 3):
        digests = leaves(9) + (leaf(texts[block]) if block in texts else b"") + leaves(3)
        count, last = len(digests) // SIZE, (block + 1) * BLOCK - 1
        links[block:] = [link(links[block - 1].chain, block, last, count, root(digests))]
        if block in texts:
            siblings = [digest.hex() for digest in path(digests, 9)]
            event = milestone_of(texts[block])
            facts.append(
                ProvenFact(block=block, leaf=9, path=siblings, text=texts[block], epcis=event)
            )
    part = ProvenPartition(partition=10_000, before=links[0].chain, links=links[1:], facts=facts)
    return Proof(
        format="crossdock-proof-1", order=order, tenant="acme", network="eu", partitions=[part]
    )


def test_a_proof_holds_by_any_value_that_covers_its_facts() -> None:
    made = a_proof()
    chains = [one.chain for one in made.partitions[0].links]

    assert check(made) == []
    assert check(made, [chains[1]]) == []
    assert check(made, ["0" * 64, chains[2]]) == []
    assert made.partitions[0].facts[0].epcis is not None
    assert made.partitions[0].facts[1].epcis is None


def test_a_value_covers_only_what_came_before_it() -> None:
    made = a_proof()

    early = check(made, [made.partitions[0].links[0].chain])
    strange = check(made, ["0" * 64])

    assert [(fault.block, fault.what) for fault in early] == [(2, proof.UNCOVERED)]
    assert [fault.block for fault in strange] == [1, 2]


def test_facts_about_something_else_are_told_apart() -> None:
    assert [fault.what for fault in check(a_proof(order="o:2"))] == [proof.FOREIGN] * 2


def test_every_flipped_bit_of_a_proof_is_noticed_and_none_is_a_defect() -> None:
    made = a_proof()
    content = msgspec.json.encode(made)
    chain = made.partitions[0].links[-1].chain

    for place in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        try:
            found = msgspec.json.decode(bytes(flipped), type=Proof)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        assert check(found, [chain]), content[max(0, place - 30) : place + 30]


def test_a_changed_text_is_located() -> None:
    content = msgspec.json.encode(a_proof()).replace(b"dc north", b"dc south")

    faults = check(msgspec.json.decode(content, type=Proof))

    assert [(fault.block, fault.leaf, fault.what) for fault in faults] == [(1, 9, proof.CHANGED)]


ODD: list[dict[str, Any]] = [
    *({"at": at} for at in (1e30, -1e30, 10**30, float("nan"), float("inf"), 2**62, "soon", None)),
    *({"node": node} for node in ("\ud800", {"a": 1}, [["b"]], 10**30)),
]
UNREADABLE = ["no JSON", "[1]", '{"position": "x"}', "{}", "7", "[" * 200_000, '{"at": ' * 200_000]
UNREADABLE += [
    json.dumps(fact(partition=0, tenant="t", network="n", order_id="o", **odd)) for odd in ODD
]


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: text[:20])
def test_a_forged_proof_of_what_is_no_row_does_not_hold(text: str) -> None:
    forged = link(beginning(b""), 0, 0, 1, leaf(text))
    facts = [ProvenFact(block=0, leaf=0, path=[], text=text)]
    part = ProvenPartition(partition=0, before=beginning(b""), links=[forged], facts=facts)
    made = Proof(format="crossdock-proof-1", order="o", tenant="t", network="n", partitions=[part])

    assert [fault.what for fault in check(made)] == [proof.UNREADABLE]
