"""The card of a model: what it was trained on, how good it is, and where not to trust it.

Markdown without clock or machine, so that the same model gives the same card. The Olist section
stands between two marks. Where the data are not at hand it is carried over from the card before,
still naming the sha256 that it was measured on.
"""

from dataclasses import dataclass

from models.inference import Model
from models.routing.features import FEATURES_VERSION, Feature
from models.training.evaluate import Calibration, IntervalScore

OLIST_START, OLIST_END = "<!-- olist: start -->", "<!-- olist: end -->"
NO_OLIST = "Not measured: the Olist sample was not at hand."


@dataclass(frozen=True)
class Run:
    """How a model was trained."""

    seed: int
    rows: int
    steps: int
    batch_rows: int
    parameters: int
    file_bytes: int


@dataclass(frozen=True)
class Scores:
    """What was measured on one set of deliveries."""

    intervals: tuple[tuple[str, IntervalScore], ...]  # (who forecast what, score)
    late: Calibration
    handling_below: float  # share of actual handling at or below the forecast median


def render_card(model: Model, run: Run, hold_out: Scores, olist: str) -> str:
    """The whole card.

    Args:
        model: as loaded from the file that the card describes.
        run: how it was trained.
        hold_out: scores on a part of the simulated world that was not trained on.
        olist: the section between the marks, from ``render_olist`` or ``carried_olist``.
    """
    sections = [
        _identity(model, run),
        _training(run),
        _ranges(model),
        "## On the simulated hold-out\n\n" + _scores(hold_out),
        f"## On real Olist deliveries\n\n{OLIST_START}\n{olist}\n{OLIST_END}",
        _REGRET,
        _LIMITS,
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def render_olist(sha256: str, rows: int, clipped: float, foreseen: float, scores: Scores) -> str:
    """The Olist section.

    Args:
        sha256: of the model that was measured.
        rows: deliveries in the later half.
        clipped: share of them whose promise lies beyond what SLACK can show.
        foreseen: Brier score of always saying the share late of the earlier half.
        scores: figures of the later half.
    """
    return f"""\
Model `{sha256}`,
{rows:,} deliveries: the later half by purchase of the single-seller deliveries in the sample at
hand. The model was trained on no Olist row. Aggregates of the earlier half are constants of its
world, and the published transit it is shown is the median of the distance in that half, because
Olist publishes none. Load, weather, promotions and dispatch slots are unknown and left calm; stock
counts as ample. The later half was slower than the earlier one, which no forecaster could know.

{_scores(scores)}

{clipped:.1%} of these promises lie more than 10 days ahead, where the input SLACK is cut: the model
cannot tell a promise of 11 days from one of 40.
{_verdict(scores.late, foreseen)}"""


def carried_olist(card: str) -> str:
    """The Olist section of an earlier card; empty text or a card without one gives a plain note."""
    _, start, rest = card.partition(OLIST_START)
    section, end, _ = rest.partition(OLIST_END)
    return section.strip() if start and end else NO_OLIST


def _identity(model: Model, run: Run) -> str:
    return f"""\
# {model.name}

Forecasts, for one order on one candidate lane, what the policy then weighs: hours in transit
(median and 0.9 quantile), the probability of missing the date that the customer expects, and the
median hours of handling from decision to hand-over. Made by `python -m models.training.train`; do
not edit.

| | |
| --- | --- |
| sha256 | `{model.sha256}` |
| features version | `{FEATURES_VERSION}` |
| file | {run.file_bytes:,} bytes, {run.parameters:,} parameters, 16 → 32 → 16 → 4, ReLU |
| licence | Apache-2.0, as the code; no third-party row went into it |

**Use it** to rank the lanes of an order against each other and to estimate arrival, beside hard
rules that it never overrides. **Do not use it** as a promise to a customer, for a lane whose inputs
lie outside the ranges below (the router flags such winners), or to judge people."""


def _training(run: Run) -> str:
    return f"""\
## Trained on

A simulated world and nothing else: {run.rows:,} deliveries drawn with seed {run.seed}, then
{run.steps:,} steps of Adam on {run.batch_rows:,} rows each. Its constants are aggregates of real
deliveries (Olist: distance to lead time, handling, promises, share late; SCMS: share late by mode,
weights; Indian truck trips: planned pace, share late) or, where none were at hand, assumptions
marked as such, each with its origin in `models/simulation/delivery_statistics.py`. Weather, node
load, stock cover and all air, sea and rail speeds are assumptions. Loss: pinball on ln hours at 0.5
and 0.9, log loss for late, pinball on ln hours at 0.5 for handling. The same CPU class and versions
give the same bytes."""


def _ranges(model: Model) -> str:
    rows = [
        f"| {feature.value} | {feature.name} | {low:.5f} | {high:.5f} |"
        for feature, low, high in zip(Feature, model.low, model.high, strict=True)
    ]
    head = "| column | input | lowest | highest |\n| --- | --- | --- | --- |\n"
    return (
        "## Trained ranges\n\nUnits as in `models/routing/features.py`; widened by 0.00001 for "
        "rounding. Also in the file's metadata.\n\n" + head + "\n".join(rows)
    )


def _scores(scores: Scores) -> str:
    late = scores.late
    head = (
        "| transit forecast | pinball p50, h | pinball p90, h | actual ≤ p50 | actual ≤ p90 |\n"
        "| --- | --- | --- | --- | --- |\n"
    )
    rows = [
        f"| {name} | {s.pinball_p50:.2f} | {s.pinball_p90:.2f} | {s.below_p50:.1%} "
        f"| {s.below_p90:.1%} |"
        for name, s in scores.intervals
    ]
    groups = [f"| {g.rows:,} | {g.forecast:.1%} | {g.observed:.1%} |" for g in late.groups]
    return f"""\
{head}{chr(10).join(rows)}

Right is 50 % and 90 %. Handling: {scores.handling_below:.1%} at or below its forecast median.

Late: Brier score {late.brier:.4f} (always saying the observed share: {late.brier_constant:.4f}),
expected calibration error {late.expected_error:.4f}. In ten groups of equal size by forecast:

| deliveries | mean forecast | observed late |
| --- | --- | --- |
{chr(10).join(groups)}"""


def _verdict(late: Calibration, foreseen: float) -> str:
    """What the late probabilities are worth, against a constant with and without hindsight."""
    if late.brier < late.brier_constant:
        worth = "Even so, its probabilities beat the observed share, which takes hindsight to know."
    else:
        worth = (
            "Its probabilities do worse here than always saying the observed share, which takes\n"
            "hindsight to know. Do not rely on them for promises beyond 10 days."
        )
    return f"Always saying the share of the earlier half: Brier score {foreseen:.4f}.\n{worth}"


_REGRET = """\
## In the router

What the router makes of forecasts, stock and prices is measured apart, by
`crossdock regret --worlds 10 --seed 100`, on worlds where no model is active, so that only the
choice is judged: against the least cost that was possible with hindsight, shadow prices close
50.7 % of the gap that the router leaves without them, re-evaluation 52.9 %. See
`models/evaluation/README.md`.
"""

_LIMITS = """\
## Limits

- A world of our own making is easier than the real one: hold-out figures show that the network has
  learnt the world, the Olist figures show what that is worth elsewhere.
- Transit leans on the lane's published transit. Publish the median that your carrier achieves; with
  none (0) only distance is left.
- Handling is the pace of marketplace sellers (a day and a half), since no warehouse published
  better figures; a distribution centre is faster, so late probabilities there are too high.
- Mode shows as air or sea only; rail is told from road by its published transit alone.
- Nodes, carriers and regions are unknown to it: two lanes with the same inputs get the same
  forecast."""
