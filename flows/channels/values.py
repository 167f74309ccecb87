"""A value of a record as SQL: where it comes from, what it becomes, and what is wrong with what was said."""

import json
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import duckdb
import msgspec
from msgspec import inspect

from flows.channels.expressions import (
    ELEMENT,
    WITHIN,
    Converted,
    Made,
    Tree,
    bounded,
    columns,
    default_of,
    enter,
    found,
    has_array,
    has_query,
    joined,
    looked_up,
    not_null,
    plain,
    quoted,
    text,
    wholes,
)
from flows.channels.mapping import LEFT_OPEN, OTHERS, Mapping, Value, is_within
from schemas.codec import MAX_LINE_BYTES
from schemas.errors import CrossdockError

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
        tokens: those of them that become tokens.
    """

    sql: str = ""
    uses: list[Use] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)


class ValueCompiler:
    """Makes the expressions of values; ``statement.py`` puts records together from them."""

    def __init__(self, mapping: Mapping, connection: duckdb.DuckDBPyConnection) -> None:
        """Prepare.

        Args:
            mapping: read from its file.
            connection: parses SQL.
        """
        self.mapping = mapping
        self.connection = connection
        self.root: Tree = {}
        for path in mapping.reads:
            enter(self.root, path.replace("[]", f".{ELEMENT}").split("."))
        self.made = Statement()
        self.at = ""  # field of the mapping that is being compiled
        self.number = 0  # of the record mapping
        self.currency = "NULL"  # of its money
        self.money = ""  # a field of it that is money, if its data has a currency
        self.nothing: list[str] = []  # conditions under which it is known to be none
        self.numbers: set[str] = set()  # its fields that are the number of their element
        self.lists: list[str] = []  # expressions of arrays whose elements become records
        self.wholes: list[tuple[str, str, Tree]] = []  # fields, and what they read again and again
        self.read: list[str] = []  # paths of the value that is being compiled

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
        is_personal = spec.token or any(map(self._is_personal, self.read))
        # SQL may say anything of what it reads; what a table of codes is for is a code
        is_personal |= not spec.map and any(map(self._holds_personal, self.read))
        if spec.token:
            self.made.tokens.update(self.read)
        source = spec.path and scope.prefix * spec.path.startswith(".") + spec.path
        self.made.uses.append(Use(self.number, name, source or spec.sql or str(spec.value)))
        converted = self._converted(name, raw, spec, wanted := not_null(kind))
        is_number = spec.sql == "i" and converted.value == self._number(raw)
        if is_number and isinstance(wanted, inspect.IntType):
            is_within = scope.element == WITHIN["e"]
            converted = bounded(WITHIN["i"] if is_within else "i", converted.what, wanted)
            if is_within:
                self.numbers.add(name)
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

    def _none_of(self, array: str, name: str, kind: inspect.ListType) -> list[str]:
        """That an array which must be there has no element."""
        return [found(f"CASE WHEN len({array}) = 0 THEN {text(name + ': missing')} END")]

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
            return bounded(self._number(raw), "whole number", kind)
        value, what = f"truth({raw})", "yes or no"
        if isinstance(kind, inspect.DateTimeType):
            value, what = self._instant(raw, spec), "time"
        return Converted(value, what, f"({value}) IS NOT NULL")

    def _number(self, raw: str) -> str:
        """A whole number."""
        return f"whole({raw})"

    def _money(self, raw: str) -> str:
        """An amount in minor units of the record's currency."""
        return f"minor({raw}, units)"

    def _mapped(self, name: str, raw: str, spec: Value, kind: inspect.Type) -> Converted:
        """A code by its table; one that becomes nothing leaves the record out."""
        if spec.map not in self.mapping.maps:
            self._refuse(f"there is no table maps.{spec.map}")
        codes = self.mapping.maps[spec.map]
        ours = looked_up(raw, [*self.mapping.maps].index(spec.map), codes)
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
        if path == LEFT_OPEN:
            self._refuse("is left open: say where it comes from")
        if within and not scope.element:
            self._refuse(f"{path!r} is within an element, but there is no each")
        names = path.removeprefix(".").split(".")
        tree, column = (scope.tree, scope.element) if within else (self.root, "p")
        for name in names:
            if twins := [n for n in tree if n != name and n.lower() == name.lower()]:
                self._refuse(
                    f"{name!r} and {twins[0]!r} differ in case alone, which SQL does not see"
                )
            tree = enter(tree, [name])
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
            elif column == "k" and self.mapping.record[self.number].alike and scope.element == "e":
                continue
            elif column not in ("p", "e", "i"):
                self._refuse(
                    f"{column!r} is none of p (the payload), e (the element) and i (its number)"
                )
        for column, *names in wholes(parsed, {"p", "o"} if scope.element else set()):
            outer = scope.outer.tree if scope.outer else {}
            tree = {"p": self.root, "e": scope.tree, "o": outer}[column]
            self.wholes.append((at, ".".join([column, *names]), enter(tree, names)))
        return f"({expression})" if scope.element != WITHIN["e"] else self._renamed(parsed, named)

    def _renamed(self, parsed: Any, named: list[list[str]]) -> str:
        """An expression of what is within an array in a record."""
        for names in named:
            names[0] = WITHIN.get(names[0], names[0])
        question = "SELECT json_deserialize_sql(?)"
        (said,) = self.connection.execute(question, [json.dumps(parsed)]).fetchone() or ("",)
        return f"({said.removeprefix('SELECT ')})"

    def _refuse_wholes(self) -> None:
        """What reads an array for each element of it takes the square of the time."""
        for at, name, tree in self.wholes:
            if has_array(tree):
                self.at = at
                self._refuse(
                    f"reads {name}, which is or has an array, again and again: of that it may ask the len "
                    "alone; alike has the number of an element among equals"
                )

    def _is_personal(self, source: str) -> bool:
        return any(is_within(source, path) for path in self.mapping.personal)

    def _holds_personal(self, source: str) -> bool:
        return any(is_within(path, source) for path in self.mapping.personal)

    def _refuse(self, what: str) -> NoReturn:
        raise FieldError(self.at, what)
