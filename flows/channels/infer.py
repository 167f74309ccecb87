"""A first draft of a mapping, from samples of what a platform sends: to be read and finished by a person.

Every member of the samples is looked at by its name and its values. What is found for a field of the record is
written with its runners-up beside it; what is not found is written as a line to be filled in. The draft says
"order" where there is an array whose elements have a quantity, and "parcel" where there is a tracking number.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from flows.channels.mapping import LEFT_OPEN

_TIME = re.compile(r"^\d{4}[-/]?\d{2}[-/]?\d{2}([T ]\d{2}:?\d{2}.*)?$")
_CURRENCY = re.compile(r"^[A-Z]{3}$")
_WORDS = {
    "id": ("id", "order id", "order no", "order sn", "order number", "number", "uuid", "trade no"),
    "time": (
        "created at", "create time", "date created", "order date", "ordered at", "placed at", "date", "time",
    ),
    "region": ("country code", "country", "region", "province", "state", "market"),
    "currency": ("currency", "currency code", "presentment currency"),
    "customer": ("customer id", "buyer id", "user id", "member id", "open id", "customer code", "customer"),
    "sku": ("sku", "sku code", "item code", "goods code", "product code", "sku id", "product id", "goods id"),
    "qty": ("quantity", "qty", "num", "count", "goods num", "order item quantity", "units"),
    "price": ("price", "unit price", "item price", "product price", "sale price"),
    "tracking": ("tracking number", "tracking code", "waybill no", "mail no", "logistics no", "nu", "number"),
    "status": ("status", "state", "tag", "status code", "event code"),
    "happened": ("datetime", "checkpoint time", "happened at", "event time", "occurred at", "time", "date"),
}  # fmt: skip
_PERSONAL = re.compile(
    r"(^|[ .])(e ?mail|phone|mobile|tel|name|first name|last name|full name|address ?\d?|street|zip|postcode"
    r"|postal code|fax|signed by|id card|password)$"
)
_NOT_PERSONAL = (
    "product",
    "item",
    "sku",
    "category",
    "shipping mode",
    "department",
    "company",
    "carrier",
)


class Member(NamedTuple):
    """A member of the samples.

    Attributes:
        path: as mappings write it; elements of an array begin with ``array[].``.
        values: that it has, as text; without those that are null or empty.
    """

    path: str
    values: list[str]

    @property
    def words(self) -> str:
        """Its own name as words: ``orderNo`` and ``order_no`` are ``order no``."""
        return _as_words(self.path.rpartition(".")[2])


def infer(samples: Sequence[dict[str, Any]], name: str) -> str:
    """The draft, as the text of a mapping file.

    Args:
        samples: decoded payloads of one kind.
        name: of the channel.
    """
    members = _members(samples)
    array = _lines_of(members)
    body = _order(members, array) if array else _parcel(members, samples)
    personal = [m.path for m in members if _is_personal(m)]
    head = [
        "# Drafted from samples by `crossdock channel infer`: read every line before it counts.",
        f'name = "{name}"',
        f'title = "{name}: say what it is"',
        'zone = "UTC"  # of times that name none',
    ]
    if personal:
        head.append("personal = [")
        head += [f'  "{path}",' for path in personal]
        head.append("]")
    return "\n".join([*head, "", *body]) + "\n"


def _order(members: Sequence[Member], array: str) -> list[str]:
    top = [m for m in members if "[]" not in m.path]
    inner = [
        m._replace(path=m.path.removeprefix(f"{array}[]"))
        for m in members
        if m.path.startswith(f"{array}[].")
    ]
    price = _ranked(inner, "price")
    return [
        "[[record]]",
        'type = "order.received"',
        f'when = "p.{array} is not null"',
        _line("id", _ranked(top, "id")),
        _line("subject", _ranked(top, "id")),
        _line("time", _ranked(top, "time", _TIME)),
        "",
        "[record.data]",
        _line("region", _ranked(top, "region")),
        _line("currency", _ranked(top, "currency", _CURRENCY), needed=bool(price)),
        _line("customer", _ranked(top, "customer"), "token = true", needed=False),
        "",
        "[record.data.lines]",
        f'each = "{array}"',
        'line_no = { sql = "i" }',
        _line("sku", _ranked(inner, "sku")),
        _line("qty", _ranked(inner, "qty")),
        _line("unit_price_minor", price, needed=False),
    ]  # fmt: skip


def _parcel(members: Sequence[Member], samples: Sequence[dict[str, Any]]) -> list[str]:
    arrays = {m.path.rpartition("[].")[0] for m in members if "[]." in m.path}
    timed = [a for a in sorted(arrays) if _ranked(_within(members, a), "happened", _TIME)]
    inner = _within(members, timed[0]) if timed else list(members)
    top = [m for m in members if "[]" not in m.path]
    status, happened = (
        _ranked(inner, "status") or _ranked(top, "status"),
        _ranked(inner, "happened", _TIME),
    )
    codes = sorted({v for m in [*inner, *top] if status and m.path == status[0] for v in m.values})
    return [
        "[[record]]",
        'type = "shipment.milestone"',
        *([f'each = "{timed[0]}"'] if timed else []),
        'xref = "tracking"  # the subject is a tracking number, to be looked up',
        _line("subject", _ranked(top, "tracking")),
        _line("time", happened),
        "id = { sql = \"'say what makes it unique, as p.number || e.time'\" }",
        "",
        "[record.data]",
        _line("milestone", status, 'map = "milestones"'),
        _line("package", _ranked(top, "tracking")),
        "",
        "[maps.milestones]  # theirs = ours: see `crossdock schemas` for the codes",
        *(f'"{code}" = "scanned"' for code in codes[:40]),
    ]  # fmt: skip


def _line(field: str, found: Sequence[str], more: str = "", needed: bool = True) -> str:
    """A field with where it comes from, and what else it might be."""
    if not found:
        return f'{"" if needed else "# "}{field} = "{LEFT_OPEN}"  # not found in the samples'
    value = f'{{ path = "{found[0]}", {more} }}' if more else f'"{found[0]}"'
    others = f"  # or {', '.join(found[1:3])}" if found[1:] else ""
    return f"{field} = {value}{others}"


def _ranked(members: Sequence[Member], what: str, like: re.Pattern[str] | None = None) -> list[str]:
    """Paths that may be it by their names and values, the likeliest first."""
    wanted, found = _WORDS[what], []
    for place, member in enumerate(members):
        if not member.values or (like and not all(map(like.match, member.values))):
            continue
        whole = _as_words(member.path.replace("[]", ""))
        ranks = [n for n, word in enumerate(wanted) if f" {whole}".endswith(f" {word}")]
        if ranks:
            is_whole = wanted[min(ranks)] in (member.words, whole)
            found.append(
                (not is_whole, min(ranks), member.path.lstrip(".").count("."), place, member.path)
            )
    return [path for *_, path in sorted(found)]


def _lines_of(members: Sequence[Member]) -> str:
    """The array whose elements have a quantity; empty without."""
    arrays = dict.fromkeys(m.path.rpartition("[].")[0] for m in members if "[]." in m.path)
    with_qty = [a for a in arrays if "[]" not in a and _ranked(_within(members, a), "qty")]
    return with_qty[0] if with_qty else ""


def _within(members: Sequence[Member], array: str) -> list[Member]:
    prefix = f"{array}[]"
    inner = [
        m for m in members if m.path.startswith(prefix + ".") and "[]" not in m.path[len(prefix) :]
    ]
    return [m._replace(path=m.path.removeprefix(prefix)) for m in inner]


def _is_personal(member: Member) -> bool:
    words = _as_words(member.path.replace("[]", ""))
    return bool(_PERSONAL.search(words)) and not any(word in words for word in _NOT_PERSONAL)


def _members(samples: Sequence[dict[str, Any]]) -> list[Member]:
    """All members in the order in which they appear."""
    found: dict[str, list[str]] = {}
    for sample in samples:
        for path, value in _leaves(sample, ""):
            values = found.setdefault(path, [])
            if value not in (None, ""):
                values.append(str(value))
    return [Member(path, values) for path, values in found.items()]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for one in value:
            yield from _leaves(one, f"{path}[]")
    else:
        yield path, value


def _as_words(name: str) -> str:
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.sub(r"[\s_./()-]+", " ", spaced).strip().lower()
