"""Secrets: in a file or in the environment, by the name that is set; no message ever holds one."""

import os
from pathlib import Path

from schemas.errors import InputError


def read_secrets(file: Path | None, variable: str | None, what: str = "secret") -> list[str]:
    """The lines of a file, or of a variable where there is no file; ``what`` is what messages call it.

    Raises:
        InputError: there is none, or the file cannot be read.
    """
    if file is None:
        where, text = f"variable {variable}", os.environ.get(variable or "", "")
    else:
        where, text = str(file), _text(file)
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise InputError(f"{where} has no {what}")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InputError(f"{file} is no UTF-8") from None
