"""The published JSON Schemas are those of the code."""

import json
import re
from enum import IntEnum
from importlib.resources import files
from pathlib import Path

import pytest

from flows.commands.schemas import schema_files
from schemas import codes
from schemas.kinds import Kind

ROOT = Path(__file__).parents[2]
PUBLISHED = files("schemas") / "json"


def test_the_published_files_are_current() -> None:
    published = {file.name: file.read_bytes() for file in PUBLISHED.iterdir()}

    assert published == schema_files(), "run: crossdock schemas --out schemas/json"


def test_every_kind_has_a_schema_that_names_its_type() -> None:
    for kind in Kind:
        schema = json.loads((PUBLISHED / f"{kind.tag}.json").read_text())
        (body,) = [d for d in schema["$defs"].values() if "specversion" in d.get("properties", ())]

        assert body["properties"]["type"]["enum"] == [kind.tag]
        assert {"id", "source", "subject", "time", "tenant", "network", "data"} <= set(
            body["required"]
        )


def test_every_code_is_listed_with_its_number() -> None:
    listed = json.loads((PUBLISHED / "codes.json").read_text())

    found = [(entry["name"], entry["value"]) for entry in listed["Exclusion"]]
    assert found == [(code.name, code.value) for code in codes.Exclusion]
    assert listed["Mode"][0] == {"name": "ROAD", "value": "road"}


@pytest.mark.parametrize("kind", [*codes.RESERVED, codes.Trigger], ids=lambda kind: kind.__name__)
def test_a_code_is_made_somewhere_or_said_to_be_reserved(kind: type[IntEnum]) -> None:
    models = "\n".join(file.read_text() for file in (ROOT / "models").rglob("*.py"))
    made = set(re.findall(rf"\b{kind.__name__}\.(\w+)", models))
    made |= {told.name for told in (*codes.Trouble, *codes.RerouteReason)}  # taken over by name
    listed = json.loads((PUBLISHED / "codes.json").read_text())[kind.__name__]

    reserved = {code.name for code in codes.RESERVED.get(kind, ())}

    assert {code.name for code in kind} - made == reserved
    assert {entry["name"] for entry in listed if entry.get("reserved")} == reserved
