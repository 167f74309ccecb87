"""Running commands in this process, and lines of CloudEvents to feed them."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from flows.cli import app
from tests.support.effects import START


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    """A command as typed."""
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, prog_name="crossdock")


def refused(result: Result) -> str:
    """The one line that a command which failed has printed."""
    assert result.exit_code == 2, result.output
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    return str(result.stderr)


def order_line(name: str, minute: float = 0, network: str = "eu", **changes: Any) -> bytes:
    """A received order as a line, so many minutes after the start."""
    body = {
        **envelope("order.received", name, START + timedelta(minutes=minute), network),
        "data": {"region": "R1", "lines": [{"line_no": 1, "sku": "A", "qty": 1}]},
    }
    return json.dumps(body | changes).encode()


def cancel_line(name: str, minute: float = 0, network: str = "eu") -> bytes:
    """A cancelled order as a line."""
    at = START + timedelta(minutes=minute)
    body = {**envelope("order.cancelled", name, at, network), "id": f"cancel {name}", "data": {}}
    return json.dumps(body).encode()


def envelope(kind: str, name: str, at: datetime, network: str) -> dict[str, Any]:
    """Attributes of a record."""
    return {
        "specversion": "1.0",
        "type": kind,
        "id": name,
        "source": "shop",
        "subject": name,
        "time": at.isoformat(),
        "tenant": "acme",
        "network": network,
    }


def write_lines(path: Path, lines: Sequence[bytes]) -> Path:
    """A file of these lines."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
