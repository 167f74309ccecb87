"""Mappings by their names, and the channels that the settings set up."""

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

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


def open_channel(mapping: MappingText, binding: Binding) -> Channel:
    """A mapping at work.

    Raises:
        InputError: it is none; the message names file, line and field.
    """
    try:
        return Channel(parse_mapping(mapping.text, mapping.name), binding)
    except FieldError as error:
        raise refused(mapping.text, mapping.name, error.field, str(error)) from error


def channels_of(settings: Settings) -> dict[str, Channel]:
    """The channels of the settings, by their topics.

    Raises:
        InputError: a mapping is missing or wrong, or there is no secret for customers.
    """
    if settings.channels and not settings.customer_secret:
        raise InputError("channels need customer_secret: what customers become tokens with")
    return {
        one.topic: open_channel(
            find_mapping(one.mapping),
            Binding(one.source or name, one.tenant, one.network, settings.customer_secret.encode()),
        )
        for name, one in settings.channels.items()
    }
