"""``crossdock schemas``: what producers and consumers of records need to know, as files."""

import json
from enum import Enum, IntEnum
from inspect import getmembers, isclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from flows.channels.schema import mapping_schema
from flows.commands.output import error_console
from flows.files import publish
from schemas import codes
from schemas.codec import json_schemas
from schemas.crossref import CrossReference

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas(
    out: Annotated[Path, typer.Option(help="Directory to write to; made if it is not there.")],
) -> None:
    """Write JSON Schemas of all kinds of records, the cross-reference and mappings; all codes as codes.json.

    Example: crossdock schemas --out out/schemas
    """
    files = schema_files()
    for name, content in files.items():
        publish(out / name, content)
    error_console().print(f"{len(files)} files written to {out}", markup=False, soft_wrap=True)


def schema_files() -> dict[str, bytes]:
    """Content by file name."""
    files = {
        f"{tag}.json": _pretty({"$schema": _DIALECT, **schema})
        for tag, schema in json_schemas().items()
    }
    reference = msgspec.json.schema(CrossReference)
    files["cross-reference.json"] = _pretty({"$schema": _DIALECT, **reference})
    files["mapping.json"] = _pretty({"$schema": _DIALECT, **mapping_schema()})
    return {**files, "codes.json": _pretty(enumerations())}


def enumerations() -> dict[str, list[dict[str, Any]]]:
    """Every enumeration of ``schemas.codes`` in its own order; ``reserved`` is what nothing makes yet."""
    found = getmembers(codes, lambda m: isclass(m) and issubclass(m, Enum))
    return {
        name: [_member(member) for member in kind]
        for name, kind in found
        if kind.__module__ == codes.__name__
    }


def _member(member: Enum) -> dict[str, Any]:
    entry = {"name": member.name, "value": member.value}
    is_reserved = isinstance(member, IntEnum) and member in codes.RESERVED.get(type(member), ())
    return entry | ({"reserved": True} if is_reserved else {})


def _pretty(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
