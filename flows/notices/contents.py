"""What a notification becomes on each way: the content of a delivery, without an address.

It is kept as it is rendered, so that every attempt of a delivery says the same.
"""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from flows.notices.outbox import Notification
from flows.notices.settings import EmailWay, MiniProgramWay, SmsWay, Way, WebhookWay
from flows.notices.sms import fitted
from flows.notices.texts import Words
from flows.notices.values import details_of, link_of, values_of
from schemas.codes import Template

_EVENT = "crossdock.notification."
"""Before a template, the type of a webhook's event."""


def content_of(
    way: Way, notification: Notification, words: Words, zone: ZoneInfo, pages: str | None
) -> str:
    """The content as JSON.

    Raises:
        ValueError: ``details`` is no JSON object.
        jinja2.TemplateError: or another of ``texts.FAULTS``: a text that does not suit these values.
    """
    known = values_of(notification, zone, pages)
    template = Template(notification.template)
    made: dict[str, Any]
    match way:
        case SmsWay():
            text = " ".join(words.say(template, "sms", known).split())
            made = {
                "text": fitted(text, known["link"], way.parts_max),
                "data": details_of(notification),
            }
        case MiniProgramWay():
            made = {
                "template_id": way.template_ids[template],
                "page": f"{way.page}{notification.link or ''}",
                "data": words.mini_program(template, known),
            }
        case EmailWay():
            made = _mail(words, template, known)
        case WebhookWay():
            made = _event(notification, words, known, link_of(notification, pages))
    return msgspec.json.encode(made).decode()


def _mail(words: Words, template: Template, known: dict[str, Any]) -> dict[str, str]:
    subject = words.say(template, "subject", known)
    text = words.say(template, "text", known)
    link = known["link"]
    plain = f"{text}\n\n{words.open_page}: {link}\n" if link else f"{text}\n"
    return {"subject": subject, "text": plain, "html": words.html(subject, text, link)}


def _event(
    notification: Notification, words: Words, known: dict[str, Any], link: str
) -> dict[str, Any]:
    """A CloudEvent; its partition key and sequence (extensions of CloudEvents) say what goes in order."""
    template = Template(notification.template)
    said = {
        "subject": words.say(template, "subject", known),
        "text": words.say(template, "text", known),
        "language": words.language,
    }
    names = ("audience", "template", "customer", "tier", "channel", "package", "code")
    return {
        "specversion": "1.0",
        "type": f"{_EVENT}{notification.template.lower()}",
        "source": "crossdock-notify",
        "id": notification.key,
        "subject": notification.order_id or notification.network,
        "time": notification.at,
        "datacontenttype": "application/json",
        "tenant": notification.tenant,
        "network": notification.network,
        "partitionkey": notification.order_id or notification.key,
        "sequence": f"{notification.position:019d}.{notification.index:010d}",
        "data": {
            **{name: getattr(notification, name) for name in names},
            "order_id": notification.order_id,
            "link": link or notification.link,
            "details": details_of(notification),
            "message": said,
        },
    }
