"""The vault: a key for each person, which survives restarts, is made once, and is gone once destroyed."""

import sqlite3
import subprocess
import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.vault.keys import Owner, Vault
from flows.vault.seals import Key, is_sealed, opened
from flows.vault.settings import VaultSettings
from schemas.errors import InputError, StoreError

MASTER = b"m" * 32
ANN, BEN = Owner("shop", "ann"), Owner("shop", "ben")
NOBODY = Owner("shop", "payload", is_payload=True)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vault" / "keys.sqlite"


def sealed(file: Path, owner: Owner, raw: bytes) -> bytes:
    with Vault(file, MASTER) as vault:
        return vault.keys_of([owner])[owner].seal(raw)


def read(file: Path, raw: bytes) -> bytes:
    with Vault(file, MASTER) as vault:
        return vault.opened(raw)


@given(raw=st.binary(max_size=200), around=st.sampled_from([b"", b'{"a":1,"b":', b"["]))
def test_what_is_sealed_is_opened_as_it_was_however_often_it_was_sealed(
    raw: bytes, around: bytes
) -> None:
    keys = {name * 32: Key(name * 32, name.encode() * 32) for name in "ab"}
    whole = around + keys["b" * 32].seal(keys["a" * 32].seal(raw))

    assert opened(whole, keys.get) == around + raw
    assert opened(whole, {"b" * 32: keys["b" * 32]}.get) == around + b"null"


@pytest.mark.parametrize("data", ["A" * 41, "A" * 40, "A" * 39 + "="])
def test_what_only_looks_sealed_opens_as_nothing(file: Path, data: str) -> None:
    mine = sealed(file, ANN, b"1")
    forged = b'{"sealed":"%b","data":"%b"}' % (mine[11:43], data.encode())

    assert read(file, b"[" + forged + b"]") == b"[null]"


def test_keys_survive_a_restart(file: Path) -> None:
    before = sealed(file, ANN, b'"Ann"')

    assert b"Ann" not in before
    assert read(file, before) == b'"Ann"'
    assert sealed(file, ANN, b"")[:50] == before[:50]


def test_a_destroyed_key_is_gone_for_its_person_alone(file: Path) -> None:
    of_ann, of_ben = sealed(file, ANN, b'"Ann"'), sealed(file, BEN, b'"Ben"')

    with Vault(file, MASTER) as vault:
        assert (vault.destroy(ANN), vault.destroy(ANN)) == (1, 0)

    assert read(file, b"[" + of_ann + b"," + of_ben + b"]") == b'[null,"Ben"]'


def test_a_destroyed_key_is_nowhere_in_the_file(file: Path) -> None:
    sealed(file, ANN, b"")
    (locked,) = sqlite3.connect(file).execute("SELECT locked FROM keys").fetchone()
    assert locked in file.read_bytes()

    with Vault(file, MASTER) as vault:
        vault.destroy(ANN)

    assert [one.name for one in file.parent.iterdir()] == [file.name]
    assert locked not in file.read_bytes()


def test_a_copy_of_all_but_the_file_is_of_no_use(file: Path, tmp_path: Path) -> None:
    of_ann = sealed(file, ANN, b"1")

    with Vault(tmp_path / "another.sqlite", MASTER) as another:
        another.keys_of([ANN])
        assert another.opened(of_ann) == b"null"


def test_who_comes_back_after_a_purge_has_a_new_key(file: Path) -> None:
    before = sealed(file, ANN, b"1")
    with Vault(file, MASTER) as vault:
        vault.destroy(ANN)

    after = sealed(file, ANN, b"2")

    assert (read(file, before), read(file, after)) == (b"null", b"2")
    with Vault(file, MASTER) as vault:
        first, second = vault.holdings(ANN)
        assert (first.destroyed_at is None, second.destroyed_at is None) == (False, True)
        assert vault.counts("shop") == {"customers": 1, "payloads": 0, "destroyed": 1}


def test_keys_of_payloads_are_destroyed_by_age_and_those_of_customers_stay(file: Path) -> None:
    late = Owner("shop", "late", is_payload=True)
    other = Owner("till", "other", is_payload=True)
    with Vault(file, MASTER, lambda: NOW) as vault:
        vault.keys_of([ANN, NOBODY, other])
    with Vault(file, MASTER, lambda: NOW + timedelta(days=2)) as vault:
        vault.keys_of([late])

        assert vault.destroy_of_payloads("shop", NOW + timedelta(days=1)) == 1
        assert vault.counts("shop") == {"customers": 1, "payloads": 1, "destroyed": 1}


MAKE = """
import sys
from pathlib import Path
from flows.vault.keys import Owner, Vault
sys.stdin.readline()
vault = Vault(Path(sys.argv[1]), b"m" * 32)
print(*[vault.keys_of([Owner("shop", str(n))]).popitem()[1].id for n in range(40)])
"""


def test_processes_at_once_make_one_key_for_each_person(file: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    made = {process.communicate(timeout=60)[0] for process in processes}

    assert len(made) == 1
    assert len(set(made.pop().split())) == 40


def test_another_master_key_is_refused(file: Path) -> None:
    sealed(file, ANN, b"1")

    with pytest.raises(InputError, match="another master key"):
        Vault(file, b"n" * 32)


def test_a_file_that_is_no_vault_is_refused(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"not a database, but long enough to be taken for one" * 100)

    with pytest.raises(StoreError, match="cannot be used as a vault"):
        Vault(file, MASTER)


def test_a_key_that_was_put_in_the_place_of_another_is_refused(file: Path) -> None:
    of_ann = sealed(file, ANN, b"1")
    sealed(file, BEN, b"2")
    connection = sqlite3.connect(file)
    connection.execute("UPDATE keys SET locked = (SELECT locked FROM keys WHERE owner = 'ben')")
    connection.commit()

    with pytest.raises(StoreError, match="is damaged"):
        read(file, of_ann)


def test_the_vault_is_for_its_owner_alone(file: Path) -> None:
    sealed(file, ANN, b"1")

    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no master key"),
        (b"short", "32 bytes as Base64"),
        (b64encode(b"m" * 31), "32 bytes as Base64"),
        ("schlüssel".encode(), "32 bytes as Base64"),
        ("schlüssel".encode("latin-1"), "is no UTF-8"),
    ],
)
def test_what_is_no_master_key_is_refused_without_showing_it(
    tmp_path: Path, content: bytes, said: str
) -> None:
    place = tmp_path / "master"
    place.write_bytes(content)
    settings = VaultSettings(file=tmp_path / "vault.sqlite", master_key_file=place)

    with pytest.raises(InputError, match=said) as refused:
        settings.master_key()

    assert "short" not in str(refused.value)


def test_a_master_key_is_read_from_a_file_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "master"
    place.write_bytes(b64encode(MASTER) + b"\n")
    monkeypatch.setenv("VAULT_KEY", b64encode(MASTER).decode())

    from_file = VaultSettings(file=tmp_path, master_key_file=place)
    from_variable = VaultSettings(file=tmp_path, master_key_env="VAULT_KEY")

    assert from_file.master_key() == from_variable.master_key() == MASTER


def test_nothing_is_sealed_in_what_is_not() -> None:
    assert not is_sealed(b'{"sealed":"yes","data":"x"}')
