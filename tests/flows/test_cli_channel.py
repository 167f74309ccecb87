"""``crossdock channel``: list, validate, test and draft mappings, as typed."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from flows.channels.book import find_mapping, open_channel, shipped
from flows.channels.engine import Binding
from schemas.codec import Refusal, decode_line
from tests.support.channels import GOLDEN
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


def test_a_draft_asks_for_the_currency_of_prices(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, {name: WEB_ORDER[name] for name in WEB_ORDER if name != "currency"})

    assert 'currency = "?"  # not found' in mapping.read_text(encoding="utf-8")
    done = run("channel", "validate", mapping)
    assert done.exit_code == 2
    assert "record[0].data.currency: is left open: say where it comes from" in done.stderr


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


def test_what_a_mapping_reads_and_samples_lack_is_named_with_what_it_likely_is_now(
    tmp_path: Path,
) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)
    later = {**WEB_ORDER, "goods": WEB_ORDER["items"]}
    later.pop("items")

    done = run("channel", "validate", mapping, "--against", sample(tmp_path, later), "--json")

    said = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {"items", "items[].skuCode"} <= set(said["gone"])
    assert "goods[].skuCode" in said["unused"]
    assert said["likely"]["items[].skuCode"] == "goods[].skuCode"
    assert said["added"] == said["removed"] == []


def versions(folder: Path, now: object) -> list[str | Path]:
    """Options to compare a payload of today with the recorded one."""
    (folder / "recorded").mkdir()
    (folder / "now.json").write_text(json.dumps(now), encoding="utf-8")
    sample(folder / "recorded", WEB_ORDER)
    return [folder / "now.json", "--against", folder / "recorded"]


def test_what_changed_between_versions_is_told_with_likely_new_names(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)
    now = {
        **WEB_ORDER,
        "items": [{"sku_code": "Y", "quantity": 2, "price": "9.90", "vat": "1.90"}],
        "buyer": {"no": 700001},
        "shipping": {"countryCode": "DE", "name": "Eve", "phone": None},
    }
    del now["currency"]

    done = run("channel", "validate", mapping, *versions(tmp_path, now), "--json")
    shown = run(
        "channel", "validate", mapping, tmp_path / "now.json", "--against", tmp_path / "recorded"
    )

    said = json.loads(done.stdout)
    assert said["added"] == ["buyer.no", "items[].sku_code", "items[].vat"]
    assert said["removed"] == ["currency", "items[].colour", "items[].skuCode"]
    assert said["renamed"] == {"items[].skuCode": "items[].sku_code"}
    assert said["broken"] == ["currency", "items[].skuCode"], "the mapping does not read the colour"
    assert done.exit_code == shown.exit_code == 1
    assert "items[].skuCode *" in shown.stdout


def test_what_only_came_or_is_empty_now_breaks_nothing(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)
    now = {**WEB_ORDER, "buyerId": None, "note": "by hand", "coupons": []}

    done = run("channel", "validate", mapping, *versions(tmp_path, now), "--json")

    said = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (said["added"], said["removed"], said["broken"]) == (["note"], [], [])


def test_payloads_are_compared_with_recorded_ones_of_their_kind() -> None:
    order, parcel = (GOLDEN / f"samples/shopify-{name}.json" for name in ("order", "fulfillment"))

    done = run(
        "channel", "validate", "shopify", order, "--against", order, "--against", parcel, "--json"
    )

    said = json.loads(done.stdout)
    assert (done.exit_code, said["added"], said["removed"]) == (0, [], [])


@pytest.mark.parametrize("command", ["validate", "test"])
def test_a_payload_in_a_form_is_looked_at_as_what_it_holds(tmp_path: Path, command: str) -> None:
    """Kuaidi100 posts a form whose field is JSON."""
    push = json.loads((GOLDEN / "samples/kuaidi100-push.json").read_bytes())
    plain, form = tmp_path / "plain.json", tmp_path / "recorded" / "push.form"
    form.parent.mkdir()
    plain.write_text(json.dumps(push), encoding="utf-8")
    form.write_text(urlencode({"sign": "x", "param": json.dumps(push)}), encoding="utf-8")

    ways = [run("channel", command, "kuaidi100", one, "--json") for one in (plain, form)]
    as_json, as_form = (json.loads(done.stdout.replace("push.form", "plain.json")) for done in ways)

    assert [done.exit_code for done in ways] == [0, 0]
    assert _but_for_names(as_form) == _but_for_names(as_json)


def _but_for_names(said: Any) -> Any:
    """What was said, whatever the sample is called."""
    return [one | {"sample": ""} for one in said] if isinstance(said, list) else said


def test_a_form_of_today_is_compared_with_recorded_ones(tmp_path: Path) -> None:
    push = json.loads((GOLDEN / "samples/kuaidi100-push.json").read_bytes())
    form = tmp_path / "recorded" / "push.form"
    form.parent.mkdir()
    form.write_text(urlencode({"param": json.dumps(push | {"fresh": 0, "stale": 1})}))
    today = sample(tmp_path, push | {"fresh": 1, "novel": "x"})

    done = run("channel", "validate", "kuaidi100", today, "--against", form.parent, "--json")

    said = json.loads(done.stdout)
    assert (done.exit_code, said["added"], said["removed"]) == (0, ["novel"], ["stale"])


def test_what_a_text_holds_is_read_and_so_not_gone(tmp_path: Path) -> None:
    (event, *_) = json.loads((GOLDEN / "samples/debezium-erp-orders.json").read_bytes())

    done = run("channel", "validate", "debezium-erp", sample(tmp_path, event), "--json")

    said = json.loads(done.stdout)
    assert not [path for path in said["gone"] + said["unused"] if path.startswith("after.lines")]


def test_a_sample_that_is_no_json_is_said_to_be_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")

    done = run("channel", "validate", "shopify", broken, "--json")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["refused"] == {
        str(broken): "SCHEMA_INVALID: no JSON that can be read"
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("validate", "shopfy"), "shopfy is no shipped mapping"),
        (("validate", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("test", "shopify", "nowhere.json"), "nowhere.json cannot be read"),
        (("infer", "nowhere.json"), "nowhere.json cannot be read"),
        (("validate", "shopify", "--against", Path(__file__).parent), "has no payloads"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(
    words: tuple[str | Path, ...], complaint: str
) -> None:
    assert complaint in refused(run("channel", *words))


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    mapping = drafted(tmp_path, WEB_ORDER)
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace('qty = ".quantity"', 'amount = ".quantity"'), encoding="utf-8")
    line = 1 + text[: text.index('qty = ".quantity"')].count("\n")

    said = refused(run("channel", "validate", mapping))

    assert f"web.toml:{line}: record[0].data.lines.amount: is no field of OrderLine" in said
