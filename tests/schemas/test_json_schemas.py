"""The published JSON Schemas are those of the code."""

import json
from importlib.resources import files

from flows.commands.schemas import schema_files
from schemas import codes
from schemas.kinds import Kind

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

    assert listed["Exclusion"] == [{"name": c.name, "value": c.value} for c in codes.Exclusion]
    assert listed["Mode"][0] == {"name": "ROAD", "value": "road"}
