"""Records that steer the fold: the clock, the policy, the model.

``subject`` is the ingest process for the clock, the version for policies, the name for models.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.codes import ModelOf
from schemas.envelope import Event, Instant

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Tick(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """All inputs of this ingest process are consumed up to ``at``; ``retired`` is its last word."""

    at: Instant
    retired: bool = False


class PolicyActivation(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """The policy document itself (YAML text), so that a log needs no other file."""

    document: Annotated[str, Meta(min_length=1, max_length=1_000_000)]


class ModelActivation(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """The sha256 of the ONNX file that scores from here on."""

    sha256: Sha256
    of: ModelOf = ModelOf.ROUTE


class ClockTicked(Event, tag="clock.ticked", kw_only=True, frozen=True, gc=False):
    """Time passed. The only thing that moves a fold's clock."""

    data: Tick


class PolicyActivated(Event, tag="policy.activated", kw_only=True, frozen=True, gc=False):
    """From here on this policy decides."""

    data: PolicyActivation


class ModelActivated(Event, tag="model.activated", kw_only=True, frozen=True, gc=False):
    """From here on this model scores."""

    data: ModelActivation
