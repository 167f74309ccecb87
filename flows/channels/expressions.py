"""SQL as text: what the statement of a mapping is put together from."""

import json
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from collections.abc import Set as AnySet
from typing import Any, NamedTuple

from msgspec import inspect

from flows.channels.mapping import OTHERS

Tree = dict[str, Any]
"""Members of a payload that are asked for: of an object by name, of an array under ``ELEMENT``."""
ELEMENT = "[]"
WITHIN = {"e": "e1", "i": "i1"}
"""What an element of an array in a record, and its number, are called: the record may be an element itself."""
UNRECOGNISED, PASSED_OVER, OVERSIZED = -1, -2, -3
"""Kinds of a row that is no record: of a piece of a payload that nobody expects, of one that one does, and
of one that is too much."""


FEW = 64
"""Codes: to compare with each of so many costs less than to find one, which takes 0.2 us among 10,000."""
_CODES = "codes_"


class Made(NamedTuple):
    """An expression for a value, and one for what is wrong with it (null: nothing)."""

    value: str
    problem: str = ""


class Converted(NamedTuple):
    """An expression for a value.

    Attributes:
        value: null if what was said is none.
        what: it would be.
        valid: a condition that it is one, and one that its field can hold; empty if everything is.
        bounds: of a number.
    """

    value: str
    what: str
    valid: str = ""
    bounds: str = ""


def enter(tree: Tree, names: list[str]) -> Tree:
    """The members below a path; made if they are not asked for yet."""
    for name in names:
        tree = tree.setdefault(name, {})
    return tree


def structure(tree: Tree) -> Any:
    """What ``from_json`` is to look for: texts, in objects and arrays."""
    if not tree:
        return "VARCHAR"
    if ELEMENT in tree:
        return [structure(tree[ELEMENT])]
    return {name: structure(below) for name, below in tree.items()}


def has_array(tree: Tree) -> bool:
    """Whether an array is asked for, or what has one."""
    return ELEMENT in tree or any(map(has_array, tree.values()))


def elements(array: str, element: str, number: str, newest_first: bool = False) -> str:
    """Columns: the elements of an array, and their numbers, from the first on."""
    in_order = f"list_reverse({array})" if newest_first else array
    return f"unnest({in_order}) AS {element}, generate_subscripts({array}, 1) AS {number}"


def read_text(path: str) -> str:
    """A piece with the JSON that one of its members holds as a text in place of that text."""
    names = path.split(".")
    said = f"(piece ->> {text(json_path(names))})"
    patch = f"TRY_CAST({said} AS JSON)"
    for name in reversed(names):
        patch = f"json_object({text(name)}, {patch})"
    return f"CASE WHEN {said} IS NULL THEN piece ELSE json_merge_patch(piece, {patch}) END"


def json_path(names: list[str]) -> str:
    """A path as DuckDB's JSON functions read it."""
    return "$." + ".".join(f'"{name}"' for name in names)


def pieces(unwrap: list[str]) -> str:
    """Payloads, or what their envelopes hold; an array is what it holds, and what is no JSON null."""
    at = [text(json_path(path.split("."))) for path in unwrap]
    there = [f"(kinds[{n}] IN ('ARRAY', 'OBJECT'))" for n in range(2, len(at) + 2)]
    held = []
    for n, path in enumerate(unwrap):
        within = [there[m] for m, other in enumerate(unwrap) if other.startswith(path + ".")]
        unless = "".join(f"WHEN {inner} THEN [] " for inner in within)
        held.append(
            f"CASE {unless}WHEN kinds[{n + 2}] = 'ARRAY' THEN json_extract(raw, {at[n][:-1]}[*]') "
            f"WHEN kinds[{n + 2}] = 'OBJECT' THEN [json_extract(raw, {at[n]})] ELSE [] END"
        )
    inside = f"WHEN {' OR '.join(there)} THEN {joined(held)} " if held else ""
    return (
        "SELECT seq, unnest(pieces) AS piece, generate_subscripts(pieces, 1) AS n FROM (SELECT seq, "
        f"CASE WHEN kinds[1] = 'ARRAY' THEN json_extract(raw, '$[*]') {inside}ELSE [raw] END AS pieces "
        f"FROM (SELECT seq, raw, json_type(raw, ['$', {', '.join(at)}]) AS kinds "
        "FROM (SELECT seq, TRY_CAST(raw AS JSON) AS raw FROM batch)))"
    )


def keep_codes(table: int, codes: AnyMapping[str, str]) -> Iterator[str]:
    """Statements after which a table of many codes can be looked up in."""
    if len(codes) > FEW:
        known = {their: our for their, our in codes.items() if their != OTHERS}
        theirs, ours = (", ".join(map(text, said)) for said in (known, known.values()))
        yield f"CREATE TYPE {_CODES}{table} AS ENUM ({theirs})"
        yield f"SET VARIABLE {_CODES}{table} = [{ours}]"


def looked_up(raw: str, table: int, codes: AnyMapping[str, str]) -> str:
    """What a table of codes says, which is the one of this number; null for a code that it does not have."""
    others = codes.get(OTHERS)
    rest = raw if others == OTHERS else "NULL" if others is None else text(others)
    if len(codes) > FEW:
        place = f"1 + enum_code(TRY_CAST({raw} AS {_CODES}{table}))"
        return f"coalesce(getvariable('{_CODES}{table}')[{place}], {rest})"
    whens = [f"WHEN {text(t)} THEN {text(ours)}" for t, ours in codes.items() if t != OTHERS]
    # in a table without a code, one that no text equals
    return f"CASE {raw} {' '.join(whens) or 'WHEN NULL THEN NULL'} ELSE {rest} END"


def numbered(array: str, within: str) -> str:
    """A column: of each element its number among those of which an expression in ``e`` says the same."""
    return f"unnest(among_equals(list_transform({array}, lambda e: coalesce({within}, '')))) AS k"


def columns(parsed: Any) -> list[list[str]]:
    """Names that an expression uses, in all its parts; those of its own lambdas left out."""
    named, bound = [], set[str]()

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for one in node:
                walk(one)
        elif isinstance(node, dict):
            if node.get("class") == "LAMBDA":  # so is p.a -> '$.b', which extracts
                bound.update(one[0] for one in columns(node.get("lhs")) if len(one) == 1)
            if node.get("class") == "COLUMN_REF":
                named.append(node["column_names"])
            for one in node.values():
                walk(one)

    walk(parsed)
    return [names for names in named if names[0] not in bound]


def wholes(parsed: Any, repeated: AnySet[str]) -> Iterator[list[str]]:
    """Names that an expression uses, but for their lengths: those of some columns, and all within lambdas."""
    if isinstance(parsed, list):
        for one in parsed:
            yield from wholes(one, repeated)
    elif isinstance(parsed, dict):
        kind, within = parsed.get("class"), list(parsed.values())
        if kind == "COLUMN_REF" and parsed["column_names"][0] in repeated:
            yield parsed["column_names"]
        if parsed.get("function_name") == "len":
            within = [one for one in parsed["children"] if one["class"] != "COLUMN_REF"]
        for one in within:
            yield from wholes(one, {"p", "e", "o"} if kind == "LAMBDA" else repeated)


def has_query(select: Any) -> bool:
    """Whether an expression reads anything but its payload."""
    said = json.dumps([select["select_list"], select["where_clause"]])
    return '"SUBQUERY"' in said or select["from_table"]["type"] != "EMPTY"


def struct_of(members: AnyMapping[str, Made]) -> str:
    """An object of its members."""
    value = ", ".join(f"{text(name)}: {made.value}" for name, made in members.items())
    return f"{{{value}}}" if value else "'{}'::JSON"


def bounded(number: str, what: str, kind: inspect.IntType | inspect.FloatType) -> Converted:
    """A number that its field can hold."""
    least = kind.gt if kind.ge is None else kind.ge
    if least is None or kind.le is None:
        return Converted(number, what, f"({number}) IS NOT NULL")
    # BETWEEN works its operand out twice, and this one is long; a lambda binds it
    within = f"len(list_filter([{number}], lambda x: x BETWEEN {least} AND {kind.le})) = 1"
    return Converted(number, what, within, f"from {least} to {kind.le}")


def joined(problems: list[str]) -> str:
    """Lists of problems as one."""
    return f"list_concat({', '.join(problems)})" if len(problems) > 1 else "".join(problems)


def found(case: str) -> str:
    """A list of the problem, or of none."""
    return f"list_filter([{case}], lambda x: x IS NOT NULL)"


def not_null(kind: inspect.Type) -> inspect.Type:
    """What a value is, if there is one."""
    if isinstance(kind, inspect.Metadata):
        return not_null(kind.type)
    if isinstance(kind, inspect.UnionType):
        return next(t for t in kind.types if not isinstance(t, inspect.NoneType))
    return kind


def default_of(about: inspect.Field) -> str:
    """What a record's schema takes where nothing is said."""
    default = about.default
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) if isinstance(default, int | float) else text(plain(default))


def plain(value: Any) -> str:
    """A constant as a payload would say it."""
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "value", value))


def text(said: str) -> str:
    """A text as SQL."""
    return "'" + said.replace("'", "''") + "'"


def quoted(said: str) -> str:
    """A name as SQL."""
    return '"' + said.replace('"', '""') + '"'
