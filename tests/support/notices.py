"""Outboxes, and receivers of notifications that listen on this machine."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flows.lake.layout import Flow, Identity
from flows.lake.writer import create_or_open_writer
from flows.notices.settings import NotifySettings
from flows.notify import NotifyJob, run
from schemas.ids import LogId
from schemas.tables import SCHEMAS, Effects, Table
from tests.support.effects import to_table

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PARTITION = Flow.TRACK.first_partition
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOG = "log-1"
BOOK = "token,phone,email,open_id,language\nc-1,+8613800000001,one@example.org,o-1,zh\nc-2,+442071230002,,,en\n"
Row = dict[str, Any]


def outbox_row(position: int, index: int = 0, *, partition: int = PARTITION, **changes: Any) -> Row:
    """A customer is told that the order of this position is on its way."""
    details = changes.pop("details", {})
    row = {
        **{"partition": partition, "position": position, "index": index},
        **{"tenant": "acme", "network": "eu", "order_id": f"o-{position}", "package": None},
        **{"audience": "customer", "template": "SHIPPED", "customer": "c-1", "tier": "standard"},
        **{"channel": "web", "language": "en", "code": None, "link": f"/orders/o-{position}"},
        **{"details": json.dumps(details), "at": NOON},
        **changes,
    }
    assert set(row) == set(SCHEMAS[Table.OUTBOX].names)
    return row


def fill(lake: Path, rows: Sequence[Row], *, log: str = LOG) -> Path:
    """Commit rows to a lake, each partition to its last position."""
    partitions = sorted({row["partition"] for row in rows})
    identity = Identity(LogId(log), len(partitions), flow=Flow.TRACK)
    with create_or_open_writer(lake, identity, partitions) as writer:
        for partition in partitions:
            mine = [row for row in rows if row["partition"] == partition]
            tables = {Table.OUTBOX: to_table(Table.OUTBOX, mine)}
            writer.put(Effects(partition, mine[-1]["position"], tables))
    return lake


class Hands:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **span: float) -> None:
        """Move on."""
        self.now += timedelta(**span)


@dataclass(frozen=True, slots=True)
class Request:
    """What came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """Of the delivery."""
        return self.headers.get("webhook-id") or self.headers["idempotency-key"]

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Receiver(ThreadingHTTPServer):
    """Listens on this machine, and honours keys: what comes again is answered, and not shown again.

    Attributes:
        requests: all that came, in order.
        shown: those that were taken, once each.
        answer: what is answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Request] = []
        self.shown: dict[str, Request] = {}
        self.answer: Callable[[Request], Reply] = lambda _request: Reply()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/in"

    def take(self, request: Request) -> Reply:
        """Answer, and keep it the first time it is taken."""
        with self.lock:
            self.requests.append(request)
        reply = self.answer(request)
        if reply.status < 300:
            with self.lock:
                self.shown.setdefault(request.key, request)
        return reply

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a sender that is killed leaves its connection."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.take(Request(self.command, self.path, headers, body))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_POST = _serve
    do_PUT = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver while it is needed."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def to_webhook(receiver: Receiver, **changes: Any) -> Row:
    """Settings that send everything for customers to one webhook."""
    return {
        "ways": {"hook": {"kind": "webhook", "url": receiver.url, "secret": SECRET}},
        "rules": [{"audience": "customer", "ways": ["hook"]}],
        "retry_seconds": [5, 30, 120],
        **changes,
    }


def deliver(lake: Path, clock: Hands, settings: Row, **options: Any) -> NotifyJob:
    """Run the flow until it has nothing to do at this time of the clock."""
    parsed = NotifySettings.model_validate(settings)
    store = options.pop("store", lake.with_name("notify.sqlite"))
    job = NotifyJob(lake, store, parsed, ends_when_idle=True, clock=clock, **options)
    run(job)
    return job
