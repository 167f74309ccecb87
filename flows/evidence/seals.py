"""Seals on disk: the chain over the blocks of each partition, beside the lake or anywhere else.

::

    SEALS/partition-00000.jsonl             whose chain it is, then one link a line
    SEALS/partition-00000/00000012.leaves   the digests of its facts, 32 bytes each
    SEALS/partition-00000/00000013-54321.leaves   those of the block that grows, up to that position

The leaves of a block are there before the chain names them, and those that it named until then go afterwards.
So a chain and its leaves fit at any instant, wherever a sealing ends. The last link of a chain stands for
everything before it. Whoever keeps a copy of it elsewhere can tell later whether any fact was changed, and by
the leaves which one.
"""

from pathlib import Path

import msgspec

from flows.files import make_directory, publish
from models.evidence.chain import BLOCK, Link, beginning, broken
from models.evidence.merkle import Digests, root
from schemas.errors import InputError
from schemas.tables import VERSION

FORMAT = 1
FOLDER = "seals"
"""Where seals are unless said otherwise: in the directory of the lake."""


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose chain it is: lakes of one log have equal chains.

    Attributes:
        partition: in the lake.
        flow: whose effects.
        log_id: of the log.
        log_partitions: how many that has.
        policy_override_sha256: of the policy in place of the log's own; empty without.
        tables: version of the tables, so of the text of a fact.
        positions: of a block.
        seals: version of these files.
    """

    partition: int
    flow: str
    log_id: str
    log_partitions: int
    policy_override_sha256: str = ""
    tables: int = VERSION
    positions: int = BLOCK
    seals: int = FORMAT


class Chain(msgspec.Struct):
    """The seals of one partition.

    Attributes:
        origin: whose.
        links: by block; None for a line that is no link.
        growing: leaves of the last block while it is not whole, read with the chain; None without their file.
    """

    origin: Origin
    links: list[Link | None]
    growing: Digests | None = None

    @property
    def growing_link(self) -> Link | None:
        """The last one, while its block is not whole."""
        last = self.links[-1] if self.links else None
        return None if last is None or last.is_whole else last

    @property
    def first_line(self) -> bytes:
        """What the chain begins with."""
        return msgspec.json.encode(self.origin)

    @property
    def head(self) -> str:
        """What stands for all of it."""
        last = self.links[-1] if self.links else None
        return last.chain if last else beginning(self.first_line)

    def broken(self) -> list[int]:
        """Blocks whose link does not follow from those before."""
        return broken(beginning(self.first_line), self.links)

    def whole(self, file: Path) -> list[Link]:
        """All links.

        Raises:
            InputError: one was changed or cannot be read.
        """
        wrong = self.broken()
        links = [one for one in self.links if one is not None]
        if wrong:
            raise InputError(
                f"{file} was changed at block {wrong[0]} (line {wrong[0] + 2}); "
                "see crossdock audit verify, and restore it from a copy"
            )
        return links


def file_of(folder: Path, partition: int) -> Path:
    """Where the chain of a partition is."""
    return folder / f"partition-{partition:05d}.jsonl"


def sealed_partitions(folder: Path) -> list[int]:
    """Partitions that there are seals of.

    Raises:
        InputError: there are none.
    """
    found = sorted(
        int(file.stem.rpartition("-")[2]) for file in folder.glob("partition-?????.jsonl")
    )
    if not found:
        raise InputError(f"{folder} has no seals; make them with: crossdock audit seal")
    return found


def read_chain(folder: Path, partition: int) -> Chain | None:
    """The chain of a partition with the leaves of its growing block; None if there is none yet.

    Somebody may be sealing: leaves that are gone because the chain names others by now are read again with it.

    Raises:
        InputError: its first line does not say whose it is.
    """
    file = file_of(folder, partition)
    while file.exists():
        content = file.read_bytes()
        chain = _decoded(content, file)
        growing = chain.growing_link
        if growing is None:
            return chain
        chain.growing = _content(_leaves_file(folder, partition, growing))
        if chain.growing is not None or file.read_bytes() == content:
            return chain
    return None


def _decoded(content: bytes, file: Path) -> Chain:
    first, *lines = content.split(b"\n")
    try:
        origin = msgspec.json.decode(first, type=Origin)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: its first line does not say whose seals these are ({error}); "
            "restore it from a copy"
        ) from error
    return Chain(origin, [_link(line) for line in lines[:-1]])  # what ends in no line end is torn


def write_chain(folder: Path, chain: Chain) -> None:
    """Replace the file of a chain, as a whole or not at all."""
    lines = [chain.first_line, *(msgspec.json.encode(one) for one in chain.links)]
    publish(file_of(folder, chain.origin.partition), b"\n".join(lines) + b"\n")


def write_leaves(folder: Path, partition: int, link: Link, leaves: Digests) -> None:
    """Keep the digests of a block's facts, beside those that the chain still names."""
    file = _leaves_file(folder, partition, link)
    make_directory(file.parent)
    publish(file, leaves)


def remove_outgrown(folder: Path, chain: Chain) -> None:
    """Remove leaves up to positions that the chain does not name, also what was left by a sealing that died."""
    partition, growing = chain.origin.partition, chain.growing_link
    named = growing and _leaves_file(folder, partition, growing)
    for file in _leaves_folder(folder, partition).glob("*-*.leaves*"):
        if file != named:
            file.unlink()


def read_leaves(folder: Path, chain: Chain, link: Link) -> Digests | None:
    """The digests of a block's facts as they are on disk; None without a file."""
    if not link.is_whole:
        return chain.growing
    return _content(_leaves_file(folder, chain.origin.partition, link))


def sealed_leaves(folder: Path, chain: Chain, link: Link) -> Digests | None:
    """The digests of a block's facts; None if they are not those that were sealed."""
    leaves = read_leaves(folder, chain, link)
    return leaves if leaves is not None and root(leaves).hex() == link.root else None


def _link(line: bytes) -> Link | None:
    try:
        return msgspec.json.decode(line, type=Link)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _leaves_file(folder: Path, partition: int, link: Link) -> Path:
    upto = "" if link.is_whole else f"-{link.upto}"
    return _leaves_folder(folder, partition) / f"{link.block:08d}{upto}.leaves"


def _leaves_folder(folder: Path, partition: int) -> Path:
    return folder / f"partition-{partition:05d}"
