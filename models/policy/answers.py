"""Sections of a policy on what answers an event: actions, amounts, and who is told what.

What a document says of a phase, an exception or an occasion takes the place of the default for it; an empty
list silences it. The others keep their defaults.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from models.policy.section import Hours, Section
from schemas.codes import Action, Audience, ExceptionCode, Phase, Severity, Template

MOST_RULES = 8
"""What one event can tell: rows of an event have a fixed room among the indexes of its cause."""


class Occasion(StrEnum):
    """What is told besides phases and exceptions."""

    DATE_TOLD = "DATE_TOLD"  # the first date
    DATE_CHANGED = "DATE_CHANGED"  # to another day
    INSTALLATION_DUE = "INSTALLATION_DUE"
    ACCEPTANCE_DUE = "ACCEPTANCE_DUE"
    FEEDBACK_DUE = "FEEDBACK_DUE"  # all is done but the customer's answer
    COMPENSATION = "COMPENSATION"  # an amount is proposed


def _code(name: str) -> str:
    if name not in ExceptionCode.__members__:
        raise ValueError("no exception has this code; `crossdock schemas` lists them")
    return name


def _each_once(actions: list[Action]) -> list[Action]:
    if len(set(actions)) < len(actions):
        raise ValueError("the same action twice")
    return actions


CodeName = Annotated[str, AfterValidator(_code)]
Actions = Annotated[list[Action], AfterValidator(_each_once)]
Percent = Annotated[float, Field(ge=0, le=100, multiple_of=0.01, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=0, le=100, multiple_of=0.01, allow_inf_nan=False)]
Minor = Annotated[int, Field(ge=0, le=10**12)]
Word = Annotated[str, Field(min_length=1, max_length=128)]

_REROUTE, _REVIEW, _COMPENSATE = ([action] for action in Action)
RAISED: dict[str, list[Action]] = {
    "DELAY_BREACHED": _COMPENSATE,
    "MILESTONE_MISSED_ROUTE": _REROUTE,
    "MILESTONE_MISSED_HANDOVER": _REROUTE,
    "EXPIRED": _REVIEW,
    "TEMP_EXCURSION_MAJOR": [*_REVIEW, *_COMPENSATE],
    "HUMIDITY_EXCURSION": _REVIEW,
    "DOOR_OPEN": _REVIEW,
    "LOST": _REVIEW,
    "DAMAGED": _REVIEW,
    "ADDRESS_INVALID": _REVIEW,
    "CUSTOMER_REFUSED": _REVIEW,
    "INSTALL_OVERDUE": _REVIEW,
    "ACCEPTANCE_OVERDUE": _REVIEW,
    "FEEDBACK_NEGATIVE": _REVIEW,
}
"""What answers an exception when it is raised (domain.md D.6)."""
ESCALATED: dict[str, list[Action]] = {"ATTEMPT_FAILED": _REVIEW}


class Answers(Section):
    """What answers an exception, by its code: when it is raised, and when it becomes worse."""

    raised: Annotated[dict[CodeName, Actions], AfterValidator(lambda given: RAISED | given)] = (
        RAISED
    )
    escalated: Annotated[
        dict[CodeName, Actions], AfterValidator(lambda given: ESCALATED | given)
    ] = ESCALATED


class Share(Section):
    """A share of what the order is worth, not below ``floor_minor`` and never above ``cap_minor``.

    Both are in minor units of the order's own currency.
    """

    percent: Percent = 5
    floor_minor: Minor = 0
    cap_minor: Minor = 5_000

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.floor_minor > self.cap_minor:
            raise ValueError("floor_minor must not be more than cap_minor")
        return self


class Compensation(Share):
    """What is proposed to a customer for trouble; ``codes`` take the place of the first three fields."""

    codes: dict[CodeName, Share] = Field(
        default_factory=lambda: {"TEMP_EXCURSION_MAJOR": Share(percent=20, cap_minor=20_000)}
    )
    tiers: dict[Word, Factor] = Field(default_factory=dict)  # the share is so many times as much

    def amount_minor(self, code: str, value_minor: int, tier: str) -> int:
        """What to propose, halves rounded up; whole numbers all the way."""
        share = self.codes.get(code, self)
        basis_points, hundredths = round(share.percent * 100), round(self.tiers.get(tier, 1) * 100)
        amount = (value_minor * basis_points * hundredths + 500_000) // 1_000_000
        return min(share.cap_minor, max(share.floor_minor, amount))


class Rule(Section):
    """Who is told, by which text; of which tiers, if not of all; from which severity on."""

    to: Audience
    template: Template
    tiers: list[Word] = Field(default_factory=list)
    severity: Severity = Severity.INFO

    def counts_for(self, tier: str) -> bool:
        """Whether it is for orders of this tier."""
        return not self.tiers or tier in self.tiers


Rules = Annotated[list[Rule], Field(max_length=MOST_RULES)]


def _tell(template: Template, *tiers: str) -> Rule:
    return Rule(to=Audience.CUSTOMER, template=template, tiers=list(tiers))


_VIP = "vip"
_ALERT = Rule(to=Audience.OPERATOR, template=Template.ALERT)
_ALERTED = (
    "EXPIRED", "MILESTONE_MISSED_ROUTE", "MILESTONE_MISSED_PICK", "MILESTONE_MISSED_PACK",
    "MILESTONE_MISSED_HANDOVER", "GPS_OFF_ROUTE", "DWELL_LONG", "SENSOR_GAP", "SHOCK", "CUSTOMS_HOLD",
    "ADDRESS_INVALID", "CUSTOMER_REFUSED", "PICKUP_MISSED", "CARRIER_REJECTED", "DAMAGED", "LOST",
    "RETURNING", "INSTALL_OVERDUE", "ACCEPTANCE_OVERDUE", "FEEDBACK_NEGATIVE",
)  # fmt: skip
"""What only operators hear of as an exception; of some of them the phase tells the customer."""
PHASES: dict[Phase, list[Rule]] = {
    Phase.HANDED_OVER: [_tell(Template.SHIPPED)],
    Phase.CUSTOMS: [_tell(Template.CUSTOMS, _VIP)],
    Phase.OUT_FOR_DELIVERY: [_tell(Template.OUT_FOR_DELIVERY)],
    Phase.AVAILABLE_FOR_PICKUP: [_tell(Template.PICKUP_READY)],
    Phase.ATTEMPT_FAILED: [_tell(Template.ATTEMPT_FAILED)],
    Phase.DELIVERED: [_tell(Template.DELIVERED)],
    Phase.RETURNING: [_tell(Template.RETURNING)],
    Phase.LOST: [_tell(Template.LOST)],
    Phase.DAMAGED: [_tell(Template.DAMAGED)],
    Phase.CANCELLED: [_tell(Template.CANCELLED)],
}
EXCEPTIONS: dict[str, list[Rule]] = {
    "DELAY_PREDICTED": [_tell(Template.DELAYED)],
    "DELAY_BREACHED": [_tell(Template.DELAYED), _ALERT],
    "SILENCE": [_tell(Template.DELAYED, _VIP), _ALERT],
    "TEMP_EXCURSION_MINOR": [_tell(Template.EXCURSION, _VIP), _ALERT],
    "TEMP_EXCURSION_MAJOR": [_tell(Template.EXCURSION), _ALERT],
    "HUMIDITY_EXCURSION": [_tell(Template.EXCURSION, _VIP), _ALERT],
    "DOOR_OPEN": [_tell(Template.EXCURSION, _VIP), _ALERT],
    "ATTEMPT_FAILED": [_ALERT.model_copy(update={"severity": Severity.HIGH})],
    **{code: [_ALERT] for code in _ALERTED},
}
OCCASIONS: dict[Occasion, list[Rule]] = {
    Occasion.DATE_TOLD: [_tell(Template.CONFIRMED)],
    Occasion.DATE_CHANGED: [_tell(Template.RESCHEDULED)],
    Occasion.INSTALLATION_DUE: [_tell(Template.INSTALLATION_DUE)],
    Occasion.ACCEPTANCE_DUE: [_tell(Template.ACCEPTANCE_DUE)],
    Occasion.FEEDBACK_DUE: [_tell(Template.FEEDBACK_REQUESTED)],
    Occasion.COMPENSATION: [],  # an amount is a proposal until the firm says that it is to be told
}


class Notifications(Section):
    """Who is told what: by the phases of parcels and orders, by exceptions, on other occasions.

    An exception that a customer was told of and that ends while the order is on its way is told as
    RESOLVED. Those who are no customers are told again when an exception becomes worse.
    """

    language: Word = "en"
    languages: dict[Word, Word] = Field(
        default_factory=dict
    )  # by channel, in place of ``language``
    remind_before_hours: Hours = 72  # the end of what installation or acceptance may take
    phases: Annotated[dict[Phase, Rules], AfterValidator(lambda given: PHASES | given)] = PHASES
    exceptions: Annotated[
        dict[CodeName, Rules], AfterValidator(lambda given: EXCEPTIONS | given)
    ] = EXCEPTIONS
    occasions: Annotated[dict[Occasion, Rules], AfterValidator(lambda given: OCCASIONS | given)] = (
        OCCASIONS
    )

    def on_exception(
        self, code: str, tier: str, severity: Severity, is_worse: bool
    ) -> Sequence[Rule]:
        """The rules that count when an exception is raised, or ``is_worse`` than when it was."""
        loudness = list(Severity).index
        return [
            rule
            for rule in self.exceptions.get(code, ())
            if rule.counts_for(tier)
            and loudness(rule.severity) <= loudness(severity)
            and not (is_worse and rule.to is Audience.CUSTOMER and rule.severity is not severity)
        ]

    def templates_of(self, code: str) -> frozenset[Template]:
        """By which texts customers hear of an exception."""
        rules = self.exceptions.get(code, ())
        return frozenset(rule.template for rule in rules if rule.to is Audience.CUSTOMER)
