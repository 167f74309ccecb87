"""Recorded data beside the repository, which is not at hand everywhere; of some an extract is committed."""

from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"


def extract_and_all(extract: Path, everything: Path) -> list[Any]:
    """Parameters of a fixture: the extract, and all of it where that is at hand."""
    reason = f"../shared/data/{everything.parent.name} is not at hand"
    needs_data = pytest.mark.skipif(not everything.exists(), reason=reason)
    return [extract, pytest.param(everything, marks=needs_data)]
