"""A mapping as one SQL statement: from a batch of payloads to records and to what is wrong with them.

The statement asks the decoder for the members that the mapping names and for nothing else; every value leaves
the payload as text, so that what is no number, no time or no known code is seen and refused, never rounded or
dropped. What a field of a record may be is taken from the classes of ``schemas``.
"""

import json
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from typing import Any

from msgspec import inspect

from flows.channels.expressions import (
    OVERSIZED,
    PASSED_OVER,
    UNRECOGNISED,
    WITHIN,
    Made,
    elements,
    not_null,
    numbered,
    pieces,
    read_text,
    struct_of,
    structure,
    text,
)
from flows.channels.mapping import RecordMapping, Value
from flows.channels.spread import TOO_HEAVY, is_heavy
from flows.channels.values import Scope, Statement, ValueCompiler
from schemas.envelope import Event
from schemas.kinds import KIND_OF, Kind

TYPES: dict[str, type[Event]] = {kind.tag: event for event, kind in KIND_OF.items()}
STATES = {
    kind.tag
    for kind in (
        Kind.ORDER_RECEIVED,
        Kind.ORDER_AMENDED,
        Kind.INVENTORY_COUNTED,
        Kind.SUPPLY_PLANNED,
    )
}
"""Records that say how a thing is. Platforms date its states by the second, and two of one second are two
records: their ids have a hash of what they say. What a mended mapping makes of the same state is another one
as well, which does no harm: the router knows states by what they are about. Of all others, one id is one
record."""


def money_in(data: AnyMapping[str, Any]) -> Iterator[str]:
    """The fields among these that are amounts."""
    for name, given in data.items():
        if name.endswith("_minor"):
            yield name
        for one in given if isinstance(given, list) else [given]:
            if isinstance(one, dict):
                yield from (f"{name}.{inner}" for inner in money_in(one))


class Compiler(ValueCompiler):
    """Makes the statement of a mapping; ``quick.py`` has one that does not say what is wrong."""

    def compile(self) -> Statement:
        """The statement.

        Raises:
            FieldError: a field is none of the record's, or cannot come from where it is said to.
        """
        selects = [self._record(n, record) for n, record in enumerate(self.mapping.record)]
        self._refuse_wholes()
        self.made.sql = self._whole("\nUNION ALL\n".join(selects))
        return self.made

    def _whole(self, selects: str) -> str:
        """The statement, of what selects the records."""
        why, kind = self._refusals()
        # ``unnest`` keeps conditions on p from being answered by a decoder of their own
        read = (
            f"SELECT seq, n, strlen(piece) AS raw_bytes, unnest([from_json(piece, {self._asked()})]) AS p "
            f"FROM ({self._held()})"
        )
        heavy = is_heavy(self.root, self.lists) or "false"
        return (
            f"WITH weighed AS MATERIALIZED (SELECT seq, n, p, {heavy} AS is_heavy FROM ({read})),\n"
            "pieces AS (SELECT seq, n, p FROM weighed WHERE NOT is_heavy),\n"
            f"made AS MATERIALIZED ({selects})\n"
            f"SELECT * FROM made UNION ALL\n"
            f"SELECT seq, n, {OVERSIZED}, 0, NULL, [{text(TOO_HEAVY)}] FROM weighed WHERE is_heavy "
            "UNION ALL\n"
            f"SELECT seq, n, {kind}, 0, NULL, [{why}] FROM pieces ANTI JOIN made USING (seq, n)\n"
            "ORDER BY seq, n, kind, place"
        )

    def _asked(self) -> str:
        """What the decoder is to look for."""
        return text(json.dumps(structure(self.root)))

    def _held(self) -> str:
        """What the payloads of a batch hold, as JSON."""
        held = pieces(self.mapping.unwrap)
        for path in self.mapping.texts:
            held = f"SELECT seq, n, {read_text(path)} AS piece FROM ({held})"
        return held

    def _refusals(self) -> tuple[str, str]:
        """Why a piece without a record has none, and the kind of its row."""
        top, whens, kinds = Scope("", self.root, ""), [], []
        for number, refusal in enumerate(self.mapping.refuse):
            condition = self._sql(top, f"refuse[{number}].when", refusal.when)
            kind = PASSED_OVER if refusal.quiet else UNRECOGNISED
            whens.append(f"WHEN {condition} THEN {text(refusal.why)}")
            kinds.append(f"WHEN {condition} THEN {kind}")
        unknown = text("no record of the mapping is in it")
        if not whens:
            return unknown, str(UNRECOGNISED)
        return (
            f"CASE {' '.join(whens)} ELSE {unknown} END",
            f"CASE {' '.join(kinds)} ELSE {UNRECOGNISED} END",
        )

    def _record(self, number: int, record: RecordMapping) -> str:
        """The part of the statement that makes one kind of record."""
        self.number, self.at = number, f"record[{number}].type"
        self.nothing, self.numbers = [], set()
        if record.type not in TYPES:
            self._refuse(f"{record.type!r} is no record; there are {', '.join(sorted(TYPES))}")
        kind = inspect.type_info(TYPES[record.type])
        assert isinstance(kind, inspect.StructType)
        scope, rows = self._rows(record)
        fields = {f.encode_name: f.type for f in kind.fields}
        content = next(f.type for f in kind.fields if f.encode_name == "data")
        assert isinstance(content, inspect.StructType)
        data = self._data(record)
        if record.assigns and (record.xref or "package" not in data):
            self.at = f"record[{number}].assigns"
            self._refuse("is for a record whose subject is known and whose data has a package")
        self.currency = self._currency(scope, data, content)
        members = {
            "specversion": Made("'1.0'"),
            "type": Made(text(record.type)),
            "source": Made("channel_source()"),
            "id": self._spec(scope, "id", record.id, fields["id"], is_required=True),
            "time": self._spec(scope, "time", record.time, fields["time"], is_required=True),
        }
        subject = self._spec(scope, "subject", record.subject, fields["subject"], is_required=True)
        tenant = Made("channel_tenant()")
        if record.xref:
            xref = Made(f"{text(record.xref + ':')} || {subject.value}", subject.problem)
            members |= {"xref": xref, "tenant": tenant}
        else:
            members |= {"subject": subject, "tenant": tenant}
            members["network"] = Made("channel_network()")
            if record.network:
                made = self._spec(
                    scope, "network", record.network, fields["network"], is_required=True
                )
                members["network"] = made
        members["data"] = self._struct(scope, "data", data, content)
        condition = (
            self._sql(scope, f"record[{number}].when", record.when) if record.when else "true"
        )
        is_none = f"coalesce({' OR '.join(self.nothing)}, false)" if self.nothing else ""
        # once for all lines, not for each
        units = f"minor_units({self.currency}) AS units"
        rows = f"(SELECT *, {units} FROM ({rows}) AS {self._alias}) AS {self._alias}"
        return self._selected(self._object(members), rows, condition, is_none)

    def _selected(self, whole: Made, rows: str, condition: str, is_none: str) -> str:
        """A row for each record: it and what is wrong with it."""
        said, problems = whole.value, whole.problem or "[]::VARCHAR[]"
        if self._is_state():  # a lambda binds what would be worked out at each mention
            said = f"list_transform([{said}], lambda r: stated(r))[1]"
        value = f"to_json({said})::VARCHAR"
        if is_none:
            value = f"CASE WHEN NOT {is_none} THEN {value} END"
            problems = f"CASE WHEN {is_none} THEN [] ELSE {problems} END"
        return (
            f"SELECT seq, n, {self.number} AS kind, place, {value} AS record, {problems} AS problems\n"
            f"FROM {rows} WHERE {condition}"
        )

    def _is_state(self) -> bool:
        return self.mapping.record[self.number].type in STATES

    _kept = "seq, n, p"
    """Columns of a payload that go with its elements."""

    _alias = "payloads"
    """Of the rows, and not p: else a member p.n would be the column n of theirs."""

    def _rows(self, record: RecordMapping) -> tuple[Scope, str]:
        """What becomes a record each: a payload, or an element of its ``each``."""
        scope, each, place = Scope("", self.root, ""), record.each, "i"
        if not each:
            return scope, f"SELECT {self._kept}, 1 AS i, 1 AS place FROM pieces AS {self._alias}"
        self.at = f"record[{self.number}].each"
        rows, kept = "pieces", self._kept
        if isinstance(each, Value):
            if not each.sql:
                self._refuse("is a path, or SQL that gives a list")
            element, array = Scope("e", {}, "each[]"), self._sql(scope, self.at, each.sql)
            self.lists.append(array)
        else:
            *holder, inner = each.split("[].")
            if len(holder) > 1:
                self._refuse("is more than an array in the elements of another")
            for path in holder:
                array = self._path(scope, path)
                scope = self._element_of(scope, path, "o")
                rows = f"(SELECT {kept}, {elements(array, 'o', 'h')} FROM pieces AS {self._alias})"
                # in the order of the holders; no payload has room for a million elements
                kept, inner, place = f"{self._kept}, o, h", f".{inner}", "h * 1000000 + i"
            array, element = self._path(scope, inner), self._element_of(scope, inner, "e")
            element.outer = scope if holder else None
        columns = elements(array, "e", "i", record.newest_first)
        if record.alike:
            self.at = f"record[{self.number}].alike"
            in_order = f"list_reverse({array})" if record.newest_first else array
            columns += f", {numbered(in_order, self._path(element, record.alike))}"
        inside = f"(SELECT {kept}, {columns} FROM {rows} AS {self._alias})"
        return element, f"SELECT *, {place} AS place FROM {inside} AS {self._alias}"

    def _data(self, record: RecordMapping) -> dict[str, Any]:
        """A record's fields, with those of the one that it is like."""
        if not record.like:
            return record.data
        self.at = f"record[{self.number}].like"
        for other in reversed(self.mapping.record[: self.number]):
            if other.type == record.like and not other.like:
                return other.data | record.data
        self._refuse(f"there is no record of type {record.like!r} above")

    def _currency(self, scope: Scope, data: dict[str, Any], content: inspect.StructType) -> str:
        """The currency of a record's money; no record has money of a currency that nobody has said."""
        known = {f.encode_name: f.type for f in content.fields}
        self.money = next(money_in(data), "") if "currency" in known else ""
        self.at = f"record[{self.number}].data.currency"
        if "currency" in known and "currency" in data:
            spec = self._parsed(data["currency"], self.at)
            raw = self._raw(scope, spec)
            return self._converted("data.currency", raw, spec, known["currency"]).value
        if self.money:
            self._refuse(
                f'data.{self.money} is money: say of which currency, as currency = "PATH" or '
                'currency = { value = "EUR" }'
            )
        return "'EUR'"  # of what has no currency of its own

    def _struct(
        self, scope: Scope, name: str, given: AnyMapping[str, Any], kind: inspect.StructType
    ) -> Made:
        """An object, of the fields that are given and the defaults of the others."""
        known = {f.encode_name: f for f in kind.fields}
        members = {}
        for member in given:
            self.at = f"record[{self.number}].{name}.{member}"
            if member not in known:
                self._refuse(f"is no field of {kind.cls.__name__}; it has {', '.join(known)}")
        for member, about in known.items():
            at = f"{name}.{member}"
            self.at = f"record[{self.number}].{at}"
            if member in given:
                members[member] = self._any(scope, at, given[member], about)
            elif about.required:
                self._refuse(f"{kind.cls.__name__} needs it; say where it comes from")
        return self._object(members)

    def _object(self, members: AnyMapping[str, Made]) -> Made:
        problems = [made.problem for made in members.values() if made.problem]
        return Made(struct_of(members), self._joined(problems))

    def _any(self, scope: Scope, name: str, given: Any, about: inspect.Field) -> Made:
        kind = not_null(about.type)
        if isinstance(kind, inspect.StructType) and isinstance(given, dict):
            made = self._struct(scope, name, given, kind)
            if about.required:
                return made
            inside = " AND ".join(f"({v}) IS NULL" for v in self._leaves(scope, given))
            problem = self._problem_if(f"NOT ({inside})", made.problem)
            return Made(f"CASE WHEN {inside} THEN NULL ELSE {made.value} END", problem)
        if isinstance(kind, inspect.ListType) and isinstance(given, dict) and "each" in given:
            return self._list(scope, name, given, kind, about)
        if isinstance(kind, inspect.ListType) and isinstance(given, list):
            return self._listed(scope, name, given, kind)
        is_required = about.required or bool(name == "data.currency" and self.money)
        return self._spec(scope, name, given, about.type, is_required, about)

    def _leaves(self, scope: Scope, given: AnyMapping[str, Any]) -> list[str]:
        """What the fields of an object are read from; it is there if any of them is."""
        read = []
        for member, one in given.items():
            spec = self._parsed(one, f"{self.at}.{member}")
            if spec.path or spec.sql:
                read.append(self._raw(scope, spec))
        return read or ["1"]

    def _list(
        self,
        scope: Scope,
        name: str,
        given: dict[str, Any],
        kind: inspect.ListType,
        about: inspect.Field,
    ) -> Made:
        """An array: of objects, an element of the payload's array each."""
        item, path = kind.item_type, given["each"]
        if not isinstance(item, inspect.StructType):
            self._refuse("is an array of plain values; give its path")
        array = f"coalesce({self._path(scope, path)}, [])"
        inner, each = self._element_of(scope, path, WITHIN["e"]), ", ".join(WITHIN.values())
        inner.outer = scope.outer
        fields = {key: value for key, value in given.items() if key not in ("each", "when")}
        made, kept = self._struct(inner, name, fields, item), array
        if "when" in given:
            condition = self._sql(inner, f"record[{self.number}].{name}.when", given["when"])
            kept = f"list_filter({array}, lambda {each}: {condition})"
            made = Made(
                f"CASE WHEN {condition} THEN {made.value} END",
                self._problem_if(condition, made.problem),
            )
        problems = [self._problem_in(array, each, made.problem)] if made.problem else []
        if about.required:
            problems += self._none_of(kept, name, kind)
        value = f"list_transform({array}, lambda {each}: {made.value})"
        if kept != array:
            value = f"list_filter({value}, lambda x: x IS NOT NULL)"
        return Made(value, self._joined(problems))

    def _listed(self, scope: Scope, name: str, given: list[Any], kind: inspect.ListType) -> Made:
        """An array whose elements the mapping writes out, one by one."""
        item = kind.item_type
        if not isinstance(item, inspect.StructType) or not all(isinstance(g, dict) for g in given):
            self._refuse("is an array of plain values; give its path")
        made = [self._struct(scope, name, one, item) for one in given]
        problems = [one.problem for one in made if one.problem]
        return Made(f"[{', '.join(one.value for one in made)}]", self._joined(problems))
