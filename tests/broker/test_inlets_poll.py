"""Addresses that are polled: no cursor moves before its page is durable, and nothing is asked for elsewhere."""

import asyncio
import gzip
import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import stamina
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.channels.ways import PollSettings
from flows.inlets.job import InletsJob
from flows.inlets.keeper import Reason
from flows.inlets.pages import PageError, Pages
from flows.kafka.client import KafkaSettings, bounds, consumer
from flows.kafka.reading import headers_of, read_range
from tests.support import jobs
from tests.support.broker import MockBroker, all_of
from tests.support.command_line import refused, run
from tests.support.inlets import NOWHERE, at_work, config, job_of, kept, metric, started, topic
from tests.support.shops import Asked, Shop, Told, shop

TOKEN = "t0ken-of-the-shop"
BY_PATH = '{ path = "meta.next", parameter = "after", kept = true }'
BY_LINK = '{ header = "Link" }'


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=3)
    yield
    stamina.set_testing(False)


@pytest.fixture
def kafka(mock: MockBroker, mocked: KafkaSettings) -> KafkaSettings:
    mock.topic(topic(mocked), 1)
    return mocked


def way(of: Shop, cursor: str = BY_PATH, more: str = 'items = "data.orders"') -> str:
    return f'poll = {{ url = "{of.url}?limit=2", every_seconds = 0.1, cursor = {cursor}, {more} }}'


def orders(numbers: range) -> list[dict[str, int]]:
    return [{"n": n} for n in numbers]


def paged(total: int, size: int = 2) -> list[bytes]:
    """Pages of so many orders; each names the next, the last none."""
    pages = []
    for start in range(0, total, size):
        following = start // size + 1 if start + size < total else None
        found = orders(range(start, min(start + size, total)))
        pages.append(json.dumps({"data": {"orders": found}, "meta": {"next": following}}).encode())
    return pages


def get(url: str, at: str | None = None, **said: object) -> list[bytes]:
    """One page, as it is asked for."""

    async def asked() -> list[bytes]:
        pages = Pages(PollSettings.model_validate({"url": url, **said}))
        try:
            return (await pages.get(at)).payloads
        finally:
            await pages.close()

    return asyncio.run(asked())


def test_all_pages_are_taken_and_the_next_round_goes_on_from_the_last(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    pages = paged(5)
    with shop(lambda asked: Told(pages[int(asked.query.get("after", 0))])) as there:
        file = config(
            tmp_path, kafka, way(there, more='items = "data.orders", token_env = "SHOP_TOKEN"')
        )
        job = job_of(file)
        job.run_once()
        assert kept(kafka) == orders(range(5))
        pages = paged(7)
        job_of(file).run_once()

    assert kept(kafka) == orders(range(5)) + orders(range(4, 7)), "the last page once more"
    assert [asked.query.get("after") for asked in there.asked] == [None, "1", "2", "2", "3"]
    assert {asked.query["limit"] for asked in there.asked} == {"2"}
    assert {asked.headers["authorization"] for asked in there.asked} == {f"Bearer {TOKEN}"}
    assert metric(job, 'crossdock_inlets_kept_total{channel="stock",way="poll"}') == 5
    assert 0 < metric(job, "crossdock_inlets_behind_seconds") < 60


@pytest.mark.parametrize(
    ("cursor", "body", "headers", "following"),
    [
        ('{ header = "Link" }', '[{"id":7}]', {"link": '</orders?page=b>; rel="next"'}, "page=b"),
        ('{ path = "-1.id", parameter = "since" }', '[{"id":6},{"id":7}]', {}, "since=7"),
        ('{ header = "X-Next", parameter = "a" }', '[{"id":7}]', {"x-next": "ü&1"}, "a=ü&1"),
        ('{ path = "0.at", parameter = "a" }', '[{"at":12345678901234567890.50}]', {},
         "a=12345678901234567890.50"),
    ],
)  # fmt: skip
def test_a_cursor_is_where_the_settings_say(
    cursor: str,
    body: str,
    headers: dict[str, str],
    following: str,
    kafka: KafkaSettings,
    tmp_path: Path,
) -> None:
    told = [
        Told(body.encode(), headers={k: v.encode().decode("latin-1") for k, v in headers.items()}),
        Told(b"[]"),
    ]
    with shop(lambda _: told[min(len(there.asked) - 1, 1)]) as there:
        job_of(config(tmp_path, kafka, way(there, cursor, "items = '', page_rows = 9"))).run_once()

    name, _, value = following.partition("=")
    assert [asked.query.get(name) for asked in there.asked] == [None, value]


def linked(listed: Sequence[int]) -> Callable[[Asked], Told]:
    """A listing in numbered pages of two; each links to the next."""

    def answer(asked: Asked) -> Told:
        page = int(asked.query.get("page", 1))
        found = [{"n": n} for n in listed[2 * page - 2 : 2 * page]]
        following = f'</orders?page={page + 1}>; rel="next"'
        headers = {"link": following} if 2 * page < len(listed) else {}
        return Told(json.dumps(found).encode(), headers=headers)

    return answer


def test_of_a_listing_that_begins_with_the_newest_nothing_is_missed(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    listed = [3, 2, 1, 0]
    with shop(linked(listed)) as there:
        file = config(tmp_path, kafka, way(there, BY_LINK, "items = ''"))
        job_of(file).run_once()
        listed[:0] = [5, 4]
        job_of(file).run_once()

    assert kept(kafka) == [{"n": n} for n in (3, 2, 1, 0, 5, 4, 3, 2, 1, 0)]
    assert not (tmp_path / "state").exists()


def test_a_row_that_moves_while_pages_are_read_comes_with_the_next_round(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    listed = list(range(8))

    def answer(asked: Asked) -> Told:
        told = linked(listed)(asked)
        if len(there.asked) == 1:
            listed.append(listed.pop(0))
        return told

    with shop(answer) as there:
        file = config(tmp_path, kafka, way(there, BY_LINK, "items = ''"))
        job_of(file).run_once()
        first = {row["n"] for row in kept(kafka)}
        job_of(file).run_once()

    assert first == set(range(8)) - {2}
    assert {row["n"] for row in kept(kafka)} == set(range(8))


def test_more_rows_of_one_moment_than_a_page_takes_are_told_and_count_as_behind(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    times = [f"2026-03-01T0{n // 3}:00:00Z" for n in range(6)]

    def answer(asked: Asked) -> Told:
        since = asked.query.get("since", "")
        rows = [{"n": n, "at": at} for n, at in enumerate(times) if at >= since]
        found = rows[: int(asked.query["limit"])]
        return Told(json.dumps(found).encode())

    cursor = '{ path = "-1.at", parameter = "since", kept = true }'
    with shop(answer) as there:
        file = config(tmp_path, kafka, way(there, cursor, "items = '', page_rows = 2"))
        job = job_of(file)
        turned(job, 2)
        stuck = metric(job, 'crossdock_inlets_refused_total{channel="stock",reason="stuck"')
        behind = metric(job, "crossdock_inlets_behind_seconds")
        file.write_text(
            file.read_text().replace("limit=2", "limit=4").replace("rows = 2", "rows = 4")
        )
        larger = job_of(file)
        larger.run_once()

    assert stuck == 2
    assert behind > 0
    assert {row["n"] for row in kept(kafka)} == set(range(6))
    assert metric(larger, "crossdock_inlets_behind_seconds") < behind


def test_payloads_are_as_they_are_written_whatever_they_are(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    written = [
        b'{ "total": 1.50, "n":123456789012345678901234567890 }',
        b'"text"',
        b"null",
        b"[[[]]]",
    ]
    with shop(lambda _: Told(b"[" + b" , ".join(written) + b"]")) as there:
        job_of(config(tmp_path, kafka, f'poll = {{ url = "{there.url}" }}')).run_once()

    assert [value for _, value in all_of(kafka, topic(kafka))] == written


def test_a_payload_that_no_topic_takes_becomes_a_dead_letter_without_its_bytes(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    with shop(lambda _: Told(json.dumps([1, "x" * 6_000_000, 2]).encode())) as there:
        job_of(config(tmp_path, kafka, f'poll = {{ url = "{there.url}" }}')).run_once()

    assert kept(kafka) == [1, 2]
    (letter,) = messages(kafka, kafka.dead_letters)
    told = headers_of(letter)
    assert (told["reason"], told["source"]) == ("TOO_LARGE", topic(kafka))
    assert told["bytes-left-out"] == "6000002"


def messages(kafka: KafkaSettings, name: str) -> list[Message]:
    client, found = consumer(kafka, "test"), list[Message]()
    for partition in range(2):
        first, end = bounds(kafka, client, name, partition)
        found += read_range(kafka, client, (name, partition), first, end)
    client.close()
    return found


@pytest.mark.parametrize(
    ("told", "reason", "said"),
    [
        (Told(b"", 401), "answered", "answered 401 Unauthorized"),
        (Told(b"", 500), "answered", "answered 500 Internal Server Error"),
        (Told(b"", 302, {"location": "http://127.0.0.1:9/"}), "answered", "not followed"),
        (Told(b"{"), "no_page", "no JSON, or data.orders is no array"),
        (Told(b'{"data":[]}'), "no_page", "data.orders is no array"),
        (Told(b"\xff\xfe"), "no_page", "no JSON"),
        (Told(b"[" * 9_000), "no_page", "no JSON"),
        (Told(b'{"data":' + b'{"orders":' * 900), "no_page", "no JSON"),
        (Told(b"x" * 20_000), "too_large", "more than 10000 bytes"),
        (Told(gzip.compress(b"x" * 10**7), 200, {"content-encoding": "gzip"}), "too_large", "unpacked"),
        (Told(b"xyz", 200, {"content-encoding": "gzip"}), "no_page", "no gzip"),
        (Told(b"[]", 200, {"content-encoding": "br"}), "no_page", "gzip or identity"),
    ],
)  # fmt: skip
def test_what_is_no_page_is_refused_with_a_reason(told: Told, reason: str, said: str) -> None:
    with shop(lambda _: told) as there, pytest.raises(PageError) as caught:
        get(there.url, items="data.orders", max_bytes=10_000)

    assert caught.value.reason == reason
    assert said in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def any_shop() -> Iterator[Shop]:
    with shop(lambda _: Told(b"")) as there:
        yield there


@settings(max_examples=60)
@given(
    body=st.binary(max_size=60)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | VALUES.map(lambda value: json.dumps({"a": [value], "c": value}).encode()),
    path=st.sampled_from(["", "a", "a.0", "a.-1.b", "a..b"]),
)
def test_whatever_is_answered_is_a_page_or_is_refused(
    body: bytes, path: str, any_shop: Shop
) -> None:
    any_shop.answer = lambda _: Told(body)
    found, reason = list[bytes](), Reason.NO_PAGE
    try:
        found = get(any_shop.url, items=path, cursor={"path": "c"})
    except PageError as error:
        reason = error.reason

    assert reason is Reason.NO_PAGE
    assert all(payload in body for payload in found)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.1:9/orders",
        "https://127.0.0.1/",
        "//example.com/",
        "http://u:p@{host}/",
        "http://[",
    ],
)
def test_no_page_is_asked_for_elsewhere(elsewhere: str) -> None:
    with shop(lambda _: Told(b"[]")) as there:
        host = there.url.removeprefix("http://").partition("/")[0]
        with pytest.raises(PageError) as caught:
            get(there.url, elsewhere.replace("{host}", host), cursor={"header": "Link"})

    assert caught.value.reason == "wrong_address"
    assert there.asked == []


def test_who_answers_too_slowly_or_not_at_all_is_not_waited_for() -> None:
    is_over = threading.Event()
    with shop(lambda _: Told(b"[]" if is_over.wait(10) else b"")) as there:
        with pytest.raises(PageError, match=r"no whole answer in 0.2 s"):
            get(there.url, timeout_seconds=0.2)
        is_over.set()
    with pytest.raises(PageError, match="no connection: ConnectError"):
        get(there.url)


def test_what_passes_is_tried_again_and_who_wants_to_be_left_alone_is(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    told = [Told(b"", 503), Told(b"", 502), Told(b"[1]"), Told(b"", 429, {"retry-after": "77"})]
    with shop(lambda _: told[len(there.asked) - 1]) as there:
        job = job_of(config(tmp_path, kafka, f'poll = {{ url = "{there.url}" }}'))
        waits = turned(job, 2)

    assert kept(kafka) == [1]
    assert waits[0] == 60
    assert 76 < waits[1] <= 77
    assert metric(job, 'crossdock_inlets_refused_total{channel="stock",reason="answered"') == 1


def turned(job: InletsJob, turns: int) -> list[float]:
    """How long the only inlet would wait after each of so many turns."""
    (inlet,) = job._inlets.values()

    async def all_turns() -> list[float]:
        found = [await inlet.turn() for _ in range(turns)]
        await inlet.close()
        return found

    return asyncio.run(all_turns())


def test_no_secret_is_in_what_is_said(
    kafka: KafkaSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    told = iter([Told(b"", 403), Told(TOKEN.encode()), Told(b"", 302, {"location": TOKEN})])
    with shop(lambda _: next(told)) as there:
        poll = f'poll = {{ url = "{there.url}?key={TOKEN}", token_env = "SHOP_TOKEN" }}'
        turned(job_of(config(tmp_path, kafka, poll)), 3)

    out, said = capfd.readouterr()
    assert "answered 403" in out + said
    assert TOKEN not in out + said


def test_no_cursor_moves_while_the_brokers_are_away(
    mock: MockBroker, kafka: KafkaSettings, tmp_path: Path
) -> None:
    pages = paged(6)
    with shop(lambda asked: Told(pages[int(asked.query.get("after", 0))])) as there:
        file = config(tmp_path, kafka, way(there))
        with at_work(file) as job:
            jobs.wait(lambda: len(kept(kafka)) >= 6)
            mock.down()
            pages = paged(9)
            jobs.wait(lambda: metric(job, "crossdock_inlets_refused_total") >= 1)
            behind = metric(job, "crossdock_inlets_behind_seconds")
            cursor = json.loads((tmp_path / "state/stock.cursor.json").read_text())["cursor"]
            mock.up()
            jobs.wait(lambda: {row["n"] for row in kept(kafka)} == set(range(9)))

    assert cursor == "2"
    assert behind > 0.5


def test_a_process_that_is_killed_skips_no_page(kafka: KafkaSettings, tmp_path: Path) -> None:
    chance = random.Random(jobs.seed(20261126))
    pages = paged(900, 3)
    with shop(lambda asked: Told(pages[int(asked.query.get("after", 0))])) as there:
        file = config(tmp_path, kafka, way(there))
        for _ in range(jobs.kills(2)):
            process, asked = started(file), len(there.asked)
            goal = asked + chance.randrange(20, 120)
            jobs.wait(lambda goal=goal: len(there.asked) >= goal)  # type: ignore[misc]
            jobs.killed(process)
        asked = len(there.asked)
        job_of(file).run_once()

    assert {row["n"] for row in kept(kafka)} == set(range(900))
    assert len(there.asked) - asked < 300, "it went on from where it was"


def test_a_cursor_of_another_address_is_not_used_and_a_damaged_one_is_named(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    pages = paged(4)
    with shop(lambda asked: Told(pages[int(asked.query.get("after", 0))])) as there:
        file = config(tmp_path, kafka, way(there))
        job_of(file).run_once()
        file.write_text(file.read_text().replace("/orders?", "/returns?"))
        job_of(file).run_once()
    (tmp_path / "state/stock.cursor.json").write_bytes(b'{"addr')

    assert [asked.query.get("after") for asked in there.asked] == [None, "1", None, "1"]
    said = refused(run("inlet", "run", "--once", "--config", file))
    assert "stock.cursor.json cannot be read: it is damaged; remove it to begin anew" in said


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ('poll = { url = "ftp://a/" }', "url is not http://HOST or https://HOST"),
        ('poll = { url = "https://u:p@a/" }', "url has a user in it"),
        ('poll = { url = "http://a/", token_env = "T" }', "a secret goes over https alone"),
        ('poll = { url = "https://a/", token_env = "NOT_SET" }', "variable NOT_SET has no secret"),
        ('poll = { url = "https://a/", token_env = "A", token_file = "b" }', "are both given"),
        ('poll = { url = "https://a/", cursor = {} }', "set one of path and header"),
        ('poll = { url = "https://a:x/" }', "url cannot be read"),
        (
            'poll = { url = "https://a/", cursor = { path = "-1.at", parameter = "since" } }',
            "needs page_rows",
        ),
    ],
)
def test_settings_that_cannot_work_are_said_in_one_line(
    way: str, said: str, tmp_path: Path
) -> None:
    file = config(tmp_path, NOWHERE, way)

    line = refused(run("inlet", "run", "--config", file))
    assert "channels.stock.poll" in line
    assert said in line


def test_there_is_a_place_for_cursors(tmp_path: Path) -> None:
    file = config(tmp_path, NOWHERE, 'poll = { url = "https://a/" }')
    file.write_text(file.read_text().replace("state =", "# state ="))

    assert "set state under [inlets]" in refused(run("inlet", "run", "--config", file))
