"""Codes of platforms that no table knows, out of the dead letters: what somebody has to give a meaning to.

The complaint about a payload names field, code and table (``data.payment: in_review is no code of
maps.payments``), or for a field without a table the enumeration.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from flows.channels.engine import Channel
from flows.letters import Letter
from flows.vault.keys import Vault

_NEXT = re.compile(r"; (?=[a-z][\w.]*: )")
_COMPLAINT = re.compile(
    r"(?P<field>[a-z][\w.]*): (?P<code>.+) is no "
    r"(?:code of (?P<table>maps\.[\w-]+)|(?P<words>(?:[A-Z][a-z]+)+))",
    re.DOTALL,
)


class Unknown(NamedTuple):
    """A code, by topic of its channel, field of the record, and what ought to know it."""

    topic: str
    field: str
    code: str
    table: str


@dataclass(slots=True)
class Found:
    """How often a code was refused.

    Attributes:
        example: the newest letter.
        first_at: when it was refused first.
        letters: so many.
        would_pass: of these, with the mapping as it is now.
    """

    example: Letter
    first_at: datetime
    letters: int = 0
    would_pass: int = 0


def codes_in(detail: str) -> list[tuple[str, str, str]]:
    """Field, code and table of each code that a complaint calls unknown."""
    found = map(_COMPLAINT.fullmatch, _NEXT.split(detail))
    return [(one["field"], one["code"], one["table"] or one["words"]) for one in found if one]


def unknown_codes(
    letters: Iterable[Letter], channels: Mapping[str, Channel], vault: Vault | None = None
) -> dict[Unknown, Found]:
    """Every code that letters are about, those of most letters first.

    Args:
        letters: in any order.
        channels: by topic.
        vault: opens them for the trial; what is given as an example stays sealed.
    """
    every: dict[Unknown, Found] = {}
    for letter in letters:
        codes = dict.fromkeys(codes_in(letter.detail))
        passes = bool(codes) and letter.opened(vault).would_pass(channels)
        for code in codes:
            key = Unknown(letter.source.partition("/")[0], *code)
            found = every.setdefault(key, Found(letter, letter.at))
            found.letters += 1
            found.would_pass += passes
            found.first_at = min(found.first_at, letter.at)
            found.example = max(found.example, letter, key=lambda one: one.at)
    return dict(sorted(every.items(), key=lambda one: (-one[1].letters, one[0])))
