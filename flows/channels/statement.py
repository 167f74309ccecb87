"""A mapping as one SQL statement: from a batch of payloads to records and to what is wrong with them.

The statement asks the decoder for the members that the mapping names and for nothing else; every value leaves the
payload as text, so that what is no number, no time or no known code is seen and refused, never rounded or
dropped. What a field of a record may be is taken from the classes of ``schemas``.
"""

import json
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import duckdb
import msgspec
from msgspec import inspect

from flows.channels.mapping import OTHERS, Mapping, RecordMapping, Spec, Value
from schemas.envelope import Event
from schemas.errors import CrossdockError
from schemas.kinds import KIND_OF

TYPES: dict[str, type[Event]] = {kind.tag: event for event, kind in KIND_OF.items()}
_FACTORS = {"g": 1.0, "kg": 1000.0, "lb": 453.59237, "oz": 28.349523125} | {
    "cm3": 1.0,
    "l": 1000.0,
    "m3": 1_000_000.0,
}
_PER_SECOND = {"s": 1, "ms": 1000}
Tree = dict[str, Any]
"""Members of a payload that are asked for: of an object by name, of an array under ``_ELEMENT``."""
_ELEMENT = "[]"
UNRECOGNISED, PASSED_OVER = -1, -2
"""Kinds of a row that is no record: of a piece of a payload that nobody expects, and of one that somebody does."""


class WrongField(CrossdockError):
    """A field of a mapping cannot be what it is; ``field`` says which, as ``record[0].data.qty``."""

    def __init__(self, wrong: str, what: str) -> None:
        super().__init__(what)
        self.field = wrong


class Use(NamedTuple):
    """Where a field of a record comes from.

    Attributes:
        record: number of the record mapping.
        field: of the record, as ``data.lines.sku``.
        source: path in the payload (``line_items[].sku``), constant or SQL.
    """

    record: int
    field: str
    source: str


class Made(NamedTuple):
    """An expression for a value, and one for what is wrong with it (null: nothing)."""

    value: str
    problem: str = ""


@dataclass
class Scope:
    """What paths and SQL are relative to.

    Attributes:
        element: name of the element's column or lambda parameter; empty at the top.
        tree: members of it that are asked for.
        prefix: of its paths as people write them.
    """

    element: str
    tree: Tree
    prefix: str


@dataclass
class Statement:
    """What ``compile_mapping`` makes.

    Attributes:
        sql: takes a table ``batch(seq, raw)``, and ``channel_source()``, ``channel_tenant()`` and
            ``channel_network()``, since with parameters it were planned anew each time; gives (seq, n, kind,
            place, record, problems): of piece n of a payload the records, by number of their mapping and place
            in its ``each``; of a piece without any, why it has none.
        uses: of the payload, by field.
        paths: that are read, as ``line_items[].sku``.
    """

    sql: str = ""
    uses: list[Use] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)


def compile_mapping(mapping: Mapping, connection: duckdb.DuckDBPyConnection) -> Statement:
    """The statement of a mapping.

    Args:
        mapping: read from its file.
        connection: parses SQL.

    Raises:
        WrongField: a field is none of the record's, or cannot come from where it is said to.
    """
    return _Compiler(mapping, connection).compile()


class _Compiler:
    def __init__(self, mapping: Mapping, connection: duckdb.DuckDBPyConnection) -> None:
        self.mapping = mapping
        self.connection = connection
        self.root: Tree = {}
        self.made = Statement()
        self.at = ""  # field of the mapping that is being compiled
        self.number = 0  # of the record mapping
        self.currency = "NULL"  # of its money

    def compile(self) -> Statement:
        selects = [self._record(n, record) for n, record in enumerate(self.mapping.record)]
        why, kind = self._refusals()
        structure = _text(json.dumps(_structure(self.root)))
        # ``unnest`` keeps conditions on p from being answered by a decoder of their own
        self.made.sql = (
            f"WITH pieces AS MATERIALIZED (SELECT seq, n, unnest([from_json(piece, {structure})]) AS p "
            f"FROM ({_pieces(self.mapping.unwrap)})),\n"
            f"made AS MATERIALIZED ({f'{chr(10)}UNION ALL{chr(10)}'.join(selects)})\n"
            f"SELECT * FROM made UNION ALL\n"
            f"SELECT seq, n, {kind}, 0, NULL, [{why}] FROM pieces ANTI JOIN made USING (seq, n)\n"
            "ORDER BY seq, n, kind, place"
        )
        return self.made

    def _refusals(self) -> tuple[str, str]:
        """Why a piece without a record has none, and the kind of its row."""
        top, whens, kinds = Scope("", self.root, ""), [], []
        for number, refusal in enumerate(self.mapping.refuse):
            condition = self._sql(top, f"refuse[{number}].when", refusal.when)
            kind = PASSED_OVER if refusal.quiet else UNRECOGNISED
            whens.append(f"WHEN {condition} THEN {_text(refusal.why)}")
            kinds.append(f"WHEN {condition} THEN {kind}")
        unknown = _text("no record of the mapping is in it")
        if not whens:
            return unknown, str(UNRECOGNISED)
        return (
            f"CASE {' '.join(whens)} ELSE {unknown} END",
            f"CASE {' '.join(kinds)} ELSE {UNRECOGNISED} END",
        )

    def _record(self, number: int, record: RecordMapping) -> str:
        """The part of the statement that makes one kind of record."""
        self.number, self.at = number, f"record[{number}].type"
        if record.type not in TYPES:
            self._refuse(f"{record.type!r} is no record; there are {', '.join(sorted(TYPES))}")
        kind = inspect.type_info(TYPES[record.type])
        assert isinstance(kind, inspect.StructType)
        top = Scope("", self.root, "")
        scope, rows = top, "SELECT seq, n, 1 AS i, p FROM pieces"
        if record.each:
            scope, array = self._elements(top, record.each)
            rows = (
                f"SELECT seq, n, unnest({array}) AS e, generate_subscripts({array}, 1) AS i, p "
                "FROM pieces"
            )
        fields = {f.encode_name: f.type for f in kind.fields}
        content = next(f.type for f in kind.fields if f.encode_name == "data")
        assert isinstance(content, inspect.StructType)
        data = self._data(record)
        self.currency = self._currency(scope, data, content)
        members = {
            "specversion": Made("'1.0'"),
            "type": Made(_text(record.type)),
            "source": Made("channel_source()"),
            "id": self._spec(scope, "id", record.id, fields["id"], is_required=True),
            "time": self._spec(scope, "time", record.time, fields["time"], is_required=True),
        }
        subject = self._spec(scope, "subject", record.subject, fields["subject"], is_required=True)
        if record.xref:
            members["xref"] = Made(f"{_text(record.xref + ':')} || {subject.value}", subject.problem)
        else:
            members |= {"subject": subject, "tenant": Made("channel_tenant()")}
            members["network"] = Made("channel_network()")
            if record.network:
                made = self._spec(scope, "network", record.network, fields["network"], is_required=True)
                members["network"] = made
        members["data"] = self._struct(scope, "data", data, content)
        whole = _struct_of(members)
        condition = self._sql(scope, f"record[{number}].when", record.when) if record.when else "true"
        return (
            f"SELECT seq, n, {number} AS kind, i AS place, to_json({whole.value})::VARCHAR AS record, "
            f"{whole.problem or '[]::VARCHAR[]'} AS problems\nFROM ({rows}) WHERE {condition}"
        )

    def _elements(self, top: Scope, each: Spec) -> tuple[Scope, str]:
        """What is within an element of a record's ``each``, and the array."""
        self.at = f"record[{self.number}].each"
        if isinstance(each, str):
            return self._element_of(top, each, "e"), self._path(top, each)
        if not each.sql:
            self._refuse("is a path, or SQL that gives a list")
        return Scope("e", {}, "each[]"), self._sql(top, self.at, each.sql)

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
        """The currency of a record's money; what its schema says without one."""
        for known in content.fields:
            if known.encode_name == "currency" and "currency" in data:
                spec = self._parsed(data["currency"], f"record[{self.number}].data.currency")
                return self._converted("data.currency", self._raw(scope, spec), spec, known.type)[0]
        return "'EUR'"

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
        return _struct_of(members)

    def _any(self, scope: Scope, name: str, given: Any, about: inspect.Field) -> Made:
        kind = _not_null(about.type)
        if isinstance(kind, inspect.StructType) and isinstance(given, dict):
            made = self._struct(scope, name, given, kind)
            if about.required:
                return made
            inside = " AND ".join(f"({v}) IS NULL" for v in self._leaves(scope, given))
            problem = made.problem and f"CASE WHEN {inside} THEN [] ELSE {made.problem} END"
            return Made(f"CASE WHEN {inside} THEN NULL ELSE {made.value} END", problem)
        if isinstance(kind, inspect.ListType) and isinstance(given, dict) and "each" in given:
            return self._list(scope, name, given, kind, about)
        if isinstance(kind, inspect.ListType) and isinstance(given, list):
            return self._listed(scope, name, given, kind)
        return self._spec(scope, name, given, about.type, about.required, about)

    def _leaves(self, scope: Scope, given: AnyMapping[str, Any]) -> list[str]:
        """What the fields of an object are read from; it is there if any of them is."""
        read = []
        for member, one in given.items():
            spec = self._parsed(one, f"{self.at}.{member}")
            if spec.path:
                read.append(self._raw(scope, spec))
        return read or ["1"]

    def _list(
        self, scope: Scope, name: str, given: dict[str, Any], kind: inspect.ListType, about: inspect.Field
    ) -> Made:
        """An array: of objects, an element of the payload's array each."""
        item, path = kind.item_type, given["each"]
        if not isinstance(item, inspect.StructType):
            self._refuse("is an array of plain values; give its path")
        array = f"coalesce({self._path(scope, path)}, [])"
        inner = self._element_of(scope, path, "e")
        fields = {key: value for key, value in given.items() if key not in ("each", "when")}
        made, kept = self._struct(inner, name, fields, item), array
        if "when" in given:
            condition = self._sql(inner, f"record[{self.number}].{name}.when", given["when"])
            kept = f"list_filter({array}, lambda e, i: {condition})"
            made = Made(
                f"CASE WHEN {condition} THEN {made.value} END",
                made.problem and f"CASE WHEN {condition} THEN {made.problem} ELSE [] END",
            )
        problems = []
        if made.problem:
            problems.append(f"flatten(list_transform({array}, lambda e, i: {made.problem}))")
        if about.required:
            problems.append(
                _found(f"CASE WHEN len({kept}) = 0 THEN {_text(name + ': missing')} END")
            )
        value = f"list_transform({array}, lambda e, i: {made.value})"
        if kept != array:
            value = f"list_filter({value}, lambda x: x IS NOT NULL)"
        return Made(value, _joined(problems))

    def _listed(
        self, scope: Scope, name: str, given: list[Any], kind: inspect.ListType
    ) -> Made:
        """An array whose elements the mapping writes out, one by one."""
        item = kind.item_type
        if not isinstance(item, inspect.StructType) or not all(isinstance(g, dict) for g in given):
            self._refuse("is an array of plain values; give its path")
        made = [self._struct(scope, name, one, item) for one in given]
        problems = [one.problem for one in made if one.problem]
        return Made(f"[{', '.join(one.value for one in made)}]", _joined(problems))

    def _spec(
        self,
        scope: Scope,
        name: str,
        given: Any,
        kind: inspect.Type,
        is_required: bool = False,
        about: inspect.Field | None = None,
    ) -> Made:
        """A single value."""
        self.at = f"record[{self.number}].{name}"
        spec = self._parsed(given, self.at)
        raw = self._raw(scope, spec)
        source = spec.path and scope.prefix * spec.path.startswith(".") + spec.path
        self.made.uses.append(Use(self.number, name, source or spec.sql or str(spec.value)))
        converted, what = self._converted(name, raw, spec, _not_null(kind))
        problem = f"{raw} IS NOT NULL AND ({converted}) IS NULL"
        shown = "'a value'" if self._is_personal(source) else f"shortly({raw})"
        cases = [f"WHEN {problem} THEN {_text(name + ': ')} || {shown} || {_text(' is no ' + what)}"]
        value = converted
        if is_required:
            cases.append(f"WHEN {raw} IS NULL THEN {_text(name + ': missing')}")
        elif about is not None and not isinstance(kind, inspect.UnionType):
            value = f"coalesce({converted}, {_default(about)})"
        if converted == raw:  # a text is one
            cases = cases[1:]
        return Made(value, _found(f"CASE {' '.join(cases)} END") if cases else "")

    def _raw(self, scope: Scope, spec: Value) -> str:
        """What the payload says, as text; null if it says nothing."""
        if spec.path:
            said = f"nullif({self._path(scope, spec.path)}, '')"
        elif spec.sql:
            said = f"nullif(({self._sql(scope, self.at, spec.sql)})::VARCHAR, '')"
        else:
            said = _text(_plain(spec.value))
        return said if spec.default is None else f"coalesce({said}, {_text(_plain(spec.default))})"

    def _converted(self, name: str, raw: str, spec: Value, kind: inspect.Type) -> tuple[str, str]:
        """A text as a value of a kind, null if it is none; and what it would be."""
        if spec.map:
            if spec.map not in self.mapping.maps:
                self._refuse(f"there is no table maps.{spec.map}")
            plain = msgspec.structs.replace(spec, map="")
            ours = _looked_up(raw, self.mapping.maps[spec.map])
            return self._converted(name, ours, plain, kind)[0], f"code of maps.{spec.map}"
        if spec.token:
            return f"token(channel_source(), {raw})", "customer"
        if isinstance(kind, inspect.DateTimeType):
            return self._instant(raw, spec), "time"
        if isinstance(kind, inspect.BoolType):
            return f"truth({raw})", "yes or no"
        if isinstance(kind, inspect.FloatType):
            return f"number({raw})", "number"
        if isinstance(kind, inspect.IntType):
            if name.endswith("_minor") and spec.unit != "minor":
                return f"minor({raw}, {self.currency})", "amount of its currency"
            if spec.unit in _FACTORS:
                return f"measured({raw}, {_FACTORS[spec.unit]})", "number"
            return f"whole({raw})", "whole number"
        return raw, "text"

    def _instant(self, raw: str, spec: Value) -> str:
        if spec.unit:
            return f"instant_since_1970({raw}, {_PER_SECOND.get(spec.unit, 1)})"
        zone = _text(spec.zone or self.mapping.zone)
        if spec.form:
            return f"instant_of({raw}, {_text(spec.form)}, {zone})"
        return f"instant({raw}, {zone})"

    def _parsed(self, given: Any, at: str) -> Value:
        """A path, or a table that says where a value comes from."""
        self.at = at
        if isinstance(given, Value):
            spec = given
        else:
            try:
                spec = msgspec.convert({"path": given} if isinstance(given, str) else given, Value)
            except msgspec.ValidationError as error:
                self._refuse(str(error).replace(" - at `$`", ""))
        if sum((bool(spec.path), bool(spec.sql), spec.value is not None)) != 1:
            self._refuse("needs one of path, value and sql")
        return spec

    def _path(self, scope: Scope, path: str) -> str:
        """The expression of a path, which is asked for from here on."""
        within = path.startswith(".")
        if within and not scope.element:
            self._refuse(f"{path!r} is within an element, but there is no each")
        names = path.removeprefix(".").split(".")
        tree, column = (scope.tree, scope.element) if within else (self.root, "p")
        _enter(tree, names)
        self.made.paths.add((scope.prefix if within else "") + path)
        return ".".join([column, *map(_name, names)])

    def _element_of(self, scope: Scope, path: str, element: str) -> Scope:
        """What is within an element of an array."""
        within = path.startswith(".")
        names = path.removeprefix(".").split(".")
        tree = _enter(scope.tree if within else self.root, names)
        prefix = (scope.prefix if within else "") + path + "[]"
        return Scope(element, tree.setdefault(_ELEMENT, {}), prefix)

    def _sql(self, scope: Scope, at: str, expression: str) -> str:
        """An expression of the mapping; the members that it names are asked for."""
        self.at = at
        question = "SELECT json_serialize_sql(?)"
        (answer,) = self.connection.execute(question, [f"SELECT {expression}"]).fetchone() or ("{}",)
        parsed = json.loads(answer)
        if parsed.get("error"):
            self._refuse(f"no SQL: {parsed.get('error_message', 'it cannot be read')}")
        nodes = [one["node"] for one in parsed["statements"]]
        if len(nodes) != 1 or len(nodes[0].get("select_list", [])) != 1 or _has_query(nodes[0]):
            self._refuse("is more than one expression, or holds a query")
        for column, *names in _columns(parsed):
            if column == "p" and names:
                self._path(scope, ".".join(names))
            elif column == "e" and names and scope.element:
                self._path(scope, "." + ".".join(names))
            elif column not in ("p", "e", "i"):
                self._refuse(f"{column!r} is none of p (the payload), e (the element) and i (its number)")
        return f"({expression})"

    def _is_personal(self, source: str) -> bool:
        return any(source == path or source.startswith(path + ".") for path in self.mapping.personal)

    def _refuse(self, what: str) -> NoReturn:
        raise WrongField(self.at, what)


def _enter(tree: Tree, names: list[str]) -> Tree:
    """The members below a path; made if they are not asked for yet."""
    for name in names:
        tree = tree.setdefault(name, {})
    return tree


def _structure(tree: Tree) -> Any:
    """What ``from_json`` is to look for: texts, in objects and arrays."""
    if not tree:
        return "VARCHAR"
    if _ELEMENT in tree:
        return [_structure(tree[_ELEMENT])]
    return {name: _structure(below) for name, below in tree.items()}


def _pieces(unwrap: list[str]) -> str:
    """Payloads, or what their envelopes hold; an array is what it holds."""
    at = [_text("$." + ".".join(f'"{name}"' for name in path.split("."))) for path in unwrap]
    found = [f"(kinds[{n}] IN ('ARRAY', 'OBJECT'))" for n in range(2, len(at) + 2)]
    held = []
    for n, path in enumerate(unwrap):
        within = [found[m] for m, other in enumerate(unwrap) if other.startswith(path + ".")]
        unless = "".join(f"WHEN {inner} THEN [] " for inner in within)
        held.append(
            f"CASE {unless}WHEN kinds[{n + 2}] = 'ARRAY' THEN json_extract(raw, {at[n][:-1]}[*]') "
            f"WHEN kinds[{n + 2}] = 'OBJECT' THEN [json_extract(raw, {at[n]})] ELSE [] END"
        )
    inside = f"WHEN {' OR '.join(found)} THEN {_joined(held)} " if held else ""
    return (
        "SELECT seq, unnest(pieces) AS piece, generate_subscripts(pieces, 1) AS n FROM (SELECT seq, "
        f"CASE WHEN kinds[1] = 'ARRAY' THEN json_extract(raw, '$[*]') {inside}ELSE [raw] END AS pieces "
        f"FROM (SELECT seq, raw, json_type(raw, ['$', {', '.join(at)}]) AS kinds "
        "FROM (SELECT seq, raw::JSON AS raw FROM batch)))"
    )


def _looked_up(raw: str, codes: AnyMapping[str, str]) -> str:
    """What a table of codes says; null for a code that it does not have."""
    whens = [f"WHEN {_text(t)} THEN {_text(ours)}" for t, ours in codes.items() if t != OTHERS]
    others = codes.get(OTHERS)
    rest = raw if others == OTHERS else "NULL" if others is None else _text(others)
    # in a table without a code, one that no text equals
    return f"CASE {raw} {' '.join(whens) or 'WHEN NULL THEN NULL'} ELSE {rest} END"


def _columns(parsed: Any) -> list[list[str]]:
    """Names that an expression uses, in all its parts; those of its own lambdas left out."""
    found, bound = [], set[str]()

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for one in node:
                walk(one)
        elif isinstance(node, dict):
            if node.get("class") == "LAMBDA":
                for one in _columns(node.get("lhs")):
                    bound.add(one[0])
            if node.get("class") == "COLUMN_REF":
                found.append(node["column_names"])
            for one in node.values():
                walk(one)

    walk(parsed)
    return [names for names in found if names[0] not in bound]


def _has_query(select: Any) -> bool:
    """Whether an expression reads anything but its payload."""
    said = json.dumps([select["select_list"], select["where_clause"]])
    return '"SUBQUERY"' in said or select["from_table"]["type"] != "EMPTY"


def _struct_of(members: AnyMapping[str, Made]) -> Made:
    value = ", ".join(f"{_text(name)}: {made.value}" for name, made in members.items())
    return Made(f"{{{value}}}" if value else "'{}'::JSON", _joined([made.problem for made in members.values() if made.problem]))


def _joined(problems: list[str]) -> str:
    """Lists of problems as one."""
    return f"list_concat({', '.join(problems)})" if len(problems) > 1 else "".join(problems)


def _found(case: str) -> str:
    """A list of the problem, or of none."""
    return f"list_filter([{case}], lambda x: x IS NOT NULL)"


def _not_null(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.Metadata):
        return _not_null(kind.type)
    if isinstance(kind, inspect.UnionType):
        return next(t for t in kind.types if not isinstance(t, inspect.NoneType))
    return kind


def _default(about: inspect.Field) -> str:
    """What a record's schema takes where nothing is said."""
    default = about.default
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) if isinstance(default, int | float) else _text(_plain(default))


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "value", value))


def _text(said: str) -> str:
    return "'" + said.replace("'", "''") + "'"


def _name(said: str) -> str:
    return '"' + said.replace('"', '""') + '"'
