"""Orders of a marketplace as a channel's topic has them, and how fast a decoder alone would read them."""

import json
import time
from collections.abc import Iterator

import msgspec

from flows.channels.settings import ChannelSettings
from flows.settings import Settings

ORDERS, BATCH = 100_000, 4_096
RUNS = 5
MAPPING = "marketplace-cn"


def payloads(number: int = ORDERS) -> Iterator[bytes]:
    """Nested orders of about 1.5 kB, in Chinese."""
    for n in range(number):
        lines = [
            {
                "goods_id": str(710_000 + n % 97 + line), "sku_id": str(5_011_000 + n % 9_973 + line),
                "outer_sku_id": f"KETTLE-{n % 499}-{line}", "title": "电热水壶 1.5L 白色 家用 304 不锈钢",
                "quantity": 1 + (n + line) % 3, "price": 12_990 + n % 1_000, "pay_amount": 12_490 + n % 1_000,
                "weight_g": 1_150, "refund_status": "NONE",
            }
            for line in range(4)
        ]  # fmt: skip
        order = {
            "order_sn": f"251111-{n:09d}", "shop_id": "flagship", "trade_type": "normal",
            "order_status": "WAIT_SHIP", "created_time": f"2025-11-11 {n % 24:02}:{n % 60:02}:08",
            "updated_time": f"2025-11-11 {n % 24:02}:{n % 60:02}:08", "pay_amount": 49_960,
            "discount_amount": 2_000, "freight_amount": 0, "buyer_id": f"AAHk5d-{n % 50_000:06d}",
            "buyer_nick": "测试买家", "buyer_memo": "请放门卫", "seller_memo": "",
            "receiver": {
                "name": "测试", "phone": "13800000000", "province": "浙江省", "city": "杭州市",
                "district": "西湖区", "town": "", "address": "测试路1号",
            },
            "items": lines, "packages": [],
        }  # fmt: skip
        yield json.dumps(order, ensure_ascii=False).encode()


def settings(topic: str) -> Settings:
    """Of a job that maps them, from a topic."""
    channel = ChannelSettings(mapping=MAPPING, topic=topic, tenant="bench", network="one")
    return Settings(
        channels={"bench": channel}, customer_secret="of the benchmark", tick_seconds=3600.0
    )


def decoded_per_s() -> float:
    """Payloads a second that a decoder alone reads, on one core: all members of each."""
    batch, best = list(payloads(BATCH)), float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        for payload in batch:
            msgspec.json.decode(payload)
        best = min(best, time.process_time() - began)
    return BATCH / best
