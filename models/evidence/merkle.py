"""Merkle trees over facts, as RFC 6962 (certificate transparency) defines them, with SHA-256.

A leaf is hashed behind a zero byte and a node behind a one, so that neither can pass for the other. A path is
the list of siblings from a leaf up to the root; with the leaf's number and the number of leaves nobody needs
anything else to check it. Digests that belong together are one string of bytes, 32 for each.
"""

from collections.abc import Sequence
from hashlib import sha256

SIZE = 32
"""Bytes of a digest."""
Digest = bytes
Digests = bytes
"""Several, one after another."""
EMPTY: Digest = sha256().digest()
"""The root over nothing."""


def leaf(text: str) -> Digest:
    """The digest of a fact."""
    return sha256(b"\0" + text.encode()).digest()


def root(leaves: Digests) -> Digest:
    """The digest of all leaves in their order."""
    level = leaves or EMPTY
    while len(level) > SIZE:
        level = _parents(level)
    return level


def path(leaves: Digests, number: int) -> list[Digest]:
    """The siblings that lead from a leaf to the root, nearest first."""
    level, siblings = leaves, []
    while len(level) > SIZE:
        sibling = level[SIZE * (number ^ 1) : SIZE * (number ^ 1) + SIZE]
        if sibling:
            siblings.append(sibling)
        level, number = _parents(level), number // 2
    return siblings


def root_of(digest: Digest, number: int, count: int, siblings: Sequence[Digest]) -> Digest | None:
    """The root that a leaf and its siblings come to; None if they do not fit the number of leaves."""
    if not 0 <= number < count:
        return None
    left = list(siblings)
    while count > 1:
        if number ^ 1 < count:
            if not left:
                return None
            sibling = left.pop(0)
            digest = _node(sibling + digest if number % 2 else digest + sibling)
        number, count = number // 2, (count + 1) // 2
    return None if left else digest


def split(digests: Digests) -> list[Digest]:
    """One by one."""
    return [digests[i : i + SIZE] for i in range(0, len(digests), SIZE)]


def _parents(level: Digests) -> Digests:
    """One level up; a last one without a sibling goes up as it is."""
    whole = len(level) // (2 * SIZE) * (2 * SIZE)
    pairs = (_node(level[i : i + 2 * SIZE]) for i in range(0, whole, 2 * SIZE))
    return b"".join(pairs) + level[whole:]


def _node(children: bytes) -> Digest:
    return sha256(b"\1" + children).digest()
