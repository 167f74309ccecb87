"""Effects as the public records of the tracking topic: what others may know of a decision.

One CloudEvents JSON object per record. Its ``id`` is ``partition/position/index``, the cause in the
journal and which of its effects this is, so that (``source``, ``id``) is the same in every replay and a
reader can drop repeats. Records come in the order of their causes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from schemas.ids import LogId
from schemas.tables import Effects, Table

_DECISION = (
    "revision", "kind", "trigger", "outcome", "selection", "hold_reason", "policy_version",
    "model_sha256", "region", "channel", "customer", "tier", "currency", "value_minor", "installation",
    "acceptance", "units_ordered", "units_served", "units_backordered",
    "units_unserved", "nodes", "lane_ids", "promise_at", "backorder_due_at", "requested_by",
    "original_commit_at", "latest_commit_at", "attempts", "priority_score", "parcels", "total_minor",
    "carbon_g", "late_probability", "margin_minor",
)  # fmt: skip

_EXCEPTION = ("code", "severity", "node", "sku", "qty")
_PACKAGE = ("node", "lane_id", "ship_date", "ship_by_at")
_LINE = ("line_no", "sku", "qty")
_SCOPE = ("position", "index", "tenant", "network", "order_id")
_N = len(_SCOPE)
_SCORE = _N + 1 + _DECISION.index("priority_score")
_WORK = {"placed": "work.offered", "released": "work.withdrawn"}
_OUTCOME = {
    "BACKORDERED": "decision.backordered",
    "UNROUTABLE": "decision.unroutable",
}
_KIND = {"REROUTE": "decision.rerouted", "CANCEL": "decision.cancelled"}
_ENCODER = msgspec.json.Encoder()

Row = tuple[Any, ...]


class PublicRecord(NamedTuple):
    """One message.

    Attributes:
        position: of the journal's record that caused it.
        effect: which of that record's effects it is.
        key: tenant, network and order: what the topic is partitioned by.
        value: the CloudEvent.
    """

    position: int
    effect: int
    key: bytes
    value: bytes


class _Told(NamedTuple):
    """A record before it is encoded; ``scope`` as in ``_SCOPE``."""

    scope: tuple[int, int, str, str, str]
    kind: str
    at: str
    data: dict[str, Any]


def public_records(effects: Effects, log_id: LogId) -> list[PublicRecord]:
    """Every public record that the effects hold, in order."""
    decisions = list(effects.plain(Table.DECISIONS, (*_SCOPE, "decided_at", *_DECISION)))
    of_orders = {(row[0], *row[2:_N]): (row[_N], row[_SCORE]) for row in decisions}
    told = [
        *_decisions(decisions),
        *_work(effects.plain(Table.ALLOCATIONS, (*_SCOPE, "event", *_PACKAGE, *_LINE)), of_orders),
        *_exceptions(effects.plain(Table.EXCEPTIONS, (*_SCOPE, "raised_at", *_EXCEPTION))),
    ]
    told.sort(key=itemgetter(0))
    source = source_of(log_id)
    return [_record(record, effects.partition, source) for record in told]


def source_of(log_id: LogId) -> str:
    """The CloudEvents ``source`` of everything decided on one journal."""
    return f"crossdock-route/{log_id}"


def _record(told: _Told, partition: int, source: str) -> PublicRecord:
    position, effect, tenant, network, order_id = told.scope
    body = {
        "specversion": "1.0",
        "id": f"{partition}/{position}/{effect}",
        "source": source,
        "type": told.kind,
        "subject": order_id,
        "time": told.at,
        "tenant": tenant,
        "network": network,
        "dataschema": "crossdock/1",
        "data": told.data,
    }
    key = f"{tenant}/{network}/{order_id}".encode()
    return PublicRecord(position, effect, key, _ENCODER.encode(body))


def _decisions(rows: Iterable[Row]) -> Iterator[_Told]:
    for row in rows:
        data = dict(zip(_DECISION, row[_N + 1 :], strict=True))
        if data["kind"] != "SHADOW":
            yield _Told(row[:_N], _type_of(data), row[_N], data)


def _type_of(decision: dict[str, Any]) -> str:
    """A hold that a person has to end asks for a review; one for the payment ends by itself."""
    if decision["outcome"] == "HELD_FOR_REVIEW" and decision["kind"] != "CANCEL":
        waits = decision["hold_reason"] == "AWAITING_PAYMENT"
        return "decision.held" if waits else "review.requested"
    return _KIND.get(decision["kind"]) or _OUTCOME.get(decision["outcome"], "decision.routed")


def _work(
    rows: Iterable[Row], of_orders: Mapping[tuple[Any, ...], tuple[str, int]]
) -> Iterator[_Told]:
    """A record per node to which a record of the journal gave, or from which it took, lines.

    A decision on the order comes with it and says when. Work that is offered carries the score by which nodes
    release it, the highest first.
    """
    parts = _N + 1 + len(_PACKAGE)
    together = itemgetter(0, 4, slice(_N, parts))  # position, order, event and package
    for _, group in groupby((row for row in rows if row[_N] in _WORK), key=together):
        lines = list(group)
        data = dict(zip(_PACKAGE, lines[0][_N + 1 : parts], strict=True))
        units: Counter[tuple[Any, ...]] = Counter()  # a line may be in it twice
        for line in lines:
            units[line[parts:-1]] += line[-1]
        data["lines"] = [dict(zip(_LINE, (*line, qty), strict=True)) for line, qty in units.items()]
        decided_at, score = of_orders[lines[0][0], *lines[0][2:_N]]
        if lines[0][_N] == "placed":
            data["priority_score"] = score
        yield _Told(lines[0][:_N], _WORK[lines[0][_N]], decided_at, data)


def _exceptions(rows: Iterable[Row]) -> Iterator[_Told]:
    for row in rows:
        if row[_N - 1] is not None:  # it is about an order
            data = dict(zip(_EXCEPTION, row[_N + 1 :], strict=True))
            yield _Told(row[:_N], "exception.raised", row[_N], data)
