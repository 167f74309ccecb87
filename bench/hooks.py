"""Durable webhook requests a second of one core, beside a bare FastAPI route in the same call.

The receiver runs as its operator runs it, held to one core with all its threads: a Shopify channel, signed
bodies of 1.3 kB, answered once the broker has them. The bare route reads the same body and answers; it
checks nothing and keeps nothing. Load and broker (librdkafka's mock, so no disk) have another core. A second
is one of the server's CPU time, all threads counted, so that other work on the machine changes little.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from confluent_kafka import Producer
from fastapi import FastAPI, Request

from bench.figures import Figure
from flows.kafka.client import QUIET

CONNECTIONS = 64
"""Kept alive, each with one request under way."""
SECONDS, WARM_SECONDS = 3.0, 1.0
RUNS = 3
SECRET = "bench"
ORDER = json.dumps(
    {
        "id": 450789469,
        "name": "#1001",
        "created_at": "2026-11-25T12:00:00+01:00",
        "currency": "EUR",
        "note": "Please ring twice: the bell of the third floor has been broken since spring.",
        "financial_status": "paid",
        "customer": {"id": 207119551},
        "shipping_address": {"country_code": "DE", "city": "Köln", "zip": "50667"},
        "line_items": [
            {
                "id": 466157049 + number,
                "sku": f"IPOD-{number}-GREEN",
                "title": "IPod Nano - 8GB",
                "quantity": number + 1,
                "grams": 200,
                "price": "199.00",
                "taxable": True,
                "fulfillment_service": "manual",
                "properties": [{"name": "engraving", "value": "Happy Birthday Mom!"}],
            }
            for number in range(4)
        ],
    },
    ensure_ascii=False,
).encode()


def measure(scratch: Path) -> list[Figure]:
    """Both in turn, the best of some runs each."""
    broker = Producer({"test.mock.num.brokers": 1, "logger": QUIET})
    (found, *_) = broker.list_topics("bench.hooks", timeout=10).brokers.values()
    scratch.mkdir(parents=True, exist_ok=True)
    config = scratch / "hooks.toml"
    config.write_text(
        f'[kafka]\nbootstrap = "{found.host}:{found.port}"\n[hooks]\nport = 0\n[channels.bench]\n'
        'mapping = "shopify"\ntopic = "bench.hooks"\ntenant = "bench"\nnetwork = "one"\n'
        'signature = { scheme = "shopify", secret_env = "BENCH_SECRET" }\n'
    )
    receiver = [sys.executable, "-m", "flows.cli", "hooks", "run", "--config", str(config)]
    bare = [sys.executable, "-m", "bench.hooks"]
    rates: dict[str, list[float]] = {"receiver": [], "bare": []}
    with _own_core() as first:
        for _ in range(RUNS):
            for name, words in (("receiver", receiver), ("bare", bare)):
                with _listening(words, first) as (server, port):
                    rates[name].append(asyncio.run(_load(server, port)))
    rate, baseline = max(rates["receiver"]), max(rates["bare"])
    return [Figure("webhook_requests_per_s", rate, "requests/s", baseline, rate / baseline)]


def _cpu_seconds(process: int) -> float:
    """Spent by a process until now."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _own_core() -> Iterator[int]:
    """This process, with load and broker, on the last core; gives the first, for servers."""
    cores = os.sched_getaffinity(0)
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {max(cores)})
    yield min(cores)
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), cores)


@contextmanager
def _listening(words: list[str], core: int) -> Iterator[tuple[int, int]]:
    """A server on a core of its own; its process and its port."""
    surroundings = os.environ | {"BENCH_SECRET": SECRET}
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=surroundings)
    os.sched_setaffinity(server.pid, {core})  # long before it starts threads
    assert server.stderr is not None
    said = next(line for line in server.stderr if line.startswith("receiving at "))
    yield server.pid, int(said.split()[2].rstrip(";").rpartition(":")[2])
    server.terminate()
    server.wait(30)
    server.stderr.close()


async def _load(server: int, port: int) -> float:
    """Requests a second of the server, after a while that is not counted."""
    digest = base64.b64encode(hmac.digest(SECRET.encode(), ORDER, hashlib.sha256)).decode()
    head = (
        "POST /hooks/bench HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"x-shopify-hmac-sha256: {digest}\r\ncontent-length: {len(ORDER)}\r\n\r\n"
    )
    loop, senders = asyncio.get_running_loop(), list[_Sender]()
    for _ in range(CONNECTIONS):
        _, sender = await loop.create_connection(
            lambda: _Sender(head.encode() + ORDER), "127.0.0.1", port
        )
        senders.append(sender)
    await asyncio.sleep(WARM_SECONDS)
    before, began = sum(sender.answers for sender in senders), _cpu_seconds(server)
    await asyncio.sleep(SECONDS)
    taken = sum(sender.answers for sender in senders) - before
    seconds = _cpu_seconds(server) - began
    for sender in senders:
        sender.transport.abort()
    return taken / seconds


class _Sender(asyncio.Protocol):
    """One connection: the next request after each answer."""

    transport: asyncio.Transport

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answers = 0
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if self.answer.endswith(b"}"):
            assert self.answer.startswith(b"HTTP/1.1 200 "), self.answer
            self.answers += 1
            self.answer = b""
            self.transport.write(self.request)


def _bare() -> None:
    """What one gets from FastAPI for a start."""
    application = FastAPI(openapi_url=None)

    @application.post("/hooks/{channel}")
    async def post(channel: str, request: Request) -> dict[str, bool]:
        return {"kept": bool(await request.body())}

    config = uvicorn.Config(application, port=0, log_config=None, access_log=False, ws="none")
    listening = config.bind_socket()
    listening.listen(2_048)
    port = listening.getsockname()[1]
    print(f"receiving at http://127.0.0.1:{port}; Ctrl-C ends it", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    _bare()
