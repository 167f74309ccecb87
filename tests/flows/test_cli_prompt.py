"""The prompt of ``crossdock sql``, on a pseudo-terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from schemas.ids import LogId
from tests.support.effects import effects

CONVERSATION = b""".tables
.bogus
SELECT count(*) AS orders
FROM orders;
SELEC 1;
DELETE FROM stock;
.quit
"""


def test_the_prompt_answers_and_survives_mistakes(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with create_or_open_writer(lake, Identity(LogId("log-1")), [0]) as writer:
        writer.put(effects(0, 29))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flows.cli", "sql", "--lake", str(lake)]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(theirs)
        os.write(ours, CONVERSATION)
        out, complaints = process.communicate(timeout=120)
    os.close(ours)

    assert process.returncode == 0
    assert "routing_summary" in out
    assert "decisions_recent_0" not in out
    assert "30" in out
    assert ".bogus is unknown" in complaints
    assert 'syntax error at or near "SELEC"' in complaints
    assert "only reads: DELETE is refused" in complaints
    assert "Traceback" not in complaints
