"""Mappings by their names, and the channels that the settings set up."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from flows.channels.codes import Codes, codes_of
from flows.channels.engine import Binding, Channel
from flows.channels.mapping import parse_mapping, refused
from flows.channels.values import FieldError
from flows.settings import Settings
from schemas.errors import InputError

SUFFIX = ".toml"


class MappingText(NamedTuple):
    """A mapping file as it is written; ``name`` is what messages call it."""

    name: str
    text: str


def shipped() -> list[str]:
    """Names of the mappings that are shipped, in order."""
    found = (entry.name for entry in (files("schemas") / "channels").iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))


def find_mapping(name: str) -> MappingText:
    """A shipped mapping by its name, or a file by its path.

    Raises:
        InputError: there is none.
    """
    if not name.endswith(SUFFIX):
        if name not in shipped():
            raise InputError(
                f"{name} is no shipped mapping, and no {SUFFIX} file: there are {', '.join(shipped())}"
            )
        place = files("schemas") / "channels" / f"{name}{SUFFIX}"
        return MappingText(name, place.read_text(encoding="utf-8"))
    try:
        return MappingText(name, Path(name).read_bytes().decode())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read: {error}") from error


def open_channel(mapping: MappingText, binding: Binding, codes: Sequence[Codes] = ()) -> Channel:
    """A mapping at work.

    Args:
        mapping: as it is written.
        binding: for whom.
        codes: of one's own, from those that count least.

    Raises:
        InputError: it is none, or a code is; the message names file, line and field.
    """
    parsed = parse_mapping(mapping.text, mapping.name)
    for own in codes:
        parsed = own.laid_over(parsed)
    try:
        return Channel(parsed, binding)
    except FieldError as error:
        for own in reversed(codes):
            if own.holds(error.field):
                raise own.refused(error.field.removeprefix("maps."), str(error)) from error
        raise refused(mapping.text, mapping.name, error.field, str(error)) from error


def channels_of(settings: Settings) -> dict[str, Channel]:
    """The channels of the settings, by their topics.

    Raises:
        InputError: a mapping, or its codes, are missing or wrong, or there is no secret for customers.
    """
    if settings.channels and not settings.customer_secret:
        raise InputError("channels need customer_secret: what customers become tokens with")
    return {
        one.topic: open_channel(
            find_mapping(one.mapping),
            Binding(one.source or name, one.tenant, one.network, settings.customer_secret.encode()),
            [*codes_of(name, one)],
        )
        for name, one in settings.channels.items()
    }
