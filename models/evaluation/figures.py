"""Outcomes of many cases as one table, and what they come to by policy."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import polars as pl

from models.evaluation.compare import Compared

MYOPIC = "B3 myopic"


@dataclass(frozen=True, slots=True)
class Label:
    """Which case a row is of: a log, or a world by its seed and slack of stock."""

    case: str
    seed: int | None = None
    slack: float | None = None


def tabulate(cases: Iterable[tuple[Label, Compared]]) -> pl.DataFrame:
    """A row per case and policy: the label, the bound, and the fields of ``Outcome``."""
    rows = [
        {**asdict(label), "bound_minor": compared.bound_minor, **asdict(outcome)}
        for label, compared in cases
        for outcome in compared.outcomes
    ]
    types = {
        "seed": pl.Int64,
        "slack": pl.Float64,
        "gap_closed": pl.Float64,
        "servable_unserved": pl.Int64,
    }
    return pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None)


def by_policy(figures: pl.DataFrame, keys: tuple[str, ...] = ()) -> pl.DataFrame:
    """Means over the cases of each policy, in the order of the policies; ``keys`` such as slack first.

    ``gap_closed_least`` and ``dearer_most`` are over single cases: how little of the gap was closed, and how
    much more than the myopic router a policy cost at worst.
    """
    myopic = figures.filter(pl.col("policy") == MYOPIC).select(
        "case", "seed", "slack", myopic_minor="cost_minor", myopic_splits="splits"
    )
    joined = figures.join(myopic, on=("case", "seed", "slack"), nulls_equal=True, how="left")
    return joined.group_by(*keys, "policy", maintain_order=True).agg(
        cases=pl.len(),
        cost_minor=pl.col("cost_minor").mean(),
        gap=pl.col("gap").mean(),
        gap_closed=pl.col("gap_closed").mean(),
        gap_closed_least=pl.col("gap_closed").min(),
        dearer_most=(pl.col("cost_minor") / pl.col("myopic_minor") - 1).max(),
        splits=pl.col("splits").mean(),
        splits_change=pl.when(pl.col("myopic_splits").sum() > 0).then(
            pl.col("splits").sum() / pl.col("myopic_splits").sum() - 1
        ),
        units_unserved=pl.col("units_unserved").sum(),
        servable_unserved=pl.when(pl.col("servable_unserved").is_not_null().all())
        .then(pl.col("servable_unserved").sum())
        .otherwise(None),
        agreement=pl.col("agreement").mean(),
        first_kept=pl.col("first_kept").mean(),
        feasible=pl.col("feasible").min(),
    )
