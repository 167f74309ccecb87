"""How commands end: one clear line on standard error and exit code 2 instead of a traceback.

What is caught is what a user can act on: wrong usage, ``CrossdockError``, and the system's own
refusals (``OSError``). Anything else is a defect and shows its traceback. A reader that goes away
(``| head``) and Ctrl-C end quietly.
"""

import contextlib
import io
import os
import sys
from collections import UserDict
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar, NoReturn, TypeAlias

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from flows.commands.output import one_line
from schemas.errors import CrossdockError

FAILED = 2
INTERRUPTED = 130
READER_GONE = 141
"""As the shell counts a process that SIGPIPE ended."""


def group_of_commands(purpose: str) -> typer.Typer:
    """A group that prints its help when no command of it is named."""
    app = typer.Typer(help=purpose)

    @app.callback(invoke_without_command=True, help=purpose)
    def start(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    return app


Place: TypeAlias = str
"""Where a command is: ``module:function``, or ``module:app`` of a group."""


class _Imported(UserDict[str, Any]):
    """Commands by name, each imported when it is first asked for."""

    def __getitem__(self, name: str) -> Any:
        found = self.data[name]
        if isinstance(found, str):
            found = self.data[name] = _command_at(found, name)
        return found


def _command_at(place: Place, name: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer()
        alone.command(name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command


class CrossdockGroup(TyperGroup):
    """The top of the command tree; the help text of all of them takes seconds, one command does not.

    Attributes:
        places: of its commands, by name.
    """

    places: ClassVar[dict[str, Place]]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Imported(self.places)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run the command line and exit."""
        begin = super().main
        end_clearly(
            "crossdock", lambda: begin(args, prog_name or "crossdock", complete_var, False, **extra)
        )


def end_clearly(program: str, run: Callable[[], object]) -> NoReturn:
    """Run what a user has asked for, and exit as the module says."""
    try:
        code = run()
        sys.stdout.flush()
    except TyperException as error:
        _fail(f"{_command(error, program)}: {one_line(error.format_message())}")
    except CrossdockError as error:
        _fail(f"{program}: {one_line(str(error))}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _discard_output()
        sys.exit(READER_GONE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{program}: {where}{error.strerror or one_line(str(error))}")
    except SystemExit as end:  # typer's own answer to a reader that went away
        _discard_output()
        sys.exit(READER_GONE if end.code == 1 else end.code)
    sys.exit(code if isinstance(code, int) else 0)


def _command(error: TyperException, program: str) -> str:
    """The command that was used wrongly, as typed."""
    return str(getattr(getattr(error, "ctx", None), "command_path", program))


def _fail(line: str) -> NoReturn:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.write(f"{line}\n")
    sys.exit(FAILED)


def _discard_output() -> None:
    """Let what is still buffered go nowhere, or the interpreter complains at its end."""
    with contextlib.suppress(io.UnsupportedOperation, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
