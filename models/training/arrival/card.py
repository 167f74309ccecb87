"""The card of an arrival model: what it was trained on, how good it is, and where not to trust it.

Markdown without clock or machine, so that the same model gives the same card. The section on real deliveries
stands between two marks. Where no data are at hand it is carried over from the card before, still naming the
sha256 that it was measured on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.inference import Model
from models.tracking.features import FEATURES_VERSION, Input
from models.training.arrival.evaluate import CaseScores
from models.training.arrival.network import WIDTHS
from models.training.evaluate import IntervalScore

REAL_START, REAL_END = "<!-- real: start -->", "<!-- real: end -->"
NOTHING_REAL = "Not measured: no data set was at hand."


@dataclass(frozen=True)
class Run:
    """How a model was trained."""

    seed: int
    networks: int
    rows: int
    steps: int
    batch_rows: int
    parameters: int
    file_bytes: int


def render_card(model: Model, run: Run, hold_out: Sequence[CaseScores], real: str) -> str:
    """The whole card.

    Args:
        model: as loaded from the file that the card describes.
        run: how it was trained.
        hold_out: scores on simulated networks that it was not trained on.
        real: the section between the marks, from ``render_real`` or ``carried_real``.
    """
    sections = [
        _identity(model, run),
        _training(run),
        _ranges(model),
        "## On simulated networks that it never saw\n\nIn medians of the lane in place of hours.\n\n"
        + _table(hold_out),
        f"## On real deliveries\n\n{REAL_START}\n{real}\n{REAL_END}",
        _LIMITS,
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def render_real(sha256: str, scores: Sequence[CaseScores]) -> str:
    """The section on real deliveries.

    Args:
        sha256: of the model that was measured.
        scores: figures of each case.
    """
    return f"""\
Model `{sha256}`,
on the later half of each data set, told again in the order of time: a lane's history holds what was
delivered before the moment, and nothing else. The model was trained on no row of them. The *promise* is
the date told (Olist: the end of its day; trucks: the fleet's own plan; pick-ups: the end of the window),
judged as if it were both quantiles. *Lane* is the median and the 0.9 quantile of the lane's history less
what has elapsed; *history* is what is told while no model is active: the same, given that the parcel is
still on its way.

{_table(scores)}

Lanes: Olist from state to state, trucks from place to place, pick-ups by city.

- The end of a pick-up's window is a deadline that couriers keep, and a better 0.9 quantile than anybody's.
- Trucks: times of arrival look damaged (some trips are closed weeks after the plan), most lanes have a handful
  of trips, and the later half is faster than the earlier. There the fleet's plan, which is nearly always too
  early, is the better median, and of no use as a 0.9 quantile.
- The last position of a truck is by its nature close to its end, for its trip was closed soon after, which
  nobody could know then. The plan, which had passed for most, says "now" and does well; that row shows no
  more than what positions add to a lane's history."""


def carried_real(card: str) -> str:
    """That section of an earlier card; empty text or a card without one gives a plain note."""
    _, start, rest = card.partition(REAL_START)
    section, end, _ = rest.partition(REAL_END)
    return section.strip() if start and end else NOTHING_REAL


def _identity(model: Model, run: Run) -> str:
    widths = " → ".join(str(width) for width in WIDTHS)
    return f"""\
# {model.name}

Estimates, for a parcel on its way (or an order before that), the time until it is delivered: median and 0.9
quantile. It corrects what the history of the lane says by what is known of this parcel: phase, position, news,
promise, weekends. Made by `python -m models.training.arrival.train`; do not edit.

| | |
| --- | --- |
| sha256 | `{model.sha256}` |
| features version | `{FEATURES_VERSION}` |
| file | {run.file_bytes:,} bytes, {run.parameters:,} parameters, {widths}, ReLU |
| licence | Apache-2.0, as the code; no third-party row went into it |

**Use it** to tell an arrival and to see a delay before it is one. **Do not use it** as a promise, or to judge
people. An input outside the ranges below counts as the nearest one within."""


def _training(run: Run) -> str:
    return f"""\
## Trained on

Simulated journeys and nothing else (`models/simulation/journeys.py`): {run.networks:,} networks drawn with
seed {run.seed}, from couriers in a city to ships, with lanes of different speed and spread, disruptions,
customs, failed attempts, weekends, scans and positions or neither, and promises from worthless to exact.
{run.rows:,} moments, then {run.steps:,} steps of Adam on {run.batch_rows:,} rows each. Inputs are worked out
by the functions of the tracking fold itself. Loss: pinball at 0.5 and 0.9 on ln(0.2 + time left in medians
of the lane), with a penalty on corrections. The same CPU class and versions give the same bytes."""


def _ranges(model: Model) -> str:
    rows = [
        f"| {column.value} | {column.name} | {low:.5f} | {high:.5f} |"
        for column, low, high in zip(Input, model.low, model.high, strict=True)
    ]
    head = "| column | input | lowest | highest |\n| --- | --- | --- | --- |\n"
    return (
        "## Trained ranges\n\nUnits as in `models/tracking/features.py`. Also in the file's metadata.\n\n"
        + head
        + "\n".join(rows)
    )


def _table(scores: Sequence[CaseScores]) -> str:
    head = (
        "| moment | moments | forecast | pinball p50, h | pinball p90, h | actual ≤ p50 | actual ≤ p90 |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
    )
    rows = []
    for case in scores:
        forecasts = (("promise", case.promise), ("lane", case.lane), ("history", case.history))
        for name, score in (*forecasts, ("**model**", case.model)):
            if score is not None:
                rows.append(f"| {case.name} | {case.rows:,} | {name} | {_figures(score)} |")
    return head + "\n".join(rows) + "\n\nRight is 50 % and 90 %."


def _figures(score: IntervalScore) -> str:
    losses = (_three_digits(loss) for loss in (score.pinball_p50, score.pinball_p90))
    return " | ".join([*losses, f"{score.below_p50:.1%}", f"{score.below_p90:.1%}"])


def _three_digits(loss: float) -> str:
    """Enough to tell two forecasts apart, whatever the scale."""
    return f"{loss:#.3g}".rstrip(".")


_LIMITS = """\
## Limits

- A world of our own making is easier than the real one: the simulated figures show that the network has
  learnt the world, the real ones what that is worth elsewhere.
- Most of what it knows of a lane is the lane's own history. Where a network becomes slower, history lags
  behind: fewer than 90 % arrive by the 0.9 quantile until it has caught up.
- A lane's history knows a delivery once it has arrived, so at first it knows the fast ones.
- It knows no time of day, no holidays but weekends (UTC), and no weather beyond the router's probability of
  being late.
- A date that was told for no reason teaches it nothing; what promises are worth is learnt for a network as a
  whole, not by lane."""
