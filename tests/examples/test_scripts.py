"""The scripts of the examples as a user runs them, wrongly: one clear line and exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("script", ["brunel/build.py", "online-retail/build.py"])
def test_data_that_is_not_there_is_one_line(script: str, tmp_path: Path) -> None:
    absent = run(script, tmp_path / "absent", tmp_path / "out")
    empty = run(script, tmp_path, tmp_path / "out")

    for ended in (absent, empty):
        assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
        assert str(tmp_path) in ended.stderr


def test_a_report_on_no_lake_is_one_line(tmp_path: Path) -> None:
    ended = run("brunel/report.py", tmp_path / "absent", tmp_path)

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


def test_help_names_the_arguments() -> None:
    ended = run("brunel/report.py", "--help")

    assert ended.returncode == 0
    assert "data_dir" in ended.stdout
