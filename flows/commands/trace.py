"""``crossdock trace``: from what the customer holds back to where it came from, and why from there."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from flows.commands.output import cell, console, money, print_json, table
from flows.decisions import rows_of, similar_to
from flows.explain_texts import Language, Texts, texts_in
from flows.lake.diagnosis import explained
from flows.lake.query import connect_reader
from schemas.errors import InputError

Row = dict[str, Any]


def trace(
    order_id: Annotated[str, typer.Argument(help="The order.")],
    lake: Annotated[Path, typer.Option(help="A lake; a job may be writing it.")],
    lang: Annotated[Language, typer.Option(help="Language of the texts.")] = Language.EN,
    as_json: Annotated[
        bool, typer.Option("--json", help="As one JSON object, with the sensors' series.")
    ] = False,
) -> None:
    """Trace an order back: parcel, carrier, lane, node, sensors, goods, and the decision behind it.

    Example: crossdock trace A-1004 --lake out/tracked --lang en
    """
    with connect_reader(lake) as connection, explained(lake):
        connection.execute("BEGIN")  # one commit for all of it
        found = {
            "origins": rows_of(connection, _ORIGINS, [order_id]),
            "way": rows_of(connection, _WAY, [order_id]),
            "series": rows_of(connection, _SERIES, [order_id]) if as_json else [],
        }
        if not found["origins"] and not found["way"]:
            raise InputError(
                f"nothing is known of order {order_id!r}{similar_to(connection, order_id)}"
            )
    if as_json:
        print_json({"order_id": order_id} | found)
        return
    _tell(order_id, found["origins"], found["way"], texts_in(lang))


def _tell(order_id: str, origins: list[Row], way: list[Row], texts: Texts) -> None:
    out = console()
    scopes = sorted({f"{row['tenant']}/{row['network']}" for row in [*origins, *way]})
    out.print(Text(_say(texts, "title", order=order_id, scope=", ".join(scopes)), style="bold"))
    for package, rows in groupby(origins, lambda row: row["package"]):
        lines = list(rows)
        title = _say(texts, "parcel", package=package) if package else _say(texts, "no_parcel")
        out.print(table(title, ("", ""), _chapters(lines, texts)))
    codes = sorted({code for row in origins for code in row["exceptions"]})
    if codes:
        told = [(code, texts.code("ExceptionCode", code)) for code in codes]
        out.print(table(_say(texts, "trouble"), ("", ""), told))
    names = [_say(texts, name) for name in ("at", "step", "where", "who")]
    out.print(table(_say(texts, "way"), names, [_step(row, texts) for row in way]))


def _chapters(lines: list[Row], texts: Texts) -> Iterator[tuple[str, str]]:
    """From the customer's door back to the decision."""
    first = lines[0]
    if first["package"]:
        yield _say(texts, "now"), texts.code("Phase", first["phase"])
        yield from _journey(first, texts)
    lanes = dict.fromkeys(_lane(line) for line in lines if line["lane_id"])
    if lanes:
        yield _say(texts, "lane"), "\n".join(lanes)
    goods = [
        _say(texts, "goods_text", line=x["line_no"], sku=x["sku"], units=x["units"], date=x["ship_date"])
        for x in lines
        if x["sku"]
    ]  # fmt: skip
    if goods:
        yield _say(texts, "goods"), "\n".join(dict.fromkeys(goods))
    reasons = dict.fromkeys(_reasons(line, texts) for line in lines if line["decision"])
    for decided, by in reasons:
        yield _say(texts, "decided"), decided
        yield _say(texts, "rules"), by
    if not reasons:
        yield _say(texts, "decided"), _say(texts, "undecided")


def _journey(row: Row, texts: Texts) -> Iterator[tuple[str, str]]:
    """What became of the parcel, the last first."""
    if row["delivered_at"] or row["signed_at"]:
        yield (
            _say(texts, "received"),
            _say(texts, "received_text", delivered=row["delivered_at"], signed=row["signed_at"]),
        )
    if row["handed_over_at"]:
        yield (
            _say(texts, "carried"),
            _say(
                texts,
                "carried_text",
                carrier=row["carrier_seen"] or row["carrier"],
                node=row["node"],
                at=row["handed_over_at"],
                failed=row["failed_attempts"],
            ),
        )
    if row["devices"]:
        yield _say(texts, "devices"), ", ".join(row["devices"])
    if row["readings"]:
        degrees = {"low": row["min_c"], "high": row["max_c"], "mkt": row["mkt_c"]}
        counts = {name: row[name] for name in ("readings", "below", "above")}
        devices = ", ".join(row["devices"])
        yield (
            _say(texts, "measured"),
            _say(texts, "measured_text", devices=devices, **counts, **_rounded(degrees)),
        )
    if row["packed_at"]:
        yield _say(texts, "sent"), _say(texts, "sent_text", node=row["node"], at=row["packed_at"])


def _rounded(degrees: dict[str, float | None]) -> dict[str, str]:
    return {name: "-" if value is None else f"{value:.1f}" for name, value in degrees.items()}


def _lane(row: Row) -> str:
    told = [row["carrier"], row["service"], row["mode"]]
    return f"{row['lane_id']} ({', '.join(word for word in told if word)})"


def _reasons(row: Row, texts: Texts) -> tuple[str, str]:
    """Which decision, and by what rules."""
    decided = _say(
        texts,
        "decided_text",
        decision=row["decision"],
        at=row["decided_at"],
        trigger=texts.code("Trigger", row["trigger"]),
        selection=texts.code("Selection", row["selection"]),
    )
    by = _say(
        texts,
        "rules_text",
        policy=row["policy_version"],
        model=(row["model_sha256"] or "")[:12] or _say(texts, "by_rules"),
        cost=money(row["total_minor"]),
        margin=money(row["margin_minor"]),
    )
    return decided, by


def _step(row: Row, texts: Texts) -> tuple[Any, str, str, str]:
    words = [row["step"], row["classifier"] if row["classifier"] not in (None, "ACT") else ""]
    if row["planned_at"]:
        words.append(cell(row["planned_at"]))
    if row["taken_back_at"]:
        words.append(f"({_say(texts, 'taken_back', at=row['taken_back_at'])})")
    where = [row["package"], row["node"], row["place"], row["device"], row["reason"]]
    return row["at"], _joined(words), _joined(where), _joined([row["source"], row["carrier"]])


def _joined(words: list[str | None]) -> str:
    return " ".join(dict.fromkeys(word for word in words if word))


def _say(texts: Texts, name: str, **values: Any) -> str:
    told = {key: "-" if value is None else cell(value) for key, value in values.items()}
    return texts.sentence("trace", name).format(**told)


_ORIGINS = """
SELECT * FROM trace WHERE order_id = ? ORDER BY tenant, network, package, line_no, node
"""
_WAY = """
SELECT
    tenant, network, "at", step, classifier, planned_at, package, node, place, device, reason, source,
    carrier, recorded_at, taken_back_at
FROM history WHERE order_id = ? ORDER BY tenant, network, "at", position, "index"
"""
_SERIES = """
SELECT tenant, network, package, device, type, "at", value, min_value, max_value, uom, state
FROM readings WHERE order_id = ? ORDER BY tenant, network, device, type, "at", position, "index"
"""
