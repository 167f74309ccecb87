"""Sealing a lake, and comparing it with its seals.

A block is sealed for good once the lake holds all of it. The one that still grows is sealed as far as it goes,
so that no fact waits: the next sealing compares it with that before it goes on, then puts the longer one in its
place. So whole blocks never depend on when they were sealed, nor on how commits were cut or files merged.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from pathlib import Path

import duckdb

from flows.evidence.facts import Fact, facts_of_block, leaves_of_blocks
from flows.evidence.seals import (
    Chain,
    Origin,
    file_of,
    read_chain,
    read_leaves,
    remove_outgrown,
    sealed_leaves,
    sealed_partitions,
    write_chain,
    write_leaves,
)
from flows.files import make_directory
from flows.lake.commit import no_crash
from flows.lake.diagnosis import explained
from flows.lake.layout import TRACK_PARTITIONS, Flow, identity_of
from flows.lake.lock import WriterLock
from flows.lake.query import connect_reader
from models.evidence.chain import BLOCK, Link, beginning, last_position, link
from models.evidence.merkle import SIZE, Digests, root, split
from schemas.errors import InputError

AT_ONCE = 16
"""Blocks read from the lake in one query: with 20 lines an order 2.5 million facts, 0.7 GB."""


class What(StrEnum):
    """What is not as it was sealed."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    LAKE_ENDS = "lake ends before"
    SEAL = "seal changed"
    LEAVES = "leaves changed"
    NOT_ON_CHAIN = "value on no chain"


@dataclass(frozen=True, slots=True)
class Difference:
    """One of these, and where.

    Attributes:
        what: it is.
        partition: where; -1 if nowhere.
        block: which; -1 likewise.
        table: of the fact; of one that is missing, of the fact before it; empty: the whole block.
        position: of the record that caused that; -1 likewise.
        index: which effect of it.
        about: its order; of a value of a chain, the value.
    """

    what: What
    partition: int = -1
    block: int = -1
    table: str = ""
    position: int = -1
    index: int = -1
    about: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    """How far the seals of a partition go.

    Attributes:
        partition: which.
        facts: leaves that are sealed.
        upto: last position that is sealed; -1 without any.
        unsealed: positions of the lake behind that.
        whole: the last whole block; its chain is to be kept elsewhere, and stays for good.
        growing: the block behind it, whose chain is good until more comes.
    """

    partition: int
    facts: int
    upto: int
    unsealed: int
    whole: Link | None
    growing: Link | None


@dataclass(frozen=True, slots=True)
class Report:
    """What there is, and what is wrong with it."""

    sealed: list[Sealed]
    differences: list[Difference]


def seal(lake: Path, folder: Path, crash_point: Callable[[str], None] = no_crash) -> Report:
    """Seal what is not sealed yet; a partition whose last seal does not fit any more is left alone.

    Args:
        lake: whose facts.
        folder: of its seals, made if need be.
        crash_point: tests end the process there.

    Raises:
        LakeError: the lake cannot be read, or somebody else is sealing.
        InputError: the seals are of another log, or were changed.
    """
    made = Report([], [])
    with explained(lake), connect_reader(lake) as connection:
        connection.execute("BEGIN")  # one snapshot, however long it takes
        make_directory(folder)
        lock = WriterLock(folder)
        try:
            for partition, position in positions_of(connection).items():
                chain = _chain(connection, folder, partition)
                wrong = _check_growing(connection, folder, chain)
                if not wrong:
                    _extend(connection, folder, chain, position, crash_point)
                made.sealed.append(_sealed(chain, position))
                made.differences.extend(wrong)
        finally:
            lock.release()
    return made


def verify(lake: Path, folder: Path, kept: list[str]) -> Report:
    """Compare the lake with its seals, and these with values that were kept elsewhere.

    Raises:
        LakeError: the lake cannot be read.
        InputError: there are no seals, or they are of another log.
    """
    found = Report([], [])
    values: set[str] = set()
    with explained(lake), connect_reader(lake) as connection:
        chains = [_chain(connection, folder, one) for one in sealed_partitions(folder)]
        connection.execute("BEGIN")  # after them: somebody may be sealing what is newer than this
        positions = positions_of(connection)
        for chain in chains:
            position = positions.pop(chain.origin.partition, -1)
            found.sealed.append(_sealed(chain, position))
            found.differences.extend(_compare(connection, folder, chain, position))
            values.update(one.chain for one in chain.links if one)
        for partition, position in positions.items():
            found.sealed.append(_sealed(_chain(connection, folder, partition), position))
    strange = [value for value in kept if value not in values]
    found.differences.extend(Difference(What.NOT_ON_CHAIN, about=value) for value in strange)
    return found


def positions_of(connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
    """The last position of each partition that has one."""
    query = "SELECT partition, max(position) AS upto FROM positions GROUP BY ALL HAVING upto >= 0 ORDER BY ALL"
    return dict(connection.execute(query).fetchall())


def _chain(connection: duckdb.DuckDBPyConnection, folder: Path, partition: int) -> Chain:
    """The seals of a partition, none if there are none, of the log that the lake is of."""
    flow = Flow.TRACK if partition >= TRACK_PARTITIONS else Flow.ROUTE
    identity = identity_of(connection, flow)
    origin = Origin(
        partition=partition,
        flow=flow,
        log_id=identity.log_id,
        log_partitions=identity.log_partitions,
        policy_override_sha256=identity.policy_override_sha256,
    )
    found = read_chain(folder, partition) or Chain(origin, [])
    for name in origin.__struct_fields__:
        there, here = getattr(found.origin, name), getattr(origin, name)
        if there != here:
            raise InputError(
                f"{file_of(folder, partition)} is not of this lake: its {name} is {there!r}, not "
                f"{here!r}; name the right --seals, or a new directory"
            )
    return found


def _extend(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    chain: Chain,
    position: int,
    crash_point: Callable[[str], None],
) -> None:
    """Seal on from where the chain ends, up to a position."""
    links = chain.whole(file_of(folder, chain.origin.partition))
    if links and not links[-1].is_whole:
        links.pop()
    previous = links[-1].chain if links else beginning(chain.first_line)
    for start in range(len(links), position // BLOCK + 1, AT_ONCE):
        last = min(start + AT_ONCE - 1, position // BLOCK)
        found = leaves_of_blocks(connection, chain.origin.partition, start, last, position)
        for block, leaves in enumerate(found, start):
            upto = min(last_position(block), position)
            links.append(link(previous, block, upto, len(leaves) // SIZE, root(leaves)))
            write_leaves(folder, chain.origin.partition, links[-1], leaves)
            previous = links[-1].chain
        crash_point("before chain")
        chain.links[:] = links
        write_chain(folder, chain)
        crash_point("after chain")
    remove_outgrown(folder, chain)


def _check_growing(
    connection: duckdb.DuckDBPyConnection, folder: Path, chain: Chain
) -> list[Difference]:
    """What of the block that was not whole is not as it was sealed."""
    last = chain.growing_link
    if last is None:
        return []
    partition = chain.origin.partition
    (leaves,) = leaves_of_blocks(connection, partition, last.block, last.block, last.upto)
    return list(_compare_block(connection, folder, chain, last, leaves))


def _compare(
    connection: duckdb.DuckDBPyConnection, folder: Path, chain: Chain, position: int
) -> Iterator[Difference]:
    partition, links = chain.origin.partition, chain.links
    wrong = set(chain.broken())
    for start in range(0, len(links), AT_ONCE):
        last = min(start + AT_ONCE, len(links)) - 1
        upto = max((one.upto for one in links[start : last + 1] if one), default=-1)
        found = leaves_of_blocks(connection, partition, start, last, upto)
        for block, leaves in enumerate(found, start):
            one = links[block]
            if block in wrong:
                yield Difference(What.SEAL, partition, block)
            if one is None or one.block != block:
                continue
            if one.upto > position and block not in wrong:
                yield Difference(What.LAKE_ENDS, partition, block, position=position)
                return
            if block not in wrong or not _is_as_either_says(folder, chain, one, leaves):
                yield from _compare_block(connection, folder, chain, one, leaves)


def _is_as_either_says(folder: Path, chain: Chain, one: Link, leaves: Digests) -> bool:
    """Whether facts are as they were sealed, by their leaves or by the rest of a link that was changed."""
    return root(leaves).hex() == one.root or read_leaves(folder, chain, one) == leaves


def _compare_block(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    chain: Chain,
    one: Link,
    leaves: Digests,
) -> Iterator[Difference]:
    """What of a block is not as it was sealed, fact by fact."""
    partition = chain.origin.partition
    if root(leaves).hex() == one.root and len(leaves) == one.facts * SIZE:
        if read_leaves(folder, chain, one) != leaves:
            yield Difference(What.LEAVES, partition, one.block)
        return
    sealed = sealed_leaves(folder, chain, one)
    if sealed is None:
        yield Difference(What.CHANGED, partition, one.block)
        return
    found = facts_of_block(connection, partition, one.block, one.upto)
    for what, fact in located(sealed, found):
        yield difference(what, partition, one.block, fact)


def difference(what: What, partition: int, block: int, fact: Fact | None) -> Difference:
    """That something is wrong with a fact, or with what came after it."""
    if fact is None:
        return Difference(what, partition, block)
    scope = (fact.tenant, fact.network, fact.order_id)
    about = "" if what is What.MISSING else "/".join(part for part in scope if part)
    return Difference(what, partition, block, fact.table, fact.position, fact.index, about)


def located(sealed: Digests, placed: list[Fact]) -> Iterator[tuple[What, Fact | None]]:
    """Facts that are not as they were; of a missing one that before it."""
    digests = [one.digest for one in placed]
    matcher = SequenceMatcher(None, split(sealed), digests, autojunk=False)
    for _, i, i_end, j, j_end in (found for found in matcher.get_opcodes() if found[0] != "equal"):
        changed = min(i_end - i, j_end - j)
        yield from ((What.CHANGED, one) for one in placed[j : j + changed])
        yield from ((What.ADDED, one) for one in placed[j + changed : j_end])
        before = j + changed - 1
        for _ in range(i + changed, i_end):
            yield What.MISSING, placed[before] if before >= 0 else None


def _sealed(chain: Chain, position: int) -> Sealed:
    links = [one for one in chain.links if one]
    upto = links[-1].upto if links else -1
    return Sealed(
        partition=chain.origin.partition,
        facts=sum(one.facts for one in links),
        upto=upto,
        unsealed=max(0, position - upto),
        whole=next((one for one in reversed(links) if one.is_whole), None),
        growing=links[-1] if links and not links[-1].is_whole else None,
    )
