"""The README of each package names all that is in it, and says of the layers what is checked."""

import re
import tomllib
from pathlib import Path

import pytest

from flows.cli import COMMANDS

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    file
    for package in ("flows", "models", "schemas")
    for file in (ROOT / package).rglob("*.py")
    if file.name != "__init__.py"
)
FOLDERS = sorted({file.parent for file in MODULES})


def readme_of(folder: Path) -> Path:
    """Its own; a small package inside another one may be told of in that one's."""
    own = folder / "README.md"
    return own if own.exists() else folder.parent / "README.md"


def named(readme: Path) -> set[str]:
    """What stands in backticks, without folders."""
    return {name.rsplit("/", 1)[-1] for name in re.findall(r"`([^`\n]+)`", readme.read_text())}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_readme_names_every_module(folder: Path) -> None:
    modules = {file.name for file in MODULES if file.parent == folder}

    assert modules <= named(readme_of(folder)), readme_of(folder)


@pytest.mark.parametrize("package", ["flows", "schemas"])
def test_packages_of_flows_and_schemas_have_a_readme_of_their_own(package: str) -> None:
    for folder in FOLDERS:
        if ROOT / package in (folder, *folder.parents):
            assert (folder / "README.md").exists(), folder


def test_every_command_is_named_where_the_commands_are() -> None:
    assert set(COMMANDS) <= named(ROOT / "flows/commands/README.md")


def test_the_layers_are_those_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {c["name"]: c for c in settings["tool"]["importlinter"]["contracts"]}
    told = re.findall(r"^```\n(.*?)^```", (ROOT / "models/README.md").read_text(), re.M | re.S)

    assert told[0].splitlines() == contracts["Rows inside models"]["layers"]
