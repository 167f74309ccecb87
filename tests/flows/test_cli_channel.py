"""``crossdock channel``: list, validate, test and draft mappings, as typed."""

import json
from pathlib import Path

import pytest

from flows.channels.book import find_mapping, open_channel, shipped
from flows.channels.engine import Binding
from schemas.codec import Refusal, decode_line
from tests.support.command_line import refused, run

BINDING = Binding(source="shop", tenant="acme", network="eu", secret=b"of the tests")
WEB_ORDER = {
    "orderNo": "W-17",
    "createTime": "2026-03-01 10:00:00",
    "shipping": {"countryCode": "DE", "name": "Ann", "phone": "+49 30 1"},
    "currency": "EUR",
    "buyerId": 7,
    "items": [{"skuCode": "X", "quantity": 2, "price": "9.90", "colour": "red"}],
}
HOOK = {"number": "SF1", "events": [{"time": "2026-03-01 10:00:00", "status": "moving"}]}


def sample(folder: Path, payload: object) -> Path:
    file = folder / "sample.json"
    file.write_text(json.dumps(payload), encoding="utf-8")
    return file


def drafted(folder: Path, payload: object) -> Path:
    done = run("channel", "infer", sample(folder, payload), "--name", "web")
    assert done.exit_code == 0, done.output
    file = folder / "web.toml"
    file.write_text(done.stdout, encoding="utf-8")
    return file


def test_every_shipped_mapping_is_listed_and_good() -> None:
    listed = json.loads(run("channel", "list", "--json").stdout)

    assert [row["name"] for row in listed] == shipped()
    assert all(run("channel", "validate", row["name"]).exit_code == 0 for row in listed)


def test_a_draft_of_an_order_maps_its_sample(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)

    channel = open_channel(find_mapping(str(mapping)), BINDING)
    made = channel.take([json.dumps(WEB_ORDER).encode()])
    assert made.troubles == []
    event = decode_line(made.records[0][1], 1)
    assert not isinstance(event, Refusal)
    assert (event.subject, event.data.region) == ("W-17", "DE")  # type: ignore[attr-defined]
    assert {"shipping.name", "shipping.phone"} <= set(channel.mapping.personal)


def test_a_draft_of_a_parcel_names_its_codes(tmp_path: Path) -> None:
    text = drafted(tmp_path, HOOK).read_text(encoding="utf-8")

    assert 'each = "events"' in text
    assert 'subject = "number"' in text
    assert '"moving" = "scanned"' in text


def test_a_trial_says_where_each_field_came_from_and_what_is_not_used(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)

    (tried,) = json.loads(
        run("channel", "test", mapping, sample(tmp_path, WEB_ORDER), "--json").stdout
    )

    (made,) = tried["records"]
    assert {"field": "data.lines.sku", "from": "items[].skuCode"} in made["fields"]
    assert made["record"]["data"]["lines"][0]["sku"] == "X"
    assert tried["unused"] == ["items[].colour"]
    assert "data.lines.sku" in run("channel", "test", mapping, sample(tmp_path, WEB_ORDER)).stdout


def test_a_version_that_renames_a_member_is_noticed(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)
    later = {**WEB_ORDER, "goods": WEB_ORDER["items"]}
    later.pop("items")

    done = run("channel", "validate", mapping, "--against", sample(tmp_path, later), "--json")

    said = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {"items", "items[].skuCode"} <= set(said["gone"])
    assert "goods[].skuCode" in said["unused"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("validate", "shopfy"), "shopfy is no shipped mapping"),
        (("validate", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("test", "shopify", "nowhere.json"), "nowhere.json cannot be read"),
        (("infer", "nowhere.json"), "nowhere.json cannot be read"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(words: tuple[str, ...], complaint: str) -> None:
    assert complaint in refused(run("channel", *words))


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace('qty = ".quantity"', 'amount = ".quantity"'), encoding="utf-8")
    line = 1 + text[: text.index('qty = ".quantity"')].count("\n")

    said = refused(run("channel", "validate", mapping))

    assert f"web.toml:{line}: record[0].data.lines.amount: is no field of OrderLine" in said
