"""One's own tables of codes (SKUs, nodes, states), laid over those of a mapping, which so stays as shipped."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flows.channels.mapping import Mapping, line_of, with_maps, wrong_codes
from flows.channels.settings import ChannelSettings
from schemas.errors import InputError


class Codes(NamedTuple):
    """Some tables of codes.

    Attributes:
        name: where they are written, as messages call it.
        tables: by name; of each, theirs and ours.
        text: of the file; empty without one.
    """

    name: str
    tables: dict[str, Any]
    text: str = ""

    def laid_over(self, mapping: Mapping) -> Mapping:
        """The mapping with these before its own.

        Raises:
            InputError: it has no such table, or one of these is none.
        """
        for table in self.tables:
            if table not in mapping.maps:
                there = ", ".join(sorted(mapping.maps)) or "none"
                raise self.refused(table, f"{mapping.name} has no such table; there are {there}")
        for field, what in wrong_codes(self.tables):
            raise self.refused(field, what)
        return with_maps(mapping, self.tables)

    def holds(self, field: str) -> bool:
        """Whether a field of a mapping, ``maps.skus.77``, is one of these."""
        first, _, code = field.partition(".")
        table, _, theirs = code.partition(".")
        return first == "maps" and theirs in self.tables.get(table, {})

    def refused(self, field: str, what: str) -> InputError:
        """What is wrong with a table or a code, with the line that it is on."""
        line = f":{line_of(self.text, field)}" if self.text else ""
        return InputError(f"{self.name}{line}: {field}: {what}")


def read_codes(file: Path) -> Codes:
    """The tables of a TOML file: ``[skus]`` and the like.

    Raises:
        InputError: it cannot be read.
    """
    try:
        text = file.read_bytes().decode()
        return Codes(str(file), tomllib.loads(text), text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: no TOML: {error}") from error


def codes_of(name: str, channel: ChannelSettings) -> Iterator[Codes]:
    """Those of a channel's settings, from the one that counts least.

    Raises:
        InputError: its file cannot be read.
    """
    if channel.maps_file is not None:
        yield read_codes(channel.maps_file)
    yield Codes(f"channels.{name}.maps", {**channel.maps})
