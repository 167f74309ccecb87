"""A shop on this machine whose orders are asked for page by page."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    """A request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Told(NamedTuple):
    """An answer."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that was killed is gone."""


class Shop:
    """Answers what a test says, and remembers what it was asked.

    Attributes:
        url: of its orders.
        asked: by whom, in order.
    """

    def __init__(self, answer: Callable[[Asked], Told]) -> None:
        self.answer = answer
        self.asked = list[Asked]()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # an answer in one packet: nobody waits for a second

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(parts.path, query, headers)
                shop.asked.append(asked)
                told = shop.answer(asked)
                self.send_response(told.status)
                self.send_header("content-length", str(len(told.body)))
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(told.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/orders"

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def shop(answer: Callable[[Asked], Told]) -> Iterator[Shop]:
    """A shop while it is needed."""
    made = Shop(answer)
    try:
        yield made
    finally:
        made.close()
