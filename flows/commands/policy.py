"""``crossdock policy``: check a policy before it is activated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.group import group_of_commands
from flows.commands.output import console, print_json, table
from models.policy.document import default_policy, parse_policy
from schemas.errors import InputError

app = group_of_commands("Check a policy before it is activated.")
_UNUSUAL = object()
"""Equals no value: the defaults do not name such a key, say a tier."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A policy (YAML).")],
    as_json: Annotated[bool, typer.Option("--json", help="The values as one JSON object.")] = False,
) -> None:
    """Validate a policy and print the values that take effect. Faults are named FILE:LINE.

    Example: crossdock policy check examples/brunel/policy.yaml
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text ({error.reason} at {error.start})") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    policy = parse_policy(text, str(file)).model_dump()
    if as_json:
        print_json(policy)
        return
    usual = dict(_flat(default_policy().model_dump()))
    rows = [
        (
            name,
            "none" if value is None else value,
            "" if value == usual.get(name, _UNUSUAL) else "set here",
        )
        for name, value in _flat(policy)
    ]
    console().print(table(f"Policy {policy['version']}", ("setting", "value", ""), rows))


def _flat(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their dotted names."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
