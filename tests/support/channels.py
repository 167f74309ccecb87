"""Samples of what platforms send, and what the shipped mappings make of them.

``python -m tests.support.channels`` writes the golden files anew; of samples that are not at hand it keeps what
they say.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from flows.channels.book import find_mapping, open_channel
from flows.channels.codes import read_codes
from flows.channels.engine import Binding, Channel
from flows.channels.report import as_read, unused_paths

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/channels"
PAYLOADS = ROOT.parent / "shared/data/connector_payloads"
BINDING = Binding(source="shop-1", tenant="acme", network="eu", secret=b"of the tests")
CODES = {"shopify": GOLDEN / "samples/shopify-skus.toml"}
"""What the tests' shop has in its own tables."""

FILES = {
    "shopify": ["shopify-*.json", "shopify/*.json", "shopify_rest/*.json"],
    "woocommerce": ["woocommerce-*.json", "woocommerce/*.json"],
    "amazon-sp-api": [
        "amazon-*.json",
        "amazon_sp_api/orders_v0_examples.json",
        "amazon_sp_api/fulfillment_outbound_examples.json",
        "amazon_sp_api/external_fulfillment_shipments_examples.json",
    ],
    "marketplace-cn": ["marketplace-cn.json"],
    "mini-program": ["mini-program.json"],
    "pos": ["pos.json"],
    "iot-reorder": ["iot-reorder.json"],
    "17track": ["17track-*.json", "17track/*.json"],
    "aftership": ["aftership-*.json", "aftership/*.json"],
    "amazon-tracking": ["tracking-amazon.json", "amazon_sp_api/tracking_examples.json"],
    "easypost": ["easypost-*.json", "easypost/*.json"],
    "kuaidi100": ["kuaidi100-*.json", "kuaidi100/*.json"],
    "epcis": ["epcis-*.json"],
    "debezium-crm": ["debezium-crm-*.json"],
    "debezium-erp": ["debezium-erp-*.json"],
    "debezium-wms": ["debezium-wms-*.json"],
}
"""Samples of each channel: in this repository, and beside it."""


class Sample(NamedTuple):
    """A payload, and what the golden files call it."""

    name: str
    payload: bytes


def shipped(channel: str) -> Channel:
    """A mapping of ``schemas/channels``, with the codes of the tests' shop."""
    codes = [read_codes(CODES[channel])] if channel in CODES else []
    return open_channel(find_mapping(channel), BINDING, codes)


def samples(channel: str) -> Iterator[Sample]:
    """Those that are at hand."""
    for pattern in FILES[channel]:
        folder = PAYLOADS if "/" in pattern else GOLDEN / "samples"
        for file in sorted(folder.glob(pattern)):
            name, raw = str(file.relative_to(folder)), file.read_bytes()
            if pattern.startswith(
                ("amazon_sp_api/", "tracking-", "debezium-")
            ):  # a list of answers or messages
                for number, one in enumerate(json.loads(raw)):
                    yield Sample(f"{name}#{number}", json.dumps(one.get("body", one)).encode())
            else:
                yield Sample(name, raw)


def read(channel: Channel, sample: Sample) -> dict[str, Any]:
    """What a mapping makes of a sample, and what it leaves."""
    mapped = channel.take([sample.payload])
    records = [json.loads(record.line) for record in mapped.records]
    return {
        "sample": sample.name,
        "records": records,
        "troubles": [f"{t.reason.name}: {t.detail}" for t in mapped.troubles],
        "passed_over": [why for _, why in mapped.passed_over],
        "unused": unused_paths(channel, as_read(channel.mapping, sample.payload))
        if records
        else [],
    }


def golden(channel: str) -> dict[str, dict[str, Any]]:
    """What the samples became when somebody read it last, by name of the sample."""
    file = GOLDEN / f"{channel}.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {one["sample"]: one for one in map(json.loads, lines)}


def main() -> None:
    """Write the golden files."""
    for name in FILES:
        channel = shipped(name)
        now = {sample.name: read(channel, sample) for sample in samples(name)}
        lines = (msgspec.json.encode(one) for one in (golden(name) | now).values())
        (GOLDEN / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


if __name__ == "__main__":
    main()
