"""What a platform has changed: members of its payloads that are new, gone, or likely called otherwise now.

A member that is empty on either side (null, no elements) is neither new nor gone, nor is what would be in it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from flows.channels.mapping import is_within
from flows.channels.report import members

ALIKE = 0.6
"""Two names may be one from here on, of 0 to 1: ``create time`` and ``created at``; ``sku`` and ``qty`` not."""

Values = Mapping[str, frozenset[str]]
"""What there is of each member; nothing, where its values are not known."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths, as mappings write them, in order.

    Attributes:
        added: new ones.
        removed: those that are gone.
        renamed: of those that are gone, which of the new ones each likely is.
    """

    added: list[str]
    removed: list[str]
    renamed: dict[str, str]


def changes(before: Sequence[Any], now: Sequence[Any], unwrap: Sequence[str]) -> Changes:
    """What differs between payloads as they were and as they are.

    Args:
        before: decoded payloads.
        now: the same.
        unwrap: envelopes that the mapping opens.
    """
    old, old_empty = _seen(before, unwrap)
    new, new_empty = _seen(now, unwrap)
    gone = {path: old[path] for path in _unlike(old, new, new_empty)}
    come = {path: new[path] for path in _unlike(new, old, old_empty)}
    return Changes(list(come), list(gone), likely_names(gone, come))


def likely_names(gone: Values, come: Values) -> dict[str, str]:
    """Of members that are gone, which of the new ones each may be: by values, else by name and place.

    No two are the same one; the likeliest pairs come first.
    """
    pairs = sorted(
        (-likeness, old, new)
        for old in gone
        for new in come
        if (likeness := _likeness(old, gone[old], new, come[new])) > 0
    )
    found: dict[str, str] = {}
    for _, old, new in pairs:
        if old not in found and new not in found.values():
            found[old] = new
    return dict(sorted(found.items()))


def _likeness(old: str, old_values: frozenset[str], new: str, new_values: frozenset[str]) -> float:
    """How likely two paths are one member; 0: not at all."""
    (old_place, old_name), (new_place, new_name) = _parted(old), _parted(new)
    name, place = _alike(old_name, new_name), _alike(old_place, new_place)
    shares = bool(_telling(old_values) & _telling(new_values))
    if not shares and (name < ALIKE or name + place < 2 * ALIKE):
        return 0
    return name + place + 2 * shares


def _telling(values: frozenset[str]) -> frozenset[str]:
    """Those that few members have in common: no yes and no, no single digits."""
    return frozenset(one for one in values if len(one) > 2 and one not in ("True", "False"))


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio() if one != other else 1.0


def _parted(path: str) -> tuple[str, str]:
    """Where a member is, and its name as words."""
    place, _, name = path.rpartition(".")
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return place, re.sub(r"[\W_]+", " ", spaced).strip().lower()


def _seen(
    payloads: Sequence[Any], unwrap: Sequence[str]
) -> tuple[dict[str, frozenset[str]], set[str]]:
    """The values of all members, and which of them are empty somewhere."""
    values: dict[str, set[str]] = {}
    empty = set[str]()
    for path, value in _members(payloads, unwrap):
        if value is None:
            empty.add(path)
        else:
            values.setdefault(path, set()).add(str(value))
    return {path: frozenset(values[path]) for path in sorted(values)}, empty


def _members(payloads: Iterable[Any], unwrap: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for payload in payloads:
        yield from members(payload, unwrap)


def _unlike(these: Values, others: Values, empty: set[str]) -> list[str]:
    """Members of these that the others lack."""
    lacking = (path for path in these if path not in others)
    return [path for path in lacking if not any(is_within(path, one) for one in empty)]
