"""One's own codes, given to a mapping that stays as it is shipped: by settings and by the command line."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.channels.book import channels_of
from flows.channels.codes import Codes
from flows.channels.engine import Channel
from flows.channels.expressions import FEW
from flows.channels.mapping import parse_mapping
from flows.letters import Letter
from flows.settings import load_settings
from schemas.errors import InputError
from tests.support.channels import BINDING
from tests.support.command_line import refused, run

TOPIC = "acme.shopify.raw"
LEVEL = {
    "inventory_item_id": 39072856,
    "location_id": 7,
    "available": 2,
    "updated_at": "2026-03-01T10:00:00Z",
}
SETTINGS = f"""
customer_secret = "of the tests"
[channels.shop]
mapping = "shopify"
topic = "{TOPIC}"
tenant = "acme"
network = "eu"
"""
MANY = {f"T-{n}": f"S-{n}'s" for n in range(2 * FEW)}
TILL = """
name = "till"
title = "A till"
[[record]]
type = "order.received"
id = "no"
subject = { path = "no", map = "numbers" }
time = "at"
[record.data]
region = { path = "country", map = "lands" }
[record.data.lines]
each = "items"
line_no = { sql = "i" }
sku = { path = ".article", map = "skus" }
qty = ".n"
[maps.numbers]
"*" = "*"
[maps.lands]
"*" = "XX"
[maps.skus]
"""


def configured(folder: Path, more: str) -> Path:
    file = folder / "crossdock.toml"
    file.write_text(SETTINGS + more, encoding="utf-8")
    return file


def written(folder: Path, text: str, name: str = "codes.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def items(channel: Channel, payload: Any) -> Any:
    (record,) = channel.take([json.dumps(payload).encode()]).records
    return json.loads(record.line)["data"]["items"]


def test_a_running_channel_has_the_codes_of_its_settings(tmp_path: Path) -> None:
    config = configured(tmp_path, 'maps.skus.39072856 = "IPOD-GREEN"\n')

    shop = channels_of(load_settings(config))[TOPIC]

    assert items(shop, LEVEL) == [{"sku": "IPOD-GREEN", "on_hand": 2}]


def test_codes_of_the_settings_count_for_more_than_those_of_their_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[skus]\n39072856 = "OLD"\n49148385 = "RED"\n')
    more = f'maps_file = "{file}"\nmaps.skus.39072856 = "NEW"\n'

    shop = channels_of(load_settings(configured(tmp_path, more)))[TOPIC]

    said = [items(shop, LEVEL | {"inventory_item_id": n}) for n in (39072856, 49148385)]
    assert [one[0]["sku"] for one in said] == ["NEW", "RED"]


def test_a_dead_letter_passes_once_the_settings_know_its_code(tmp_path: Path) -> None:
    raw, at = json.dumps(LEVEL).encode(), datetime(2026, 3, 1, tzinfo=UTC)
    letter = Letter(0, 0, at, "UNMAPPED", "", f"{TOPIC}/0", 0, raw)
    more = 'maps.skus.39072856 = "IPOD-GREEN"\n'

    before, after = (channels_of(load_settings(configured(tmp_path, one))) for one in ("", more))

    assert not letter.would_pass(before)
    assert letter.would_pass(after)


@pytest.mark.parametrize("command", ["test", "validate"])
def test_a_trial_takes_the_codes_of_a_file_or_of_a_channel(tmp_path: Path, command: str) -> None:
    level = written(tmp_path, json.dumps(LEVEL), "level.json")
    codes = written(tmp_path, '[skus]\n39072856 = "IPOD-GREEN"\n')
    config = configured(tmp_path, f'maps_file = "{codes}"\n')

    bare = run("channel", command, "shopify", level)
    by_file = run("channel", command, "shopify", level, "--maps", codes)
    by_channel = run("channel", command, "shop", level, "--config", config)

    assert [done.exit_code for done in (bare, by_file, by_channel)] == [1, 0, 0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[payments]\n\ngift = 'paid'\n", "codes.toml:3: payments.gift: 'paid' is none of pending"),
        ("[skus]\n1 = 'A'\n2 = 7\n", "codes.toml:3: skus.2: 7 is no text: put it in quotes"),
        ("[sku]\n1 = 'A'\n", "codes.toml:1: sku: shopify has no such table; there are milestones,"),
        ("skus = 'A'\n", "codes.toml:1: skus: is no table of codes"),
        ("[skus\n", "codes.toml: no TOML"),
    ],
)
def test_a_wrong_code_is_refused_by_file_line_and_name(
    tmp_path: Path, text: str, complaint: str
) -> None:
    codes = written(tmp_path, text)

    assert complaint in refused(run("channel", "validate", "shopify", "--maps", codes))


def test_a_wrong_code_of_the_settings_is_refused_by_its_channel(tmp_path: Path) -> None:
    settings = load_settings(configured(tmp_path, 'maps.payments.gift = "given"\n'))

    with pytest.raises(InputError, match=r"channels\.shop\.maps: payments\.gift: 'given' is none"):
        channels_of(settings)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("shopify", "--maps", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("shopify", "--config", "crossdock.toml"), "has no channel shopify; there are shop"),
    ],
)
def test_codes_that_are_not_there_are_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], complaint: str
) -> None:
    configured(tmp_path, "")
    monkeypatch.chdir(tmp_path)

    assert complaint in refused(run("channel", "validate", *words))


def test_many_codes_are_looked_up_as_few_are() -> None:
    some = {code: MANY[code] for code in ("T-1", "T-99")}
    few, many = (
        Channel(
            Codes("ours", dict.fromkeys(("numbers", "lands", "skus"), codes)).laid_over(
                parse_mapping(TILL, "till.toml")
            ),
            BINDING,
        )
        for codes in (some, MANY)
    )
    orders = [
        {"no": number, "at": "2026-03-01T10:00:00Z", "country": "*", "items": lines}
        for number, lines in (
            ("A", [{"article": "T-1", "n": 1}, {"article": "T-99", "n": 2}]),
            ("B", [{"article": "T-1", "n": 1}, {"article": "*", "n": 2}]),
            ("C", [{"article": "t-1", "n": 1}]),
            ("D", [{"n": 1}]),
        )
    ]

    made = [one.take([json.dumps(order).encode() for order in orders]) for one in (few, many)]

    assert [record.line for record in made[0].records] == [
        record.line for record in made[1].records
    ]
    assert made[0].troubles == made[1].troubles
    assert [trouble.detail for trouble in made[0].troubles] == [
        "data.lines.sku: * is no code of maps.skus",
        "data.lines.sku: t-1 is no code of maps.skus",
        "data.lines.sku: missing",
    ]
