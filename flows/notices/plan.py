"""From a row of the outbox to deliveries: by which ways it goes, in which language, in which words."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from flows.notices.addresses import NOBODY, Address, AddressBook
from flows.notices.contents import content_of
from flows.notices.deliveries import Delivery, State, expiry
from flows.notices.outbox import Notification
from flows.notices.settings import (
    EmailWay,
    MiniProgramWay,
    NotifySettings,
    Rule,
    SmsWay,
    Way,
    WebhookWay,
)
from flows.notices.texts import FAULTS, Texts
from schemas.codes import Audience, Template

NO_WAY = "-"
"""Way of a row that cannot be read, so that it is a dead letter like any other."""


class Chosen(NamedTuple):
    """A way, and whether the receiver can be reached by it."""

    name: str
    is_reachable: bool


class Planner:
    """Plans by settings, texts and the address book."""

    def __init__(self, settings: NotifySettings, texts: Texts, book: AddressBook) -> None:
        self._settings = settings
        self._texts = texts
        self._book = book

    def plan(self, notification: Notification, now: datetime) -> list[Delivery]:
        """The deliveries of a notification; none if no rule takes it. What is wrong with it is one too."""
        try:
            audience, template = Audience(notification.audience), Template(notification.template)
        except ValueError as error:
            return [self._fault(notification, NO_WAY, f"{error}: of a newer release?")]
        of_customer = audience is Audience.CUSTOMER
        address = self._book.find(notification.customer) if of_customer else NOBODY
        chosen = dict(self._chosen(notification, audience, template, address))
        return [
            self._delivery(notification, name, is_reachable, address, now)
            for name, is_reachable in chosen.items()
        ]

    def _chosen(
        self, notification: Notification, audience: Audience, template: Template, address: Address
    ) -> Iterator[Chosen]:
        """Of each rule that takes it the first way that reaches the receiver, else its first way."""
        for rule in self._settings.rules:
            if rule.audience is not audience or not _takes(rule, notification):
                continue
            names = [n for n in rule.ways if _has_words(self._settings.ways[n], template)]
            reached = (n for n in names if receiver(self._settings.ways[n], audience, address))
            name = next(reached, None)
            if name is not None:
                yield Chosen(name, True)
            elif names:
                yield Chosen(names[0], False)

    def _delivery(
        self,
        notification: Notification,
        name: str,
        is_reachable: bool,
        address: Address,
        now: datetime,
    ) -> Delivery:
        settings = self._settings
        words = self._texts.words(address.language, notification.language)
        zone = settings.zone(notification.tenant, notification.network)
        try:
            content = content_of(settings.ways[name], notification, words, zone, settings.pages)
        except FAULTS as error:
            return self._fault(notification, name, f"it cannot be put in words: {error}")
        if expiry(notification.at, settings.expire_hours) <= now:
            state, detail = (
                State.EXPIRED,
                f"older than {settings.expire_hours:g} hours when it came",
            )
        elif not is_reachable:
            state, detail = State.DEAD, "the address book has no address for the customer"
        else:
            state, detail = State.WAITING, None
        return self._made(notification, name, words.language, content, state, detail)

    def _fault(self, notification: Notification, way: str, detail: str) -> Delivery:
        return self._made(notification, way, "", "", State.DEAD, detail)

    def _made(
        self,
        row: Notification,
        way: str,
        language: str,
        content: str,
        state: State,
        detail: str | None,
    ) -> Delivery:
        return Delivery(
            key=row.key,
            way=way,
            lane=f"{row.tenant}/{row.network}/{row.order_id}" if row.order_id else row.key,
            tenant=row.tenant,
            network=row.network,
            order_id=row.order_id,
            audience=row.audience,
            template=row.template,
            customer=row.customer,
            language=language,
            at=row.at,
            expires_at=expiry(row.at, self._settings.expire_hours),
            is_urgent=row.template in self._settings.urgent,
            content=content,
            state=state,
            detail=detail,
        )


def receiver(way: Way, audience: Audience, address: Address) -> str | None:
    """Where a way finds its receiver; customers by the address book, others by the settings alone."""
    is_customer = audience is Audience.CUSTOMER
    match way:
        case WebhookWay():
            return way.url
        case SmsWay():
            return address.phone if is_customer else way.to
        case MiniProgramWay():
            return address.open_id if is_customer else way.to
        case EmailWay():
            return address.email if is_customer else way.to


def _has_words(way: Way, template: Template) -> bool:
    return not isinstance(way, MiniProgramWay) or template in way.template_ids


def _takes(rule: Rule, notification: Notification) -> bool:
    asked = (
        (rule.tiers, notification.tier),
        (rule.channels, notification.channel),
        (rule.templates, notification.template),
        (rule.tenants, notification.tenant),
        (rule.networks, notification.network),
    )
    return all(not wanted or value in wanted for wanted, value in asked)
