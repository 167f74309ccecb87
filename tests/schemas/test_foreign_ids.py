"""What a foreign id stands for: said once for a time, and resolved once for each subject."""

from datetime import timedelta
from typing import Any

import msgspec

from schemas.crossref import (
    AFTER,
    BEFORE,
    MOST_ASSIGNMENTS,
    Assignment,
    CrossReference,
    Foreign,
    assignment_of,
    foreign_of,
    key_of,
    name_of,
    resolved,
)
from tests.support.builders import START, cancelled


def known(subject: str, **changes: Any) -> Assignment:
    return Assignment(tenant="acme", network="eu", subjects=[subject], **changes)


def subjects(reference: CrossReference) -> list[str]:
    """Of the records that a message at the start becomes."""
    foreign = Foreign(xref="tracking:1", id="e", source="carrier", time=START)
    made = resolved(b'{"xref": "tracking:1", "id": "e"}', foreign, reference)
    return [msgspec.json.decode(one)["subject"] for one in made]


def test_an_event_says_whose_a_parcel_is_for_some_months() -> None:
    assignment = assignment_of(cancelled("o-1"))

    assert assignment.subjects == ["o-1"]
    assert assignment.holds_at(START - BEFORE)
    assert not assignment.holds_at(START - BEFORE - timedelta(seconds=1))
    assert assignment.holds_at(START + AFTER - timedelta(seconds=1))
    assert not assignment.holds_at(START + AFTER)


def test_what_is_said_of_a_subject_in_that_time_need_not_be_said_again() -> None:
    always = CrossReference(assignments=[known("o-1")])
    before = CrossReference(assignments=[known("o-1", valid_to=START)])
    after = CrossReference(assignments=[known("o-1", valid_from=START)])

    assert always.says(known("o-1", valid_from=START))
    assert not always.says(known("o-2"))
    assert not before.says(known("o-1", valid_from=START))
    assert not after.says(known("o-1", valid_to=START))
    assert after.says(known("o-1"))


def test_a_subject_that_is_said_twice_gives_one_record() -> None:
    twice = CrossReference(assignments=[known("o-1", valid_from=START), known("o-2"), known("o-1")])

    assert subjects(twice) == ["o-1", "o-2"]


def test_a_message_of_a_tenant_is_about_his_orders_alone() -> None:
    ours, theirs = known("o-1"), Assignment(tenant="other", network="eu", subjects=["o-1", "o-2"])
    both = CrossReference(assignments=[theirs, ours])

    def found(**said: str) -> list[tuple[str, str]]:
        raw = msgspec.json.encode(
            {"xref": "tracking:1", "id": "e", "source": "dhl", "time": START} | said
        )
        foreign = foreign_of(raw)
        assert foreign is not None
        records = [msgspec.json.decode(one) for one in resolved(raw, foreign, both)]
        return [(one["tenant"], one["subject"]) for one in records]

    assert found(tenant="acme") == [("acme", "o-1")]
    assert found(tenant="other") == [("other", "o-1"), ("other", "o-2")]
    assert found(tenant="unknown") == []
    assert found() == [("other", "o-1"), ("other", "o-2"), ("acme", "o-1")]


def test_of_too_many_the_first_is_forgotten() -> None:
    full = CrossReference(assignments=[known(f"o-{n}") for n in range(MOST_ASSIGNMENTS)])

    found = subjects(CrossReference.of([full, CrossReference(assignments=[known("new")])]))

    assert (len(found), found[0], found[-1]) == (MOST_ASSIGNMENTS, "o-1", "new")


def test_a_key_says_which_foreign_id_it_is_about() -> None:
    ours = key_of("tracking:[SF1]", known("o-1", valid_from=START))

    assert name_of(ours) == name_of(b"tracking:[SF1]") == "tracking:[SF1]"
    assert ours != key_of("tracking:[SF1]", known("o-2", valid_from=START))
    assert [name_of(odd) for odd in (b"", b"[]", b"[7", b"\xff")] == ["", "[]", "[7", "\ufffd"]
