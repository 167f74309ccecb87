"""``crossdock dead-letters``: what ingest refused; see it, and send it again once it is mended."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from flows.channels.book import channels_of
from flows.commands.config import Config, kafka_of, with_channels
from flows.commands.group import group_of_commands
from flows.commands.output import console, error_console, print_json, table
from flows.letters import Letter, Wanted, read_letters
from flows.letters import resend as resend_letters
from flows.settings import load_settings
from flows.unknown_codes import unknown_codes
from flows.vault.opening import existing_vault, vault_of
from schemas.codes import DeadLetterReason

app = group_of_commands("See what ingest refused, and send it again.")

Reason = Annotated[str | None, typer.Option(help="Only this reason, as in SCHEMA_INVALID.")]
Source = Annotated[str | None, typer.Option(help="Only from this raw topic.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, an object a line.")]
_SHOWN = 120


@app.command("list")
def list_(
    config: Config = None, reason: Reason = None, source: Source = None, as_json: Json = False
) -> None:
    """Count dead letters by reason and source; say how many were sent again, and how many others would pass.

    Example: crossdock dead-letters list --config crossdock.toml
    """
    found: Counter[tuple[str, str]] = Counter()
    resent: Counter[tuple[str, str]] = Counter()
    passing: Counter[tuple[str, str]] = Counter()
    settings = load_settings(config)
    channels = channels_of(settings)
    vault = vault_of(settings)
    for letter in read_letters(kafka_of(settings), Wanted(reason, source)):
        kind = letter.reason, letter.source.partition("/")[0]
        found[kind] += 1
        resent[kind] += letter.is_resent
        passing[kind] += not letter.is_resent and letter.opened(vault).would_pass(channels)
    rows = [(*kind, found[kind], resent[kind], passing[kind]) for kind in sorted(found)]
    if as_json:
        for row in rows:
            names = ("reason", "source", "letters", "resent", "would_pass")
            print_json(dict(zip(names, row, strict=True)))
        return
    columns = ("reason", "source", "letters", "sent again", "would pass now")
    console().print(table("Dead letters", columns, rows, numbers=columns[2:]))


@app.command()
def show(
    config: Config = None,
    reason: Reason = None,
    source: Source = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    opened: Annotated[
        bool, typer.Option("--open", help="Also what is personal, by the keys of the vault.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show dead letters with their reason, place and content.

    Example: crossdock dead-letters show --config crossdock.toml --limit 5
    """
    settings = load_settings(config)
    vault = existing_vault(settings) if opened else None
    every = read_letters(kafka_of(settings), Wanted(reason, source))
    newest = sorted(every, key=lambda letter: letter.at)[-limit:]
    newest = [letter.opened(vault) for letter in newest]
    if as_json:
        for letter in newest:
            print_json({**asdict(letter), "raw": letter.raw.decode(errors="backslashreplace")})
        return
    columns = ("refused at", "source", "offset", "reason", "detail", "message")
    rows = [(x.at, x.source, x.source_offset, x.reason, x.detail, _start(x)) for x in newest]
    console().print(table("Dead letters", columns, rows, numbers=("offset",)))


@app.command()
def codes(config: Config = None, source: Source = None, as_json: Json = False) -> None:
    """List the codes that no mapping knows: how often and since when, where, and in what payload.

    Give each a meaning in its table, in the mapping or in a file of your own, then resend.

    Example: crossdock dead-letters codes --config crossdock.toml
    """
    settings = load_settings(config)
    unmapped = Wanted(DeadLetterReason.UNMAPPED.name, source)
    kept = read_letters(kafka_of(settings), unmapped)
    found = unknown_codes(kept, channels_of(settings), vault_of(settings))
    names = {channel.topic: name for name, channel in settings.channels.items()}
    if as_json:
        for code, of in found.items():
            print_json({
                "channel": names.get(code.topic, code.topic), "field": code.field, "code": code.code,
                "table": code.table, "letters": of.letters, "would_pass": of.would_pass,
                "first_at": of.first_at, "last_at": of.example.at,
                "example": {
                    "source": of.example.source, "offset": of.example.source_offset,
                    "raw": of.example.raw.decode(errors="backslashreplace"),
                },
            })  # fmt: skip
        return
    columns = (
        "channel", "field", "code", "of", "letters", "would pass now", "first at", "last at", "example",
    )  # fmt: skip
    rows = (
        (
            names.get(code.topic, code.topic), code.field, code.code, code.table,
            of.letters, of.would_pass, of.first_at, of.example.at, _start(of.example),
        )
        for code, of in found.items()
    )  # fmt: skip
    console().print(table("Unknown codes", columns, rows, numbers=("letters", "would pass now")))


@app.command()
def resend(
    config: Config = None,
    reason: Reason = None,
    source: Source = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that would be refused again.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were sent again before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
) -> None:
    """Send dead letters to their raw topics again: those that would pass today, each once.

    Example: crossdock dead-letters resend --config crossdock.toml --dry-run
    """
    settings = load_settings(config)
    kafka, channels = with_channels(settings), channels_of(settings)
    vault, wanted = vault_of(settings), list(read_letters(kafka, Wanted(reason, source)))
    chosen = [letter for letter in wanted if again or not letter.is_resent]
    chosen = [letter for letter in chosen if every or letter.opened(vault).would_pass(channels)]
    chosen = [letter for letter in chosen if letter.opened(vault).is_here]
    sent = len(chosen) if dry_run else resend_letters(kafka, iter(chosen))
    word = "would be sent" if dry_run else "sent"
    before = sum(letter.is_resent for letter in wanted)
    note = f"; {before} had been sent before" if before else ""
    error_console().print(f"{sent} of {len(wanted)} dead letters {word} again{note}", markup=False)


def _start(letter: Letter) -> str:
    """The beginning of a message, as far as it is text."""
    if not letter.raw:
        size = letter.bytes_left_out
        return f"({size} bytes, not kept here)" if size else "(not kept here)"
    text = letter.raw[:_SHOWN].decode(errors="backslashreplace")
    return text + ("…" if len(letter.raw) > _SHOWN else "")
