"""What a mapping leaves of a payload, for those who write mappings.

A payload is looked at as the mapping sees it: what is in an envelope as if that were the payload, arrays as
``lines[]``.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from flows.channels.engine import Channel
from flows.channels.mapping import is_within


def unused_paths(channel: Channel, payload: bytes) -> list[str]:
    """Members of a payload that its mapping neither reads nor names as personal or to be ignored, by name.

    Whatever reads an object or an array as a whole reads all that is in it.

    Args:
        channel: the mapping, ready for payloads.
        payload: JSON.
    """
    mapping, read = channel.mapping, channel.statement.paths
    whole = [one for one in read if not any(o != one and is_within(o, one) for o in read)]
    named = [*whole, *mapping.ignore, *mapping.personal]
    found = {path for path, _ in leaves(json.loads(payload), mapping.unwrap)}
    return sorted(path for path in found if not any(is_within(path, name) for name in named))


def leaves(payload: Any, unwrap: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Path and value of each text and number, and of yes and no; what is null or empty holds nothing."""

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
        elif value is not None and value != "":
            yield path, value

    return walk(payload, "", "")


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
