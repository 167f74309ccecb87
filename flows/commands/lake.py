"""``crossdock lake``: state, digest and maintenance of a lake."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.group import group_of_commands
from flows.commands.lake_status import LakeStatus, lake_status
from flows.commands.output import console, print_json, size, table
from flows.lake.digest import digest as lake_digest
from flows.lake.maintenance import maintain as maintain_lake

app = group_of_commands("State, digest and maintenance of a lake.")
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


@app.command()
def digest(
    lake: Annotated[list[Path], typer.Option(help="A lake; repeat it to digest several as one.")],
    as_json: AsJson = False,
) -> None:
    """Print rows and digest of each fact table: equal digests, equal facts.

    Two replays of one log give the same digests, however they were cut, stopped or spread.

    Example: crossdock lake digest --lake out/lake
    """
    found = lake_digest(lake)
    if as_json:
        print_json({str(t): {"rows": rows, "digest": text} for t, (rows, text) in found.items()})
        return
    rows = [(str(name), count, text) for name, (count, text) in found.items()]
    console().print(table("Facts", ("table", "rows", "digest"), rows, numbers=("rows",)))


@app.command()
def maintain(
    lake: Annotated[Path, typer.Option(help="A lake that no job is writing.")],
    as_json: AsJson = False,
) -> None:
    """Settle, merge, expire and clean up. A running job does this by itself.

    Example: crossdock lake maintain --lake out/lake
    """
    done = asdict(maintain_lake(lake))
    if as_json:
        print_json(done)
        return
    rows = [(name.replace("_", " "), count) for name, count in done.items()]
    console().print(table("Maintained", ("what", "count"), rows, numbers=("count",)))


@app.command()
def status(
    lake: Annotated[Path, typer.Option(help="A lake; a job may be writing it.")],
    as_json: AsJson = False,
) -> None:
    """Print whose rows the lake holds, how far they go, and what they take on disk.

    Example: crossdock lake status --lake out/lake
    """
    found = lake_status(lake)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: LakeStatus) -> None:
    out = console()
    facts = [
        ("lake", found.lake),
        ("log id", found.log_id),
        ("policy override", found.policy_override_sha256 or "none"),
        ("table version", found.version),
        ("snapshots", found.snapshots),
        ("latest snapshot", found.latest_snapshot_at),
        ("catalogue", size(found.catalogue_bytes)),
        ("data files", f"{found.files} ({size(found.file_bytes)})"),
    ]
    out.print(table("Lake", ("what", "value"), facts))
    columns: tuple[str, ...] = ("partition", "position", "owner epoch")
    rows = [(p.partition, p.position, p.owner_epoch) for p in found.positions]
    out.print(table("Positions", columns, rows, numbers=columns))
    columns = ("table", "rows", "files", "size")
    held = [(t.table, t.rows, t.files, size(t.bytes)) for t in found.tables]
    out.print(table("Tables", columns, held, numbers=columns[1:]))
