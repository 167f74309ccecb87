"""What holds of a log as a whole: its records' places, its networks, its time, its repeats."""

from tests.support.builders import (
    capacity,
    counted,
    lane,
    node,
    route,
)

ONE_NODE = (node("A"), lane("A"), counted("A", {"S1": 100}))


def test_dead_letters_of_control_records_and_of_others_share_a_table() -> None:
    rows = route(capacity("nowhere", 5), counted("nowhere"))

    assert rows.reasons() == ["UNKNOWN_NODE", "UNKNOWN_NODE"]
    assert [d["kind"] for d in rows.dead_letters] == ["capacity.set", "inventory.counted"]
    assert [d["subject"] for d in rows.dead_letters] == ["nowhere", "nowhere"]
