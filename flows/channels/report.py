"""What a mapping leaves of a payload, for those who write mappings.

A payload is looked at as the mapping sees it: what is in an envelope as if that were the payload, arrays as
``lines[]``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from flows.channels.engine import Channel
from flows.channels.mapping import is_within


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
