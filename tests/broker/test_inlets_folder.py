"""Watched folders: a file moves away once its rows are durable, and what cannot be read says why."""

import json
import os
import random
import sqlite3
from base64 import b64encode
from http import HTTPStatus
from pathlib import Path

import pytest

from flows.inlets.folder import move_to
from flows.kafka.client import KafkaSettings
from flows.letters import Wanted, read_letters
from flows.metrics import state_of
from flows.settings import load_settings
from flows.vault.keys import Vault
from tests.support import jobs
from tests.support.broker import MockBroker, all_of
from tests.support.command_line import refused, run
from tests.support.ingesting import ingest, read
from tests.support.inlets import NOWHERE, at_work, config, job_of, kept, metric, started, topic


class Folders:
    """In, done and refused."""

    def __init__(self, root: Path) -> None:
        self.into, self.done, self.refused = root / "in", root / "done", root / "refused"
        self.into.mkdir()

    def way(self, settle: float = 0, *, is_kept: bool = True) -> str:
        """As it is set; what is done is kept or removed."""
        done = f'done = "{self.done}", ' if is_kept else ""
        return (
            f'folder = {{ path = "{self.into}", {done}refused = "{self.refused}", '
            f"settle_seconds = {settle} }}"
        )

    def put(self, name: str, text: str) -> None:
        """A whole file, renamed in."""
        (self.into.parent / "draft").write_text(text)
        (self.into.parent / "draft").rename(self.into / name)

    def holds(self, name: str) -> bool:
        """Whether a file is still to be taken."""
        return (self.into / name).exists()

    def names(self) -> tuple[list[str], list[str], list[str]]:
        """What is in each."""
        into, done, refused = (
            sorted(f.name for f in folder.iterdir())
            for folder in (self.into, self.done, self.refused)
        )
        return into, done, refused


def letters(kafka: KafkaSettings) -> list[tuple[str, str, int]]:
    """Reason, detail and bytes left out of every dead letter."""
    found = sorted(read_letters(kafka, Wanted()), key=lambda letter: letter.detail)
    return [(one.reason, one.detail, one.bytes_left_out) for one in found]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


@pytest.fixture
def kafka(mock: MockBroker, mocked: KafkaSettings) -> KafkaSettings:
    mock.topic(topic(mocked), 1)
    return mocked


def test_rows_of_a_file_are_on_the_topic_and_the_file_is_done(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    folders.put("a.csv", "sku,qty\n007,1\nB,2\n")
    folders.put("b.tsv", "sku\tqty\nC\t3\n")
    job = job_of(config(tmp_path, kafka, folders.way()))

    job.run_once()

    assert kept(kafka) == [{"sku": s, "qty": q} for s, q in (("007", "1"), ("B", "2"), ("C", "3"))]
    assert folders.names() == ([], ["a.csv", "b.tsv"], [])
    assert metric(job, 'crossdock_inlets_kept_total{channel="stock",way="folder"}') == 3
    assert metric(job, "crossdock_inlets_behind_seconds") == 0
    assert metric(job, "crossdock_inlets_silent_seconds") > 0


def test_a_file_that_is_still_written_is_left_alone(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    folders.put("fresh.csv", "sku\nA\n")
    for name in (".hidden.csv", "upload.csv.part", "UPLOAD.TMP"):
        (folders.into / name).write_text("sku\nA\n")
        os.utime(folders.into / name, (0, 0))
    (folders.into / "folder.csv").mkdir()

    job_of(config(tmp_path, kafka, folders.way(settle=60))).run_once()
    assert folders.names()[1:] == ([], [])
    job_of(config(tmp_path, kafka, folders.way(settle=0))).run_once()
    into, done, refusals = folders.names()

    assert into == [".hidden.csv", "UPLOAD.TMP", "folder.csv", "upload.csv.part"]
    assert (done, refusals) == (["fresh.csv"], [])


def test_a_file_with_rows_that_cannot_be_read_says_which(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    (folders.into / "bad.csv").write_bytes(b"sku,qty\nA,1\nB\nC,\xff\nD,4\n")
    job = job_of(config(tmp_path, kafka, folders.way()))

    job.run_once()

    assert [row["sku"] for row in kept(kafka)] == ["A", "D"]
    assert folders.names() == ([], [], ["bad.csv", "bad.csv.reason.txt"])
    assert (folders.refused / "bad.csv.reason.txt").read_text().splitlines() == [
        "2 rows were taken; not taken:",
        "line 3: 1 fields, but the header has 2",
        "line 4: no UTF-8",
    ]
    assert metric(job, "crossdock_inlets_refused_total") == 2
    assert letters(kafka) == [
        ("SCHEMA_INVALID", "folder: bad.csv: line 3: 1 fields, but the header has 2", 0),
        ("SCHEMA_INVALID", "folder: bad.csv: line 4: no UTF-8", 0),
    ]


def test_an_operator_sees_rows_and_files_that_cannot_be_read_among_the_dead_letters(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    folders.put("bad.csv", "sku,qty\nA\nB,1\n")
    folders.put("empty.csv", "")
    file = config(tmp_path, kafka, folders.way())
    file.write_text('customer_secret = "of the tests"\n' + file.read_text())

    job_of(file).run_once()

    listed = run("dead-letters", "list", "--json", "--config", file)
    shown = run("dead-letters", "show", "--config", file)
    sent = run("dead-letters", "resend", "--all", "--config", file)
    assert json.loads(listed.stdout) == {
        "reason": "SCHEMA_INVALID",
        "source": topic(kafka),
        "letters": 2,
        "resent": 0,
        "would_pass": 0,
    }
    assert shown.stdout.count("(not kept here)") == 2
    assert "0 of 2 dead letters sent again" in sent.stderr, "the file is mended, and put in again"


def test_what_is_no_file_of_rows_is_refused_and_leads_nowhere(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("password\nhush\n")
    (folders.into / "link.csv").symlink_to(secret)
    (folders.into / "other.exe").write_bytes(b"MZ")
    (folders.into / "torn.parquet").write_bytes(b"PAR1 and no more")
    (folders.into / "empty.csv").touch()
    os.mkfifo(folders.into / "pipe.csv")
    long = "x" * 240 + ".csv"
    (folders.into / long).write_text("")
    with open(os.fsencode(folders.into) + b"/\xff\n[red]..\\.csv", "w") as odd:
        odd.write("")

    job_of(config(tmp_path, kafka, folders.way())).run_once()

    into, done, refusals = folders.names()
    assert (into, done) == ([], [])
    assert len(refusals) == 14, "each beside its reason"
    assert kept(kafka) == []
    assert secret.read_text() == "password\nhush\n"
    assert (folders.refused / "link.csv").is_symlink()
    reason = (folders.refused / "other.exe.reason.txt").read_text()
    assert reason == "0 rows were taken; not taken:\nother.exe: .exe is neither .csv nor .parquet\n"
    said = "folder: other.exe: .exe is neither .csv nor .parquet"
    assert ("SCHEMA_INVALID", said, 2) in letters(kafka)
    assert len(letters(kafka)) == 7


def test_nothing_is_written_over(kafka: KafkaSettings, folders: Folders, tmp_path: Path) -> None:
    for sku in "AB":
        folders.put("a.csv", f"sku\n{sku}\n")
        folders.put("bad.csv", f"sku\n{sku},{sku}\n")
        job_of(config(tmp_path, kafka, folders.way())).run_once()

    _, done, refusals = folders.names()
    assert done == ["a.csv", "a.csv.1"]
    assert refusals == ["bad.csv", "bad.csv.1", "bad.csv.1.reason.txt", "bad.csv.reason.txt"]
    assert (folders.done / "a.csv").read_text() == "sku\nA\n"


def test_a_row_that_no_topic_takes_is_refused_and_the_others_are_taken(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    grows = "\x01" * 1_500_000  # six characters each in JSON
    folders.put("wide.csv", f"a,b\n1,2\n{grows},\n3,4\n")

    job_of(config(tmp_path, kafka, folders.way())).run_once()

    assert kept(kafka) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    said = (folders.refused / "wide.csv.reason.txt").read_text()
    assert said.endswith("line 3: more than the topic takes in one message\n")
    (letter,) = letters(kafka)
    assert letter[0] == "TOO_LARGE"
    assert letter[2] > 9_000_000


def test_a_row_of_a_file_becomes_a_record_of_the_journal(
    mocked: KafkaSettings, kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    (tmp_path / "counts.toml").write_text(
        'name = "counts"\ntitle = "Counts"\n[[record]]\ntype = "inventory.counted"\n'
        'id = { sql = "p.node || \'/\' || p.day" }\nsubject = "node"\n'
        'time = { path = "day", form = "%d.%m.%Y %H:%M", zone = "Europe/Berlin" }\n'
        'data.items = [{ sku = "sku", on_hand = "left" }]\n'
    )
    file = config(tmp_path, kafka, folders.way())
    text = file.read_text().replace('"shopify"', f'"{tmp_path}/counts.toml"')
    file.write_text(f'customer_secret = "of the tests"\n{text}')
    folders.put("a.csv", "node;day;sku;left\nN1;01.03.2026 09:00;007;12\nN2;no day;007;12\n")
    settings = load_settings(file).model_copy(update={"tick_seconds": 60})

    job_of(file).run_once()
    ingest(mocked, settings, read(topic(kafka), 2))

    (line,) = [v for _, v in all_of(mocked, mocked.journal) if b"inventory.counted" in v]
    assert json.loads(line) == {
        "specversion": "1.0",
        "type": "inventory.counted",
        "source": "stock",
        "id": "N1/01.03.2026 09:00~C8BD18D8EEA1EAEE",
        "time": "2026-03-01T08:00:00.000000Z",
        "subject": "N1",
        "tenant": "acme",
        "network": "eu",
        "data": {"items": [{"sku": "007", "on_hand": 12}]},
        "dataref": f"{topic(kafka)}/0/0",
    }
    (letter,) = read_letters(mocked, Wanted())
    assert (letter.reason, letter.source) == ("UNMAPPED", f"{topic(kafka)}/0")
    assert letter.detail == "time: no day is no time"


def sealed(folder: Path, kafka: KafkaSettings, way: str) -> Path:
    """Settings of a channel whose payloads are sealed, and have a name."""
    (folder / "master").write_bytes(b64encode(b"m" * 32))
    (folder / "stock.toml").write_text(
        'name = "stock"\ntitle = "Stock"\npersonal = ["name"]\n[[record]]\n'
        'type = "inventory.counted"\nid = "sku"\nsubject = "sku"\n'
        'time = { value = "2026-03-01T00:00:00Z" }\ndata.items = [{ sku = "sku", on_hand = "qty" }]\n'
    )
    file = config(folder, kafka, f"sealed = true\n{way}")
    text = file.read_text().replace('"shopify"', f'"{folder}/stock.toml"')
    file.write_text(
        f'customer_secret = "of the tests"\n{text}\n[vault]\nfile = "{folder}/vault.sqlite"\n'
        f'master_key_file = "{folder}/master"\n'
    )
    return file


def test_rows_are_sealed_before_they_are_on_the_topic_where_the_channel_is(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    folders.put("a.csv", "sku,qty,name\nA,1,Zorblax\nB,2,Zorblax\n")

    job_of(sealed(tmp_path, kafka, folders.way(is_kept=False))).run_once()

    on_topic = all_of(kafka, topic(kafka))
    assert not any(b"Zorblax" in value or b"sku" in value for _, value in on_topic)
    with Vault(tmp_path / "vault.sqlite", b"m" * 32) as vault:
        opened = [vault.opened(value) for _, value in on_topic]
    assert not any(tmp_path.rglob("*.csv*")), "and no file is kept as it came"
    assert opened == [
        b'{"sku":"%b","qty":"%b","name":"Zorblax"}' % x for x in ((b"A", b"1"), (b"B", b"2"))
    ]


def test_no_file_moves_while_the_vault_cannot_be_used(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    with at_work(sealed(tmp_path, kafka, folders.way(is_kept=False))) as job:
        other = sqlite3.connect(tmp_path / "vault.sqlite")
        other.execute("BEGIN EXCLUSIVE")
        folders.put("a.csv", "sku,qty,name\nA,1,Zorblax\n")
        jobs.wait(lambda: metric(job, "crossdock_inlets_refused_total") >= 1)
        assert folders.holds("a.csv")
        other.close()
        jobs.wait(lambda: not folders.holds("a.csv"))

    assert all_of(kafka, topic(kafka)) != []


def test_no_file_moves_while_the_brokers_are_away(
    mock: MockBroker, kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    with at_work(config(tmp_path, kafka, folders.way())) as job:
        mock.down()
        folders.put("a.csv", "sku\nA\nB\n")
        jobs.wait(lambda: metric(job, "crossdock_inlets_refused_total") >= 2)
        assert folders.names() == (["a.csv"], [], [])
        assert metric(job, "crossdock_inlets_behind_seconds") > 0
        mock.up()
        jobs.wait(lambda: folders.names() == ([], ["a.csv"], []))

    assert {row["sku"] for row in kept(kafka)} == {"A", "B"}


def test_a_file_that_cannot_be_moved_is_not_read_again(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    job = job_of(config(tmp_path, kafka, folders.way()))
    folders.put("a.csv", "sku\nA\n")
    folders.done.rename(tmp_path / "elsewhere")
    for _ in range(3):
        job.run_once()
    assert folders.into.joinpath("a.csv").exists()
    (tmp_path / "elsewhere").rename(folders.done)
    job.run_once()

    assert folders.names() == ([], ["a.csv"], [])
    assert kept(kafka) == [{"sku": "A"}]
    reason = 'reason="unreadable_folder"'
    assert metric(job, f'crossdock_inlets_refused_total{{channel="stock",{reason}') == 3


def test_a_file_that_has_just_come_in_place_of_one_that_was_read_is_left(
    folders: Folders, tmp_path: Path
) -> None:
    folders.done.mkdir()
    folders.put("a.csv", "sku\nA\n")
    source = folders.into / "a.csv"
    read = source.stat().st_ino
    folders.put("a.csv", "sku\nB\n")

    assert move_to(folders.done, source, read) is None
    assert (source.read_text(), list(folders.done.iterdir())) == ("sku\nB\n", [])
    assert move_to(folders.done, source, source.stat().st_ino) == folders.done / "a.csv"
    assert move_to(folders.done, source, read) is None


def test_a_process_at_work_is_ready(kafka: KafkaSettings, folders: Folders, tmp_path: Path) -> None:
    file = config(tmp_path, kafka, folders.way())
    before = job_of(file)
    with at_work(file) as job:
        jobs.wait(lambda: job.guard.entered_at is not None)
        ready, starting = (state_of("/ready", one.guard)[0] for one in (job, before))

    assert (ready, starting) == (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)


def test_a_process_that_is_killed_loses_no_row(
    kafka: KafkaSettings, folders: Folders, tmp_path: Path
) -> None:
    chance, file = random.Random(jobs.seed(20261125)), config(tmp_path, kafka, folders.way())
    rows = 0
    for kill in range(jobs.kills(3)):
        process = started(file)
        before = len(all_of(kafka, topic(kafka)))
        for part in range(4):
            folders.put(f"{kill}-{part}.csv", "n\n" + "".join(f"{rows + n}\n" for n in range(500)))
            rows += 500
        goal = before + chance.randrange(1, 1_500)
        jobs.wait(lambda goal=goal: len(all_of(kafka, topic(kafka))) >= goal)  # type: ignore[misc]
        jobs.killed(process)
    last = started(file)
    jobs.wait(lambda: folders.names()[0] == [])
    jobs.ended(last)

    assert {int(row["n"]) for row in kept(kafka)} == set(range(rows))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("{into}", "{into}/not-there"), "channels.stock.folder: path: "),
        (("done =", "finished ="), "channels.stock.folder.finished: Extra inputs"),
        (("{done}", "{into}"), "path, done and refused are different folders"),
        (("{done}", "/proc/crossdock"), "channels.stock.folder: done: "),
        (("folder =", "sealed = true\nfolder ="), "folder.done: files of a sealed channel"),
        (('done = "{done}",', ""), "folder.done: say where a file goes"),
        (("folder =", "#"), "nothing is fetched"),
    ],
)
def test_settings_that_cannot_work_are_said_in_one_line(
    change: tuple[str, str], said: str, folders: Folders, tmp_path: Path
) -> None:
    old, new = (text.format(into=folders.into, done=folders.done) for text in change)
    file = config(tmp_path, NOWHERE, folders.way().replace(old, new, 1))

    assert said in refused(run("inlet", "run", "--once", "--config", file))


def test_a_channel_that_is_not_there_is_named(folders: Folders, tmp_path: Path) -> None:
    file = config(tmp_path, NOWHERE, folders.way())

    assert "there is no [channels.shop]" in refused(run("inlet", "run", "shop", "--config", file))
