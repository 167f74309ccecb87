"""What a notification may say: the keys of ``details`` in the table ``outbox``.

Every key may be absent: not every cause knows everything. There is no personal data among them; whoever
delivers finds the customer by the token.
"""

import msgspec


class Details(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Values that the text may use; instants are RFC 3339 in UTC.

    Attributes:
        phase: that a parcel or the order has come to.
        code: of the exception.
        change: raised, escalated or resolved.
        severity: of the exception.
        package: that it is about.
        node: that ships it, or whose work is late.
        carrier: that reported it.
        reason: that the carrier gave.
        happened_at: when; of deadlines, and of what follows from several reports, log time.
        promise_at: the date that the customer was told last.
        previous_promise_at: the one before, where another one is told.
        estimated_at: when the parcel is expected.
        due_at: until when the customer is to act.
        amount_minor: that is offered, in minor units of ``currency``.
        currency: ISO 4217.
    """

    phase: str | None = None
    code: str | None = None
    change: str | None = None
    severity: str | None = None
    package: str | None = None
    node: str | None = None
    carrier: str | None = None
    reason: str | None = None
    happened_at: str | None = None
    promise_at: str | None = None
    previous_promise_at: str | None = None
    estimated_at: str | None = None
    due_at: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
