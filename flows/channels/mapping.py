"""A mapping file: how the payloads of one platform become records, as TOML that is checked before it counts.

::

    name = "example"
    title = "Orders of an example shop"

    [[record]]
    type = "order.received"
    when = "p.line_items is not null"
    id = "id"
    subject = "order.number"
    time = { path = "created_at", zone = "Asia/Shanghai" }

    [record.data]
    region = "shipping.country"
    currency = "currency"
    payment = { path = "state", map = "payments" }
    lines = { each = "line_items", line_no = { sql = "i" }, sku = ".sku", qty = ".quantity" }

    [maps.payments]
    paid = "captured"

A *path* names members of the payload, ``a.b.c``; one that begins with a dot is within the element of the
nearest ``each``. In SQL (DuckDB's) ``p`` is the payload, ``e`` the element and ``i`` its number, from 1.
"""

import re
import tomllib
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.errors import InputError

Word = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-z0-9][a-z0-9_-]*$")]
DataPath = Annotated[str, Meta(max_length=256, pattern=r"^\.?([^.\[\]]+)(\.[^.\[\]]+)*$")]
"""``a.b.c``; with a dot before it, within the element of the nearest ``each``."""

ArrayPath = Annotated[
    str, Meta(max_length=256, pattern=r"^([^.\[\]]+(\[\])?(\.[^.\[\]]+(\[\])?)*)?$")
]
"""``a.b``, an array; ``a[].b`` for the arrays of all elements of another."""

Member = Annotated[str, Meta(max_length=256, pattern=r"^[^.\[\]]+(\[\])?(\.[^.\[\]]+(\[\])?)*$")]
"""A path with its arrays, ``lines[].name``: the same member of every element."""


ForeignKind = Annotated[str, Meta(pattern="^([a-z][a-z0-9_-]*)?$")]


class Value(
    msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Where a value comes from: one of ``path``, ``value`` and ``sql``.

    Attributes:
        path: of the payload.
        value: the same for all.
        sql: an expression.
        map: table of ``maps`` that turns the platform's codes into ours; a code that is not in it is refused,
            one that becomes nothing (``""``, where the field needs a code) leaves the record out.
        default: where the payload has nothing.
        unit: of a number: of weight (``g kg lb oz``), of volume (``cm3 l m3``), or of time since 1970
            (``s ms``). Money needs none: it is in the record's currency, or in ``minor`` units of it.
        zone: of a time that names none (IANA); that of the mapping without.
        form: of a time, as strptime reads it; ISO 8601 without.
        token: a customer, of whom records are to have no more than a token.
    """

    path: DataPath = ""
    value: str | int | float | bool | None = None
    sql: str = ""
    map: str = ""
    default: str | int | float | bool | None = None
    unit: Literal["", "g", "kg", "lb", "oz", "cm3", "l", "m3", "s", "ms", "minor"] = ""
    zone: str = ""
    form: str = ""
    token: bool = False


Spec = DataPath | Value

LEFT_OPEN = "?"
"""The path that a draft has where the samples say nothing."""
OTHERS = "*"
"""In a table of codes: what any other code becomes; as its own value, that it stays what it is."""


class RecordMapping(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One kind of record that a payload, or each element of an array of it, becomes.

    Attributes:
        type: of the record, as ``order.received``.
        when: SQL that says whether a payload, or an element, is one; every one is without.
        each: path of an array whose elements are records, or SQL that gives one; of the arrays of all elements
            of another (``parcels[].scans``), which SQL calls ``o``.
        newest_first: the array is a history that begins with the newest: its elements become records, and are
            numbered, from the oldest.
        alike: path within an element, as ``.time``: SQL has the element's number among those that say the same
            there, from 1, as ``k``.
        id: unique within the channel.
        subject: the order, node or device that it is about.
        xref: kind of a foreign id that ``subject`` is (``tracking``), to be looked up.
        assigns: kind of a foreign id that ``data.package`` is from now on: whoever knows the parcel alone, as
            carriers do, finds the subject by it.
        time: when it happened.
        network: of the record, where a channel serves several.
        like: type (``order.received``); the nearest record of it above has what else is in ``data``.
        data: by field of the record's schema; tables where that has objects, with ``each`` for its arrays.
    """

    type: str
    id: Spec
    subject: Spec
    time: Spec
    when: str = ""
    each: ArrayPath | Value = ""
    newest_first: bool = False
    alike: DataPath = ""
    xref: ForeignKind = ""
    assigns: ForeignKind = ""
    network: Spec = ""
    like: str = ""
    data: dict[str, Any] = {}


class Refusal(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Payloads that are known and yet no record.

    Attributes:
        when: SQL that says whether one is; asked only of what became no record.
        why: is said of it.
        quiet: it is in order that such ones come; they are passed over and are no dead letters.
    """

    when: str
    quiet: bool = False
    why: Annotated[str, Meta(min_length=1, max_length=200)]


class Mapping(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A mapping file.

    Attributes:
        name: of the channel.
        title: what it maps, in a line.
        record: what payloads become; one payload may become several.
        refuse: what is known to be no record.
        form_field: of an HTML form, which holds the payload; a payload that is JSON by itself is taken as well.
        unwrap: paths of envelopes around payloads (``orders``: an array of them, or one); all that are there
            are opened, of one within another the inner one. An array at the top is opened always.
        texts: paths of members that hold JSON as a text, which is read like any other.
        reads: members of arrays (``refunds[].at``) that SQL reads by itself, as in a lambda, with no ``each``.
        zone: of times that name none.
        maps: tables of codes.
        personal: paths of personal data, which is sealed before a payload is kept.
        known_by: of those, what a person is known by where no customer is named, as an e-mail address; the
            first that is there.
        ignore: paths that are left out on purpose; ``channel test`` does not name them.
    """

    name: Word
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    record: Annotated[list[RecordMapping], Meta(min_length=1)]
    refuse: list[Refusal] = []
    form_field: Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9_-]*$")] = ""
    unwrap: list[DataPath] = []
    texts: list[DataPath] = []
    reads: list[Member] = []
    zone: str = "UTC"
    maps: dict[str, dict[str, str]] = {}
    personal: list[Member] = []
    known_by: list[DataPath] = []
    ignore: list[Member] = []


def is_within(path: str, name: str) -> bool:
    """Whether a path is what a name of a mapping stands for, or within it."""
    return path == name or path.startswith((f"{name}.", f"{name}["))


def with_maps(mapping: Mapping, maps: AnyMapping[str, dict[str, str]]) -> Mapping:
    """The mapping with one user's codes (nodes, SKUs) in its tables, beside those and before those it has."""
    names = [*mapping.maps, *(name for name in maps if name not in mapping.maps)]
    tables = {name: mapping.maps.get(name, {}) | maps.get(name, {}) for name in names}
    return msgspec.structs.replace(mapping, maps=tables)


def wrong_codes(maps: Any) -> Iterator[tuple[str, str]]:
    """What is no table of codes, or no code, with the reason; as ``skus.77``."""
    for table, codes in maps.items() if isinstance(maps, dict) else ():
        if not isinstance(codes, dict):
            yield table, "is no table of codes"
            continue
        for theirs, ours in codes.items():
            if not isinstance(ours, str):
                yield f"{table}.{theirs}", f"{ours!r} is no text: put it in quotes"


def load_mapping(file: Path) -> Mapping:
    """A mapping file, checked.

    Raises:
        InputError: it cannot be read or is none; the message names file, line and field.
    """
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    return parse_mapping(text, str(file))


def parse_mapping(text: str, name: str) -> Mapping:
    """The same from its text; ``name`` is what messages call it."""
    try:
        content = tomllib.loads(text)
        for field, what in wrong_codes(content.get("maps")):
            raise refused(text, name, f"maps.{field}", what)
        return msgspec.convert(content, Mapping)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: no TOML: {error}") from error
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise refused(text, name, where.rstrip("`").lstrip("."), what) from error


def refused(text: str, name: str, field: str, what: str) -> InputError:
    """What is wrong with a field (``record[0].data.qty``), with the line that it is on."""
    return InputError(f"{name}:{line_of(text, field)}: {field or 'the file'}: {what}")


def line_of(text: str, field: str) -> int:
    """The line of a field; of what holds it, if it has no line of its own."""
    wanted = re.findall(r"[^.\[\]]+", field)
    best, depth, table, counts = 1, 0, list[str](), dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        header = re.match(r"^\[(\[?)\s*([^\]]+?)\s*\]", stripped)
        if header is not None:
            names = [part.strip("\"' ") for part in header[2].split(".")]
            if header[1]:
                key = ".".join(names)
                counts[key] = counts.get(key, -1) + 1
            table = []
            for end in range(len(names)):
                table.append(names[end])
                opened = counts.get(".".join(names[: end + 1]))
                table += [] if opened is None else [str(opened)]
            here = table
        elif "=" in stripped and not stripped.startswith("#"):
            keys = stripped.partition("=")[0].strip().split(".")
            here = [*table, *(key.strip("\"' ") for key in keys)]
        else:
            continue
        if len(here) > depth and here == wanted[: len(here)]:
            best, depth = number, len(here)
    return best
