"""The JSON Schema of mapping files, for editors and for whoever writes them by a program.

It is made of the classes that read a mapping and of those of the records, so that it knows every field of every
record. What it cannot say (SQL, names of tables, what a code may become) ``crossdock channel validate`` does.
"""

from typing import Any

import msgspec
from msgspec import inspect

from flows.channels.expressions import not_null
from flows.channels.mapping import DataPath, Mapping, RecordMapping, Value
from flows.channels.statement import TYPES

_SOURCES = ("path", "value", "sql")
_SPEC, _PATH = {"$ref": "#/$defs/Spec"}, {"$ref": "#/$defs/Path"}


def mapping_schema() -> dict[str, Any]:
    """The schema."""
    (whole,), parts = msgspec.json.schema_components([Mapping])
    (path,), _ = msgspec.json.schema_components([DataPath])
    value, record = parts[Value.__name__], parts[RecordMapping.__name__]
    value["oneOf"] = [{"required": [source]} for source in _SOURCES]
    contents = dict[str, inspect.StructType]()
    types = dict[str, list[str]]()
    for tag in sorted(TYPES):
        content = _content(tag)
        contents[content.cls.__name__] = content
        types.setdefault(content.cls.__name__, []).append(tag)
    record["properties"]["type"] = {"enum": sorted(TYPES)}
    record["allOf"] = [_record_of(name, tags) for name, tags in types.items()]
    more = {"Path": path, "Spec": {"anyOf": [_PATH, {"$ref": f"#/$defs/{Value.__name__}"}]}}
    data = {f"{name}.data": _members(content) for name, content in contents.items()}
    return {**whole, "$defs": {**parts, **more, **data}}


def _content(tag: str) -> inspect.StructType:
    """What a type of record has in its data."""
    event = inspect.type_info(TYPES[tag])
    assert isinstance(event, inspect.StructType)
    content = next(field.type for field in event.fields if field.encode_name == "data")
    assert isinstance(content, inspect.StructType)
    return content


def _record_of(name: str, tags: list[str]) -> dict[str, Any]:
    """That records of some types have this content."""
    content = {"data": {"$ref": f"#/$defs/{name}.data"}}
    return {"if": {"properties": {"type": {"enum": tags}}}, "then": {"properties": content}}


def _members(kind: inspect.StructType, **more: Any) -> dict[str, Any]:
    """An object of a record: of each field where it comes from."""
    fields = {field.encode_name: _source(not_null(field.type)) for field in kind.fields}
    return {"type": "object", "properties": {**more, **fields}, "additionalProperties": False}


def _source(kind: inspect.Type) -> dict[str, Any]:
    """Where a field of a record comes from: an array from one of the payload, or written out."""
    if isinstance(kind, inspect.StructType):
        return _members(kind)
    if isinstance(kind, inspect.ListType) and isinstance(kind.item_type, inspect.StructType):
        each = _members(kind.item_type, each=_PATH, when={"type": "string"})
        written_out = {"type": "array", "items": _members(kind.item_type)}
        return {"anyOf": [each | {"required": ["each"]}, written_out]}
    return _SPEC
