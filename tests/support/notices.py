"""Outboxes, and receivers of notifications that listen on this machine."""

import base64
import collections
import hashlib
import hmac
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from flows.lake.layout import Flow, Identity
from flows.lake.writer import create_or_open_writer
from flows.metrics import Metrics
from flows.notices import outbox, reports
from flows.notices.addresses import AddressBook
from flows.notices.deliveries import State
from flows.notices.outbox import Notification
from flows.notices.plan import Planner
from flows.notices.sending import Dispatcher
from flows.notices.settings import NotifySettings
from flows.notices.store import Store
from flows.notices.texts import Texts
from flows.notify import NotifyJob, run
from schemas.ids import LogId
from schemas.tables import SCHEMAS, Effects, Table
from tests.support.effects import to_table

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PARTITION = Flow.TRACK.first_partition
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOG = "log-1"
MARK = outbox.mark_of(LOG)
BOOK = "token,phone,email,open_id,language\nc-1,+8613800000001,one@example.org,o-1,zh\nc-2,+442071230002,,,en\n"
Row = dict[str, Any]
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.notices"])


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

    def is_genuine(self) -> bool:
        """Whether a webhook bears our signature; gateways are told apart by what they are sent."""
        given = self.headers.get("webhook-signature")
        return given is None or signature(self, SECRET) in given.split(" ")


def signature(request: Request, secret: str) -> str:
    """Worked out from the words of the specification, not by the package that signs."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = request.headers["webhook-timestamp"]
    signed = f"{request.headers['webhook-id']}.{stamp}.".encode() + request.body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered; the body comes once it may."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: Callable[[], object] = lambda: None


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
        self.came = threading.Condition(self.lock)

    def wait_for(self, count: int) -> None:
        """Until so many messages are shown."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.shown) >= count, 60), "they did not come"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/in"

    def take(self, request: Request) -> Reply:
        """Answer, and keep it the first time it is taken."""
        with self.lock:
            self.requests.append(request)
        reply = self.answer(request) if request.is_genuine() else Reply(401)
        if reply.status < 300:
            with self.came:
                self.shown.setdefault(request.key, request)
                self.came.notify_all()
        return reply

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a sender that is killed leaves its connection."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            return  # its sender died in the middle
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.take(Request(self.command, self.path, headers, body))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        reply.wait()
        self.wfile.write(reply.body)

    def do_POST(self) -> None:
        """A message."""
        self._serve()

    def do_PUT(self) -> None:
        """A message, for gateways that like it so."""
        self._serve()

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


@cache
def our_texts() -> Texts:
    """The texts that are shipped; tried once."""
    return Texts("en")


class Office:
    """Everything between outbox and receivers, without the lake: rows in, turns until nothing is due."""

    def __init__(self, folder: Path, settings: Row) -> None:
        self.clock = Hands()
        self.settings = NotifySettings.model_validate(settings)
        self.book = AddressBook(self.settings.addresses)
        self.store = Store(folder / "notify.sqlite", {})
        self.planner = Planner(self.settings, our_texts(), self.book)
        self.metrics = Metrics()
        self.dispatcher = Dispatcher(self.store, self.settings, self.book, self.clock, self.metrics)

    def keep(self, *rows: Row) -> None:
        """Plan and keep rows."""
        notifications = [Notification(**row, log_mark=MARK) for row in rows]
        planned = [d for n in notifications for d in self.planner.plan(n, self.clock())]
        self.store.take(planned, collections.Counter(), {}, self.clock())

    def work(self) -> None:
        """Send until nothing is due at this time."""
        while not self.dispatcher.is_idle():
            self.dispatcher.turn()

    def deliver(self, *rows: Row) -> None:
        """Keep rows, and send."""
        self.keep(*rows)
        self.work()

    def states(self) -> dict[str, State]:
        """What has become of each delivery, by key; the last one where there are several ways."""
        rows = reports.listed(self.store.path, reports.Wanted(), 1_000)
        return {row["key"].split("-", 2)[2]: State(row["state"]) for row in reversed(rows)}

    def details(self) -> list[str]:
        """What is said of each delivery, in the order in which they came."""
        rows = reports.listed(self.store.path, reports.Wanted(), 1_000)
        return [row["detail"] for row in reversed(rows)]

    def close(self) -> None:
        """End."""
        self.dispatcher.close()
        self.store.close()


@contextmanager
def office(folder: Path, settings: Row) -> Iterator[Office]:
    """An office while it is needed."""
    made = Office(folder, settings)
    try:
        yield made
    finally:
        made.close()


class Moment(NamedTuple):
    """When a process is to die: as it passes a crash point for the so-manieth time."""

    point: str
    times: int


class Bomb:
    """Ends the process at its moment, as ``kill -9`` does."""

    def __init__(self, moment: Moment | None) -> None:
        self.moment = moment
        self.passed = collections.Counter[str]()
        self.lock = threading.Lock()

    def __call__(self, point: str) -> None:
        """A crash point is passed."""
        with self.lock:
            self.passed[point] += 1
            if self.moment == Moment(point, self.passed[point]):
                os.kill(os.getpid(), signal.SIGKILL)


def live_and_die(lake: Path, store: Path, settings: Row, moment: Moment | None) -> None:
    """A process that delivers: until it has nothing to do, or its moment comes."""
    outbox.ROWS = 4  # so that it has taken and sent by turns when it dies
    parsed = NotifySettings.model_validate(settings)
    run(NotifyJob(lake, store, parsed, ends_when_idle=True, crash_point=Bomb(moment)))


def end_of_a_life(lake: Path, settings: Row, moment: Moment | None) -> int | None:
    """With what code such a process ends, which comes from a server that has all modules loaded."""
    arguments = (lake, lake.with_name("notify.sqlite"), settings, moment)
    child = _PROCESSES.Process(target=live_and_die, args=arguments)
    child.start()
    child.join(60)
    code = child.exitcode
    child.close()
    return code


def book_file(folder: Path, text: str = BOOK) -> Path:
    """An address book."""
    file = folder / "addresses.csv"
    file.write_text(text)
    return file
