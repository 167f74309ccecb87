"""The alternatives of a decision as tables and sentences: candidates, options, flip statements."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from flows.commands.output import money, table
from flows.commands.plans import hours
from flows.explain_texts import Texts
from flows.explanation import Explanation
from flows.weighing import FlipStatement, Weighing
from models.routing.changes import Family
from models.routing.flips import LARGEST_WEIGHT
from models.routing.options import Candidate, Option
from schemas.tables import COMPONENTS


def candidate_table(weighing: Weighing, texts: Texts) -> Table:
    """A row per node that could ship something, with what it would come to."""
    label = texts.label
    numbers = [
        label("rank"),
        label("units"),
        *(texts.component(name) for name in (*COMPONENTS, "total")),
        *(label(name) for name in ("hours_p50", "hours_p90", "grams")),
    ]
    columns = [numbers[0], label("node"), *numbers[1:]]
    rows = [
        (
            candidate.rank,
            candidate.node,
            candidate.units,
            *(money(option.costs_minor[name]) for name in COMPONENTS),
            *_sums(option),
        )
        for candidate in weighing.candidates
        if (option := candidate.option) is not None
    ]
    return table(label("weighed"), columns, rows, numbers)


def reason_table(weighing: Weighing, explanation: Explanation, texts: Texts) -> Table:
    """Why each node was chosen or not, line by line where it is about one line."""
    columns = [texts.label(name) for name in ("node", "lane", "code", "line", "why")]
    rows = [
        (candidate.node, candidate.option.legs[0].lane_id if candidate.option else "-", *reason)
        for candidate in weighing.candidates
        for reason in _reasons(candidate, weighing, explanation, texts)
    ]
    return table(texts.label("candidates"), columns, rows)


def _reasons(
    candidate: Candidate, weighing: Weighing, explanation: Explanation, texts: Texts
) -> Iterator[tuple[str, str, str]]:
    if candidate.chosen:
        why = texts.code("Selection", explanation.selection)
        yield "-", "", texts.label("chosen_because").format(why=why)
        return
    for lack in candidate.lacks:
        said = texts.label("lacks").format(
            sku=lack.sku, wanted=lack.wanted, available=lack.available
        )
        yield lack.code, str(lack.line_no), f"{said}: {texts.code('Exclusion', lack.code)}"
    if candidate.lacks:
        return
    chosen, option = weighing.chosen, candidate.option
    if option is not None and chosen is not None and option.units == chosen.units:
        more = money(option.total_minor - chosen.total_minor)
        yield candidate.code, "", texts.label("costs_more").format(more=more)
    else:
        yield candidate.code, "", texts.code("Exclusion", candidate.code)


def option_table(weighing: Weighing, texts: Texts) -> Table:
    """A row per option: what it comes to, and how its emissions are reckoned."""
    label = texts.label
    numbers = [
        texts.component("total"),
        *(label(name) for name in ("hours_p50", "hours_p90", "grams")),
    ]
    columns = [label("option"), label("node"), label("lane"), label("factor"), *numbers]
    rows = [
        (
            " ".join(_marks(option, weighing, texts)),
            " + ".join(leg.node for leg in option.legs),
            " + ".join(leg.lane_id for leg in option.legs),
            ", ".join(dict.fromkeys(leg.factor_id for leg in option.legs)),
            *_sums(option),
        )
        for option in weighing.options
    ]
    return table(label("options"), columns, rows, numbers)


def _marks(option: Option, weighing: Weighing, texts: Texts) -> Iterator[str]:
    if option.chosen:
        yield texts.label("is_chosen")
    if option == weighing.greenest:
        yield texts.label("is_greenest")
    if option.pareto:
        yield texts.label("is_pareto")


def _sums(option: Option) -> tuple[str, ...]:
    return (
        money(option.total_minor),
        hours(option.hours_p50),
        hours(option.hours_p90),
        f"{option.carbon_g:,.0f}",
    )


def option_sentences(weighing: Weighing, texts: Texts) -> Iterator[Text]:
    """What the greenest option would have cost, and what stands behind the numbers."""
    chosen, green = weighing.chosen, weighing.greenest
    if chosen is not None and green is not None:
        if green.chosen:
            yield Text(texts.label("greenest_is_chosen"))
        else:
            yield Text(
                texts.label("greenest").format(
                    nodes=" + ".join(green.plan.nodes),
                    lanes=" + ".join(green.plan.lane_ids),
                    less=f"{chosen.carbon_g - green.carbon_g:,.0f}",
                    cost=_signed_money(green.total_minor - chosen.total_minor),
                    currency=weighing.currency,
                    hours=f"{green.hours_p90 - chosen.hours_p90:+.1f}",
                )
            )
    yield Text(texts.label("footing"))


def flip_sentences(weighing: Weighing, texts: Texts) -> Iterator[Text]:
    """The flip statements, the relatively smallest first."""
    if not weighing.flips:
        yield Text(texts.label("no_flip").format(times=f"{LARGEST_WEIGHT:g}"))
        return
    yield Text(texts.label("flips"))
    for flip in weighing.flips:
        yield Text(f"  {flip_sentence(flip, texts)}")


def flip_sentence(flip: FlipStatement, texts: Texts) -> str:
    """One flip statement in words."""
    values = {"before": flip.before, "after": flip.after, "delta": flip.delta}
    said = {name: f"{value:{'+' if name == 'delta' else ''}.10g}" for name, value in values.items()}
    name = flip.name
    if flip.family is Family.WEIGHT:
        name = texts.component(name)
    elif flip.family is Family.CUT_OFF:
        said |= {n: _clock(values[n]) for n in ("before", "after")}
    change = texts.label(f"flip_{flip.family}").format(name=name, sku=flip.sku, **said)
    if not flip.nodes:
        return change + texts.label("flip_to_nobody")
    nodes, lanes = " + ".join(flip.nodes), " + ".join(flip.lane_ids)
    return change + texts.label("flip_to").format(nodes=nodes, lanes=lanes)


def _clock(minute: float) -> str:
    return f"{int(minute) // 60:02d}:{int(minute) % 60:02d}"


def _signed_money(minor: int) -> str:
    return money(minor) if minor < 0 else f"+{money(minor)}"
