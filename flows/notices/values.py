"""What a text may name, and where each value comes from.

``details`` of the outbox's row brings what belongs to the occasion; a text must also do without, since
not every cause knows everything. Names that no text knows go to webhooks only.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from flows.notices.outbox import Notification
from schemas.codes import Audience, Template
from schemas.ids import OrderId

OF_THE_ROW = ("order", "package", "code", "tier", "channel", "tenant", "network", "at", "link")
OF_THE_DETAILS = {
    "phase": "DELIVERED",
    "change": "raised",
    "severity": "high",
    "node": "DC-1",
    "carrier": "Northline",
    "reason": "CUSTOMER_REFUSED",
    "happened_at": "2026-11-25T14:20:00Z",
    "promise_at": "2026-11-28T10:00:00Z",
    "previous_promise_at": "2026-11-26T10:00:00Z",
    "estimated_at": "2026-11-28T06:30:00Z",
    "due_at": "2026-11-30T08:00:00Z",
    "amount_minor": 1250,
    "currency": "EUR",
}
"""Names that ``details`` may bring, each with an example: texts are tried with these."""
OF_THE_AMOUNT = ("amount",)
KNOWN = frozenset((*OF_THE_ROW, *OF_THE_DETAILS, *OF_THE_AMOUNT))
_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "BHD": 3, "KWD": 3, "OMR": 3, "JOD": 3, "TND": 3}
"""Of the minor unit, where they are not two (ISO 4217)."""


def example_of(template: Template, *, is_bare: bool = False) -> Notification:
    """A notification that brings everything, or one that brings only what every row has."""
    return Notification(
        partition=10_000,
        position=42,
        index=0,
        tenant="acme",
        network="eu",
        order_id=OrderId("SO-20261125-0042"),
        package=None if is_bare else "SO-20261125-0042/1",
        audience=Audience.OPERATOR if template is Template.ALERT else Audience.CUSTOMER,
        template=template,
        customer="c-1",
        tier="gold",
        channel="web",
        language="en",
        code=None if is_bare else "DELAY_PREDICTED",
        link="/orders/acme/eu/SO-20261125-0042",
        details=None if is_bare else msgspec.json.encode(OF_THE_DETAILS).decode(),
        at=datetime(2026, 11, 25, 15, 30, tzinfo=UTC),
        log_mark="5f0c1a2b",
    )


def details_of(notification: Notification) -> dict[str, Any]:
    """What came with the row.

    Raises:
        ValueError: it is no JSON object.
    """
    if not notification.details:
        return {}
    found = msgspec.json.decode(notification.details)
    if not isinstance(found, dict):
        raise ValueError("details is no JSON object")  # noqa: TRY004 - of the text, not of a type
    return found


def values_of(notification: Notification, zone: ZoneInfo, pages: str | None) -> dict[str, Any]:
    """Every known name; those that the row does not bring are None, instants are local."""
    details = details_of(notification)
    values: dict[str, Any] = dict.fromkeys(KNOWN)
    values |= {name: details.get(name) for name in OF_THE_DETAILS}
    values |= {
        name: getattr(notification, "order_id" if name == "order" else name) for name in OF_THE_ROW
    }
    for name, value in values.items():
        if name == "at" or name.endswith("_at"):
            values[name] = _local(value, zone)
    values["amount"] = _amount(details)
    values["link"] = link_of(notification, pages)
    return values


def link_of(notification: Notification, pages: str | None) -> str:
    """The whole address of the order's page; nothing where either half is unknown."""
    if not notification.link or pages is None:
        return ""
    return f"{pages.rstrip('/')}/{notification.link.lstrip('/')}"


def _local(value: Any, zone: ZoneInfo) -> Any:
    """An instant by the customer's clock; what is none stays as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    is_instant = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(zone) if is_instant else value


def _amount(details: Mapping[str, Any]) -> str | None:
    minor, currency = details.get("amount_minor"), details.get("currency") or ""
    if not isinstance(minor, int) or isinstance(minor, bool) or not isinstance(currency, str):
        return None
    digits = _DIGITS.get(currency, 2)
    whole, rest = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    number = f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"
    return f"{number} {currency}".strip()
