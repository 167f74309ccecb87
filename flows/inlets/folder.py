"""A watched folder: its files are read row by row, and move away once every row is durable.

A file is taken when it has not changed for a while. It moves to ``done``, or is removed if its channel is
sealed; with anything in it that cannot be read to ``refused``, beside a ``.reason.txt`` that names the lines;
each is a dead letter, too. The other rows were taken all the same, so that the file may be mended and put into
the folder again. What a crash repeats, or a mended file, has the same ids, and the folds drop it.

Whoever can write into the folder is not trusted: links, pipes and odd names move away.
"""

import asyncio
import heapq
import os
import stat
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from flows.channels.files import Misfit, Row, read_rows
from flows.channels.ways import FolderSettings
from flows.files import digest, make_directory, publish, sync_directory
from flows.inlets.keeper import Keeper, Reason
from flows.raw_topics import Missing
from schemas.codes import DeadLetterReason
from schemas.errors import InputError

LOOK_SECONDS = 1.0
_FILES = 1_000
"""Looked at in one turn, the oldest first."""
_REASONS = 1_000
"""Lines that a reason names at most."""
_NAME_BYTES = 200
"""Of a name that is kept; the file system takes 255, with what stands for its reason."""
_UNFINISHED = (".part", ".partial", ".tmp", ".filepart", ".crdownload")
"""Endings that programs give what they still write; they rename it then."""


class _Found(NamedTuple):
    """A file; all but its name changes with it."""

    changed_ns: int
    name: str
    inode: int
    size: int
    is_plain: bool


class FolderInlet:
    """The folder of one channel."""

    def __init__(self, settings: FolderSettings, keeper: Keeper) -> None:
        """Look at the three folders.

        Raises:
            InputError: they are not there, or files could not be moved between them.
        """
        self._settings = settings
        self._keeper = keeper
        self._waiting = deque[_Found]()
        self._read: tuple[_Found, _Reasons, int] | None = None  # not again while it cannot be moved
        if not settings.path.is_dir():
            raise InputError(f"path: {settings.path} is no folder")
        for name, folder in (("done", settings.done), ("refused", settings.refused)):
            if folder is None:
                continue
            try:
                make_directory(folder)
                device = folder.stat().st_dev
            except OSError as error:
                raise InputError(f"{name}: {folder} cannot be made: {error.strerror}") from error
            if device != settings.path.stat().st_dev:
                raise InputError(f"{name}: {folder} is on another file system than {settings.path}")
        keeper.watch(self.behind_seconds)

    def behind_seconds(self) -> float:
        """Age of the oldest file that is whole and not done."""
        try:
            oldest = self._waiting[0]
        except IndexError:  # asked on another thread, so it is not looked first
            return 0.0
        return max(0.0, time.time() - oldest.changed_ns / 1e9)

    async def turn(self) -> float:
        """Take the files that are whole; in so many seconds it is to be looked again."""
        try:
            self._waiting = deque(await asyncio.to_thread(self._whole))
            has_more = len(self._waiting) == _FILES
            while self._waiting:
                await self._take(self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            self._keeper.refuse(Reason.UNREADABLE_FOLDER, f"{error.strerror}")
            return LOOK_SECONDS
        return 0.0 if has_more else LOOK_SECONDS

    async def close(self) -> None:
        """Nothing is open."""

    def _whole(self) -> list[_Found]:
        """Files that nobody writes any more, the oldest first."""
        before = time.time_ns() - int(self._settings.settle_seconds * 1e9)
        with os.scandir(self._settings.path) as entries:
            found = (self._found(e.name) for e in entries if not _is_passed_over(e))
            return heapq.nsmallest(
                _FILES, (one for one in found if one and one.changed_ns <= before)
            )

    def _found(self, name: str) -> _Found | None:
        """The file as it is now; its change time is that of the file system, which no writer can set."""
        try:
            told = os.lstat(self._settings.path / name)
        except FileNotFoundError:
            return None
        is_plain = stat.S_ISREG(told.st_mode)
        return _Found(told.st_ctime_ns, name, told.st_ino, told.st_size, is_plain)

    async def _take(self, found: _Found) -> None:
        if self._read is None or self._read[0] != found:
            reasons, kept = _Reasons(), 0
            if found.is_plain:
                kept = await self._keep(found, reasons)
            else:
                await self._tell(found.name, [_unread("it is no plain file", found.size)], reasons)
            self._read = found, reasons, kept
        _, reasons, kept = self._read
        if await asyncio.to_thread(self._found, found.name) != found:
            return  # it was written again meanwhile: all of it is read again
        if reasons.total:
            reason = Reason.UNREADABLE_ROW if kept else Reason.UNREADABLE_FILE
            self._keeper.refuse(reason, reasons.listed[0], reasons.total)
            await asyncio.to_thread(self._refuse, found, reasons.text(kept))
        else:
            await asyncio.to_thread(self._finish, found)

    async def _keep(self, found: _Found, reasons: "_Reasons") -> int:
        """Rows that are durable; of all else it is told that it is not."""
        kept, headers = 0, {"file": _shown(found.name)}
        batches = read_rows(self._settings.path, found.name)
        try:
            while (batch := await asyncio.to_thread(_following, batches)) is not None:
                rows, unreadable = batch
                too_large = await self._keeper.keep([row.payload for row in rows], headers)
                missing = [Missing(m.reason, f"line {m.line}: {m.detail}") for m in unreadable]
                missing += [_too_large(rows[place]) for place in too_large]
                await self._tell(found.name, missing, reasons)
                kept += len(rows) - len(too_large)
        except InputError as error:
            wrong = " ".join(str(error).split())
        except OSError as error:  # not tried again: each time its first rows would come again
            wrong = f"the rest cannot be read: {error.strerror}"
        else:
            return kept
        await self._tell(found.name, [_unread(wrong, found.size)], reasons)
        return kept

    async def _tell(self, name: str, missing: Sequence[Missing], reasons: "_Reasons") -> None:
        """Note what is not taken of a file, for those who mend the file and for those who read dead letters."""
        for one in missing:
            reasons.add(_shown(one.detail))
        await self._keeper.tell(
            [
                one._replace(detail=_shown(f"{name}: {one.detail.removeprefix(f'{name}: ')}"))
                for one in missing
            ]
        )

    def _refuse(self, found: _Found, text: str) -> None:
        target = _free(self._settings.refused, found.name)
        publish(target.with_name(f"{target.name}.reason.txt"), text.encode())
        move_to(self._settings.refused, self._settings.path / found.name, found.inode)

    def _finish(self, found: _Found) -> None:
        """Take a file away that was read wholly."""
        done, source = self._settings.done, self._settings.path / found.name
        moved = move_to(done or self._settings.refused, source, found.inode)
        if done is None and moved is not None:
            moved.unlink()
            sync_directory(moved.parent)


def move_to(folder: Path, source: Path, inode: int) -> Path | None:
    """Move a file to another folder; gives where it is, if it was there to be moved.

    One that was put in its place just now goes back: nobody has read it yet.
    """
    target = _free(folder, source.name)
    try:
        source.rename(target)
    except FileNotFoundError:
        if os.path.lexists(source):
            raise
        return None  # somebody else has taken it away
    is_other = os.lstat(target).st_ino != inode
    if is_other:
        target.rename(source)
    sync_directory(folder)
    sync_directory(source.parent)
    return None if is_other else target


class _Reasons:
    """Why a file is refused: the first of them, and their number."""

    def __init__(self) -> None:
        self.listed = list[str]()
        self.total = 0

    def add(self, text: str) -> None:
        self.total += 1
        if len(self.listed) < _REASONS:
            self.listed.append(text)

    def text(self, kept: int) -> str:
        """What stands beside the file."""
        rest = self.total - len(self.listed)
        more = [f"and {rest} more"] if rest else []
        return "\n".join([f"{kept} rows were taken; not taken:", *self.listed, *more]) + "\n"


def _unread(what: str, size: int) -> Missing:
    """A file, or the rest of it."""
    return Missing(DeadLetterReason.SCHEMA_INVALID, what, size)


def _too_large(row: Row) -> Missing:
    what = f"line {row.line}: more than the topic takes in one message"
    return Missing(DeadLetterReason.TOO_LARGE, what, len(row.payload))


def _following(
    batches: Iterator[tuple[list[Row], list[Misfit]]],
) -> tuple[list[Row], list[Misfit]] | None:
    return next(batches, None)


def _is_passed_over(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder, hidden, or still being written."""
    is_open = entry.name.startswith(".") or entry.name.lower().endswith(_UNFINISHED)
    return is_open or entry.is_dir(follow_symlinks=False)


def _free(folder: Path, name: str) -> Path:
    """A path of this name, or like it, that is not taken; a name too long for its reason is cut."""
    raw = os.fsencode(name)
    if len(raw) > _NAME_BYTES:
        name = f"{os.fsdecode(raw[: _NAME_BYTES - 20])}.{digest(raw)}"
    tried = (folder / (f"{name}.{number}" if number else name) for number in count())
    return next(path for path in tried if not os.path.lexists(path))


def _shown(name: str) -> str:
    """A name that is text, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()
