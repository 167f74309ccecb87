"""A mapping as one SQL statement: from a batch of payloads to records and to what is wrong with them.

The statement asks the decoder for the members that the mapping names and for nothing else; every value leaves
the payload as text, so that what is no number, no time or no known code is seen and refused, never rounded or
dropped. What a field of a record may be is taken from the classes of ``schemas``.
"""

import json
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import duckdb
import msgspec
from msgspec import inspect

from flows.channels.expressions import (
    ELEMENT,
    PASSED_OVER,
    UNRECOGNISED,
    WITHIN,
    Converted,
    Made,
    Tree,
    bounded,
    columns,
    default_of,
    elements,
    enter,
    found,
    has_query,
    joined,
    looked_up,
    not_null,
    pieces,
    plain,
    quoted,
    read_text,
    struct_of,
    structure,
    text,
)
from flows.channels.mapping import OTHERS, Mapping, RecordMapping, Value
from schemas.codec import MAX_LINE_BYTES
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


class FieldError(CrossdockError):
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


class Said(NamedTuple):
    """What a payload says for a field.

    Attributes:
        name: of the field.
        raw: expression of it, a text or null.
        shown: how a problem quotes it.
        default: of the field, where it has one.
        is_required: whether it must be there.
    """

    name: str
    raw: str
    shown: str
    default: str
    is_required: bool


@dataclass
class Scope:
    """What paths and SQL are relative to.

    Attributes:
        element: name of the element's column or lambda parameter; empty at the top.
        tree: members of it that are asked for.
        prefix: of its paths as people write them.
        outer: what holds its array, where that is an element itself.
    """

    element: str
    tree: Tree
    prefix: str
    outer: "Scope | None" = None


@dataclass
class Statement:
    """What a ``Compiler`` makes.

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


class Compiler:
    """Makes the statement of a mapping; ``quick.py`` has one that does not say what is wrong."""

    def __init__(self, mapping: Mapping, connection: duckdb.DuckDBPyConnection) -> None:
        """Prepare.

        Args:
            mapping: read from its file.
            connection: parses SQL.
        """
        self.mapping = mapping
        self.connection = connection
        self.root: Tree = {}
        self.made = Statement()
        self.at = ""  # field of the mapping that is being compiled
        self.number = 0  # of the record mapping
        self.currency = "NULL"  # of its money
        self.nothing: list[str] = []  # conditions under which it is known to be none
        self.read: list[str] = []  # paths of the value that is being compiled

    def compile(self) -> Statement:
        """The statement.

        Raises:
            FieldError: a field is none of the record's, or cannot come from where it is said to.
        """
        selects = [self._record(n, record) for n, record in enumerate(self.mapping.record)]
        self.made.sql = self._whole("\nUNION ALL\n".join(selects))
        return self.made

    def _whole(self, selects: str) -> str:
        """The statement, of what selects the records."""
        why, kind = self._refusals()
        # ``unnest`` keeps conditions on p from being answered by a decoder of their own
        return (
            f"WITH pieces AS MATERIALIZED (SELECT seq, n, unnest([from_json(piece, {self._asked()})]) AS p "
            f"FROM ({self._held()})),\n"
            f"made AS MATERIALIZED ({selects})\n"
            f"SELECT * FROM made UNION ALL\n"
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
        self.number, self.at, self.nothing = number, f"record[{number}].type", []
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
        if record.xref:
            members["xref"] = Made(f"{text(record.xref + ':')} || {subject.value}", subject.problem)
        else:
            members |= {"subject": subject, "tenant": Made("channel_tenant()")}
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
        columns_of = self._columns(self._object(members), is_none)
        # once for all lines, not for each
        rows = f"SELECT *, minor_units({self.currency}) AS units FROM ({rows}) AS p"
        return f"SELECT seq, n, {number} AS kind, place, {columns_of}\nFROM ({rows}) AS p WHERE {condition}"

    def _columns(self, whole: Made, is_none: str) -> str:
        """Columns of a row: the record and what is wrong with it."""
        value, problems = f"to_json({whole.value})::VARCHAR", whole.problem or "[]::VARCHAR[]"
        if is_none:
            value = f"CASE WHEN NOT {is_none} THEN {value} END"
            problems = f"CASE WHEN {is_none} THEN [] ELSE {problems} END"
        return f"{value} AS record, {problems} AS problems"

    _kept = "seq, n, p"
    """Columns of a payload that go with its elements."""

    def _rows(self, record: RecordMapping) -> tuple[Scope, str]:
        """What becomes a record each: a payload, or an element of its ``each``."""
        scope, each, place = Scope("", self.root, ""), record.each, "i"
        if not each:
            return scope, f"SELECT {self._kept}, 1 AS i, 1 AS place FROM pieces AS p"
        self.at = f"record[{self.number}].each"
        rows, kept = "pieces", self._kept
        if isinstance(each, Value):
            if not each.sql:
                self._refuse("is a path, or SQL that gives a list")
            element, array = Scope("e", {}, "each[]"), self._sql(scope, self.at, each.sql)
        else:
            *holder, inner = each.split("[].")
            if len(holder) > 1:
                self._refuse("is more than an array in the elements of another")
            for path in holder:
                array = self._path(scope, path)
                scope = self._element_of(scope, path, "o")
                rows = f"(SELECT {kept}, {elements(array, 'o', 'h')} FROM pieces AS p)"
                # in the order of the holders; no payload has room for a million elements
                kept, inner, place = f"{self._kept}, o, h", f".{inner}", "h * 1000000 + i"
            array, element = self._path(scope, inner), self._element_of(scope, inner, "e")
            element.outer = scope if holder else None
        numbered = elements(array, "e", "i", record.newest_first)
        return (
            element,
            f"SELECT *, {place} AS place FROM (SELECT {kept}, {numbered} FROM {rows} AS p) AS p",
        )

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
                return self._converted(
                    "data.currency", self._raw(scope, spec), spec, known.type
                ).value
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
        return self._spec(scope, name, given, about.type, about.required, about)

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
            problems.append(self._problem_when(f"len({kept}) = 0", text(name + ": missing")))
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
        self.read = []
        raw = self._raw(scope, spec)
        is_personal = any(map(self._is_personal, self.read))
        source = spec.path and scope.prefix * spec.path.startswith(".") + spec.path
        self.made.uses.append(Use(self.number, name, source or spec.sql or str(spec.value)))
        converted = self._converted(name, raw, spec, not_null(kind))
        has_default = about is not None and not isinstance(kind, inspect.UnionType)
        default = default_of(about) if about and has_default and not is_required else ""
        shown = "'a value'" if is_personal else f"shortly({raw})"
        return self._judged(Said(name, raw, shown, default, is_required), converted, spec)

    def _judged(self, said: Said, converted: Converted, spec: Value) -> Made:
        """A converted value, and what is wrong with what was said."""
        cases, value = [], converted.value
        if converted.valid:
            wrong = text(f" is no {converted.what}")
            if converted.bounds:
                beyond = text(f" is not {converted.bounds}")
                wrong = f"CASE WHEN ({value}) IS NULL THEN {wrong} ELSE {beyond} END"
            cases.append(
                f"WHEN {said.raw} IS NOT NULL AND ({converted.valid}) IS NOT TRUE "
                f"THEN {text(said.name + ': ')} || {said.shown} || {wrong}"
            )
        if said.is_required:
            cases.append(f"WHEN {said.raw} IS NULL THEN {text(said.name + ': missing')}")
        if said.default:
            value = f"coalesce({value}, {said.default})"
        return Made(value, found(f"CASE {' '.join(cases)} END") if cases else "")

    def _joined(self, problems: list[str]) -> str:
        """Problems as one; empty if there are none."""
        return joined(problems)

    def _problem_when(self, condition: str, what: str) -> str:
        return found(f"CASE WHEN {condition} THEN {what} END")

    def _problem_if(self, condition: str, problem: str) -> str:
        """A problem that is one under a condition only."""
        return problem and f"CASE WHEN {condition} THEN {problem} ELSE [] END"

    def _problem_in(self, array: str, each: str, problem: str) -> str:
        """What is wrong with the elements of an array."""
        return f"flatten(list_transform({array}, lambda {each}: {problem}))"

    def _raw(self, scope: Scope, spec: Value) -> str:
        """What the payload says, as text; null if it says nothing."""
        if spec.path:
            said = f"nullif({self._path(scope, spec.path)}, '')"
        elif spec.sql:
            said = f"nullif(({self._sql(scope, self.at, spec.sql)})::VARCHAR, '')"
        else:
            said = text(plain(spec.value))
        return said if spec.default is None else f"coalesce({said}, {text(plain(spec.default))})"

    def _converted(self, name: str, raw: str, spec: Value, kind: inspect.Type) -> Converted:
        """A text as a value of a kind, null if it is none."""
        if spec.map:
            return self._mapped(name, raw, spec, kind)
        if spec.token:
            return Converted(f"token(channel_source(), {raw})", "customer")
        if isinstance(kind, inspect.EnumType):
            words = ", ".join(text(member.value) for member in kind.cls)
            return Converted(raw, kind.cls.__name__, f"{raw} IN ({words})")
        if isinstance(kind, inspect.StrType):
            longest = kind.max_length or MAX_LINE_BYTES
            return Converted(
                raw, f"text of at most {longest} characters", f"length({raw}) <= {longest}"
            )
        if isinstance(kind, inspect.FloatType):
            return bounded(f"number({raw})", "number", kind)
        if isinstance(kind, inspect.IntType):
            if name.endswith("_minor") and spec.unit != "minor":
                return bounded(self._money(raw), "amount of its currency", kind)
            if spec.unit in _FACTORS:
                return bounded(f"measured({raw}, {_FACTORS[spec.unit]})", "number", kind)
            return bounded(f"whole({raw})", "whole number", kind)
        value, what = f"truth({raw})", "yes or no"
        if isinstance(kind, inspect.DateTimeType):
            value, what = self._instant(raw, spec), "time"
        return Converted(value, what, f"({value}) IS NOT NULL")

    def _money(self, raw: str) -> str:
        """An amount in minor units of the record's currency."""
        return f"minor({raw}, units)"

    def _mapped(self, name: str, raw: str, spec: Value, kind: inspect.Type) -> Converted:
        """A code by its table; one that becomes nothing leaves the record out."""
        if spec.map not in self.mapping.maps:
            self._refuse(f"there is no table maps.{spec.map}")
        codes = self.mapping.maps[spec.map]
        ours = looked_up(raw, codes)
        made = self._converted(name, ours, msgspec.structs.replace(spec, map=""), kind)
        if isinstance(kind, inspect.EnumType):
            words = [member.value for member in kind.cls]
            self._check_codes(spec.map, codes, words)
            if "" not in words and "" in codes.values():
                self.nothing.append(f"{ours} = ''")
                made = made._replace(valid=f"{made.valid} OR {ours} = ''")
        return made._replace(what=f"code of maps.{spec.map}", bounds="")

    def _check_codes(self, table: str, codes: AnyMapping[str, str], words: list[str]) -> None:
        for theirs, ours in codes.items():
            if ours and ours not in words and (theirs, ours) != (OTHERS, OTHERS):
                self.at = f"maps.{table}.{theirs}"
                self._refuse(f"{ours!r} is none of {', '.join(filter(None, words))}")

    def _instant(self, raw: str, spec: Value) -> str:
        if spec.unit:
            return f"instant_since_1970({raw}, {_PER_SECOND.get(spec.unit, 1)})"
        zone = text(spec.zone or self.mapping.zone)
        if spec.form:
            return f"instant_of({raw}, {text(spec.form)}, {zone})"
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
        enter(tree, names)
        self.read.append((scope.prefix if within else "") + path)
        self.made.paths.add(self.read[-1])
        return ".".join([column, *map(quoted, names)])

    def _element_of(self, scope: Scope, path: str, element: str) -> Scope:
        """What is within an element of an array."""
        within = path.startswith(".")
        names = path.removeprefix(".").split(".")
        tree = enter(scope.tree if within else self.root, names)
        prefix = (scope.prefix if within else "") + path + "[]"
        return Scope(element, tree.setdefault(ELEMENT, {}), prefix)

    def _sql(self, scope: Scope, at: str, expression: str) -> str:
        """An expression of the mapping; the members that it names are asked for."""
        self.at = at
        question = "SELECT json_serialize_sql(?)"
        (answer,) = self.connection.execute(question, [f"SELECT {expression}"]).fetchone() or (
            "{}",
        )
        parsed = json.loads(answer)
        if parsed.get("error"):
            self._refuse(f"no SQL: {parsed.get('error_message', 'it cannot be read')}")
        nodes = [one["node"] for one in parsed["statements"]]
        if len(nodes) != 1 or len(nodes[0].get("select_list", [])) != 1 or has_query(nodes[0]):
            self._refuse("is more than one expression, or holds a query")
        named = columns(parsed)
        for column, *names in named:
            if column == "p" and names:
                self._path(scope, ".".join(names))
            elif column == "e" and names and scope.element:
                self._path(scope, "." + ".".join(names))
            elif column == "o" and names and scope.outer:
                self._path(scope.outer, "." + ".".join(names))
            elif column not in ("p", "e", "i"):
                self._refuse(
                    f"{column!r} is none of p (the payload), e (the element) and i (its number)"
                )
        return f"({expression})" if scope.element != WITHIN["e"] else self._renamed(parsed, named)

    def _renamed(self, parsed: Any, named: list[list[str]]) -> str:
        """An expression of what is within an array in a record."""
        for names in named:
            names[0] = WITHIN.get(names[0], names[0])
        question = "SELECT json_deserialize_sql(?)"
        (said,) = self.connection.execute(question, [json.dumps(parsed)]).fetchone() or ("",)
        return f"({said.removeprefix('SELECT ')})"

    def _is_personal(self, source: str) -> bool:
        return any(
            source == path or source.startswith((f"{path}.", f"{path}["))
            for path in self.mapping.personal
        )

    def _refuse(self, what: str) -> NoReturn:
        raise FieldError(self.at, what)
