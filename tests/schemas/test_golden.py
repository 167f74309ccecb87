"""Records as they once were written are read for ever, and come through a slice unchanged."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.codec import decode_line, encode_event, to_lines, to_slice
from schemas.envelope import Event
from schemas.kinds import KIND_OF, Kind

GOLDEN = sorted(Path(__file__).parents[1].joinpath("golden").glob("*.json"))


def test_every_kind_has_a_record_of_its_present_version() -> None:
    assert {file.name for file in GOLDEN} >= {f"{kind.tag}-1.json" for kind in Kind}


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_a_record_of_old_is_read_and_kept_whole(file: Path) -> None:
    line = file.read_bytes().strip()

    event = decode_line(line, 1)

    assert isinstance(event, Event), event
    assert KIND_OF[type(event)].tag == file.stem.rpartition("-")[0]
    (kept,) = to_lines(to_slice([event], 0, 0))
    assert decode_line(kept, 1) == event
    now = msgspec.json.decode(encode_event(event))
    assert _is_within(msgspec.json.decode(line), now)


def _is_within(old: Any, now: Any) -> bool:
    """Whether everything that was said is still said; fields that came later may stand beside it."""
    if isinstance(old, dict):
        return isinstance(now, dict) and all(_is_within(v, now.get(k)) for k, v in old.items())
    if isinstance(old, list):
        same = isinstance(now, list) and len(old) == len(now)
        return same and all(map(_is_within, old, now))
    return bool(old == now)
