"""What a mapping leaves of a payload, for those who write mappings.

A payload is looked at as the mapping sees it: what is in an envelope as if that were the payload, arrays as
``lines[]``.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from flows.channels.engine import Channel, held_in
from flows.channels.mapping import Mapping, is_within


def as_read(mapping: Mapping, payload: bytes) -> Any:
    """A payload, decoded: out of its form, and with what members hold as a text in place of that text.

    Raises:
        msgspec.DecodeError: it is no JSON.
    """
    decoded = msgspec.json.decode(
        held_in(payload, mapping.form_field) if mapping.form_field else payload
    )
    return _read_texts(mapping, decoded, "", "") if mapping.texts else decoded


def _read_texts(mapping: Mapping, value: Any, path: str, whole_path: str) -> Any:
    """A value, which is at this path of what is in an envelope, and of the whole."""
    if whole_path in mapping.unwrap:
        path = ""
    if isinstance(value, dict):
        return {
            name: _read_texts(mapping, one, _joined(path, name), _joined(whole_path, name))
            for name, one in value.items()
        }
    if isinstance(value, list) and not path:
        return [_read_texts(mapping, one, path, whole_path) for one in value]
    if isinstance(value, str) and path in mapping.texts:
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(value)
    return value


def read_paths(channel: Channel) -> list[str]:
    """What a mapping reads; an object or an array only where it is read as a whole, with all that is in it."""
    read = channel.statement.paths
    return sorted(p for p in read if not any(o != p and is_within(o, p) for o in read))


def unused_paths(channel: Channel, payload: Any) -> list[str]:
    """Members of a payload that its mapping neither reads nor names as personal or to be ignored, by name.

    Args:
        channel: the mapping, ready for payloads.
        payload: decoded.
    """
    mapping = channel.mapping
    named = [*read_paths(channel), *mapping.ignore, *mapping.personal]
    found = {path for path, _ in leaves(payload, mapping.unwrap)}
    return sorted(path for path in found if not any(is_within(path, name) for name in named))


def leaves(payload: Any, unwrap: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Path and value of each text and number, and of yes and no; what is null or empty holds nothing."""
    return ((path, value) for path, value in members(payload, unwrap) if value is not None)


def members(payload: Any, unwrap: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The same with what holds nothing, as None."""

    def walk(value: Any, path: str, whole_path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict | list) and whole_path in unwrap:
            path = ""
        if isinstance(value, dict):
            for name, member in value.items():
                yield from walk(member, _joined(path, name), _joined(whole_path, name))
        elif isinstance(value, list):
            for element in value:
                inside = f"{path}[]" if path else ""
                yield from walk(element, inside, f"{whole_path}[]" if whole_path else "")
        if path and not isinstance(value, dict | list):
            yield path, None if value == "" else value
        elif path and not value:
            yield path, None

    return walk(payload, "", "")


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
