"""``crossdock vault``, as typed: is there a key, destroy it; and what the lake proves afterwards."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from flows.channels.engine import token_of
from flows.evidence.sealing import seal
from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from flows.vault.keys import Owner, Vault
from schemas.ids import LogId
from tests.support.command_line import refused, run
from tests.support.effects import effects

MASTER = b"m" * 32
TOKEN = token_of(b"of the tests", "shop", "7")
SETTINGS = """
customer_secret = "of the tests"
[channels.shop]
mapping = "shopify"
topic = "shop"
tenant = "acme"
network = "eu"
[vault]
file = "{folder}/vault.sqlite"
master_key_file = "{folder}/master"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with a vault in which customer 7 has a key, and a payload that is nobody's."""
    (tmp_path / "master").write_bytes(b64encode(MASTER))
    file = tmp_path / "crossdock.toml"
    file.write_text(SETTINGS.format(folder=tmp_path))
    with Vault(tmp_path / "vault.sqlite", MASTER) as vault:
        vault.keys_of([Owner("shop", TOKEN), Owner("shop", "p", is_payload=True)])
    return file


def has_key(config: Path, *whose: str) -> bool:
    done = run("vault", "show", "--config", config, "--channel", "shop", *whose, "--json")
    assert done.exit_code == 0, done.output
    return bool(json.loads(done.stdout)["has_key"])


def purge(config: Path, *words: str) -> dict[str, object]:
    done = run("vault", "purge", "--config", config, "--channel", "shop", *words, "--yes", "--json")
    assert done.exit_code == 0, done.output
    said: dict[str, object] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("whose", [("--customer", "7"), ("--token", TOKEN)])
def test_a_purge_destroys_the_key_once(config: Path, whose: tuple[str, str]) -> None:
    assert has_key(config, *whose)

    first, second = purge(config, *whose), purge(config, *whose)

    assert first == {"channel": "shop", "token": TOKEN, "destroyed": 1}
    assert second == {"channel": "shop", "token": TOKEN, "destroyed": 0}
    assert not has_key(config, *whose)


def test_a_guest_is_purged_by_what_he_is_known_by(config: Path) -> None:
    with Vault(config.parent / "vault.sqlite", MASTER) as vault:
        vault.keys_of([Owner("shop", token_of(b"of the tests", "shop", "ann@example.com"))])
    ann = ("--known-by", "Ann@Example.com ")

    assert has_key(config, *ann)
    assert purge(config, *ann)["destroyed"] == 1
    assert not has_key(config, *ann)


def test_a_purge_of_what_is_nobodys_leaves_customers(config: Path) -> None:
    assert purge(config, "--unknown", "1")["destroyed"] == 0
    assert purge(config, "--unknown", "0")["destroyed"] == 1

    assert has_key(config, "--customer", "7")


def test_a_purge_asks_first(config: Path) -> None:
    command = ("vault", "purge", "--config", config, "--channel", "shop", "--customer", "7")

    no = run(*command, stdin="n\n")
    assert no.exit_code != 0
    assert has_key(config, "--customer", "7")

    yes = run(*command, stdin="y\n")
    assert yes.exit_code == 0
    assert "gone" in yes.stdout
    assert "no key" in run(*command, "--yes").stdout


def test_it_is_said_how_many_keys_there_are(config: Path) -> None:
    done = run("vault", "show", "--config", config, "--channel", "shop", "--json")

    counts = {"channel": "shop", "customers": 1, "payloads": 1, "destroyed": 0}
    assert json.loads(done.stdout) == counts
    shown = run("vault", "show", "--config", config, "--channel", "shop", "--customer", "7")
    assert f"{TOKEN} of shop has a key" in shown.stdout


def test_a_wrong_or_missing_master_key_is_one_line(config: Path) -> None:
    def said() -> str:
        return refused(run("vault", "show", "--config", config, "--channel", "shop"))

    master = config.parent / "master"
    master.write_bytes(b64encode(b"n" * 32))
    assert "vault.sqlite was made with another master key" in said()
    master.write_text("rubbish")
    assert "32 bytes as Base64" in said()
    master.unlink()
    assert "master cannot be read" in said()


def test_what_is_no_vault_or_no_channel_is_said(config: Path) -> None:
    show = ("vault", "show", "--config", config, "--channel")

    assert "there is no channel till; there are shop" in refused(run(*show, "till"))
    (config.parent / "vault.sqlite").unlink()
    assert "there is no vault at" in refused(run(*show, "shop"))
    config.write_text(config.read_text().partition("[vault]")[0])
    assert "no vault is set" in refused(run(*show, "shop"))


def test_a_purge_of_nobody_or_of_two_is_refused(config: Path) -> None:
    command = ("vault", "purge", "--config", config, "--channel", "shop", "--yes")

    assert "--customer, --known-by, --token or --unknown" in refused(run(*command))
    two = run(*command, "--customer", "7", "--token", TOKEN)
    assert "one of --customer, --known-by and --token" in refused(two)
    assert has_key(config, "--customer", "7")


def test_the_facts_of_the_lake_verify_after_a_purge(config: Path) -> None:
    lake = config.parent / "lake"
    with create_or_open_writer(lake, Identity(LogId("log-1")), [0]) as writer:
        writer.put(effects(0, 30))
    seal(lake, lake / "seals")

    purge(config, "--customer", "7")

    verified = run("audit", "verify", "--lake", lake)
    assert verified.exit_code == 0, verified.output
