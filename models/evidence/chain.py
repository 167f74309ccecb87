"""The chain over the blocks of a partition: each link stands for its block and all blocks before it.

A link is the SHA-256 of one line of text, ``PREVIOUS BLOCK UPTO FACTS ROOT``, so that ``sha256sum`` is enough
to check it. The first one follows from the digest of a line that says whose chain it is.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated

import msgspec

BLOCK = 4_096
"""Positions of a block: what their records caused belongs together, whatever was committed together."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Counts from nought, as far as a lake can."""


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One block.

    Attributes:
        block: its number, from 0.
        upto: the last position it stands for; of a whole block that of the block.
        facts: how many leaves it has.
        root: of its Merkle tree, hex.
        chain: what stands for it and all before it, hex.
    """

    block: Number
    upto: Number
    facts: Number
    root: str
    chain: str

    @property
    def is_whole(self) -> bool:
        """Whether no more facts can come to it."""
        return self.upto == last_position(self.block)


def last_position(block: int) -> int:
    """Of a whole block."""
    return (block + 1) * BLOCK - 1


def beginning(origin: bytes) -> str:
    """What the first link follows from."""
    return sha256(origin).hexdigest()


def link(previous: str, block: int, upto: int, facts: int, root: bytes) -> Link:
    """The link that follows."""
    made = Link(block=block, upto=upto, facts=facts, root=root.hex(), chain="")
    return msgspec.structs.replace(made, chain=following(previous, made))


def following(previous: str, link: Link) -> str:
    """What a link's ``chain`` must be."""
    line = f"{previous} {link.block} {link.upto} {link.facts} {link.root}"
    return sha256(line.encode()).hexdigest()


def broken(previous: str, links: Sequence[Link | None], first: int = 0) -> list[int]:
    """Which links do not follow from those before them, by their number in the sequence.

    Args:
        previous: what the first of them follows from.
        links: in their order; None for one that cannot be read.
        first: number of the first block.
    """
    wrong = []
    before: tuple[str, ...] = (previous,)  # whatever the next one may follow from
    for number, one in enumerate(links):
        if one is None:
            wrong.append(number)
            before = ()
            continue
        chains = tuple(following(chain, one) for chain in before)
        follows = one.chain in chains or not before
        if follows and one.block == first + number:
            before = (one.chain,)
        else:  # either its chain was changed or something else of it
            wrong.append(number)
            before = (*chains, one.chain)
    return wrong
