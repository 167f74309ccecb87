"""Every text as it is sent, with example values: for the person who writes texts, and for the tests."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from flows.notices.contents import content_of
from flows.notices.settings import EmailWay, MiniProgramWay, SmsWay, Way, WebhookWay
from flows.notices.texts import Texts
from flows.notices.values import example_of
from schemas.codes import Template

_URL = "https://example.com"
_WAYS: tuple[Way, ...] = (
    SmsWay(kind="sms", url=_URL),
    MiniProgramWay(kind="mini_program", url=_URL, template_ids={t: f"id-of-{t}" for t in Template}),
    EmailWay(kind="email", host="example.com", sender="orders@example.com"),
    WebhookWay(kind="webhook", url=_URL),
)


def previews(
    texts: Texts, language: str | None = None, template: Template | None = None
) -> Iterator[dict[str, Any]]:
    """One template in one language at a time, with the content of each kind of way."""
    zone = ZoneInfo("UTC")
    for name in texts.languages if language is None else [language]:
        words = texts.words(name)
        for one in Template if template is None else [template]:
            contents: dict[str, Any] = {
                way.kind: msgspec.json.decode(content_of(way, example_of(one), words, zone, _URL))
                for way in _WAYS
            }
            yield {"template": str(one), "language": name, **contents}
