"""Proofs about one order, made of the lake and its seals."""

from itertools import groupby
from pathlib import Path

from flows.decisions import similar_to
from flows.evidence.facts import Fact, facts_about
from flows.evidence.sealing import Difference, What, difference
from flows.evidence.seals import Chain, file_of, read_chain, sealed_leaves, sealed_partitions
from flows.lake.diagnosis import explained
from flows.lake.query import connect_reader
from models.evidence.chain import Link, beginning
from models.evidence.merkle import Digests, path, split
from models.evidence.proof import Proof, ProvenFact, ProvenPartition, milestone_of
from schemas.errors import InputError


def prove(lake: Path, folder: Path, order_id: str, scope: str) -> tuple[Proof, list[Difference]]:
    """A proof of every fact about an order that is sealed; and which are not as they were sealed.

    Args:
        lake: that holds the facts.
        folder: of its seals.
        order_id: which order.
        scope: ``tenant/network`` of it; empty where the id says it all.

    Raises:
        LakeError: the lake cannot be read.
        InputError: none of its facts is sealed, or a seal was changed.
    """
    chains = [_whole(folder, partition) for partition in sealed_partitions(folder)]
    upto = {chain.origin.partition: links[-1].upto for chain, links in chains if links}
    with explained(lake), connect_reader(lake) as connection:
        facts = facts_about(connection, order_id, upto)
        if not facts:
            raise InputError(
                f"no fact about order {order_id!r} is sealed{similar_to(connection, order_id)}; "
                "seal with: crossdock audit seal"
            )
    mine = _of_one_network(facts, scope)
    wrong: list[Difference] = []
    parts = [_part(folder, chain, links, mine, wrong) for chain, links in chains]
    proof = Proof(
        format="crossdock-proof-1",
        order=order_id,
        tenant=mine[0].tenant,
        network=mine[0].network,
        partitions=[part for part in parts if part.facts],
    )
    return proof, wrong


def _whole(folder: Path, partition: int) -> tuple[Chain, list[Link]]:
    chain = read_chain(folder, partition)
    assert chain is not None  # it is among the sealed partitions
    return chain, chain.whole(file_of(folder, partition))


def _of_one_network(facts: list[Fact], scope: str) -> list[Fact]:
    scopes = sorted({f"{fact.tenant}/{fact.network}" for fact in facts})
    if (len(scopes) > 1 and not scope) or (scope and scope not in scopes):
        raise InputError(
            f"order {facts[0].order_id!r} is in {', '.join(scopes)}: say which by --network"
        )
    return [fact for fact in facts if f"{fact.tenant}/{fact.network}" == (scope or scopes[0])]


def _part(
    folder: Path, chain: Chain, links: list[Link], facts: list[Fact], wrong: list[Difference]
) -> ProvenPartition:
    """What one partition has of the order; what is not as it was sealed is told apart."""
    partition = chain.origin.partition
    mine = [fact for fact in facts if fact.partition == partition]
    proven = []
    for block, held in groupby(mine, lambda fact: fact.block):
        leaves = sealed_leaves(folder, chain, links[block])
        if leaves is None:
            wrong.append(Difference(What.LEAVES, partition, block))
            continue
        numbers = {digest: number for number, digest in enumerate(split(leaves))}
        for fact in held:
            if fact.digest in numbers:
                proven.append(_proven(fact, leaves, numbers[fact.digest]))
            else:
                wrong.append(difference(What.CHANGED, partition, block, fact))
    first = proven[0].block if proven else 0
    before = links[first - 1].chain if first else beginning(chain.first_line)
    return ProvenPartition(partition=partition, before=before, links=links[first:], facts=proven)


def _proven(fact: Fact, leaves: Digests, number: int) -> ProvenFact:
    return ProvenFact(
        block=fact.block,
        leaf=number,
        path=[digest.hex() for digest in path(leaves, number)],
        text=fact.text,
        epcis=milestone_of(fact.text),
    )
