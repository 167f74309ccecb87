"""The envelope every record travels in: CloudEvents 1.0 plus tenant, network and record time.

``time`` is when it happened (event time), ``recordedtime`` when Crossdock learnt it (record time; an
importer takes the event time where it is absent). A producer keeps (``source``, ``id``) unique, which
is what the folds dedupe on. ``subject`` is the id of the thing the record is about.
Source: CloudEvents 1.0.2, sections "Required" and "Optional attributes".
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(min_length=1, max_length=128)]
"""An id or a code: not empty, at most 128 characters."""

Name = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema={"pattern": "^[^/]+$"})]
"""A tenant or a network: an id without a slash, since the two are joined by one. The codec checks."""

Instant = Annotated[datetime, Meta(tz=True)]
"""A point in time with its zone; stored as UTC microseconds."""

Units = Annotated[int, Meta(ge=1, le=1_000_000)]
"""Whole units of one SKU in one line; the bound keeps every sum of the ledger inside 32 bits."""

Stock = Annotated[int, Meta(ge=0, le=1_000_000_000)]
"""Whole units of one SKU at one node."""


class Event(msgspec.Struct, tag_field="type", kw_only=True, frozen=True, gc=False):
    """Attributes common to all records; the subclass fixes ``type`` and the shape of ``data``."""

    id: Id
    source: Id
    subject: Id
    time: Instant
    tenant: Name
    network: Name
    specversion: Literal["1.0"] = "1.0"
    recordedtime: Instant | None = None
    dataschema: Literal["crossdock/1"] = "crossdock/1"
