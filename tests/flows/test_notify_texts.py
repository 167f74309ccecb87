"""The words of notifications: all of them on all ways, texts of the house, lengths, quiet hours."""

import json
from datetime import UTC, datetime, time
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flows.notices.addresses import NOBODY, Address, AddressBook
from flows.notices.hours import quiet_until
from flows.notices.preview import previews
from flows.notices.settings import QuietHours
from flows.notices.sms import fitted, parts
from flows.notices.texts import Texts
from flows.notices.values import OF_THE_DETAILS, example_of, values_of
from schemas.codes import Template
from schemas.errors import InputError
from tests.support.notices import our_texts

GOLDEN = Path(__file__).parents[1] / "golden/notices/texts.jsonl"
UTC_ZONE = ZoneInfo("UTC")


def house_texts(folder: Path, text: str, name: str = "en.toml") -> Texts:
    (folder / name).write_text(text, encoding="utf-8")
    return Texts("en", folder)


def test_every_text_is_as_it_was_read_last() -> None:
    golden = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]

    made = list(previews(our_texts()))

    assert made == golden, "make golden rewrites it; read the difference"
    assert {(one["template"], one["language"]) for one in made} == {
        (str(template), language) for template in Template for language in ("en", "zh")
    }


def test_every_short_message_fits_with_and_without_details() -> None:
    for language in our_texts().languages:
        words = our_texts().words(language)
        for template in Template:
            for is_bare in (False, True):
                known = values_of(example_of(template, is_bare=is_bare), UTC_ZONE, None)
                assert parts(words.say(template, "sms", known)) == 1, (language, template)


def test_no_text_says_the_name_of_nothing() -> None:
    for shown in previews(our_texts()):
        words = json.dumps(shown["sms"]["text"]) + shown["email"]["text"]
        assert not any(bad in words for bad in ("None", "{{", "{%", "  ", " ,", " .")), words


def test_a_house_may_replace_single_texts_and_add_a_language(tmp_path: Path) -> None:
    ours = (files("flows.notices") / "texts/en.toml").read_text(encoding="utf-8")
    (tmp_path / "de.toml").write_text(ours.replace("is on its way", "ist unterwegs"))

    texts = house_texts(tmp_path, '[SHIPPED]\nsms = "Off it goes: {{ order }}"\n')

    known = values_of(example_of(Template.SHIPPED), UTC_ZONE, None)
    assert texts.languages == ["de", "en", "zh"]
    assert texts.words("en").say(Template.SHIPPED, "sms", known) == "Off it goes: SO-20261125-0042"
    assert texts.words("en").say(Template.SHIPPED, "subject", known).endswith("is on its way")
    assert texts.words("de-AT").say(Template.SHIPPED, "subject", known).endswith("ist unterwegs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[SHIPPED]\nsms = "{{ ordr }}"', "SHIPPED.sms names 'ordr'; there are amount"),
        ('[SHIPPED]\nsms = "{{ order "', "SHIPPED.sms, line 1: unexpected end of template"),
        ('[SHIPPED]\nsms = "{{ 1 / 0 }}"', "SHIPPED.sms: division by zero"),
        ('[SHIPPED]\nsms = "{{ order.__class__.mro() }}"', "SHIPPED.sms: access to attribute"),
        ('[SHIPPED]\nsms = ""', "SHIPPED.sms is no text"),
        ('[SHIPPED]\nsms = "{{ amount }}"', "SHIPPED.sms says nothing where some values are"),
        ('[SHIPPED]\nsubject = "a\\nb"', "SHIPPED.subject has more than one line"),
        (f'[SHIPPED]\nsms = "{"长" * 135}"', "SHIPPED.sms takes 3 short messages"),
        ('[SHIPPED]\ntitle = "a"', "SHIPPED.title is none of mini_program, sms, subject, text"),
        ("[SHIPPED]\nmini_program = {}", "SHIPPED.mini_program is no table of fields"),
        ('[SHIPPED.mini_program]\nthing = "a"', "SHIPPED.mini_program.thing is no field"),
        ('[SHIPED]\nsms = "a"', "[SHIPED] is no template"),
        ("SHIPPED = 1", "SHIPPED stands outside any section"),
        ("[SHIPPED", "en.toml: "),
    ],
)
def test_a_text_that_will_not_do_is_told_at_the_start(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(InputError) as refusal:
        house_texts(tmp_path, text)

    assert words in str(refusal.value)
    assert "en.toml" in str(refusal.value)


def test_a_language_of_the_house_has_to_be_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"de\.toml: the section \[format\] is missing"):
        house_texts(tmp_path, '[SHIPPED]\nsms = "a"\n', "de.toml")
    with pytest.raises(InputError, match="language 'fr': there are texts in"):
        Texts("fr")
    with pytest.raises(InputError, match="is no folder of texts"):
        Texts("en", tmp_path / "nowhere")


def test_the_examples_are_what_the_outbox_may_say() -> None:
    known = values_of(example_of(Template.COMPENSATED), ZoneInfo("Asia/Shanghai"), "https://a/b/")

    assert set(OF_THE_DETAILS) < set(known)
    assert known["amount"] == "12.50 EUR"
    assert known["link"] == "https://a/b/orders/acme/eu/SO-20261125-0042"
    assert known["promise_at"].isoformat() == "2026-11-28T18:00:00+08:00"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("长" * 70, 1),
        ("长" * 71, 2),
        ("长" * 134, 2),
        ("长" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("", 1),
    ],
)
def test_short_messages_are_counted_as_networks_count_them(text: str, count: int) -> None:
    assert parts(text) == count


@pytest.mark.parametrize("text", ["a" * 500, "长" * 500, "short", "a😀" * 200])
@pytest.mark.parametrize("link", ["", "https://shop.example/orders/1"])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_message_that_is_too_long_is_cut_and_its_link_is_not(
    text: str, link: str, most: int
) -> None:
    made = fitted(text, link, most)

    assert parts(made) <= most
    assert made.endswith(link)
    assert made.startswith(text[:5])
    assert len(made) > 30 or text == "short"


BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
NIGHT, NOON = QuietHours(), QuietHours(begin=time(12), end=time(14))


@pytest.mark.parametrize(
    ("now", "hours", "zone", "until"),
    [
        ("2026-11-25T21:59:59+08:00", NIGHT, SHANGHAI, None),
        ("2026-11-25T22:00:00+08:00", NIGHT, SHANGHAI, "2026-11-26T08:00:00+08:00"),
        ("2026-11-26T00:30:00+08:00", NIGHT, SHANGHAI, "2026-11-26T08:00:00+08:00"),
        ("2026-11-26T08:00:00+08:00", NIGHT, SHANGHAI, None),
        ("2026-11-26T13:00:00+08:00", NOON, SHANGHAI, "2026-11-26T14:00:00+08:00"),
        ("2026-11-26T14:00:00+08:00", NOON, SHANGHAI, None),
        ("2026-03-28T23:00:00+01:00", NIGHT, BERLIN, "2026-03-29T08:00:00+02:00"),
        ("2026-10-24T23:00:00+02:00", NIGHT, BERLIN, "2026-10-25T08:00:00+01:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_of_the_place(
    now: str, hours: QuietHours, zone: ZoneInfo, until: str | None
) -> None:
    found = quiet_until(datetime.fromisoformat(now).astimezone(UTC), hours, zone)

    assert found == (datetime.fromisoformat(until) if until is not None else None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("book.csv", "token,phone,language,shoe_size\nc-1,0151,,\nc-1,0152,zh,43\n"),
        (
            "book.jsonl",
            '{"token":"c-1","phone":"0151"}\n{"token":"c-1","phone":"0152","language":"zh"}\n',
        ),
    ],
)
def test_an_address_book_is_a_file_whose_last_row_counts(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)

    book = AddressBook(tmp_path / name)

    assert book.find("c-1") == Address(phone="0152", language="zh")
    assert book.find("c-2") == book.find(None) == NOBODY


def test_a_bad_address_book_is_refused_at_the_start_and_passed_over_later(tmp_path: Path) -> None:
    file = tmp_path / "book.csv"
    file.write_text("token,phone\nc-1,0151\n")
    book = AddressBook(file)
    file.write_text("name\nsomebody\n")
    book.refresh()
    kept = book.find("c-1").phone

    with pytest.raises(InputError, match="has no column token"):
        AddressBook(file)
    with pytest.raises(InputError, match="cannot be read as an address book"):
        AddressBook(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="an address book is a file"):
        AddressBook(tmp_path)
    assert kept == "0151"
