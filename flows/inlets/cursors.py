"""How far a polled address was taken: one small file for a channel, written whole or not at all.

It is written after the page before it is durable, so a crash repeats a page and skips none. A file that is
damaged is refused by name: to begin anew, remove it.
"""

from pathlib import Path

import msgspec

from flows.files import publish
from schemas.errors import InputError


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    cursor: str


class CursorFile:
    """The cursor of one channel."""

    def __init__(self, folder: Path, channel: str, address: str) -> None:
        """Of an address; its query is no part of what it is, so that a page may change its size."""
        self._file = folder / f"{channel}.cursor.json"
        self._address = address.partition("?")[0]

    def read(self) -> str | None:
        """The cursor; nothing where there is none yet, or that of another address.

        Raises:
            InputError: the file is damaged, or cannot be read.
        """
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is damaged"
            raise InputError(
                f"{self._file} cannot be read: {said}; remove it to begin anew"
            ) from error
        return kept.cursor if kept.address == self._address else None

    def write(self, cursor: str) -> None:
        """Keep a cursor; it is durable when this returns."""
        publish(self._file, msgspec.json.encode(_Kept(self._address, cursor)))
