"""``crossdock import``: files of CloudEvents to a recorded log."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from flows.commands.output import console, error_console, print_json, table
from flows.import_lines import total_bytes
from flows.imports import Imported, import_log
from schemas.topics import LogOf


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files of one CloudEvent a line, plain or .gz; - is standard input."),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the log.")],
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Partitions of a new log; 1 if not given.")
    ] = None,
    of: Annotated[
        LogOf,
        typer.Option(
            "--as",
            help="What a new log is of: what the router decides on, or what became of orders.",
        ),
    ] = LogOf.JOURNAL,
    append: Annotated[bool, typer.Option("--append", help="Add to a log that exists.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as one JSON object.")
    ] = False,
) -> None:
    """Record files of CloudEvents as a log that can be replayed.

    Lines that are no record become dead letters of the log, with file, line and reason; see them
    with crossdock log show LOG --dead-letters. Several files are merged by record time. A new log
    appears whole or not at all.

    Example: crossdock import orders.ndjson stock.ndjson.gz --out out/log
    or: crossdock import milestones.ndjson --as tracking --out out/tracking
    """
    bar = Progress(
        TextColumn("importing"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=error_console(),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None)

        def advanced(count: int) -> None:
            if bar.tasks[task].total is None:
                bar.update(task, total=total_bytes(files))
            bar.advance(task, count)

        imported = import_log(files, out, advanced, partitions=partitions, append=append, of=of)
    if as_json:
        print_json(imported)
    else:
        _print(imported)


def _print(imported: Imported) -> None:
    records = [("records", kind, count) for kind, count in sorted(imported.records.items())]
    letters = [("dead letters", why, count) for why, count in sorted(imported.dead_letters.items())]
    rows = [
        *records,
        ("clock ticks added", "clock.ticked", imported.ticks_added),
        *(letters or [("dead letters", "", 0)]),
        ("networks", ", ".join(imported.networks), len(imported.networks)),
        ("first record", imported.first_at, ""),
        ("last record", imported.last_at, ""),
        ("log", imported.path, ""),
    ]
    console().print(table("Imported", ("what", "which", "count"), rows, numbers=("count",)))
