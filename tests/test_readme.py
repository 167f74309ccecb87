"""Every command of the README, as it is written there, in the order in which it is written there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(
    r"^```\n((?:crossdock|python) .*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
PACED = [line for line in COMMANDS if "--speed" in line or "--embedded" in line]
AT_ONCE = [line for line in COMMANDS if line not in PACED]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands find what they name."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("examples", "tests"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "examples/online-retail/policy.yaml", folder / "my-policy.yaml")
    shown = started("crossdock log show examples/online-retail/log --limit 500", folder)
    (folder / "events.jsonl").write_bytes(shown.communicate(timeout=180)[0])
    return folder


def started(command: str, folder: Path) -> subprocess.Popen[bytes]:
    home = Path(sys.executable).parent
    return subprocess.Popen(
        command,
        shell=True,
        cwd=folder,
        env=os.environ | {"PATH": f"{home}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_there_are_commands() -> None:
    assert len(AT_ONCE) > 12
    assert len(PACED) == 2


@pytest.mark.parametrize("command", AT_ONCE)
def test_a_command_does_what_the_readme_says(command: str, checkout: Path) -> None:
    process = started(command, checkout)

    out, complaint = process.communicate(timeout=300)

    assert process.returncode == 0, complaint.decode()
    assert b"Traceback" not in complaint
    silent = command.startswith(("crossdock sql --lake", "python -m bytewax.run"))
    assert out or silent, "neither the prompt without a person nor the job has anything to say"


@pytest.mark.parametrize("command", PACED)
def test_what_does_not_end_by_itself_runs_until_it_is_interrupted(
    command: str, checkout: Path
) -> None:
    process = started(command, checkout)
    try:
        process.wait(timeout=15)
        pytest.fail(f"it ended by itself: {process.communicate()}")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)

    _, complaint = process.communicate(timeout=180)

    assert b"Traceback" not in complaint
