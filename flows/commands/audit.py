"""``crossdock audit``: seal a lake, compare it with its seals, and prove facts to a third party."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from flows.commands.group import group_of_commands
from flows.commands.output import console, error_console, instant, print_json, table
from flows.evidence.proving import prove as make_proof
from flows.evidence.sealing import Difference, Report, Sealed, What
from flows.evidence.sealing import seal as seal_lake
from flows.evidence.sealing import verify as compare
from flows.evidence.seals import FOLDER
from flows.files import publish
from models.evidence.chain import BLOCK
from models.evidence.proof import Fault, Proof, ProvenFact, covered, rows_of
from models.evidence.proof import check as faults_of
from schemas.errors import InputError

DIFFERS = 1
"""Exit code where something is not as it was sealed."""
SHOWN = 50
"""Differences in a table; --json has all of them."""

app = group_of_commands(
    "Tamper evidence: seal what a lake holds, verify it, prove it to others.\n\n"
    "Every fact is hashed, the hashes of 4,096 positions of the log become one root, and the roots of a "
    "partition a chain. Keep the chain's last value where nobody who can change the lake can change it: "
    "with an auditor, in a mail, in print. Exit code 1: something is not as it was sealed; 2: nobody can tell."
)
Lake = Annotated[Path, typer.Option(help="A lake; a job may be writing it.")]
Seals = Annotated[
    Path | None, typer.Option(help="Where its seals are; LAKE/seals unless said otherwise.")
]
Root = Annotated[
    list[str] | None, typer.Option(help="A value of a chain that was kept elsewhere; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


@app.command()
def seal(lake: Lake, seals: Seals = None, as_json: AsJson = False) -> None:
    """Seal what is not sealed yet, and print the value of each chain, to be kept elsewhere.

    Run it by a timer: of what is changed before it is sealed nobody can tell. The value of a whole block stands
    for all facts up to there, for good: keep it. It is the same whenever it was sealed and however the lake was
    written. A block that still grows is sealed as well, so that no fact waits; its value is replaced next time.

    Example: crossdock audit seal --lake out/lake
    """
    with error_console().status("sealing…"):
        report = seal_lake(lake, seals or lake / FOLDER)
    _finish(report, as_json=as_json, fine="Keep the values of whole blocks elsewhere.")


@app.command()
def verify(lake: Lake, seals: Seals = None, root: Root = None, as_json: AsJson = False) -> None:
    """Compare every sealed fact with its seal, and say which was changed, is missing, or was added.

    Whoever can change the lake can also change the seals beside it and make them fit: a value that was kept
    elsewhere (--root) shows that as well.

    Example: crossdock audit verify --lake out/lake --root 5d8a…
    """
    with error_console().status("comparing…"):
        report = compare(lake, seals or lake / FOLDER, _plain(root))
    _finish(report, as_json=as_json, fine="Every sealed fact is as it was sealed.")


@app.command()
def prove(
    order_id: Annotated[str, typer.Argument(help="The order.")],
    lake: Lake,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    seals: Seals = None,
    network: Annotated[
        str, typer.Option(help="TENANT/NETWORK, where several have an order of this id.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write a proof of every sealed fact about an order: a file that anybody can check alone.

    It holds the facts themselves, so give it to whom they concern. Of other orders it holds hashes only.

    Example: crossdock audit prove A-1001 --lake out/lake --out proof.json
    """
    proof, differences = make_proof(lake, seals or lake / FOLDER, order_id, network)
    if differences:
        _finish(Report([], differences), as_json=as_json, fine="")
    content = msgspec.json.encode(proof)
    publish(out, content + b"\n")
    facts = [fact for part in proof.partitions for fact in part.facts]
    said = {
        "proof": str(out),
        "order": f"{proof.tenant}/{proof.network}/{proof.order}",
        "facts": len(facts),
        "epcis_events": sum(fact.epcis is not None for fact in facts),
        "bytes": len(content) + 1,
        "chains": {part.partition: part.links[-1].chain for part in proof.partitions},
    }
    if as_json:
        print_json(said)
        return
    rows = [(name.replace("_", " "), value) for name, value in said.items() if name != "chains"]
    rows += [(f"chain of partition {p.partition}", p.links[-1].chain) for p in proof.partitions]
    console().print(table("Proof", ("what", "value"), rows))


@app.command()
def check(
    proof: Annotated[Path, typer.Argument(help="A file that crossdock audit prove has written.")],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Check a proof by itself: no lake, no network, no trust in whoever made it.

    Without --root it shows that the proof fits together; compare the values of its chains with those that you
    kept. With --root every fact must be covered by one of the values.

    Example: crossdock audit check proof.json --root 5d8a…
    """
    try:
        given = msgspec.json.decode(proof.read_bytes(), type=Proof)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{proof} is no proof, or was damaged: {error}") from error
    kept = _plain(root)
    faults = faults_of(given, kept)
    if as_json:
        print_json(_checked(given, faults, kept))
    else:
        _print_checked(given, faults, kept)
    if faults:
        raise typer.Exit(DIFFERS)


def _finish(report: Report, *, as_json: bool, fine: str) -> None:
    """Print what was sealed or compared; exit with 1 if anything is not as it was sealed."""
    if as_json:
        print_json(asdict(report) | {"ok": not report.differences})
    else:
        _print_report(report, fine)
    if report.differences:
        raise typer.Exit(DIFFERS)


def _print_report(report: Report, fine: str) -> None:
    columns: tuple[str, ...] = ("partition", "facts", "positions", "chain", "keep it")
    rows = [row for sealed in report.sealed for row in _values(sealed)]
    if rows:
        console().print(table("Seals", columns, rows, columns[:3]))
    if not report.differences:
        console().print(fine)
        return
    columns = ("what", "partition", "block", "where", "about")
    shown = [
        (d.what, _known(d.partition), _known(d.block), _place(d), d.about)
        for d in report.differences[:SHOWN]
    ]
    console().print(table("Not as it was sealed", columns, shown, columns[1:3]))
    if len(report.differences) > SHOWN:
        error_console().print(f"and {len(report.differences) - SHOWN:,} more; --json has all")
    if any(d.what is What.NOT_ON_CHAIN for d in report.differences):
        error_console().print("the value of a block that has grown since is on no chain any more")


def _values(sealed: Sealed) -> Iterator[tuple[Any, ...]]:
    """A row for the whole blocks, one for that which grows, one for what is not sealed."""
    whole, growing = sealed.whole, sealed.growing
    behind = growing.facts if growing else 0
    if whole:
        facts = f"{sealed.facts - behind:,}"
        yield sealed.partition, facts, f"0 to {whole.upto}", whole.chain, "for good"
    if growing:
        start = growing.block * BLOCK
        upto = f"{start} to {growing.upto}"
        yield sealed.partition, f"{behind:,}", upto, growing.chain, "until it grows"
    if sealed.unsealed:
        yield sealed.partition, "", f"{sealed.upto + 1} on", "not sealed yet", ""


def _known(number: int) -> int | None:
    return number if number >= 0 else None


def _place(d: Difference) -> str:
    """Where in the lake, as table and position/index."""
    place = f"{d.table} {d.position}/{d.index}" if d.table else "all of it"
    match d.what:
        case What.MISSING:
            return f"after {place}" if d.table else "at the start of the block"
        case What.LAKE_ENDS:
            return f"the lake ends at {d.position}"
        case What.SEAL | What.LEAVES:
            return "none: the file beside"
        case What.NOT_ON_CHAIN:
            return ""
    return place


def _checked(proof: Proof, faults: list[Fault], kept: list[str]) -> dict[str, Any]:
    """As one JSON object."""
    return {
        "order": proof.order,
        "tenant": proof.tenant,
        "network": proof.network,
        "ok": not faults,
        "faults": [fault._asdict() for fault in faults],
        "chains": [
            {
                "partition": part.partition,
                "blocks": [link.block for link in part.links][:: max(1, len(part.links) - 1)],
                "chain": part.links[-1].chain if part.links else None,
                "kept_upto_block": covered(part, kept) if kept else None,
            }
            for part in proof.partitions
        ],
        "facts": [
            {
                "partition": part.partition,
                "block": fact.block,
                "rows": _rows(fact.text),
                "epcis": fact.epcis.hash if fact.epcis else None,
            }
            for part in proof.partitions
            for fact in part.facts
        ],
    }


def _print_checked(proof: Proof, faults: list[Fault], kept: list[str]) -> None:
    wrong = {(f.partition, f.block, f.leaf): f.what for f in faults}
    rows = [
        (*_summary(fact), wrong.get((part.partition, fact.block, fact.leaf), "as sealed"))
        for part in proof.partitions
        for fact in part.facts
    ]
    title = f"Order {proof.tenant}/{proof.network}/{proof.order}: {len(rows)} facts"
    columns = ("position", "table", "what", "when", "verdict")
    console().print(table(title, columns, rows))
    chains = [
        (part.partition, link.block, link.upto, link.chain, _verdict(link.chain, kept, broken))
        for part in proof.partitions
        for link in part.links
        if (broken := wrong.get((part.partition, link.block, -1), ""))
        or link.chain in kept
        or link is part.links[-1]
    ]
    columns = ("partition", "block", "up to position", "chain", "verdict")
    console().print(table("Chains", columns, chains, columns[:3]))
    if faults:
        console().print(f"{len(faults)} faults: this proof does not hold.")
    elif kept:
        console().print("Every fact is as it was sealed, by the values that you kept.")
    else:
        console().print(
            "The proof fits together. Compare its chains with the values that you kept, or give "
            "them as --root."
        )


def _verdict(chain: str, kept: list[str], broken: str) -> str:
    if broken:
        return broken
    return "kept" if chain in kept else "not among the values given" if kept else "compare it"


def _plain(values: list[str] | None) -> list[str]:
    """Values as they are printed, however they were copied."""
    return [value.strip().lower() for value in values or ()]


def _rows(text: str) -> list[Any]:
    """The rows of a leaf; a forged one may be anything."""
    try:
        return [*rows_of(text)]
    except InputError:
        return [text]


def _summary(fact: ProvenFact) -> tuple[str, str, str, str]:
    """Position, table, what it says in a few words, and when."""
    rows = [row for row in _rows(fact.text) if isinstance(row, dict)]
    first = rows[0] if rows else {}
    named = ("step", "kind", "event", "code", "action", "template", "type")
    what = f"{len(rows)} rows" if len(rows) > 1 else _words(first, named)
    place = f"{first.get('partition')}/{first.get('position')}/{first.get('index')}"
    at = first.get("at") or first.get("decided_at") or first.get("raised_at")
    return place, str(first.get("table")), what, _when(at)


def _when(at: Any) -> str:
    try:
        return instant(_EPOCH + timedelta(microseconds=at))
    except (TypeError, ValueError, OverflowError):
        return ""


def _words(row: dict[str, Any], names: Iterable[str]) -> str:
    told = [row[name] for name in names if row.get(name)]
    about = [
        row[name]
        for name in ("package", "sku", "qty", "node", "outcome", "change")
        if row.get(name)
    ]
    return " ".join(str(value) for value in (*told[:1], *about))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
