"""What the shipped mappings decide beyond the samples: changes, cancellations, parcels, stock, returns."""

import json
from typing import Any

import pytest

from flows.channels.engine import Channel, Mapped
from flows.channels.mapping import load_mapping
from schemas.codes import DeadLetterReason
from tests.support.channels import BINDING, GOLDEN, ROOT, shipped

ORDER = json.loads((GOLDEN / "samples/shopify-order.json").read_text(encoding="utf-8"))["order"]
FULFILLMENT = json.loads((GOLDEN / "samples/shopify-fulfillment.json").read_text(encoding="utf-8"))
WOO = json.loads((GOLDEN / "samples/woocommerce-order.json").read_text(encoding="utf-8"))
AMAZON = json.loads((GOLDEN / "samples/amazon-order.json").read_text(encoding="utf-8"))["payload"]


@pytest.fixture(scope="module")
def shopify() -> Channel:
    return shipped("shopify")


@pytest.fixture(scope="module")
def woocommerce() -> Channel:
    return shipped("woocommerce")


@pytest.fixture(scope="module")
def amazon() -> Channel:
    return shipped("amazon-sp-api")


def take(channel: Channel, payload: Any) -> Mapped:
    return channel.take([json.dumps(payload).encode()])


def records(channel: Channel, payload: Any) -> list[dict[str, Any]]:
    return [json.loads(r.line) for r in take(channel, payload).records]


def test_an_order_that_changed_is_amended_by_a_revision_that_grows_with_its_time(
    shopify: Channel,
) -> None:
    times = [
        "2008-01-10T11:00:01-05:00",
        "2008-01-10T17:00:00Z",
        "2008-02-10T16:00:00Z",
        "2008-12-10T16:00:00Z",
    ]

    (made,) = zip(*(records(shopify, ORDER | {"updated_at": at}) for at in times), strict=True)

    assert {one["type"] for one in made} == {"order.amended"}
    assert [one["data"]["revision"] for one in made] == [2, 3_601, 536_307, 974_067]
    assert [one["time"] for one in made][:2] == [
        "2008-01-10T16:00:01.000000Z",
        "2008-01-10T17:00:00.000000Z",
    ]


def test_an_order_is_itself_though_it_holds_fulfillments_and_refunds(shopify: Channel) -> None:
    (made,) = records(shopify, ORDER)

    assert ORDER["fulfillments"]
    assert (made["type"], made["subject"]) == ("order.received", "450789469")


def test_vouchers_and_what_was_taken_off_again_are_no_lines(shopify: Channel) -> None:
    first, second, third = ORDER["line_items"]
    lines = [first | {"requires_shipping": False}, second | {"current_quantity": 0}, third]

    (made,) = records(shopify, ORDER | {"line_items": lines})

    assert [(line["line_no"], line["sku"]) for line in made["data"]["lines"]] == [
        (3, "IPOD2008BLACK")
    ]


def test_a_cancelled_order_is_cancelled_once(shopify: Channel) -> None:
    gone = {"cancelled_at": "2008-01-11T09:00:00-05:00", "cancel_reason": "customer"}

    (made,) = records(shopify, ORDER | gone | {"updated_at": "2008-01-12T09:00:00-05:00"})

    assert (made["type"], made["data"]) == ("order.cancelled", {"reason": "customer"})
    assert made["id"] == "450789469@2008-01-11T09:00:00-05:00"


def test_an_order_of_which_all_is_refunded_is_cancelled_by_the_refund(shopify: Channel) -> None:
    lines = [line | {"current_quantity": 0} for line in ORDER["line_items"]]
    refunds = [{"id": n, "created_at": f"2008-01-1{n}T09:00:00-05:00"} for n in (1, 2)]
    order = ORDER | {"line_items": lines, "financial_status": "refunded", "refunds": refunds}

    (refunded,), (noted,) = (
        records(shopify, order | {"updated_at": at})
        for at in ("2008-01-12T09:00:01-05:00", "2008-01-14T09:00:00-05:00")
    )
    (edited,) = records(shopify, order | {"refunds": [], "updated_at": "2008-01-13T09:00:00Z"})

    assert (refunded["type"], refunded["subject"]) == ("order.cancelled", "450789469")
    assert refunded == noted, "a note moves updated_at, too"
    assert [one["time"] for one in (refunded, edited)] == [
        "2008-01-12T14:00:00.000000Z",
        "2008-01-13T09:00:00.000000Z",
    ]


def test_of_an_order_that_left_in_part_what_is_refunded_of_the_rest_is_cancelled(
    shopify: Channel,
) -> None:
    left = [(1, 1), (3, 2), (2, 0)]
    lines = [
        line | {"quantity": qty, "current_quantity": now}
        for line, (qty, now) in zip(ORDER["line_items"], left, strict=True)
    ]
    sent = [{"created_at": "2008-01-11T09:00:00-05:00"}]
    order = ORDER | {"line_items": lines, "fulfillment_status": "fulfilled", "fulfillments": sent}
    before, rest, back = (
        {
            "created_at": f"2008-01-{day}T09:00:00-05:00",
            "refund_line_items": [{"restock_type": how}],
        }
        for day, how in ((10, "cancel"), (12, "cancel"), (12, "return"))
    )

    made, noted = (
        records(shopify, order | {"refunds": [before, rest], "updated_at": at})
        for at in ("2008-01-12T09:00:00-05:00", "2008-01-14T09:00:00-05:00")
    )
    others = [take(shopify, order | {"refunds": said}) for said in ([], [before], [before, back])]

    assert {one["type"] for one in made} == {"order.cancelled"}
    assert [one["data"]["lines"] for one in made] == [
        [{"line_no": 2, "qty": 1}],
        [{"line_no": 3, "qty": 2}],
    ]
    assert [one["id"] for one in made] == [one["id"] for one in noted]
    assert len({one["id"] for one in made}) == 2
    assert [(m.records, m.troubles, len(m.passed_over)) for m in others] == [([], [], 1)] * 3


def test_an_order_of_vouchers_alone_is_passed_over(shopify: Channel) -> None:
    lines = [line | {"requires_shipping": False} for line in ORDER["line_items"]]
    later = {"updated_at": "2008-01-12T09:00:00-05:00"}

    made, changed = (take(shopify, ORDER | {"line_items": lines} | more) for more in ({}, later))

    why = "an order of which nothing is to be shipped"
    assert (made.records, made.troubles, made.passed_over) == ([], [], [(0, why)])
    assert (changed.records, changed.troubles, changed.passed_over) == ([], [], [(0, why)])


def test_an_order_that_tries_the_shop_out_is_passed_over(shopify: Channel) -> None:
    tried = ORDER | {"test": True}

    placed, gone = (
        take(shopify, tried),
        take(shopify, tried | {"cancelled_at": tried["updated_at"]}),
    )

    for mapped in (placed, gone):
        assert (mapped.records, mapped.troubles, len(mapped.passed_over)) == ([], [], 1)


def test_an_order_that_does_not_say_its_lines_is_refused(shopify: Channel) -> None:
    (trouble,) = take(shopify, {k: v for k, v in ORDER.items() if k != "line_items"}).troubles

    assert trouble.detail == "data.lines: missing"


def test_an_order_that_is_all_on_its_way_is_passed_over(
    shopify: Channel, woocommerce: Channel, amazon: Channel
) -> None:
    done = [
        take(shopify, ORDER | {"fulfillment_status": "fulfilled"}),
        take(woocommerce, WOO | {"status": "completed"}),
        take(amazon, AMAZON | {"OrderStatus": "Shipped"}),
    ]

    assert [(one.records, one.troubles, len(one.passed_over)) for one in done] == [([], [], 1)] * 3


def test_each_tracking_number_is_a_parcel_and_without_one_the_fulfillment_is(
    shopify: Channel,
) -> None:
    sent = FULFILLMENT["fulfillment"] | {"updated_at": FULFILLMENT["fulfillment"]["created_at"]}

    two = records(shopify, sent | {"tracking_numbers": ["A", "B"], "shipment_status": "delivered"})
    none = records(shopify, sent | {"tracking_numbers": []})

    assert [(one["data"]["milestone"], one["data"]["package"]) for one in two] == [
        ("handed_over", "A"),
        ("handed_over", "B"),
        ("delivered", "A"),
        ("delivered", "B"),
    ]
    assert [one["data"]["package"] for one in none] == ["1022782904"]


def test_a_tracking_number_that_comes_later_takes_back_the_parcel_without_one(
    shopify: Channel,
) -> None:
    sent = FULFILLMENT["fulfillment"]

    (bare,) = records(shopify, sent | {"tracking_numbers": []})
    shipped_as, taken_back = records(shopify, sent | {"updated_at": "2023-01-01T00:00:00Z"})
    later = records(shopify, sent | {"updated_at": "2023-01-02T00:00:00Z"})

    assert bare["data"]["package"] == taken_back["data"]["package"] == "1022782904"
    assert taken_back["data"]["classifier"] == "RET"
    assert taken_back["data"]["retracts"] == bare["id"]
    assert shipped_as["data"]["package"] == sent["tracking_numbers"][0]
    assert later == [shipped_as, taken_back], "it is taken back once"


def test_an_attempt_of_another_day_is_another_attempt(shopify: Channel) -> None:
    sent = FULFILLMENT["fulfillment"] | {"shipment_status": "attempted_delivery"}
    times = ["2020-11-06T10:00:00-05:00", "2020-11-06T18:00:00-05:00", "2020-11-07T10:00:00-05:00"]

    told = [records(shopify, sent | {"updated_at": at})[-1] for at in times]

    assert {one["data"]["milestone"] for one in told} == {"attempt_failed"}
    assert told[0]["id"] == told[1]["id"] != told[2]["id"]


def test_that_a_parcel_is_late_is_known_and_no_milestone(shopify: Channel) -> None:
    sent = FULFILLMENT["fulfillment"]

    late = take(shopify, sent | {"shipment_status": "delayed"})

    assert [r.line for r in late.records] == [r.line for r in take(shopify, sent).records]
    assert late.troubles == []


def test_a_fulfillment_that_is_cancelled_takes_back_that_it_left(shopify: Channel) -> None:
    sent, _ = records(shopify, FULFILLMENT)

    (gone,) = records(shopify, FULFILLMENT["fulfillment"] | {"status": "cancelled"})

    assert (gone["data"]["classifier"], gone["data"]["retracts"]) == ("RET", sent["id"])


def test_an_oversold_stock_is_none_and_one_that_is_not_counted_is_passed_over(
    shopify: Channel,
) -> None:
    level = {
        "inventory_item_id": 39072856,
        "location_id": 7,
        "updated_at": "2018-05-07T15:33:38-04:00",
    }

    (made,) = records(shopify, level | {"available": -3})
    uncounted = take(shopify, level | {"available": None})

    assert made["data"]["items"] == [{"sku": "IPOD2008GREEN", "on_hand": 0}]
    assert (uncounted.records, uncounted.troubles, len(uncounted.passed_over)) == ([], [], 1)


def test_stock_of_an_item_whose_sku_nobody_said_is_refused_by_table_and_code() -> None:
    shop = Channel(load_mapping(ROOT / "schemas/channels/shopify.toml"), BINDING)
    level = {
        "inventory_item_id": 39072856,
        "location_id": 7,
        "available": 2,
        "updated_at": "2018-05-07T15:33:38Z",
    }

    (trouble,) = take(shop, {"inventory_level": level}).troubles

    assert trouble.reason is DeadLetterReason.UNMAPPED
    assert trouble.detail == "data.items.sku: 39072856 is no code of maps.skus"


def test_of_a_refund_what_came_back_to_a_place_is_a_return(shopify: Channel) -> None:
    lines = [
        {
            "id": 1,
            "quantity": 2,
            "restock_type": "return",
            "location_id": 7,
            "line_item": {"sku": "S1"},
        },
        {
            "id": 2,
            "quantity": 1,
            "restock_type": "no_restock",
            "location_id": None,
            "line_item": {"sku": "S2"},
        },
    ]

    (made,) = records(
        shopify,
        {"id": 9, "order_id": 5, "created_at": "2024-01-02T03:04:05Z", "refund_line_items": lines},
    )

    assert (made["type"], made["subject"]) == ("return.received", "9/1")
    assert made["data"] == {"order_id": "5", "node": "7", "items": [{"sku": "S1", "qty": 2}]}


def test_an_unknown_state_of_a_payment_is_refused(woocommerce: Channel) -> None:
    (trouble,) = take(woocommerce, WOO | {"status": "wc-in-review"}).troubles

    assert trouble.detail == "data.payment: wc-in-review is no code of maps.payments"


def test_a_price_that_the_shop_divided_is_the_nearest_amount(woocommerce: Channel) -> None:
    line = WOO["line_items"][0] | {"quantity": 3, "subtotal": "10.00", "price": 3.3333333333333335}

    (dollars,) = records(woocommerce, WOO | {"line_items": [line]})
    (yen,) = records(woocommerce, WOO | {"line_items": [line], "currency": "JPY"})

    assert [one["data"]["lines"][0]["unit_price_minor"] for one in (dollars, yen)] == [333, 3]


def test_a_price_is_that_before_discounts(woocommerce: Channel) -> None:
    line = WOO["line_items"][0] | {
        "quantity": 2,
        "subtotal": "20.00",
        "total": "15.00",
        "price": 7.5,
    }

    (made,) = records(woocommerce, WOO | {"line_items": [line]})

    assert made["data"]["lines"][0]["unit_price_minor"] == 1_000


def test_an_order_of_amazon_without_an_address_is_of_its_marketplace(amazon: Channel) -> None:
    order = {
        name: value
        for name, value in AMAZON.items()
        if name not in ("ShippingAddress", "OrderTotal")
    }

    (made,) = records(amazon, order | {"MarketplaceId": "A1VC38T7YXB528", "OrderStatus": "Pending"})

    data = made["data"]
    assert (data["region"], data["currency"], data["payment"]) == ("JP", "JPY", "pending")


def test_a_price_of_all_units_of_a_line_is_shared_among_them(amazon: Channel) -> None:
    line = AMAZON["OrderItems"][0] | {"QuantityOrdered": 4}

    (made,) = records(amazon, AMAZON | {"OrderItems": [line]})

    assert made["data"]["lines"][0]["unit_price_minor"] == 250
