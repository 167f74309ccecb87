"""Who has posted: every scheme as its platform signs, secrets that change, settings that will not do."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.channels.settings import Scheme, Signature
from flows.hooks import signatures
from flows.hooks.refusals import RefusedError
from flows.hooks.signatures import Posted, Verifier
from flows.settings import load_settings
from schemas.errors import InputError
from tests.support.hooks import SECRETS, Request, signed, variable

SCHEMES = [scheme for scheme in Scheme if scheme is not Scheme.NONE]
PAYLOAD = '{"name":"#1001","note":"für Zoë, 订单"}'.encode()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in SCHEMES:
        monkeypatch.setenv(variable(scheme), SECRETS[scheme])


def verifier(scheme: Scheme, **changes: Any) -> Verifier:
    where = {} if scheme is Scheme.NONE else {"secret_env": variable(scheme)}
    return Verifier(Signature.model_validate({"scheme": scheme, **where, **changes}))


def posted(request: Request) -> Posted:
    body, headers = request
    return Posted({n.lower().encode(): v.encode("latin-1") for n, v in headers.items()}, body)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_a_platform_signed_is_genuine_and_nothing_else_is(scheme: Scheme) -> None:
    checked = verifier(scheme)

    assert checked.is_genuine(posted(signed(scheme, PAYLOAD)))
    other = {Scheme.STANDARD: "whsec_c2VjcmV0IG9mIGFub3RoZXI="}.get(scheme, "another")
    assert not checked.is_genuine(posted(signed(scheme, PAYLOAD, other)))
    body, headers = signed(scheme, PAYLOAD)
    assert not checked.is_genuine(Posted({}, b"" if scheme is Scheme.KUAIDI100 else body))
    if scheme is not Scheme.BEARER:  # a token says nothing of the body
        assert not checked.is_genuine(posted((body.replace(b"1001", b"1002"), headers)))


def test_easypost_normalises_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(Scheme.EASYPOST), "s\u00e9cret")
    body = b'{"description":"batch.created"}'

    assert verifier(Scheme.EASYPOST).is_genuine(
        posted(signed(Scheme.EASYPOST, body, "se\u0301cret"))
    )


@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                *(b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"authorization"),
                *(b"sign", b"x-shopify-hmac-sha256", b"x-hmac-signature", b"aftership-hmac-sha256"),
            ]
        ),
        st.binary(max_size=40)
        | st.sampled_from([b"v1,", b"v1", b"v1,%%%", b"nan", b"1e400", b"-1", str(int(time.time())).encode()]),
    ),
    body=st.binary(max_size=60) | st.sampled_from([b"param=%ff&sign=x", b"param={}&sign=%E8", b"&" * 100]),
)  # fmt: skip
def test_whatever_headers_come_nothing_forged_is_genuine(
    headers: dict[bytes, bytes], body: bytes
) -> None:
    for scheme in SCHEMES:
        signature = Signature(scheme=scheme, secret_env=variable(scheme))
        try:
            genuine = Verifier(signature).is_genuine(Posted(headers, body))
        except RefusedError:
            genuine = False
        assert not genuine


@pytest.mark.parametrize("away", [-299, 299])
def test_a_clock_may_differ_by_five_minutes(away: int) -> None:
    assert verifier(Scheme.STANDARD).is_genuine(
        posted(signed(Scheme.STANDARD, PAYLOAD, at=time.time() + away))
    )


@pytest.mark.parametrize("away", [-302, 302])
def test_what_was_signed_long_ago_or_later_is_refused(away: int) -> None:
    assert not verifier(Scheme.STANDARD).is_genuine(
        posted(signed(Scheme.STANDARD, PAYLOAD, at=time.time() + away))
    )


def test_standard_webhooks_may_bear_several_signatures() -> None:
    body, headers = signed(Scheme.STANDARD, PAYLOAD)
    good = headers["webhook-signature"]

    headers["webhook-signature"] = f"v1a,bm9uZQ== v1,bm9uZQ== {good}"

    assert verifier(Scheme.STANDARD).is_genuine(posted((body, headers)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_while_a_secret_is_changed_both_are_good(
    scheme: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = {Scheme.STANDARD: "whsec_bmV3IHNlY3JldA=="}.get(scheme, "new")
    file = tmp_path / "secret"
    file.write_text(f"{SECRETS[scheme]}\n")
    checked = verifier(scheme, secret_env=None, secret_file=file)
    by_new = posted(signed(scheme, PAYLOAD, new))
    assert not checked.is_genuine(by_new)

    monkeypatch.setattr(signatures, "FRESH_SECONDS", 0.0)
    file.write_text(f"{SECRETS[scheme]}\n{new}\n")
    assert checked.is_genuine(by_new)
    assert checked.is_genuine(posted(signed(scheme, PAYLOAD)))

    file.unlink()
    assert checked.is_genuine(by_new), "what was read before stays"
    file.write_text(new)
    assert not checked.is_genuine(posted(signed(scheme, PAYLOAD)))


def test_a_header_may_be_called_otherwise() -> None:
    body, headers = signed(Scheme.AFTERSHIP, PAYLOAD)
    found = {"as-signature-hmac-sha256": headers["aftership-hmac-sha256"]}

    checked = verifier(Scheme.AFTERSHIP, header="As-Signature-Hmac-Sha256")

    assert checked.is_genuine(posted((body, found)))
    assert not checked.is_genuine(posted((body, headers)))


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ('scheme = "shopify"', "set one of secret_file and secret_env"),
        ('scheme = "shopify", secret_env = "A", secret_file = "b"', "set one of"),
        ('scheme = "none", secret_env = "A"', "scheme none has no secret"),
        ('scheme = "standard", secret_env = "A", header = "x"', "has no header to choose"),
        ('scheme = "sha1", secret_env = "A"', "channels.shop.signature.scheme"),
        ('scheme = "shopify", secret = "hush-hush"', "channels.shop.signature.secret"),
        ('scheme = "shopify", secret_env = "A", header = "a b"', "channels.shop.signature.header"),
    ],
)
def test_settings_that_will_not_do_are_refused_without_their_values(
    signature: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "crossdock.toml"
    file.write_text(
        '[channels.shop]\nmapping = "shopify"\ntopic = "t"\ntenant = "a"\nnetwork = "b"\n'
        f"signature = {{ {signature} }}\n"
    )

    with pytest.raises(InputError, match=said) as refused:
        load_settings(file)

    assert "hush" not in str(refused.value)


def test_a_topic_is_of_one_channel(tmp_path: Path) -> None:
    file = tmp_path / "crossdock.toml"
    channel = '[channels.{0}]\nmapping = "shopify"\ntopic = "{1}"\ntenant = "a"\nnetwork = "b"\n'

    for first, second in (("orders", "orders"), ("crossdock.raw", "orders")):
        text = channel.format("one", first) + channel.format("two", second)
        file.write_text(text + '[kafka]\nbootstrap = "127.0.0.1:9"\n')
        with pytest.raises(InputError, match=f"{first} is that of"):
            load_settings(file)


@pytest.mark.parametrize("text", ["", "\n \n", "\xff"])
def test_a_secret_that_is_none_stops_the_start(text: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(InputError, match=f"{file} (has no secret|is no UTF-8)"):
        verifier(Scheme.SHOPIFY, secret_env=None, secret_file=file)
    with pytest.raises(InputError, match="variable NOT_SET has no secret"):
        verifier(Scheme.SHOPIFY, secret_env="NOT_SET")
    with pytest.raises(InputError, match="whsec_ and Base64"):
        verifier(Scheme.STANDARD, secret_env=variable(Scheme.SHOPIFY))
