"""The JSON Schema of mapping files: what is shipped is right by it, and what is misspelt is not."""

import tomllib
from typing import Any

import pytest

from flows.channels.book import find_mapping, shipped
from flows.channels.infer import infer
from flows.channels.schema import mapping_schema
from tests.support.channels import ROOT
from tests.support.schemas import complaints

SCHEMA = mapping_schema()
FILES = [*shipped(), *map(str, sorted((ROOT / "examples/channels").glob("*.toml")))]


def mapping() -> dict[str, Any]:
    """A small one, whole."""
    record = {
        "type": "order.received",
        "id": "no",
        "subject": "no",
        "time": "at",
        "data": {"region": "country", "lines": {"each": "items", "line_no": {"sql": "i"}}},
    }
    return {"name": "shop", "title": "A shop", "record": [record]}


@pytest.mark.parametrize("name", FILES)
def test_what_is_shipped_is_a_mapping_by_the_schema(name: str) -> None:
    assert complaints(SCHEMA, tomllib.loads(find_mapping(name).text)) == []


def test_a_draft_is_a_mapping_by_the_schema() -> None:
    draft = infer([{"orderNo": "W-17", "createTime": "2026-03-01", "items": [{"sku": "X"}]}], "web")

    assert complaints(SCHEMA, tomllib.loads(draft)) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"type": "order.recieved"}, "$.record[0].type: enum"),
        ({"subject": {"path": "no", "sql": "p.no"}}, "$.record[0].subject: anyOf"),
        ({"subject": {"unit": "kg"}}, "$.record[0].subject: anyOf"),
        ({"data": {"regoin": "country"}}, "$.record[0].data.regoin: additionalProperties"),
        ({"data": {"lines": {"sku": ".sku"}}}, "$.record[0].data.lines: anyOf"),
        ({"data": {"lines": [{"size": "n"}]}}, "$.record[0].data.lines: anyOf"),
        ({"whn": "true"}, "$.record[0].whn: additionalProperties"),
        ({"type": "order.cancelled"}, "$.record[0].data.region: additionalProperties"),
    ],
)
def test_what_is_misspelt_is_none(changes: dict[str, Any], complaint: str) -> None:
    wrong = mapping()
    wrong["record"][0] |= changes

    assert complaints(SCHEMA, mapping()) == []
    assert complaint in complaints(SCHEMA, wrong)
