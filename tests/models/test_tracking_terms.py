"""A policy as columns of the tracking walk."""

import numpy as np
import pytest

from models.policy.document import default_policy, parse_policy
from models.tracking.arrays import CLASSES, Bound, Limit, Term
from models.tracking.lanes import HOUR_US
from models.tracking.terms import bands_of, in_columns, limits_of, terms_of
from schemas.codes import TempClass

POLICY = """\
version: "1"
windows: {dedupe_max_records: 1000}
tracking: {customs_within_hours: 7.5}
cold_chain: {gap_minutes: 90, shock_g: 3}
estimates: {out_hours: 2.5}
"""


def test_every_value_stands_in_its_column() -> None:
    policy = parse_policy(POLICY, "policy")

    terms, limits = terms_of(policy), limits_of(policy)

    assert terms[Term.CUSTOMS] == 7.5 * HOUR_US
    assert terms[Term.GAP] == 1.5 * HOUR_US
    assert terms[Term.OUT] == 2.5 * HOUR_US
    assert terms[Term.DEDUPE_RECORDS] == 1000
    assert limits[Limit.SHOCK] == 3
    assert (len(terms), len(limits)) == (len(Term), len(Limit))


def test_bands_are_those_of_their_class() -> None:
    bands = bands_of(default_policy())

    cold = bands[CLASSES.index(TempClass.REFRIGERATED)]
    assert (cold[Bound.LOW], cold[Bound.HIGH]) == (2, 8)
    assert cold[Bound.MINOR_US] < cold[Bound.MAJOR_US]
    assert bands[CLASSES.index(None)][Bound.LOW] == -np.inf


def test_a_column_that_nobody_fills_is_an_error() -> None:
    values = dict.fromkeys(Bound, 1.0)
    del values[Bound.MOST]

    with pytest.raises(KeyError):
        in_columns(Bound, values)
