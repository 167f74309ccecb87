"""What is wrong with a value by a JSON Schema: of the keywords that ours use, and no others."""

import re
from collections.abc import Iterator
from typing import Any

NOTES = {"$schema", "$defs", "title", "description", "default"}
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def complaints(schema: dict[str, Any], value: Any) -> list[str]:
    """Each by path and keyword, as ``$.record[0].type: enum``."""
    return list(_complaints(schema, schema, value, "$"))


def _complaints(root: Any, schema: Any, value: Any, at: str) -> Iterator[str]:
    for keyword, said in schema.items():
        if keyword == "$ref":
            yield from _complaints(root, root["$defs"][said.removeprefix("#/$defs/")], value, at)
        elif keyword == "allOf":
            for one in said:
                yield from _complaints(root, one, value, at)
        elif keyword == "properties" and isinstance(value, dict):
            for name in said.keys() & value.keys():
                yield from _complaints(root, said[name], value[name], f"{at}.{name}")
        elif keyword == "additionalProperties" and isinstance(value, dict):
            for name in sorted(value.keys() - schema.get("properties", {}).keys()):
                if said is False:
                    yield f"{at}.{name}: additionalProperties"
                elif said is not True:
                    yield from _complaints(root, said, value[name], f"{at}.{name}")
        elif keyword == "items" and isinstance(value, list):
            for number, one in enumerate(value):
                yield from _complaints(root, said, one, f"{at}[{number}]")
        elif keyword == "if":
            if not list(_complaints(root, said, value, at)):
                yield from _complaints(root, schema["then"], value, at)
        elif not _holds(root, keyword, said, value, at):
            yield f"{at}: {keyword}"


def _holds(root: Any, keyword: str, said: Any, value: Any, at: str) -> bool:
    """Whether a keyword that has no others below it, or counts those, is kept to."""
    if keyword in NOTES or keyword in ("properties", "additionalProperties", "items", "then"):
        return True
    if keyword in ("anyOf", "oneOf"):
        kept = sum(not list(_complaints(root, one, value, at)) for one in said)
        return kept == 1 if keyword == "oneOf" else kept > 0
    if keyword == "type":
        kinds = [said] if isinstance(said, str) else said
        is_one = any(isinstance(value, TYPES[kind]) for kind in kinds)
        return is_one and ("boolean" in kinds or not isinstance(value, bool))
    if keyword == "enum":
        return bool(value in said)
    if keyword == "required":
        return not isinstance(value, dict) or set(said) <= set(value)
    if keyword == "pattern":
        return not isinstance(value, str) or bool(re.search(said, value))
    if keyword in ("minLength", "maxLength", "minItems"):
        if not isinstance(value, list if keyword == "minItems" else str):
            return True
        size, bound = len(value), int(said)
        return size <= bound if keyword == "maxLength" else size >= bound
    raise NotImplementedError(keyword)
