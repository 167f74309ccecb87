"""``crossdock explain``: why an order was decided as it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from flows.commands.output import console, counting, error_console, print_json, table
from flows.commands.plans import cost_table, hours, plan_table
from flows.commands.weighing import (
    candidate_table,
    flip_sentences,
    option_sentences,
    option_table,
    reason_table,
)
from flows.decisions import DecisionRef, find_choice, named
from flows.explain import explain_order, latest_only, placements
from flows.explain_texts import Language, Texts, texts_in
from flows.explanation import Explanation
from flows.lake.diagnosis import explained
from flows.lake.layout import Flow
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog
from flows.past import Past
from flows.warmup import warm_up
from flows.weighing import Weighing, weigh_again
from schemas.codes import DecisionKind
from schemas.errors import InputError
from schemas.ids import OrderId


class Sections(NamedTuple):
    """What was asked for that needs the log."""

    candidates: bool
    options: bool
    flips: bool


def explain(
    order_id: Annotated[
        str, typer.Argument(help="The order, or one decision: partition/position/index.")
    ],
    lake: Annotated[Path, typer.Option(help="A lake; a job may be writing it.")],
    lang: Annotated[Language, typer.Option(help="Language of the texts.")] = Language.EN,
    every: Annotated[bool, typer.Option("--all", help="Every decision, as a history.")] = False,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Every node: costs, or why not, line by line.")
    ] = False,
    options: Annotated[
        bool, typer.Option("--options", help="Plans that serve as much: cost, hours, carbon.")
    ] = False,
    flips: Annotated[
        bool,
        typer.Option("--flips", help="The smallest changes that would have changed the choice."),
    ] = False,
    log: Annotated[
        Path | None, typer.Option(help="The recorded log of the lake, for the three above.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="The policy that the lake was made with, if one was given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object, in codes.")] = False,
) -> None:
    """Say where an order ships from and why: plan, costs, margin, model, candidates refused.

    With the log, the decision is weighed again by the kernel that took it.

    Example: crossdock explain 536365 --lake out/lake --lang en
    """
    asked = Sections(candidates, options, flips)
    if any(asked) and log is None:
        raise InputError("--candidates, --options and --flips need the log: say --log LOG as well")
    with connect_reader(lake) as connection, explained(lake):
        ref = find_choice(connection, order_id) if any(asked) else named(connection, order_id)
        found = explain_order(connection, OrderId(ref.order_id if ref else order_id))
        shown = [e for e in found if ref.is_of(e)] if ref else latest_only(found)
        standing = [(e, placements(connection, e)) for e in shown]
    again = _weigh_again(log, lake, policy, ref) if log and ref and any(asked) else None
    if as_json:
        told = {"order_id": shown[0].order_id, "decisions": found if every else shown}
        print_json(told | ({"weighing": again} if any(asked) else {}))
        return
    texts = texts_in(lang)
    if every:
        console().print(_history(found, texts))
    for explanation, placed in standing:
        _print(explanation, placed, texts)
        if not asked.candidates and explanation.kind != DecisionKind.CANCEL.name:
            console().print(_candidates(explanation, texts))
        for part in _weighed(again, asked, explanation, texts):
            console().print(part)
    if not every and not ref and len(found) > len(standing):
        console().print(Text(texts.label("earlier").format(n=len(found))))


def _weigh_again(log: Path, lake: Path, policy: Path | None, found: DecisionRef) -> Weighing | None:
    past = Past.open(ParquetLog(log), lake, policy)
    with error_console().status("compiling the kernels (once per version)…"):
        warm_up([Flow.ROUTE])
    state = past.start(found.partition, found.position)
    with counting("going back", found.position - state.position) as progress:
        return weigh_again(past, state, found, progress)


def _weighed(
    weighing: Weighing | None, asked: Sections, explanation: Explanation, texts: Texts
) -> Iterator[Any]:
    """What was asked for beyond what the lake tells."""
    if not any(asked):
        return
    if weighing is None:
        yield Text(texts.label("nothing_to_weigh"))
        return
    if asked.candidates:
        yield candidate_table(weighing, texts)
        yield reason_table(weighing, explanation, texts)
    if asked.options:
        yield option_table(weighing, texts)
        yield from option_sentences(weighing, texts)
    if asked.flips:
        yield from flip_sentences(weighing, texts)


def _print(explanation: Explanation, placed: list[tuple[str, int]], texts: Texts) -> None:
    out = console()
    title = f"{texts.label('order')} {explanation.order_id}"
    facts = [*_facts(explanation, texts), (texts.label("ships_from"), _standing(placed, texts))]
    out.print(table(title, ("", ""), facts))
    if explanation.kind == DecisionKind.CANCEL.name:
        return
    out.print(plan_table(explanation, texts))
    if explanation.plans:
        out.print(cost_table(explanation, texts))
        out.print(Text(_verdict(explanation, texts)))
    if explanation.exceptions:
        out.print(_exceptions(explanation, texts))


def _standing(placed: list[tuple[str, int]], texts: Texts) -> str:
    """Where the order ships from, whichever decision placed it there."""
    told = [texts.label("ships_units").format(node=n, units=f"{u:,}") for n, u in placed]
    return "\n".join(told) or texts.label("ships_nowhere")


def _facts(e: Explanation, texts: Texts) -> Iterator[tuple[str, Any]]:
    label = texts.label
    yield label("network"), f"{e.tenant}/{e.network}"
    yield label("decided"), e.decided_at
    yield label("kind"), f"{e.kind}: {texts.code('DecisionKind', e.kind)}"
    yield label("because"), f"{e.trigger}: {texts.code('Trigger', e.trigger)}"
    yield label("outcome"), f"{e.outcome}: {texts.code('Outcome', e.outcome)}"
    if e.hold_reason not in ("", "NONE"):
        yield label("hold"), f"{e.hold_reason}: {texts.code('HoldReason', e.hold_reason)}"
    yield (
        label("units"),
        label("units_text").format(
            ordered=e.units_ordered,
            served=e.units_served,
            backordered=e.units_backordered,
            unserved=e.units_unserved,
        ),
    )
    if e.plans:
        yield label("chosen"), f"{e.selection}: {texts.code('Selection', e.selection)}"
        yield label("promise"), e.promise_at or "-"
        yield label("carbon_g"), f"{e.carbon_g or 0:,} g CO2e"
        yield from _said(e, texts)
    if e.backorder_due_at is not None:
        yield label("due"), e.backorder_due_at
    yield label("policy"), e.policy_version
    yield label("position"), f"{e.partition}/{e.position}/{e.index}"


def _said(e: Explanation, texts: Texts) -> Iterator[tuple[str, str]]:
    """What the model, or the rules in its place, foresaw."""
    said = texts.label("model_said" if e.model_sha256 else "rules_said").format(
        p50=hours(e.transit_p50_hours),
        p90=hours(e.transit_p90_hours),
        handling=hours(e.handling_hours),
        late="-" if e.late_probability is None else f"{e.late_probability:.1%}",
    )
    name = f"{e.model_sha256[:12]}: " if e.model_sha256 else ""
    yield texts.label("model"), f"{name}{said}"
    if e.model_sha256:
        yield "", texts.label("out_of_range" if e.out_of_range else "in_range")


def _verdict(e: Explanation, texts: Texts) -> str:
    """Whether the sums are right."""
    wrong = [
        f"{', '.join(p.nodes)} {p.sum_minor} / {p.total_minor}" for p in e.plans if not p.adds_up
    ]
    if wrong:
        return texts.label("does_not_add_up").format(plans="; ".join(wrong))
    return texts.label("adds_up")


def _candidates(e: Explanation, texts: Texts) -> Any:
    if not e.candidates:
        return Text(texts.label("no_candidates"))
    ordered = sorted(e.candidates, key=lambda c: (not c.chosen, c.exclusion != "FEASIBLE"))
    rows = [
        (c.node, "-", texts.label("is_chosen"))
        if c.chosen
        else (c.node, c.exclusion, texts.code("Exclusion", c.exclusion))
        for c in ordered
    ]
    columns = (texts.label("node"), texts.label("code"), texts.label("why"))
    return table(texts.label("candidates"), columns, rows)


def _exceptions(e: Explanation, texts: Texts) -> Any:
    columns = tuple(texts.label(n) for n in ("at", "code", "why", "severity", "node", "units"))
    rows = [
        (x.raised_at, x.code, texts.code("ExceptionCode", x.code), x.severity, x.node, x.qty)
        for x in e.exceptions
    ]
    return table(texts.label("exceptions"), columns, rows)


def _history(found: list[Explanation], texts: Texts) -> Any:
    columns = tuple(texts.label(n) for n in ("decided", "kind", "because", "outcome", "plan"))
    rows = [
        (
            e.decided_at,
            texts.code("DecisionKind", e.kind),
            texts.code("Trigger", e.trigger),
            texts.code("Outcome", e.outcome),
            ", ".join(e.plans[0].nodes) if e.plans else "-",
        )
        for e in found
    ]
    return table(texts.label("history"), columns, rows)
