"""Milestones as EPCIS 2.0 events, and the hash by which anybody can name such an event.

The hash does not depend on how the event is written down: its fields are joined in the standard's order, in
the standard's spelling, and hashed. Fields that say when and how it was recorded are not part of it.
Source: CBV 2.0, section 8.9 (EPCIS event hash id); RFC 6920 (``ni`` names); domain.md D.3 (crosswalk).
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

Event = dict[str, Any]

VOCABULARY = "https://ref.gs1.org/cbv/"
ORDER = (
    "eventType",
    "eventTime",
    "eventTimeZoneOffset",
    "epcList",
    "action",
    "bizStep",
    "disposition",
)


class Meaning(NamedTuple):
    """Business step and disposition, as CBV names them; empty: the standard has none."""

    step: str = ""
    disposition: str = ""


MEANINGS: Mapping[str, Meaning] = {
    "PACKED": Meaning("packing", "container_closed"),
    "HANDED_OVER": Meaning("shipping", "in_transit"),
    "SCANNED": Meaning("transporting", "in_transit"),
    "DEPARTED": Meaning("departing", "in_transit"),
    "ARRIVED": Meaning("arriving", "in_transit"),
    "CUSTOMS_PRESENTED": Meaning("inspecting", "in_progress"),
    "CUSTOMS_HELD": Meaning("holding", "in_progress"),
    "CUSTOMS_CLEARED": Meaning("inspecting", "conformant"),
    "OUT_FOR_DELIVERY": Meaning("transporting", "in_transit"),
    "AVAILABLE_FOR_PICKUP": Meaning("arriving", "available"),
    "ATTEMPT_FAILED": Meaning("holding", "in_transit"),
    "DELIVERED": Meaning("arriving"),
    "SIGNED": Meaning("receiving", "completeness_verified"),
    "RETURNING": Meaning("shipping", "returned"),
    "RETURNED": Meaning("receiving", "returned"),
    "LOST": Meaning("", "unknown"),
    "DAMAGED": Meaning("", "damaged"),
}
"""By milestone; what the standard does not know carries only what it does."""


def event_of(fact: Mapping[str, Any]) -> Event | None:
    """The EPCIS event of a row of the timeline; None where it is no actual milestone.

    Args:
        fact: column by column; ``at`` in microseconds since 1970.
    """
    meaning = MEANINGS.get(fact["step"])
    if meaning is None or fact["classifier"] not in (None, "ACT"):
        return None
    event = {
        "type": "ObjectEvent",
        "eventTime": _written(fact["at"]),
        "eventTimeZoneOffset": "+00:00",
        "epcList": [_thing(fact)],
        "action": "OBSERVE",
        "bizStep": meaning.step,
        "disposition": meaning.disposition,
        "readPoint": {"id": _place(fact)},
    }
    return {name: value for name, value in event.items() if value not in ("", {"id": ""})}


def canonical(event: Event) -> str:
    """What is hashed of an event with the fields that ``event_of`` gives."""
    words = {"bizStep": f"{VOCABULARY}BizStep-", "disposition": f"{VOCABULARY}Disp-"}
    parts = []
    for name in ORDER:
        if name == "epcList":
            parts += [name, *(f"epc={epc}" for epc in sorted(event[name]))]
        elif (value := event["type"] if name == "eventType" else event.get(name)) is not None:
            parts.append(f"{name}={words.get(name, '')}{value}")
    if "readPoint" in event:
        parts.append(f"readPointid={event['readPoint']['id']}")
    return "".join(parts)


def event_hash(event: Event) -> str:
    """The name of an event, as ``ni:///sha-256;…?ver=CBV2.0``."""
    return f"ni:///sha-256;{hashlib.sha256(canonical(event).encode()).hexdigest()}?ver=CBV2.0"


def _written(at: int) -> str:
    """Of an instant in microseconds: UTC, to the millisecond."""
    rounded = (at + 500) // 1000 / 1000
    return (
        datetime.fromtimestamp(rounded, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _thing(fact: Mapping[str, Any]) -> str:
    """The parcel, or the order as a whole where its parcel has no name."""
    scope = [fact["tenant"], fact["network"], fact["order_id"]]
    if fact["package"]:
        return ":".join(["urn:crossdock:package", *(_word(p) for p in (*scope, fact["package"]))])
    return ":".join(["urn:crossdock:order", *map(_word, scope)])


def _place(fact: Mapping[str, Any]) -> str:
    if fact["latitude"] is None or fact["longitude"] is None:
        return f"urn:crossdock:node:{_word(fact['node'])}" if fact["node"] else ""
    return f"geo:{fact['latitude']},{fact['longitude']}"


def _word(text: str) -> str:
    return quote(text, safe="")
