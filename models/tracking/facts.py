"""What an order is worth, whose it is and what it wants, as numbers; the highest revision says it.

Both the order itself and the router's decisions tell it, and either may come first. Of one revision the
decision counts whose cause is the latest; without any, the record with the least key. So the order of
arrival changes nothing.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.intake.columns import numbers, wanted
from models.tracking.arrays import FACT, FACT_WORDS, NOBODY, Ints, Records
from models.tracking.encode import DECISIONS, ORDERS, named, sums
from models.tracking.state import TrackState
from schemas.kinds import Kind
from schemas.slices import Slice


def encode_facts(state: TrackState, piece: Slice, records: Records) -> npt.NDArray[np.void]:
    """The facts that the records refer to, which they do from here on."""
    parts, count = [np.zeros(0, FACT)], 0
    for kind in (*ORDERS, *DECISIONS):
        rows, data = piece.of_kind(kind)
        if kind in DECISIONS and data["currency"].null_count:  # of before they told it
            tells = data["currency"].is_valid()
            rows, data = rows[tells.to_numpy(zero_copy_only=False)], data.filter(tells)
        if not len(rows):
            continue
        parts.append(_facts(state, kind, data, _tellers(records["entry"][rows])))
        records["detail"][rows] = np.arange(count, count + len(rows))
        count += len(rows)
    return np.concatenate(parts)


def _facts(
    state: TrackState, kind: Kind, data: pa.RecordBatch, tellers: Ints
) -> npt.NDArray[np.void]:
    facts = np.zeros(len(data), FACT)
    facts["teller"], facts["revision"] = tellers, numbers(data["revision"])
    facts["value"] = numbers(data["value_minor"]) if kind in DECISIONS else _worth(data["lines"])
    for name in FACT_WORDS:
        facts[name] = named(state, data[name])
    facts["wants"] = wanted(data)
    return facts


def _tellers(entries: Records) -> Ints:
    """Of a decision its cause; of others a negative number made of the key."""
    keys = (entries["key"] >> np.uint64(1)).astype(np.int64)
    tellers: Ints = np.where(entries["cause"] == NOBODY, -1 - keys, entries["cause"])
    return tellers


def _worth(lines: pa.ListArray) -> Ints:
    """Of the goods of each order."""
    told = lines.flatten()
    return sums(lines, numbers(told.field("qty")) * numbers(told.field("unit_price_minor")))
