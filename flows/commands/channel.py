"""``crossdock channel``: mappings of what platforms send: list them, check one, try it, draft one."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from flows.channels.book import find_mapping, open_channel, shipped
from flows.channels.codes import Codes, codes_of, read_codes
from flows.channels.engine import Binding, Channel
from flows.channels.evolution import changes, likely_names
from flows.channels.infer import infer
from flows.channels.mapping import is_within
from flows.channels.report import as_read, leaves, read_paths, unused_paths
from flows.commands.config import Config, kafka_of
from flows.commands.group import group_of_commands
from flows.commands.output import console, error_console, print_json, table
from flows.raw_payloads import raw_payload
from flows.settings import load_settings
from flows.vault.opening import existing_vault
from schemas.errors import InputError

app = group_of_commands(
    "Mappings of what platforms send: list them, check one, try it on samples, draft one.\n\n"
    "A mapping is a TOML file that says which member of a payload becomes which field of a record; "
    "flows/channels/README.md says how to write one."
)
Named = Annotated[
    str,
    typer.Argument(
        metavar="MAPPING",
        help="A shipped one by name, or a file; with --config a channel by name, with its codes.",
    ),
]
Maps = Annotated[
    Path | None,
    typer.Option(
        "--maps", metavar="CODES", help="A TOML file with codes of your own: SKUs, nodes, states."
    ),
]
Samples = Annotated[
    list[Path], typer.Argument(metavar="SAMPLE...", help="Files with a payload each.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_TRIED = Binding(source="sample", tenant="tenant", network="network", secret=b"not a secret")
"""For whom a mapping is tried."""
_ENDINGS = (".json", ".form")
"""Of recorded payloads in a folder."""
_UNKNOWN = frozenset[str]()
"""Values of members that only the mapping names."""


@app.command("list")
def show_all(as_json: AsJson = False) -> None:
    """List the mappings that are shipped.

    Example: crossdock channel list
    """
    rows = []
    for name in shipped():
        mapping = open_channel(find_mapping(name), _TRIED).mapping
        kinds = sorted({record.type for record in mapping.record})
        rows.append({"name": name, "title": mapping.title, "records": kinds})
    if as_json:
        print_json(rows)
        return
    shown = ((row["name"], row["title"], ", ".join(row["records"])) for row in rows)
    console().print(table("Mappings", ("name", "what it maps", "records"), shown))


@app.command()
def validate(
    mapping: Named,
    samples: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SAMPLE...]", help="Payloads as they come today."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against", metavar="RECORDED", help="A payload, or a folder of them; may be repeated."
        ),
    ] = None,
    maps: Maps = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check a mapping; with payloads also whether they have what it reads, and what changed since others.

    Recorded payloads alone are looked at as those of today are. Ends with code 1 where one of today makes no
    record, or lacks a member that the mapping reads and a recorded one had.

    Examples:
      crossdock channel validate shopify
      crossdock channel validate shop --config crossdock.toml
      crossdock channel validate my.toml --against recorded/
      crossdock channel validate my.toml today-1.json today-2.json --against recorded/
    """
    channel = _opened(mapping, maps, config)
    recorded = _payloads(against or [])
    said = _compared(channel, recorded, _payloads(samples or []) or recorded)
    if as_json:
        print_json({"mapping": mapping, **said})
    else:
        read = len(channel.statement.paths)
        console().print(f"{mapping}: good; it reads {read} members", markup=False)
        _list("Members that it reads and no sample has", said["gone"], said["likely"])
        _list("Members that samples have and it does not read", said["unused"])
        _list("Members that came since", said["added"])
        gone = said["removed"], said["renamed"], said["broken"]
        _list("Members that are gone since; * it reads", *gone)
        for file, why in said["refused"].items():
            error_console().print(f"{file}: {why}", markup=False, soft_wrap=True)
    if said["refused"] or said["broken"]:
        raise typer.Exit(1)


@app.command("test")
def try_out(
    mapping: Named,
    samples: Samples,
    maps: Maps = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Try a mapping on samples: every field with where it came from, and what is not used.

    Ends with code 1 where a sample is refused.

    Examples:
      crossdock channel test shopify order.json
      crossdock channel test shopify inventory_level.json --maps my-skus.toml
    """
    channel = _opened(mapping, maps, config)
    tried = [_tried(channel, file) for file in samples]
    if as_json:
        print_json(tried)
    else:
        for one in tried:
            _show(one)
    if any(one["refused"] for one in tried):
        raise typer.Exit(1)


@app.command("infer")
def draft(
    samples: Samples,
    name: Annotated[str, typer.Option("--name", help="Of the channel.")] = "draft",
) -> None:
    """Draft a mapping from samples of one kind, for a person to finish.

    Example: crossdock channel infer order.json --name my-shop > my-shop.toml
    """
    payloads = []
    for file in samples:
        try:
            payload = msgspec.json.decode(_payload(file))
        except msgspec.DecodeError as error:
            raise InputError(f"{file} is no JSON: {error}") from error
        if not isinstance(payload, dict):
            raise InputError(f"{file}: a payload is an object, in braces")
        payloads.append(payload)
    typer.echo(infer(payloads, name), nl=False)


@app.command()
def raw(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PLACE",
            help="TOPIC/PARTITION/OFFSET of a record, or what its dataref says; PARTITION/POSITION of a "
            "fact of the lake.",
        ),
    ],
    config: Config = None,
    opened: Annotated[
        bool, typer.Option("--open", help="Of a sealed channel: by the keys of the vault.")
    ] = False,
) -> None:
    """Print the payload that a record was made of, as the platform sent it, while its topic has it.

    The lake says of every fact by which partition and position of a log it was caused, and order_360 of each
    group of columns (provenance). Of a decision it is the payload that made the router decide.

    Examples:
      crossdock channel raw crossdock.journal/3/1041 --config crossdock.toml
      crossdock channel raw 3/1041 --config crossdock.toml
    """
    settings = load_settings(config)
    vault = existing_vault(settings) if opened else None
    where, payload = raw_payload(kafka_of(settings), place, vault)
    error_console().print(where, markup=False, soft_wrap=True)
    typer.echo(payload)


def _opened(name: str, maps: Path | None, config: Path | None) -> Channel:
    """A mapping by its name, or that of a channel; with one's own codes.

    Raises:
        InputError: there is none, or it cannot be used.
    """
    codes = list[Codes]()
    if config is not None:
        channels = load_settings(config).channels
        if name not in channels:
            there = ", ".join(channels) or "none"
            raise InputError(f"{config} has no channel {name}; there are {there}")
        codes += codes_of(name, channels[name])
        name = channels[name].mapping
    if maps is not None:
        codes.append(read_codes(maps))
    return open_channel(find_mapping(name), _TRIED, codes)


def _list(
    title: str,
    paths: Sequence[str],
    names: Mapping[str, str] | None = None,
    marked: Sequence[str] = (),
) -> None:
    """A table of paths, unless there are none; with what each is likely called now."""
    if not paths:
        return
    shown = [f"{path} *" if path in marked else path for path in paths]
    if not names:
        console().print(table(title, ("path",), ((path,) for path in shown)))
        return
    rows = ((one, names.get(path, "")) for one, path in zip(shown, paths, strict=True))
    console().print(table(title, ("path", "likely now"), rows))


def _payloads(places: Sequence[Path]) -> dict[Path, bytes]:
    """Payloads of files and of folders.

    Raises:
        InputError: one cannot be read, or a folder has none.
    """
    files = list[Path]()
    for place in places:
        inside = [place]
        if place.is_dir():
            inside = sorted(file for file in place.iterdir() if file.suffix in _ENDINGS)
        if not inside:
            raise InputError(f"{place} has no payloads: they are files that end in .json or .form")
        files += inside
    return {file: _payload(file) for file in files}


def _payload(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


def _trouble(channel: Channel, payload: bytes) -> str:
    return "; ".join(f"{t.reason.name}: {t.detail}" for t in channel.take([payload]).troubles)


def _compared(
    channel: Channel, recorded: Mapping[Path, bytes], today: Mapping[Path, bytes]
) -> dict[str, Any]:
    """What is wrong with payloads of today: for the mapping, and beside recorded ones."""
    troubles = {str(file): _trouble(channel, raw) for file, raw in today.items()}
    payloads, read = _decoded(channel, today), sorted(channel.statement.paths)
    found = _paths(channel, payloads)
    gone = [path for path in read if payloads and not _is_there(path, found)]
    unused = sorted({path for one in payloads for path in unused_paths(channel, one)})
    before = _decoded(channel, _like(channel, recorded, today))
    changed = changes(before or payloads, payloads, channel.mapping.unwrap)
    needed = read_paths(channel)
    return {
        "refused": {file: why for file, why in troubles.items() if why},
        "gone": gone,
        "unused": unused,
        "likely": likely_names(dict.fromkeys(gone, _UNKNOWN), dict.fromkeys(unused, _UNKNOWN)),
        "added": changed.added,
        "removed": changed.removed,
        "renamed": changed.renamed,
        "broken": [p for p in changed.removed if any(is_within(p, one) for one in needed)],
    }


def _like(
    channel: Channel, recorded: Mapping[Path, bytes], today: Mapping[Path, bytes]
) -> Mapping[Path, bytes]:
    """The recorded payloads that are of a kind with those of today; all, where that is unknown."""
    kinds = [_kinds(channel, raw) for raw in today.values()]
    if not all(kinds):
        return recorded
    wanted = frozenset[str]().union(*kinds)
    return {file: raw for file, raw in recorded.items() if _kinds(channel, raw) & wanted}


def _kinds(channel: Channel, payload: bytes) -> frozenset[str]:
    """What a payload is about: order, shipment, inventory; nothing, if it makes no record."""
    types = (channel.mapping.record[made.kind].type for made in channel.take([payload]).records)
    return frozenset(one.partition(".")[0] for one in types)


def _decoded(channel: Channel, payloads: Mapping[Path, bytes]) -> list[Any]:
    """Those that are JSON; of the others something else is said."""
    decoded = []
    for raw in payloads.values():
        with suppress(msgspec.DecodeError):
            decoded.append(as_read(channel.mapping, raw))
    return decoded


def _paths(channel: Channel, payloads: Sequence[Any]) -> set[str]:
    return {path for one in payloads for path, _ in leaves(one, channel.mapping.unwrap)}


def _is_there(path: str, found: set[str]) -> bool:
    return any(one == path or one.startswith((f"{path}.", f"{path}[")) for one in found)


def _tried(channel: Channel, file: Path) -> dict[str, Any]:
    """What became of a sample."""
    payload = _payload(file)
    mapped = channel.take([payload])
    made = [
        {
            "record": msgspec.json.decode(record.line),
            "fields": [
                {"field": use.field, "from": use.source}
                for use in channel.statement.uses
                if use.record == record.kind
            ],
        }
        for record in mapped.records
    ]
    return {
        "sample": str(file),
        "records": made,
        "passed_over": [why for _, why in mapped.passed_over],
        "refused": [{"reason": t.reason.name, "detail": t.detail} for t in mapped.troubles],
        "unused": unused_paths(channel, as_read(channel.mapping, payload)) if made else [],
    }


def _show(tried: dict[str, Any]) -> None:
    out = console()
    out.print(f"{tried['sample']}: records: {len(tried['records'])}", markup=False)
    for made in tried["records"]:
        record = made["record"]
        rows = (
            (field["field"], _at(record, field["field"]), field["from"])
            for field in made["fields"]
            if _at(record, field["field"]) is not None
        )
        title = f"{record['type']} {record.get('subject') or record.get('xref')}"
        out.print(table(title, ("field", "value", "where it came from"), rows))
    if tried["unused"]:
        out.print(table("Not used", ("path",), ((path,) for path in tried["unused"])))
    for why in tried["passed_over"]:
        out.print(f"passed over: {why}", markup=False)
    for trouble in tried["refused"]:
        out.print(
            f"refused: {trouble['reason']}: {trouble['detail']}", markup=False, soft_wrap=True
        )


def _at(record: dict[str, Any], field: str) -> Any:
    """The value of a field; of one in an array those of all elements, with commas."""
    found: list[Any] = [record]
    for name in field.split("."):
        inside = [one for value in found for one in (value if isinstance(value, list) else [value])]
        found = [one[name] for one in inside if isinstance(one, dict) and name in one]
    values = [str(value) for value in found if value is not None and value != ""]
    return ", ".join(values) if values else None
