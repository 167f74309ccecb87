"""What an operator's tools ask of a running process: ``/metrics``, ``/health``, ``/ready``.

Metrics are for watching, not facts: what was decided is in the lake. A process is healthy while its flow
turns over, and ready once it has; a step that hangs makes it unhealthy, so that a supervisor restarts it.
"""

import collections
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pyarrow.compute as pc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from flows.guard import Guard
from flows.lake.layout import Flow
from schemas.errors import InputError
from schemas.tables import Effects, Table

HANGS_SECONDS = 60.0
"""A flow that has not turned over for so long hangs: nothing that it waits for takes half as long."""
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one process; unwatched ones cost next to nothing.

    ``flow`` tells the folds of a process apart, and ``partition`` is counted as in the lake.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ingested = self._counter("ingested_records", "Records written to the logs.")
        self._refused = self._counter("refused_messages", "Messages that were no record.", "by")
        self._letters = self._counter(
            "ingest_dead_letters", "Messages that were no record, by raw topic.", "topic", "reason"
        )
        self._records = self._counter("records", "Records of a log taken.", "flow", "partition")
        self._decisions = self._counter("decisions", "Decisions made.", "partition")
        self._exceptions = self._counter("exceptions", "Exceptions raised.", "flow", "code")
        self._seconds = Histogram(
            "crossdock_decision_seconds",
            "From a slice read to all its decisions made, once per slice.",
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._deliveries = self._counter(
            "notify_deliveries", "Attempts and what became of deliveries.", "way", "state"
        )
        self._defects = self._counter(
            "notify_defects", "Attempts that a defect of Crossdock ended.", "way"
        )
        self._attempt_seconds = Histogram(
            "crossdock_notify_attempt_seconds",
            "From the start of an attempt to its answer.",
            ["way"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._posted = self._counter("hooks_kept", "Requests kept on a raw topic.", "channel")
        self._not_taken = self._counter("hooks_refused", "Requests refused.", "channel", "reason")
        self._posted_seconds = Histogram(
            "crossdock_hooks_seconds",
            "From the body of a request read to its payload durable.",
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._fetched = self._counter(
            "inlets_kept", "Payloads kept on a raw topic.", "channel", "way"
        )
        self._not_fetched = self._counter(
            "inlets_refused", "What could not be fetched or kept.", "channel", "way", "reason"
        )
        self._silent = self._gauge(
            "inlets_silent_seconds", "Since the last payload, or the start.", "channel", "way"
        )
        self._behind = self._gauge(
            "inlets_behind_seconds", "How long the oldest has waited.", "channel", "way"
        )
        self._position = self._gauge("position", "Last position taken.", "flow", "partition")
        self._uncommitted = self._gauge(
            "uncommitted_records", "Records taken whose effects are not in the lake yet.", "flow"
        )

    def ingested(self, records: int, letters: Sequence[tuple[str, str]]) -> None:
        """Messages of one poll of the raw topics; of what was no record the topic, and why."""
        self._ingested.inc(records)
        if letters:
            self._refused.labels("ingest").inc(len(letters))
        for (topic, reason), count in collections.Counter(letters).items():
            self._letters.labels(topic, reason).inc(count)

    def advanced(
        self, flow: Flow, effects: Effects, records: int, refused: int, seconds: float
    ) -> None:
        """A slice was folded."""
        partition = str(effects.partition)
        self._records.labels(flow, partition).inc(records)
        self._position.labels(flow, partition).set(effects.position)
        if refused:
            self._refused.labels(flow).inc(refused)
        if made := effects.count(Table.DECISIONS):
            self._decisions.labels(partition).inc(made)
            self._seconds.observe(seconds)
        for code, count in _raised(effects).items():
            self._exceptions.labels(flow, code).inc(count)

    def notified(self, way: str, state: str, seconds: float) -> None:
        """A delivery was attempted, and is in this state now."""
        self._deliveries.labels(way, state).inc()
        self._attempt_seconds.labels(way).observe(seconds)

    def defect(self, way: str) -> None:
        """An attempt ended by a defect of ours."""
        self._defects.labels(way).inc()

    def not_sent(self, way: str, state: str) -> None:
        """A delivery came into this state without an attempt."""
        self._deliveries.labels(way, state).inc()

    def posted(self, channel: str, seconds: float) -> None:
        """What was posted to a channel is durable."""
        self._posted.labels(channel).inc()
        self._posted_seconds.observe(seconds)

    def not_taken(self, channel: str, reason: str) -> None:
        """What was posted is refused; ``channel`` is empty where there is none of that name."""
        self._not_taken.labels(channel, reason).inc()

    def fetched(self, channel: str, way: str, payloads: int) -> None:
        """Payloads that came by this way are durable."""
        self._fetched.labels(channel, way).inc(payloads)

    def not_fetched(self, channel: str, way: str, reason: str, count: int = 1) -> None:
        """What came, or should have come, by this way is not."""
        self._not_fetched.labels(channel, way, reason).inc(count)

    def watch_inlet(
        self, channel: str, way: str, silent: Callable[[], float], behind: Callable[[], float]
    ) -> None:
        """How far a way in is behind, worked out when it is asked for."""
        self._silent.labels(channel, way).set_function(silent)
        self._behind.labels(channel, way).set_function(behind)

    def watch_uncommitted(self, flow: Flow, records: Callable[[], float]) -> None:
        """How far the lake is behind a fold, worked out when it is asked for."""
        self._uncommitted.labels(flow).set_function(records)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is worked out when it is asked for."""
        self._gauge(name, text).set_function(value)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"crossdock_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"crossdock_{name}", text, labels, registry=self.registry)


def _raised(effects: Effects) -> collections.Counter[str]:
    """Exceptions that are new, by code: a change of one that lasts is none."""
    drafted = effects.plain(Table.EXCEPTIONS, ("code",))
    codes = collections.Counter(code for (code,) in drafted)  # the router's do not last
    given = effects.given.get(Table.EXCEPTIONS)
    if given is not None:
        is_new = pc.fill_null(pc.equal(given["change"], "raised"), True)
        codes.update(given["code"].filter(is_new).to_pylist())
    return codes


def serve(metrics: Metrics, guard: Guard, host: str, port: int) -> None:
    """Answer on a thread of its own until the process ends.

    Raises:
        InputError: the port cannot be had.
    """
    scraped = make_wsgi_app(metrics.registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            body: Iterable[bytes] = scraped(environ, start)
            return body
        status, text = state_of(path, guard)
        start(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{text}\n".encode()]

    try:
        server = make_server(host, port, answer, _Server, _Handler)
    except OSError as error:
        raise InputError(f"metrics cannot be served at {host}:{port}: {error.strerror}") from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def state_of(path: str, guard: Guard) -> tuple[HTTPStatus, str]:
    """What the paths of the probes answer."""
    if path not in {"/health", "/ready"}:
        return HTTPStatus.NOT_FOUND, "there are /metrics, /health and /ready"
    if guard.failure is not None:
        return HTTPStatus.SERVICE_UNAVAILABLE, f"failed: {guard.failure}"
    if guard.entered_at is None:
        starting = HTTPStatus.SERVICE_UNAVAILABLE if path == "/ready" else HTTPStatus.OK
        return starting, "starting"
    silent = time.monotonic() - guard.entered_at
    if silent > HANGS_SECONDS:
        return HTTPStatus.SERVICE_UNAVAILABLE, f"nothing has moved for {silent:.0f} s"
    return HTTPStatus.OK, "ok"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: probes come every second."""
