"""What the scripts of the examples share: how they are run, and how they read the published data."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import polars as pl
import typer

from flows.commands.group import end_clearly
from schemas.errors import InputError

DataDir = Annotated[
    Path,
    typer.Argument(exists=True, file_okay=False, help="Where the published data lies, as Parquet."),
]
Out = Annotated[Path, typer.Argument(help="The log to write: absent, or an empty directory.")]


def run_script(main: Callable[..., None]) -> NoReturn:
    """Run a script's one command: its arguments, ``--help``, one clear line if it fails."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(main)
    end_clearly(sys.argv[0], lambda: app(standalone_mode=False))


def read_published(file: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A table of the published data.

    Raises:
        InputError: it is not there, cannot be read, or lacks a column.
    """
    try:
        return pl.read_parquet(file, columns=list(columns) if columns else None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{file} is not a table of the published data: {error}; DATA_DIR is described in the "
            "example's README"
        ) from error
