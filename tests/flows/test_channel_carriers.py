"""Carriers, EPCIS and change events: what codes mean; what is told twice has one id; people are kept out."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from flows.channels.engine import Binding, Channel, Mapped
from flows.channels.mapping import load_mapping
from schemas.codec import Refusal, decode_line
from schemas.codes import DeadLetterReason, Milestone, Trouble
from schemas.crossref import Assignment, CrossReference, foreign_of, resolved
from schemas.shipments import ShipmentMilestone

FOLDER = Path(__file__).parents[2] / "schemas/channels"
NAMES = [
    "17track", "aftership", "amazon-tracking", "debezium-crm", "debezium-erp", "debezium-wms", "easypost",
    "epcis", "kuaidi100",
]  # fmt: skip
BINDING = Binding(source="carriers", tenant="acme", network="eu", secret=b"of the tests")
ANYWHERE = CrossReference(assignments=[Assignment(tenant="acme", network="eu", subjects=["o-1"])])
CHANNELS: dict[str, Channel] = {}


def mapped(name: str, *payloads: Any) -> Mapped:
    if name not in CHANNELS:
        CHANNELS[name] = Channel(load_mapping(FOLDER / f"{name}.toml"), BINDING)
    return CHANNELS[name].take(
        [p if isinstance(p, bytes) else json.dumps(p).encode() for p in payloads]
    )


def made(name: str, *payloads: Any) -> list[dict[str, Any]]:
    result = mapped(name, *payloads)
    assert result.troubles == []
    return [json.loads(record.line) for record in result.records]


def complaint(name: str, payload: Any) -> str:
    result = mapped(name, payload)
    assert [t.reason for t in result.troubles] == [DeadLetterReason.UNMAPPED]
    return result.troubles[0].detail


def aftership(*subtags: str, **more: Any) -> dict[str, Any]:
    checkpoints = [
        {"checkpoint_time": f"2026-03-{n + 1:02}T08:00:00+01:00", "subtag": subtag, "slug": "dhl"}
        for n, subtag in enumerate(subtags)
    ]
    return {"msg": {"tracking_number": "T1", "slug": "dhl", "checkpoints": checkpoints} | more}


def easypost(*statuses: tuple[str, str | None], **more: Any) -> dict[str, Any]:
    details = [
        {"datetime": f"2026-03-{n + 1:02}T08:00:00Z", "status": status, "status_detail": detail}
        for n, (status, detail) in enumerate(statuses)
    ]
    return {"result": {"tracking_code": "T1", "carrier": "UPS", "tracking_details": details} | more}


def kuaidi100(state: str, *entries: dict[str, Any]) -> bytes:
    """A push; entries from the oldest."""
    result = {"nu": "T1", "com": "sf", "state": state, "data": list(reversed(entries))}
    return urlencode({"sign": "00", "param": json.dumps({"lastResult": result})}).encode()


def track17(state: int, *times: str) -> dict[str, Any]:
    """A push of v1; times from the oldest."""
    events = [{"a": time, "z": "..."} for time in reversed(times)]
    track = {"e": state, "w1": 7, "z0": events[0] if events else None, "z1": events, "z2": []}
    return {"event": "TRACKING_UPDATED", "data": {"number": "T1", "track": track}}


def told(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(r["data"]["milestone"], r["data"].get("reason", "")) for r in records]


@pytest.mark.parametrize(
    ("subtag", "milestone", "reason"),
    [
        ("InfoReceived_001", "packed", ""),
        ("InTransit_001", "scanned", ""),
        ("InTransit_002", "handed_over", ""),
        ("InTransit_003", "arrived", ""),
        ("InTransit_005", "customs_cleared", ""),
        ("InTransit_006", "customs_presented", ""),
        ("InTransit_007", "departed", ""),
        ("OutForDelivery_001", "out_for_delivery", ""),
        ("AvailableForPickup_001", "available_for_pickup", ""),
        ("AttemptFail_002", "attempt_failed", ""),
        ("Delivered_001", "delivered", ""),
        ("Delivered_003", "signed", ""),
        ("Exception_003", "attempt_failed", "CUSTOMER_REFUSED"),
        ("Exception_004", "customs_held", ""),
        ("Exception_006", "scanned", "PAYMENT_HOLD"),
        ("Exception_007", "scanned", "ADDRESS_INVALID"),
        ("Exception_008", "scanned", "PICKUP_MISSED"),
        ("Exception_009", "scanned", "CARRIER_REJECTED"),
        ("Exception_010", "returned", ""),
        ("Exception_011", "returning", ""),
        ("Exception_012", "damaged", ""),
        ("Exception_013", "lost", ""),
    ],
)
def test_a_sub_tag_of_aftership_is_a_milestone_and_its_trouble(
    subtag: str, milestone: str, reason: str
) -> None:
    assert told(made("aftership", aftership(subtag))) == [(milestone, reason)]


@pytest.mark.parametrize(
    ("name", "payload", "said"),
    [
        ("aftership", aftership("InTransit_099"), "InTransit_099 is no code of maps.milestones"),
        ("easypost", easypost(("in_transit", "beamed")), "beamed is no code of maps.milestones"),
        ("easypost", easypost(("teleported", None)), "teleported is no code of maps.milestones"),
        ("kuaidi100", kuaidi100("99", {"ftime": "2026-03-01 08:00:00"}), "99 is no code of maps.milestones"),
        ("17track", track17(77, "2026-03-01 08:00"), "77 is no code of maps.milestones"),
    ],
)  # fmt: skip
def test_a_code_that_is_not_known_is_refused_with_its_table(
    name: str, payload: Any, said: str
) -> None:
    assert complaint(name, payload) == f"data.milestone: {said}"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("aftership", aftership("InTransit_002", "InTransit_003"),
         aftership("InTransit_002", "InTransit_003", "Delivered_001")),
        ("easypost", easypost(("pre_transit", None), ("in_transit", "departed_facility")),
         easypost(("pre_transit", None), ("in_transit", "departed_facility"), ("delivered", None))),
        ("kuaidi100", kuaidi100("1", {"ftime": "2026-03-01 08:00:00"}),
         kuaidi100("3", {"ftime": "2026-03-01 08:00:00"}, {"ftime": "2026-03-02 08:00:00"})),
        ("17track", track17(10, "2026-03-01 08:00"), track17(40, "2026-03-01 08:00", "2026-03-02 08:00")),
    ],
)  # fmt: skip
def test_a_history_that_is_told_again_has_the_ids_it_had(
    name: str, before: Any, after: Any
) -> None:
    first, second = made(name, before), made(name, after)

    known = {record["id"] for record in first}
    assert len(known) == len(first) > 0
    assert [record["id"] for record in second][: len(first)] == [record["id"] for record in first]
    assert len([record for record in second if record["id"] not in known]) == 1
    assert second[-1]["data"]["milestone"] in ("delivered", "signed")


def test_only_the_newest_entry_of_an_old_push_has_a_state_and_the_others_are_scans() -> None:
    entries = [{"ftime": f"2026-03-0{day} 08:00:00", "context": "..."} for day in (1, 2, 3)]

    records = made("kuaidi100", kuaidi100("5", *entries))

    assert [m for m, _ in told(records)] == ["scanned", "scanned", "out_for_delivery"]
    assert [r["time"] for r in records] == [f"2026-03-0{day}T00:00:00.000000Z" for day in (1, 2, 3)]


def test_entries_of_the_same_second_are_kept_apart_and_stay_so_when_old_ones_are_cut_off() -> None:
    at, same = {"ftime": "2026-03-01 08:00:00"}, {"ftime": "2026-03-02 09:00:00"}

    whole = made("kuaidi100", kuaidi100("3", at, same, same))
    cut = made("kuaidi100", kuaidi100("3", same, same))

    assert len({record["id"] for record in whole}) == 3
    assert [record["id"] for record in cut] == [record["id"] for record in whole][1:]


def test_an_entry_of_a_new_push_has_a_state_of_its_own() -> None:
    codes = ["101", "103", "1002", "501", "205", "304"]
    entries = [
        {"ftime": f"2026-03-0{n + 1} 08:00:00", "statusCode": code} for n, code in enumerate(codes)
    ]

    records = made("kuaidi100", kuaidi100("3", *entries))

    assert told(records) == [
        ("handed_over", ""),
        ("scanned", ""),
        ("available_for_pickup", ""),
        ("available_for_pickup", "PICKUP_MISSED"),
        ("delivered", ""),
    ]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("aftership", aftership(tag="Pending", subtag="Pending_001")),
        ("easypost", easypost(status="unknown")),
        ("kuaidi100", kuaidi100("0")),
        ("17track", track17(0)),
        ("debezium-wms", {"source": {"table": "tasks"}, "op": "c", "after": {"state": "OPEN"}}),
    ],
)
def test_what_has_nothing_to_tell_yet_is_passed_over(name: str, payload: Any) -> None:
    result = mapped(name, payload)

    assert (result.records, result.troubles) == ([], [])
    assert len(result.passed_over) == 1


def test_checkpoints_that_are_called_otherwise_one_day_are_no_silence() -> None:
    payload = aftership(tag="Delivered")
    payload["msg"]["check_points"] = payload["msg"].pop("checkpoints")

    assert [t.reason for t in mapped("aftership", payload).troubles] == [
        DeadLetterReason.UNRECOGNISED
    ]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("easypost", easypost(status="in_transit", updated_at="2026-03-01T08:00:00Z",
                              est_delivery_date="2026-03-05T00:00:00Z")),
        ("aftership", aftership(tag="InTransit", updated_at="2026-03-01T08:00:00+00:00",
                                latest_estimated_delivery={"datetime": "2026-03-05T01:00:00+01:00"})),
    ],
)  # fmt: skip
def test_when_it_is_expected_is_an_estimated_milestone(name: str, payload: Any) -> None:
    (record,) = made(name, payload)

    assert record["data"]["classifier"] == "EST"
    assert record["data"]["at"] == "2026-03-05T00:00:00.000000Z"
    assert record["time"] == "2026-03-01T08:00:00.000000Z"


def test_a_milestone_is_looked_up_by_its_tracking_number_and_then_is_a_record() -> None:
    ((_, raw, _, _),) = mapped("aftership", aftership("Exception_003")).records

    foreign = foreign_of(raw)
    assert foreign is not None
    (whole,) = resolved(raw, foreign, ANYWHERE)
    event = decode_line(whole, 1)

    assert isinstance(event, ShipmentMilestone)
    assert (event.subject, event.data.package, event.data.carrier) == ("o-1", "T1", "dhl")
    assert (event.data.milestone, event.data.reason) == (
        Milestone.ATTEMPT_FAILED,
        Trouble.CUSTOMER_REFUSED,
    )
    assert event.time == datetime(2026, 3, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("aftership", aftership("Delivered_003", signed_by="Secret", customer_name="Secret",
                                emails=["Secret"])),
        ("easypost", easypost(("delivered", None), signed_by="Jo Secret")),
        ("kuaidi100", kuaidi100("3", {"ftime": "2026-03-01 08:00:00", "context": "派送员 Secret 13800000000"})),
        ("debezium-crm", {"source": {"table": "survey_answers", "ts_ms": 1772442000000}, "op": "c",
                          "after": {"id": 1, "order_no": "o-1", "nps": 9, "comment": "Jo Secret"}}),
    ],
)  # fmt: skip
def test_people_are_in_no_record(name: str, payload: Any) -> None:
    records = mapped(name, payload).records

    assert len(records) == 1
    assert b"Secret" not in records[0][1]


def change(table: str, op: str, lsn: int = 1, **rows: Any) -> dict[str, Any]:
    """A change event; ``before`` and ``after`` are rows."""
    source = {"table": table, "ts_ms": 1772442000000, "lsn": lsn}
    return {"payload": {"before": None, "after": None, "op": op, "source": source} | rows}


ORDER = {
    "order_no": "SO-1", "country": "DE", "currency": "EUR", "version": 1, "state": "OPEN", "pay_state": "PAID",
    "lines": json.dumps([{"no": 10, "sku": "P", "qty": 2, "grams": 100, "price": "1.20"}]),
}  # fmt: skip


def test_rows_of_an_erp_are_received_amended_and_cancelled() -> None:
    records = made(
        "debezium-erp",
        change("sales_orders", "c", after=ORDER),
        change("sales_orders", "u", after=ORDER | {"version": 2}),
        change("sales_orders", "d", before={"order_no": "SO-1"}),
    )  # fmt: skip

    assert [r["type"] for r in records] == ["order.received", "order.amended", "order.cancelled"]
    assert records[0]["data"]["lines"][0]["unit_price_minor"] == 120
    assert records[1]["data"]["revision"] == 2


def test_a_snapshot_repeats_what_is_known() -> None:
    received, read = made(
        "debezium-erp",
        change("sales_orders", "c", after=ORDER),
        change("sales_orders", "r", 9, after=ORDER),
    )

    assert received == read


def test_a_task_that_is_updated_in_the_same_state_is_told_once() -> None:
    task = {
        "id": 3,
        "order_no": "SO-1",
        "warehouse": "HAM",
        "line_no": 10,
        "qty": 2,
        "state": "PICKED",
    }

    first, again = made(
        "debezium-wms", change("tasks", "u", 1, after=task), change("tasks", "u", 2, after=task)
    )

    assert first == again
    assert (first["type"], first["data"]) == (
        "work.picked",
        {"node": "HAM", "lines": [{"line_no": 10, "qty": 2}]},
    )


def test_stock_that_is_deleted_is_counted_as_none() -> None:
    row = {"warehouse": "HAM", "sku": "P", "on_hand": 4, "safety": 1}

    counted, gone = made(
        "debezium-wms", change("stock", "r", 1, after=row), change("stock", "d", 2, before=row)
    )

    assert [r["data"]["items"][0]["on_hand"] for r in (counted, gone)] == [4, 0]
    assert counted["id"] != gone["id"]


@pytest.mark.parametrize(
    ("detail", "milestones"),
    [
        ("arrived_at_destination", ["returning", "delivered", "scanned"]),
        ("arrived_at_facility", ["returning", "arrived", "arrived"]),
        ("damaged", ["damaged"] * 3),
        (None, ["returning", "delivered", "scanned"]),
    ],
)
def test_what_is_on_its_way_back_is_not_delivered(
    detail: str | None, milestones: list[str]
) -> None:
    statuses = ["return_to_sender", "delivered", "in_transit"]

    records = made("easypost", easypost(*((status, detail) for status in statuses)))

    assert [milestone for milestone, _ in told(records)] == milestones


def test_the_courier_of_the_country_it_goes_to_is_heard_as_well() -> None:
    here = {"nu": "T1", "com": "sf", "state": "0", "data": [{"ftime": "2026-03-01 08:00:00"}]}
    there = {"nu": "T1", "com": "ups", "state": "3", "data": [{"ftime": "2026-03-05 08:00:00"}]}

    records = made("kuaidi100", {"lastResult": here, "destResult": there})

    assert told(records) == [("scanned", ""), ("signed", "")]
    assert [one["data"]["carrier"] for one in records] == ["sf", "ups"]


def epcis(**event: Any) -> dict[str, Any]:
    common = {
        "type": "ObjectEvent",
        "eventID": "urn:uuid:1",
        "eventTime": "2026-03-01T08:00:00Z",
        "epcList": ["sscc:1"],
    }
    return {"type": "EPCISDocument", "epcisBody": {"eventList": [common | event]}}


@pytest.mark.parametrize(
    "step",
    ["shipping", "urn:epcglobal:cbv:bizstep:shipping", "https://ref.gs1.org/cbv/BizStep-shipping"],
)
def test_a_step_of_epcis_may_be_a_word_a_urn_or_an_address(step: str) -> None:
    assert told(made("epcis", epcis(bizStep=step))) == [("handed_over", "")]


def test_a_step_of_epcis_with_a_disposition_may_say_more() -> None:
    steps = [
        ("receiving", ""),
        ("receiving", "completeness_verified"),
        ("receiving", "returned"),
        ("unloading", "damaged"),
    ]

    records = made("epcis", *(epcis(bizStep=step, disposition=d) for step, d in steps))

    assert [m for m, _ in told(records)] == ["arrived", "signed", "returned", "damaged"]


PACKED = {
    "type": "AggregationEvent",
    "parentID": "sscc:9",
    "childEPCs": ["sgtin:1"],
    "bizStep": "packing",
}
TIED = {"type": "AssociationEvent", "action": "ADD", "parentID": "sscc:9", "childEPCs": ["giai:1"]}
MEASURED = {
    "sensorMetadata": {"deviceID": "d-1"},
    "sensorReport": [{"type": "gs1:Temperature", "value": 7.9, "uom": "CEL"}],
}
WRONG = {"errorDeclaration": {"declarationTime": "2026-03-01T09:00:00Z"}}


@pytest.mark.parametrize(
    "event",
    [{"bizStep": "arriving"}, {"bizStep": "installing"}, {"bizStep": "accepting"}, PACKED],
    ids=["a step", "an installation", "an acceptance", "a packing"],
)
def test_an_event_of_epcis_that_is_declared_an_error_takes_back_its_record(
    event: dict[str, Any],
) -> None:
    (first,), (taken_back,) = made("epcis", epcis(**event)), made("epcis", epcis(**event, **WRONG))

    data = taken_back["data"]
    assert (taken_back["type"], data["classifier"]) == ("shipment.milestone", "RET")
    assert (taken_back["xref"], data["retracts"]) == (first["xref"], first["id"])
    assert taken_back["id"] != first["id"]


def test_a_device_that_went_with_a_parcel_by_error_was_released_at_once() -> None:
    (bound,), (released,) = made("epcis", epcis(**TIED)), made("epcis", epcis(**TIED, **WRONG))

    assert (bound["data"]["released"], released["data"]["released"]) == (False, True)
    assert released["time"] == bound["time"]
    assert released["id"] != bound["id"]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"sensorElementList": [MEASURED]}, "readings that are declared an error"),
        (
            {"sensorElementList": [MEASURED], "bizStep": "sensor_reporting"},
            "readings that are declared an error",
        ),
        (TIED | {"action": "DELETE"}, "a device that is said to have never been taken off"),
    ],
)
def test_what_cannot_be_taken_back_is_for_a_person(event: dict[str, Any], why: str) -> None:
    result = mapped("epcis", epcis(**event, **WRONG))

    (trouble,) = result.troubles
    assert (result.records, trouble.reason) == ([], DeadLetterReason.UNRECOGNISED)
    assert trouble.detail.startswith(why)


def test_what_a_sensor_measured_is_looked_up_by_its_device() -> None:
    (record,) = made("epcis", epcis(bizStep="sensor_reporting", sensorElementList=[MEASURED]))

    assert (record["type"], record["xref"]) == ("telemetry.sensor", "device:d-1")
    assert not isinstance(
        decode_line(
            json.dumps(record | {"subject": "o-1", "tenant": "t", "network": "n"}).encode(), 1
        ),
        Refusal,
    )
    assert record["data"]["reports"][0]["type"] == "Temperature"


@pytest.mark.parametrize("name", NAMES)
def test_batches_change_nothing(name: str) -> None:
    payloads = [
        aftership("InTransit_002"),
        easypost(("delivered", None)),
        kuaidi100("3", {"ftime": "2026-03-01 08:00:00"}),
        track17(40, "2026-03-01 08:00"),
        change("sales_orders", "c", after=ORDER),
        epcis(bizStep="shipping"),
        b"{",
    ]

    whole, alone = mapped(name, *payloads), [mapped(name, one) for one in payloads]

    assert [r.line for r in whole.records] == [r.line for one in alone for r in one.records]
    assert [t.detail for t in whole.troubles] == [t.detail for one in alone for t in one.troubles]
