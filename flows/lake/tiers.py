"""What each tier of viewers may see of a lake: ``schemas/tiers.csv``, read and nothing added.

The file has a line per table and column with an ``x`` under each tier that sees it, or ``masked``: null
where it is the name of a node (a parcel that the carrier has not named yet is named like its node). ``*``
stands for all columns, also those of a later release. What is not listed is hidden. The line ``(rows)``
says which rows, by words that must all hold:

- ``scope``: rows about the viewer's orders;
- ``parcel``: about a parcel that the viewer, a carrier or a node, has or had in hands;
- ``mine``: that name the viewer as their carrier or node;
- ``standing``: that nobody has taken back;
- ``actual``: of what has happened, not of plans, estimates or corrections alone;
- ``step``: whose step is listed under ``steps``: the key nodes of an order's way;
- ``tenant``: all. Rows of another tenant are hidden from everybody.

A tier without such a word does not have the table.
"""

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

EVERY = "*"
_ROWS = "(rows)"
_STEPS = "steps"
_MASKED = "masked"


class Tier(StrEnum):
    """Whoever looks; columns of the file."""

    PUBLIC = "public"
    CUSTOMER = "customer"
    VIP = "vip"
    PARTNER = "partner"
    OPERATOR = "operator"


SOURCES = {
    "orders": "order_360",
    "shipments": "twin",
    "timeline": "history",
    "readings": "readings",
    "positions": "locations",
    "exceptions": "exceptions",
    "origins": "trace",
    "decisions": "decisions",
    "allocations": "allocations",
    "estimates": "estimates",
    "actions": "actions",
    "outbox": "outbox",
    "stock": "stock",
    "nodes": "nodes",
    "lanes": "lanes",
}
"""View or table of the lake behind each table of a viewer."""
OF_NO_ORDER = frozenset(("stock", "nodes", "lanes"))
"""Those of them that are about no order."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a tier sees of one table.

    Attributes:
        table: its name for the viewer.
        source: view or table of the lake.
        words: which rows; all hold.
        columns: in the order of the file.
        masked: those of them that must not name a node.
    """

    table: str
    source: str
    words: tuple[str, ...]
    columns: tuple[str, ...]
    masked: frozenset[str]


@cache
def sights_of(tier: Tier) -> tuple[Sight, ...]:
    """Every table that a tier has."""
    lines = _lines()
    sights = []
    for table, source in SOURCES.items():
        mine = [line for line in lines if line["table"] == table and line[tier]]
        words = tuple(word for line in mine if line["what"] == _ROWS for word in line[tier].split())
        columns = tuple(line["what"] for line in mine if line["what"] != _ROWS)
        masked = frozenset(line["what"] for line in mine if line[tier] == _MASKED)
        if words and columns:
            sights.append(Sight(table, source, words, columns, masked))
    return tuple(sights)


@cache
def steps_of(tier: Tier) -> tuple[str, ...]:
    """Steps of the timeline that the word ``step`` lets through."""
    return tuple(line["what"] for line in _lines() if line["table"] == _STEPS and line[tier])


@cache
def _lines() -> tuple[dict[str, str], ...]:
    text = (files("schemas") / "tiers.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
