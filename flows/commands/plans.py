"""The plan of a decision and its costs beside those of the runners-up, as tables."""

from typing import Any

from rich.table import Table
from rich.text import Text

from flows.commands.output import money, table
from flows.explain_texts import Texts
from flows.explanation import Explanation, Line, Plan
from schemas.tables import COMPONENTS

_RANKS = ("winner", "runner_up", "second_runner_up")


def plan_table(explanation: Explanation, texts: Texts) -> Table | Text:
    """A row per package: from where, by which lane, what."""
    if not explanation.packages:
        return Text(texts.label("no_plan"))
    names = ("node", "lane", "carrier", "distance", "transit", "goods")
    rows = [
        (
            package.node,
            package.lane_id or "-",
            " ".join(filter(None, (package.carrier, package.service, package.mode))) or "-",
            "-" if package.distance_km is None else f"{package.distance_km:,.0f}",
            hours(package.transit_hours),
            ", ".join(_goods(line, texts) for line in package.lines),
        )
        for package in explanation.packages
    ]
    numbers = (texts.label("distance"), texts.label("transit"))
    return table(texts.label("plan"), [texts.label(name) for name in names], rows, numbers)


def _goods(line: Line, texts: Texts) -> str:
    waits = f" {texts.label('waits')}" if line.event == "planned" else ""
    return f"{line.line_no}: {line.sku} x {line.qty}{waits}"


def cost_table(explanation: Explanation, texts: Texts) -> Table:
    """A row per component, their sum, the recorded total, and the margin."""
    plans = explanation.plans
    ranks = [texts.label(name) for name in _RANKS[: len(plans)]]
    rows: list[list[Any]] = [["", *(" + ".join(plan.nodes) for plan in plans)]]
    rows += [[texts.component(n), *(money(p.costs_minor[n]) for p in plans)] for n in COMPONENTS]
    rows.append([texts.component("sum"), *(money(p.sum_minor) for p in plans)])
    rows.append([texts.component("total"), *(money(p.total_minor) for p in plans)])
    rows.append([texts.label("margin"), _margin(explanation, plans, texts)])
    padded = [row + [""] * (len(plans) + 1 - len(row)) for row in rows]
    return table(texts.label("costs"), [texts.label("cost"), *ranks], padded, numbers=ranks)


def _margin(explanation: Explanation, plans: list[Plan], texts: Texts) -> str:
    if len(plans) == 1:
        return texts.label("no_runner_up")
    if explanation.margin_minor is None:
        return texts.label("not_comparable")
    return money(explanation.margin_minor)


def hours(value: float | None) -> str:
    """Hours with one decimal."""
    return "-" if value is None else f"{value:.1f}"
