"""``crossdock log``: look into a recorded log, and check it."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.group import group_of_commands
from flows.commands.moments import given_instant
from flows.commands.output import console, error_console, print_json, table, write_lines
from flows.commands.segments import check_log
from flows.commands.selection import Selection, dead_letter_lines, record_lines
from flows.logs.parquet import ParquetLog
from schemas.errors import InputError
from schemas.kinds import KIND_OF_TAG

app = group_of_commands("Look into a recorded log, and check it.")


@app.command()
def show(
    log: Annotated[Path, typer.Argument(help="A recorded log (a directory).")],
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind, as in order.received; repeatable.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only records about this: an order id, a node, a lane.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Recorded at or after: RFC 3339 instant or date (UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Recorded before: instant or date.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many lines.")] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Lines that became no record, and why.")
    ] = False,
) -> None:
    """Print records as JSON lines, partition by partition, in log order.

    Example: crossdock log show examples/brunel/log --kind order.received --limit 3
    """
    opened = ParquetLog(log)
    selection = Selection(
        frozenset(KIND_OF_TAG[_known(tag)] for tag in kind or ()),
        subject,
        given_instant("--since", since),
        given_instant("--until", until),
    )
    if partition is not None and partition >= opened.partitions:
        raise InputError(f"--partition {partition}: {log} has 0 to {opened.partitions - 1}")
    if dead_letters:
        if selection != Selection() or partition is not None:
            raise InputError("--dead-letters takes no other filter than --limit")
        lines = dead_letter_lines(log)
    else:
        chosen = range(opened.partitions) if partition is None else (partition,)
        lines = record_lines(opened, chosen, selection)
    write_lines(islice(lines, limit))


@app.command()
def verify(
    log: Annotated[Path, typer.Argument(help="A recorded log (a directory).")],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Check every segment of a log: digest, positions, content. Exit code 2 if one is damaged.

    Example: crossdock log verify examples/online-retail/log
    """
    checked = check_log(ParquetLog(log))
    if as_json:
        print_json(checked)
    else:
        columns = ("partition", "segments", "records", "first record", "last record", "kinds")
        rows = [
            (p.partition, p.segments, p.records, p.first_at, p.last_at, p.kinds_in_words)
            for p in checked.partitions
        ]
        numbers = columns[:3]
        console().print(table(f"Log {checked.log_id}", columns, rows, numbers))
    if checked.faults:
        for fault in checked.faults:
            error_console().print(fault, soft_wrap=True, markup=False)
        raise typer.Exit(2)


def _known(tag: str) -> str:
    if tag not in KIND_OF_TAG:
        raise InputError(f"--kind {tag}: no such kind; one of {', '.join(sorted(KIND_OF_TAG))}")
    return tag
