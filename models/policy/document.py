"""The policy document: its shape, its defaults, its validation.

Money is in minor units of ``currency``. A plan's cost is the sum over its packages of each component
times its weight; hard limits come before any cost. A document is YAML; what is wrong in it is reported
with the line it stands on.
"""

from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from models.policy.answers import Answers, Compensation, Notifications
from models.policy.section import Hours, Money, Section, Weight
from models.policy.tracking import ColdChain, Estimates, Road, Tracking
from schemas.errors import PolicyError


class Weights(Section):
    """How much each cost component counts; 1 takes it at face value, 0 leaves it out."""

    freight: Weight = 1.0
    handling: Weight = 1.0
    time: Weight = 1.0
    late: Weight = 1.0
    carbon: Weight = 1.0
    shadow: Weight = 1.0
    split: Weight = 1.0


class Costs(Section):
    """What the quantities that the model predicts are worth."""

    late_delivery_minor: Money = 800
    delivery_hour_minor: Money = 1.0
    carbon_kg_minor: Money = 10
    extra_package_minor: Money = 150


class Limits(Section):
    """Hard rules. They are never traded against cost."""

    max_packages: Annotated[int, Field(ge=1, le=4)] = 3
    max_distance_km: Annotated[float, Field(gt=0, le=50_000)] = 50_000
    booking_horizon_days: Annotated[int, Field(ge=1, le=60)] = 14
    allow_partial: bool = True
    max_attempts: Annotated[int, Field(ge=1, le=100)] = (
        3  # refusals by nodes; then a person decides
    )


class Promise(Section):
    """What customers are told, and what those without a requested date are held to."""

    standard_hours: Hours = 120
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.9  # of arriving by the promised date
    rounding_hours: Hours = (
        0  # dates are told as the end of a span of so many hours; 24: of the day
    )


Points = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]


class Priority(Section):
    """What makes a node release one order before another: points that add up to a score."""

    level: Points = 100  # for each level of the order's own priority, 0 to 9
    tiers: dict[str, Points] = Field(default_factory=dict)
    channels: dict[str, Points] = Field(default_factory=dict)
    urgency: Points = 300  # in full where no slack is left, none where the standard hours are
    value: Points = 0  # for each 10,000 minor units of goods
    value_max: Points = 300


class Protection(Section):
    """Units that every node keeps for some customers and channels; others see that much less stock."""

    units: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    skus: dict[str, Annotated[int, Field(ge=0, le=1_000_000)]] = Field(
        default_factory=dict
    )  # in place of ``units``
    tiers: list[str] = Field(default_factory=list)
    channels: list[str] = Field(default_factory=list)


class Reevaluation(Section):
    """When a proposed plan may replace a decision that no node has begun to work on."""

    minimum_saving_minor: Money = 50


class Windows(Section):
    """How long things are remembered, in log time."""

    dedupe_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24 * 7
    dedupe_max_records: Annotated[int, Field(ge=1_000, le=100_000_000)] = 4_000_000
    closed_order_retention_hours: Hours = 24 * 7
    forgotten_order_hours: Hours = 24 * 30  # its id alone, as long as dead letters are kept
    stock_publish_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    accept_within_hours: Annotated[float, Field(gt=0, le=24 * 366)] | None = None
    assume_handed_over_after_hours: Annotated[float, Field(gt=0, le=24 * 366)] | None = None


class CarbonFactors(Section):
    """Grams of CO2e per tonne-kilometre, well to wheel, per transport mode.

    Source: UK government conversion factors 2025 (DESNZ): average HGV, rail freight, long-haul air
    without radiative forcing, average container ship.
    """

    factor_set: str = "DESNZ-2025"
    road: Money = 125.2
    rail: Money = 34.7
    air: Money = 667
    sea: Money = 19.8


class Policy(Section):
    """A whole policy. The defaults are a sensible parcel network."""

    version: Annotated[str, Field(min_length=1, max_length=64)]
    author: str = ""
    reason: str = ""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    weights: Weights = Weights()
    costs: Costs = Costs()
    limits: Limits = Limits()
    promise: Promise = Promise()
    priority: Priority = Priority()
    protection: Protection = Protection()
    reevaluation: Reevaluation = Reevaluation()
    windows: Windows = Windows()
    tracking: Tracking = Tracking()
    estimates: Estimates = Estimates()
    cold_chain: ColdChain = ColdChain()
    road: Road = Road()
    actions: Answers = Answers()
    compensation: Compensation = Compensation()
    notifications: Notifications = Notifications()
    carbon_g_per_tkm: CarbonFactors = CarbonFactors()


_OF_KEY = "[key]"
"""At the end of the path of a fault: it is the key that is wrong, not what stands under it."""


def parse_policy(text: str, name: str) -> Policy:
    """The policy in a YAML text.

    Args:
        text: the document.
        name: what to call it in messages, such as its file.

    Raises:
        PolicyError: one message with every fault, each with its line, value and what is allowed.
    """
    try:
        tree = _yaml().load(text)
        plain = _plain(tree)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PolicyError(f"{name}:{line}: {error.problem or 'is not valid YAML'}") from error
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:  # dates, NUL, anchors
        raise PolicyError(f"{name}:1: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise PolicyError(f"{name}:1: a policy is a mapping of sections, starting with `version:`")
    try:
        return Policy.model_validate(plain)
    except ValidationError as error:
        faults = [_fault(name, tree, dict(e)) for e in error.errors()]
        raise PolicyError("; ".join(faults)) from error


@cache
def default_policy() -> Policy:
    """What decides until a ``policy.activated`` record arrives."""
    return Policy(version="default")


def _yaml() -> YAML:
    return YAML(typ="rt", pure=True)


def _plain(tree: Any) -> Any:
    """Round-trip YAML nodes as plain values, so that messages show what the author wrote."""
    if isinstance(tree, dict):
        return {str(k): _plain(v) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_plain(v) for v in tree]
    if isinstance(tree, bool):
        return bool(tree)
    for kind in (int, float, str):
        if isinstance(tree, kind):
            return kind(tree)
    return str(tree) if isinstance(tree, Decimal) else tree


def _fault(name: str, tree: Any, error: dict[str, Any]) -> str:
    path = [str(part) for part in error["loc"] if part != _OF_KEY]
    line = 1
    for part in path:
        if isinstance(tree, list) and part.isdecimal() and int(part) < len(tree):
            line = tree.lc.item(int(part))[0] + 1  # type: ignore[attr-defined]
            tree = tree[int(part)]
            continue
        if not isinstance(tree, dict) or part not in tree:
            break
        line = tree.lc.key(part)[0] + 1  # type: ignore[attr-defined]
        tree = tree[part]
    where = ".".join(path) or "policy"
    value = error.get("input")
    shown = "" if error["type"] == "missing" or isinstance(value, dict) else f" (found {value!r})"
    return f"{name}:{line}: {where}: {error['msg']}{shown}"
