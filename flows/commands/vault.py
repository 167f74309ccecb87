"""``crossdock vault``: whether a person has a key, and the end of it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from flows.channels.engine import token_of
from flows.channels.owners import guest_name
from flows.commands.config import Config
from flows.commands.group import group_of_commands
from flows.commands.output import console, print_json, table
from flows.settings import Settings, load_settings
from flows.vault.keys import Owner, Vault
from flows.vault.opening import existing_vault
from schemas.errors import InputError

app = group_of_commands(
    "Keys of personal data.\n\n"
    "What is kept of the payloads of channels has its personal members sealed, by a key for each customer. "
    "Once a key is destroyed, nobody can read them again."
)
Of = Annotated[str, typer.Option("--channel", help="Name of the channel, as in the settings.")]
Customer = Annotated[
    str | None, typer.Option(help="The customer, as the channel's payloads name him.")
]
Guest = Annotated[
    str | None,
    typer.Option(
        "--known-by",
        metavar="VALUE",
        help="Who is no customer, by what the mapping's known_by reads of him, as his e-mail address.",
    ),
]
Token = Annotated[
    str | None, typer.Option(help="The same by his token, as the lake's orders have it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def show(
    channel: Of,
    config: Config = None,
    customer: Customer = None,
    guest: Guest = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a customer has a key; without one, how many keys there are.

    Example: crossdock vault show --config crossdock.toml --channel shop --customer 207119551
    """
    settings = load_settings(config)
    source = _source(settings, channel)
    owner = _owner(settings, source, (customer, guest, token))
    with existing_vault(settings) as vault:
        if owner is None:
            _show_counts(vault, channel, source, as_json)
            return
        held = vault.holdings(owner)
    has_key = any(one.destroyed_at is None for one in held)
    if as_json:
        keys = [one._asdict() for one in held]
        print_json({"channel": channel, "token": owner.name, "has_key": has_key, "keys": keys})
        return
    _say_result(f"{owner.name} of {channel} has {'a' if has_key else 'no'} key")
    if held:
        columns = ("key", "made at", "destroyed at")
        console().print(table("Keys", columns, held))


@app.command()
def purge(
    channel: Of,
    config: Config = None,
    customer: Customer = None,
    guest: Guest = None,
    token: Token = None,
    unknown_days: Annotated[
        int | None,
        typer.Option(
            "--unknown",
            metavar="DAYS",
            min=0,
            help="Of payloads that do not say whose they are: the keys that are older.",
        ),
    ] = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Destroy the key of a customer: what was sealed by it is gone for good, here and in every copy.

    Whoever has no key is none the worse for it. Backups of the vault itself still have the key; see
    flows/vault/README.md.

    Examples:
      crossdock vault purge --config crossdock.toml --channel shop --customer 207119551
      crossdock vault purge --config crossdock.toml --channel shop --known-by ann@example.com
      crossdock vault purge --config crossdock.toml --channel shop --unknown 30 --yes
    """
    settings = load_settings(config)
    source = _source(settings, channel)
    owner = _owner(settings, source, (customer, guest, token))
    if (owner is None) == (unknown_days is None):
        raise InputError("say whose: --customer, --known-by, --token or --unknown")
    with existing_vault(settings) as vault:
        whose = f"payloads of {channel} that are nobody's" if owner is None else owner.name
        if not is_sure:
            question = f"Destroy for good what is sealed of {whose}?"
            typer.confirm(question, abort=True, err=True)
        if owner is None:
            before = datetime.now(UTC) - timedelta(days=unknown_days or 0)
            destroyed = vault.destroy_of_payloads(source, before)
        else:
            destroyed = vault.destroy(owner)
    if as_json:
        name = None if owner is None else owner.name
        print_json({"channel": channel, "token": name, "destroyed": destroyed})
    elif destroyed:
        _say_result(f"{destroyed} of the keys destroyed: what was sealed of {whose} is gone")
    else:
        _say_result(f"no key of {whose} was there: nothing sealed of them can be read")


def _source(settings: Settings, channel: str) -> str:
    """Of a channel's records.

    Raises:
        InputError: there is no such channel.
    """
    if channel not in settings.channels:
        known = ", ".join(settings.channels) or "none"
        raise InputError(f"there is no channel {channel}; there are {known}")
    return settings.channels[channel].source or channel


def _owner(
    settings: Settings, source: str, named: tuple[str | None, str | None, str | None]
) -> Owner | None:
    """Whom a user names, as a customer, a guest or a token; nobody where he names none.

    Raises:
        InputError: two are named, or there is no secret.
    """
    customer, guest, token = named
    if named.count(None) < len(named) - 1:
        raise InputError("say one of --customer, --known-by and --token")
    if token is not None:
        return Owner(source, token)
    name = guest_name(guest) if guest is not None else customer
    if name is None:
        return None
    if not settings.customer_secret:
        raise InputError("customers are known by customer_secret, which is not set")
    return Owner(source, token_of(settings.customer_secret.encode(), source, name))


def _show_counts(vault: Vault, channel: str, source: str, as_json: bool) -> None:
    counts = vault.counts(source)
    if as_json:
        print_json({"channel": channel, **counts})
        return
    columns = ("keys of customers", "of payloads that do not say whose", "destroyed")
    console().print(table(f"Vault: {channel}", columns, [tuple(counts.values())], numbers=columns))


def _say_result(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)
