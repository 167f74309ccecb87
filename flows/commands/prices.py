"""``crossdock prices``: what scarce stock is worth now, as a record for the router."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.config import Config, kafka_of
from flows.commands.output import console, error_console, money, print_json, table
from flows.commands.replay import Target
from flows.demand_history import read_lines
from flows.files import publish
from flows.kafka.producer import ReliableProducer
from flows.lake.diagnosis import explained
from flows.lake.layout import Flow
from flows.lake.query import connect_reader
from flows.logs.parquet import write_log
from flows.newest_state import newest_network
from flows.settings import Settings, load_settings
from flows.warmup import warm_up
from models.forecasting.accuracy import Accuracy, measure
from models.inference import ARTIFACTS, load_model
from models.planning.epochs import PricePlanner
from models.planning.foreseen import HOUR_US, expect, history_of
from models.planning.reevaluation import Reevaluator
from models.routing.network import Network
from models.routing.scoring import RULES, Scorer
from schemas.codec import encode_event
from schemas.envelope import Event
from schemas.errors import InputError
from schemas.inventory import PricesPublished
from schemas.kinds import KIND_OF
from schemas.reviews import PlanProposed

_LINES_OF_JSON = (".ndjson", ".jsonl")


def prices(
    lake: Annotated[Path, typer.Option(help="The lake of the job; it may be running.")],
    horizon_hours: Annotated[
        int, typer.Option(min=1, help="Until stock is replenished, roughly.")
    ] = 168,
    unserved: Annotated[
        float, typer.Option(min=0, help="What a unit costs that nobody ships, minor units.")
    ] = 4_000,
    network: Annotated[
        str | None, typer.Option(help="TENANT/NETWORK, where the lake has several.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the records: FILE.ndjson, or a new log (directory).")
    ] = None,
    to: Annotated[
        Target | None, typer.Option(help="Send the records to the first raw topic.")
    ] = None,
    reevaluate: Annotated[
        bool, typer.Option("--reevaluate", help="Propose better plans for orders that wait, too.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Prices shown.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    config: Config = None,
) -> None:
    """Work out shadow prices of scarce stock, from the job's newest checkpoint and its demand so far.

    Example: crossdock prices --lake out/lake --out out/prices.ndjson
    """
    settings = load_settings(config)
    found = newest_network(lake, network, settings)
    with connect_reader(lake) as connection, explained(lake):
        lines = read_lines(connection, found)
    with error_console().status("compiling the kernels (once per version)…"):
        warm_up([Flow.ROUTE])
    planner = PricePlanner(
        lambda of, _orders: expect(lines, *_sizes(of), of.log_time, horizon_hours),
        _scorer(found, settings),
        unserved,
    )
    records = (Reevaluator(planner) if reevaluate else planner)(found, 0)
    accuracy = measure(history_of(lines, *_sizes(found), found.log_time // HOUR_US + 1))
    if out is not None:
        _write(out, records)
    if to is not None:
        _send(records, settings)
    _show(records, accuracy, limit, as_json=as_json)


def _sizes(network: Network) -> tuple[int, int]:
    return len(network.names["skus"]), len(network.names["regions"])


def _scorer(network: Network, settings: Settings) -> Scorer:
    if not network.model_sha256:
        return RULES
    return load_model([*settings.model_dirs, ARTIFACTS], network.model_sha256)


def _write(out: Path, records: Sequence[Event]) -> None:
    """A file of CloudEvents, or a recorded log."""
    if out.suffix.lower() in _LINES_OF_JSON:
        try:
            publish(out, b"".join(encode_event(r) + b"\n" for r in records))
        except OSError as error:
            raise InputError(f"--out {out} cannot be written: {error.strerror}") from error
    else:
        write_log(out, records)
    error_console().print(f"{_counted(records)} written to {out}", markup=False)


def _counted(records: Sequence[Event]) -> str:
    kinds = Counter(KIND_OF[type(record)].tag for record in records)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), reverse=True))


def _send(records: Sequence[Event], settings: Settings) -> None:
    kafka = kafka_of(settings)
    producer = ReliableProducer(kafka)
    for record in records:
        key = f"{record.tenant}/{record.network}".encode()
        producer.put(kafka.raw[0], -1, key, encode_event(record))
    producer.flush()
    error_console().print(f"{_counted(records)} sent to {kafka.raw[0]}", markup=False)


def _show(
    records: Sequence[Event], accuracy: Accuracy | None, limit: int, *, as_json: bool
) -> None:
    published = [record.data for record in records if isinstance(record, PricesPublished)]
    proposals = [record.data for record in records if isinstance(record, PlanProposed)]
    items = [item for prices in published for item in prices.items if item.price_minor > 0]
    dearest = sorted(items, key=lambda i: (-i.price_minor, i.sku, i.node))[:limit]
    epoch = published[0].epoch
    if as_json:
        print_json(
            {
                "network": f"{records[0].tenant}/{records[0].network}",
                "epoch": epoch,
                "computed_at": records[0].time,
                "priced": len(items),
                "dearest": dearest,
                "proposals": len(proposals),
                "saving_minor": sum(proposal.saving_minor for proposal in proposals),
                "forecast": None if accuracy is None else asdict(accuracy),
            }
        )
        return
    rows = [(item.sku, item.node, money(item.price_minor)) for item in dearest]
    title = f"Epoch {epoch}: {len(items):,} prices above zero, the dearest"
    console().print(table(title, ("SKU", "node", "a unit"), rows, numbers=("a unit",)))
    if proposals:
        saving = money(sum(proposal.saving_minor for proposal in proposals))
        console().print(f"{len(proposals):,} better plans proposed, which would save {saving}")
    console().print(
        table("Forecast, measured on the end of the history", ("", ""), _errors(accuracy))
    )


def _errors(accuracy: Accuracy | None) -> list[tuple[str, str]]:
    if accuracy is None:
        return [("hold-out", "no demand in it: the history is too short")]
    return [
        ("hold-out", f"{accuracy.hours:,} hours, {accuracy.units:,} units"),
        ("WAPE by SKU and region", f"{accuracy.wape:.1%}"),
        ("WAPE by SKU", f"{accuracy.wape_by_sku:.1%}"),
        ("bias", f"{accuracy.bias:+.1%}"),
    ]
