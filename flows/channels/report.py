"""What a mapping makes of a payload and what it leaves, for those who write mappings.

A payload is looked at as the mapping sees it: without its envelopes, arrays as ``lines[]``.
"""

import json
from collections.abc import Iterator
from typing import Any

from flows.channels.engine import Channel


def unused_paths(channel: Channel, payload: bytes) -> list[str]:
    """Members of a payload that its mapping neither reads nor names as personal or to be ignored, by name.

    What reads an object or an array as a whole counts as reading that, not what is in it.

    Args:
        channel: the mapping, ready for payloads.
        payload: JSON.
    """
    mapping = channel.mapping
    named = [*mapping.ignore, *mapping.personal]
    found = {
        path for piece in _pieces(json.loads(payload), mapping.unwrap) for path in leaf_paths(piece)
    }
    return sorted(
        path
        for path in found - channel.statement.paths
        if not any(is_within(path, name) for name in named)
    )


def leaf_paths(value: Any, at: str = "") -> Iterator[str]:
    """Paths of the members that hold a text, a number, yes or no; what is empty or null holds nothing."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaf_paths(member, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for element in value:
            yield from leaf_paths(element, f"{at}[]")
    elif value is not None and value != "":
        yield at


def is_within(path: str, name: str) -> bool:
    """Whether a path is what a name of a mapping stands for, or within it."""
    return path == name or path.startswith((f"{name}.", f"{name}["))


def _pieces(payload: Any, unwrap: list[str]) -> list[Any]:
    """A payload without its envelopes, as the statement opens them."""
    if isinstance(payload, list):
        return payload
    held = {path: _held(payload, path) for path in unwrap}
    found = [path for path, value in held.items() if isinstance(value, dict | list)]
    pieces = []
    for path in found:
        if not any(other.startswith(f"{path}.") for other in found):
            value = held[path]
            pieces += value if isinstance(value, list) else [value]
    return pieces if found else [payload]


def _held(payload: Any, path: str) -> Any:
    """What a payload has at a path; None for nothing."""
    for name in path.split("."):
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload
