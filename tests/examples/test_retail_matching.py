"""Which order a cancellation is taken to mean, on hand-made trades."""

from datetime import UTC, datetime, timedelta

from examples.retail.matching import Part, Trade, class_by_row, match
from examples.retail.source import LineClass

MONDAY = datetime(2011, 3, 7, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TWO_DAYS = 2 * DAY


def trade(
    row: int, quantity: int, *, invoice: str = "", at: datetime = MONDAY, customer: int | None = 1
) -> Trade:
    return Trade(row, invoice or f"i-{row}", 1, customer, "22423", quantity, at)


def short(parts: list[Part]) -> list[tuple[str, int, LineClass]]:
    return [(p.order, p.qty, p.line_class) for p in parts]


def test_the_newest_purchase_is_cancelled_first() -> None:
    trades = [trade(0, 5), trade(1, 5, at=MONDAY + DAY), trade(2, -4, at=MONDAY + DAY)]

    assert short(match(trades, TWO_DAYS)) == [("i-1", 4, LineClass.CANCELLED)]


def test_a_cancellation_larger_than_the_newest_purchase_reaches_the_one_before() -> None:
    trades = [trade(0, 5), trade(1, 3), trade(2, -7)]

    parts = match(trades, TWO_DAYS)

    assert short(parts) == [("i-1", 3, LineClass.CANCELLED), ("i-0", 4, LineClass.CANCELLED)]


def test_a_unit_is_cancelled_once() -> None:
    trades = [trade(0, 5), trade(1, -3), trade(2, -3)]

    assert short(match(trades, TWO_DAYS)) == [
        ("i-0", 3, LineClass.CANCELLED),
        ("i-0", 2, LineClass.CANCELLED),
        ("", 1, LineClass.RETURNED_UNKNOWN),
    ]


def test_goods_that_have_left_come_back_as_a_return_of_their_order() -> None:
    trades = [trade(0, 5), trade(1, -5, at=MONDAY + TWO_DAYS + timedelta(minutes=1))]

    assert short(match(trades, TWO_DAYS)) == [("i-0", 5, LineClass.RETURNED)]


def test_the_last_moment_to_cancel_still_cancels() -> None:
    trades = [trade(0, 5), trade(1, -5, at=MONDAY + TWO_DAYS)]

    assert short(match(trades, TWO_DAYS)) == [("i-0", 5, LineClass.CANCELLED)]


def test_another_customer_s_purchase_is_not_touched() -> None:
    trades = [trade(0, 5, customer=1), trade(1, -5, customer=2)]

    assert short(match(trades, TWO_DAYS)) == [("", 5, LineClass.RETURNED_UNKNOWN)]


def test_a_customer_without_a_number_matches_nobody() -> None:
    trades = [trade(0, 5, customer=None), trade(1, -5, customer=None)]

    assert short(match(trades, TWO_DAYS)) == [("", 5, LineClass.RETURNED_UNKNOWN)]


def test_a_purchase_after_the_cancellation_does_not_explain_it() -> None:
    trades = [trade(0, -5), trade(1, 5)]

    assert short(match(trades, TWO_DAYS)) == [("", 5, LineClass.RETURNED_UNKNOWN)]


def test_a_line_that_falls_apart_still_has_one_class() -> None:
    parts = match([trade(0, 5), trade(1, -7), trade(2, -1)], TWO_DAYS)

    assert class_by_row(parts) == {1: LineClass.IN_PARTS, 2: LineClass.RETURNED_UNKNOWN}
