"""A proof that facts about an order are among those that were sealed, and its check by anybody.

It holds the facts as text, the path of each to the root of its block, and the links of the chain from the first
of these blocks on. Who kept a value of the chain needs nothing else: neither the lake nor its owner. It shows
that each fact is as it was sealed, not that there are no others about the order.
"""

import json
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from models.evidence.chain import BLOCK, Link, Number, broken
from models.evidence.epcis import Event, event_hash, event_of
from models.evidence.merkle import leaf, root_of
from schemas.errors import InputError

Row = dict[str, Any]
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Scalar = _Whole | float | bool | str | None
_ROWS = list[dict[str, _Scalar | list[_Scalar]]]
"""What rows of a lake can have in them."""


class Milestone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact as EPCIS event, and the hash by which anybody can name that.

    Attributes:
        hash: CBV 2.0, ``ni:///sha-256;…?ver=CBV2.0``.
        event: what it is of.
    """

    hash: str
    event: Event


class ProvenFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A leaf.

    Attributes:
        block: number of its block.
        leaf: its number in the block.
        path: siblings up to the root, nearest first, hex.
        text: what is hashed: a row as JSON, or those of a series, a line each.
        epcis: of a milestone.
    """

    block: Number
    leaf: Number
    path: list[str]
    text: str
    epcis: Milestone | None = None


class ProvenPartition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one partition has of the order.

    Attributes:
        partition: its number in the lake.
        before: the chain before the first link, hex.
        links: from the first block with a fact on, without a gap.
        facts: by block and leaf.
    """

    partition: Number
    before: str
    links: list[Link]
    facts: list[ProvenFact]


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file.

    Attributes:
        format: of this file.
        order: what it is about.
        tenant: whose order.
        network: of which network.
        partitions: by number.
    """

    format: Literal["crossdock-proof-1"]
    order: str
    tenant: str
    network: str
    partitions: list[ProvenPartition]


class Fault(NamedTuple):
    """What is wrong with a proof, and where.

    Attributes:
        partition: where.
        block: which.
        leaf: of the fact; -1: the link itself.
        what: in one sentence.
    """

    partition: int
    block: int
    leaf: int
    what: str


CHANGED = "is not what was sealed: it does not lead to the root of its block"
FOREIGN = "is about another order, partition or block"
RENAMED = "is named by another EPCIS event or hash than its own"
UNREADABLE = "is no row of a lake"
UNCHAINED = "does not follow from the link before it"
UNLINKED = "is of a block that has no link"
UNCOVERED = "is not covered by any value given"


def rows_of(text: str) -> list[Row]:
    """The rows that were hashed together.

    Raises:
        InputError: whoever made it hashed what is no row of a lake.
    """
    try:
        found = [json.loads(line) for line in text.split("\n")]
        rows: list[Row] = msgspec.convert(found, _ROWS)
        json.dumps(rows, ensure_ascii=False).encode()  # half a character can be shown nowhere
    except (ValueError, RecursionError) as error:
        raise InputError(UNREADABLE) from error
    return rows


def milestone_of(text: str) -> Milestone | None:
    """A fact as EPCIS event, if it is an actual milestone."""
    first = rows_of(text)[0]
    event = event_of(first) if first["table"] == "timeline" else None
    return Milestone(hash=event_hash(event), event=event) if event else None


def check(proof: Proof, kept: Collection[str] = ()) -> list[Fault]:
    """Everything that is wrong with a proof.

    Args:
        proof: as it was handed over.
        kept: values of chains that were kept elsewhere; if any, every fact must be covered by one.
    """
    return [fault for one in proof.partitions for fault in _faults(proof, one, kept)]


def covered(partition: ProvenPartition, kept: Collection[str]) -> int:
    """The last block that one of the values stands for; -1 if none is on the chain."""
    return max((one.block for one in partition.links if one.chain in kept), default=-1)


def _faults(proof: Proof, part: ProvenPartition, kept: Collection[str]) -> Iterator[Fault]:
    links = {one.block: one for one in part.links}
    first = part.links[0].block if part.links else 0
    for number in broken(part.before, part.links, first):
        yield Fault(part.partition, part.links[number].block, -1, UNCHAINED)
    last = covered(part, kept)
    for fact in part.facts:
        for what in _wrong(proof, part.partition, fact, links.get(fact.block)):
            yield Fault(part.partition, fact.block, fact.leaf, what)
        if kept and fact.block > last:
            yield Fault(part.partition, fact.block, fact.leaf, UNCOVERED)


def _wrong(proof: Proof, partition: int, fact: ProvenFact, link: Link | None) -> Iterator[str]:
    if link is None:
        yield UNLINKED
        return
    siblings = [_digest(text) for text in fact.path]
    found = root_of(leaf(fact.text), fact.leaf, link.facts, siblings)
    if found is None or found.hex() != link.root:
        yield CHANGED
        return
    about = (proof.tenant, proof.network, proof.order, partition, fact.block)
    try:
        if any(_about(row) != about for row in rows_of(fact.text)):
            yield FOREIGN
        if fact.epcis != milestone_of(fact.text):
            yield RENAMED
    except (InputError, ValueError, KeyError, TypeError, OverflowError, OSError):
        yield UNREADABLE  # a column is missing, of another kind, or an instant that no calendar has


def _about(row: Row) -> tuple[Any, ...]:
    block = row["position"] // BLOCK
    return row["tenant"], row["network"], row["order_id"], row["partition"], block


def _digest(text: str) -> bytes:
    """Of hex in the one spelling that a proof has; of anything else what fits nothing."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        return b""
    return digest if digest.hex() == text else b""
