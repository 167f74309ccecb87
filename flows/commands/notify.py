"""``crossdock notify``: tell customers, operators and partners what the outbox says; see what came of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import notify
from flows.commands.config import Config
from flows.commands.group import group_of_commands
from flows.commands.output import console, error_console, print_json, table
from flows.guard import Guard, ending_in_order
from flows.metrics import serve
from flows.notices import reports
from flows.notices.deliveries import State
from flows.notices.preview import previews
from flows.notices.reports import Wanted
from flows.notices.settings import NotifySettings
from flows.notices.sms import parts
from flows.notices.texts import Texts
from flows.settings import Settings, load_settings
from schemas.codes import Template
from schemas.errors import InputError

app = group_of_commands(
    "Tell customers, operators and partners what the lake's outbox says.\n\n"
    "The table notify of the settings file names ways (a webhook, a gateway for short messages or "
    "mini-programs, a mail server) and rules (which notifications go by which ways). A message is "
    "sent at least once, with a key by which its receiver knows a repeat; an order's messages go in "
    "order. The store is a plain SQLite file beside the lake: deliveries, attempts, dead_letters."
)
Json = Annotated[bool, typer.Option("--json", help="As JSON, an object a line.")]
Key = Annotated[str | None, typer.Option(help="Only this notification: partition-position-index.")]
OfWay = Annotated[str | None, typer.Option("--way", help="Only by this way.")]
OfOrder = Annotated[str | None, typer.Option("--order", help="Only of this order.")]
OfTemplate = Annotated[Template | None, typer.Option("--template", help="Only with these words.")]
_COLUMNS = ("key", "way", "order", "template", "state", "attempts", "due or done", "detail")


@app.command()
def run(
    config: Config = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing is new or due; what waits stays kept.")
    ] = False,
) -> None:
    """Deliver until SIGTERM or Ctrl-C, beside the job that writes the lake.

    One process delivers for a store. Texts, secrets and addresses are tried before the first message.

    Example: crossdock notify run --config crossdock.toml
    """
    settings, guard = load_settings(config), Guard()
    with ending_in_order(guard):
        job = notify.NotifyJob.open(settings, ends_when_idle=once, guard=guard)
        job.watch()
        if settings.metrics_port is not None:
            serve(job.metrics, guard, settings.metrics_host, settings.metrics_port)
        if not once:
            _say(f"delivering the outbox of {job.lake}, store {job.store.path}; Ctrl-C ends it")
        notify.run(job)


@app.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """Count deliveries by way and state, and say how far the outbox was taken.

    Example: crossdock notify status --config crossdock.toml
    """
    store = _store(config)
    ways, ignored, places = reports.by_way(store), reports.passed_over(store), reports.places(store)
    if as_json:
        print_json({"ways": ways, "passed_over": ignored, "partitions": places})
        return
    columns = ("way", *State, "oldest unfinished")
    rows = [tuple(row.values()) for row in ways]
    console().print(table("Deliveries", columns, rows, numbers=tuple(State)))
    if ignored:
        columns = ("audience", "template", "notifications")
        rows = [tuple(row.values()) for row in ignored]
        console().print(table("Taken by no rule", columns, rows, numbers=columns[2:]))
    columns = ("partition", "taken to")
    rows = [tuple(row.values()) for row in places]
    console().print(table("Outbox", columns, rows, numbers=columns))


@app.command("list")
def list_(
    config: Config = None,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    way: OfWay = None,
    order: OfOrder = None,
    template: OfTemplate = None,
    key: Key = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """Show deliveries, the newest first; with --key also every attempt.

    For anything else the store can be asked in SQL: sqlite3 lake.notify.sqlite "SELECT … FROM deliveries".

    Example: crossdock notify list --config crossdock.toml --state dead
    """
    store = _store(config)
    found = reports.listed(store, Wanted(state, way, order, template, key), limit)
    attempts = reports.attempts_of(store, key) if key is not None else []
    if as_json:
        for row in [*found, *attempts]:
            print_json(row)
        return
    rows = [
        (
            *(row[name] for name in ("key", "way", "order_id", "template", "state", "attempts")),
            _instant(row["done_at"] or row["due_at"]),
            row["detail"],
        )
        for row in found
    ]
    console().print(table("Deliveries", _COLUMNS, rows, numbers=("attempts",)))
    if attempts:
        columns = ("way", "at", "status", "outcome", "detail", "ms")
        rows = [tuple({**row, "at": _instant(row["at"])}.values()) for row in attempts]
        console().print(table("Attempts", columns, rows, numbers=("status", "ms")))


@app.command()
def retry(
    config: Config = None,
    key: Key = None,
    way: OfWay = None,
    order: OfOrder = None,
    template: OfTemplate = None,
    every: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    expired: Annotated[bool, typer.Option(help="Those that were too old, not the dead.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
) -> None:
    """Let dead deliveries be sent again, with all their attempts, as if they had come now.

    Mend the cause first: crossdock notify list --state dead names it. A process that delivers takes
    them up at once, before later messages of the same order that wait.

    Example: crossdock notify retry --config crossdock.toml --way erp --dry-run
    """
    settings = load_settings(config)
    state = State.EXPIRED if expired else State.DEAD
    wanted = Wanted(state, way, order, template, key)
    if not every and wanted == Wanted(state):
        raise InputError("say which: --key, --way, --order or --template, or --all")
    _, chosen = notify.needed(settings)
    count = reports.again(
        notify.store_of(settings), wanted, datetime.now(UTC), chosen.expire_hours, dry_run=dry_run
    )
    _say(f"{count} deliveries {'would be' if dry_run else 'are'} sent again")


@app.command()
def texts(
    config: Config = None,
    template: OfTemplate = None,
    language: Annotated[str | None, typer.Option(help="Only this language.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Texts that replace ours; those of the settings without.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check all texts, and show them as they are sent, with example values.

    Example: crossdock notify texts --template DELAYED --language zh
    """
    chosen = load_settings(config).notify
    every = Texts(_language(chosen), folder or (chosen.texts if chosen is not None else None))
    if language is not None and language not in every.languages:
        raise InputError(f"language {language!r}: there are texts in {', '.join(every.languages)}")
    for shown in previews(every, language, template):
        if as_json:
            print_json(shown)
        else:
            console().print(_preview(shown), markup=False, soft_wrap=True)


def _preview(shown: dict[str, Any]) -> str:
    """One template in one language on the ways that people read."""
    sms, mail = shown["sms"]["text"], shown["email"]
    fields = ", ".join(f"{n}: {f['value']}" for n, f in shown["mini_program"]["data"].items())
    return (
        f"{shown['template']} ({shown['language']})\n"
        f"  short message, {parts(sms)} part(s): {sms}\n"
        f"  mini-program: {fields}\n"
        f"  e-mail: {mail['subject']}\n"
        + "".join(f"    {line}".rstrip() + "\n" for line in mail["text"].splitlines())
    )


def _language(settings: NotifySettings | None) -> str:
    return settings.language if settings is not None else "en"


def _store(config: Path | None) -> Path:
    settings: Settings = load_settings(config)
    return notify.store_of(settings)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _say(text: str) -> None:
    error_console().print(text, markup=False, soft_wrap=True)
