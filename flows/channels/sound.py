"""What the decoder of a log takes, as SQL on a record that a statement made.

The bounds are those of the classes in ``schemas``, read from them; what these do not say and the decoder
looks at all the same (``schemas.codec``) is written out here. It may take less than the decoder does, never
more: a test holds it to that.
"""

from collections.abc import Iterable, Mapping

from msgspec import inspect

from flows.channels.expressions import not_null, text
from schemas.codec import MAX_LINE_BYTES

Sources = Mapping[str, str]


def sound_record(kind: inspect.StructType, sources: Sources, value: str) -> str:
    """The condition, true or not, under which a record is taken.

    Args:
        kind: its class.
        sources: by field that the mapping fills (``data.lines.sku``) what from; empty: the element's number.
        value: expression of the record, an object.
    """
    types = {about.encode_name: about.type for about in kind.fields}
    of_channel = {
        name: f"channel_{name}()" for name in ("network", "source", "tenant") if name not in sources
    }
    fixed = (_sound(types[name], {}, said, name) for name, said in of_channel.items())
    bare = (
        f"NOT contains({of_channel.get(name, f'{value}.{name}')}, '/')"
        for name in ("tenant", "network")
    )
    return f"({_all([_filled(kind, sources, value, ''), *fixed, *bare])}) IS TRUE"


def sound_line(line: str) -> str:
    """The same of the record as JSON: no NUL in a string, and not too many bytes."""
    return f"NOT contains({line}, '\\u0000') AND strlen({line}) <= {MAX_LINE_BYTES}"


def _filled(kind: inspect.StructType, sources: Sources, value: str, path: str) -> str:
    """Of the fields of an object that the mapping fills."""
    return _all(
        _sound(about.type, sources, f"{value}.{about.encode_name}", name)
        for about in kind.fields
        if (name := path + about.encode_name) in sources
        or any(one.startswith(name + ".") for one in sources)
    )


def _sound(kind: inspect.Type, sources: Sources, value: str, path: str) -> str:
    """Of a value, whatever it is: never true of a null, unless it may be one."""
    wanted = not_null(kind)
    match wanted:
        case inspect.StructType():
            condition = _filled(wanted, sources, value, path + ".")
        case inspect.ListType(item_type=inspect.StructType() as item):
            each = _filled(item, sources, "x", path + ".")
            condition = (
                f"len({value}) BETWEEN {wanted.min_length or 0} AND {wanted.max_length or MAX_LINE_BYTES} "
                f"AND len(list_filter({value}, lambda x: ({each}) IS NOT TRUE)) = 0"
            )
            if sources.get(f"{path}.line_no"):
                numbers = f"list_transform({value}, lambda x: x.line_no)"
                condition += f" AND list_unique({numbers}) = len({value})"
        case inspect.StrType():
            longest, least = wanted.max_length or MAX_LINE_BYTES, wanted.min_length or 0
            condition = f"length({value}) BETWEEN {least} AND {longest}"
            if wanted.pattern:
                condition += f" AND regexp_matches({value}, {text(wanted.pattern)})"
        case inspect.EnumType():
            words = ", ".join(text(member.value) for member in wanted.cls)
            condition = f"list_contains([{words}], {value})"
        case inspect.IntType() | inspect.FloatType():
            bounds = ((">=", wanted.ge), (">", wanted.gt), ("<=", wanted.le), ("<", wanted.lt))
            sides = [f"{value} {sign} {bound}" for sign, bound in bounds if bound is not None]
            condition = " AND ".join(sides) or f"{value} IS NOT NULL"
        case inspect.BoolType() | inspect.DateTimeType():
            condition = f"{value} IS NOT NULL"
        case _:
            condition = "false"
    is_open = isinstance(kind, inspect.UnionType)
    return f"({value} IS NULL OR ({condition}))" if is_open else condition


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions) or "true"
