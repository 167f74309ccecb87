"""Where checkpoints are kept: a directory, or an object store that every machine can reach."""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Protocol, Self, cast

import pyarrow as pa
from pyarrow import fs

from flows.files import make_directory, publish_draft
from schemas.errors import CheckpointError, InputError

_PIECE = 1 << 24
"""Bytes that are sent or fetched at a time."""

_PREFIX, _PARTIAL = ".crossdock-", ".checkpoint.partial"


class CheckpointStore(Protocol):
    """Files by folder and name; each appears whole or not at all."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    def names(self, folder: str) -> Sequence[str]:
        """Files of a folder; none where there is no folder."""

    def read(self, folder: str, name: str) -> BufferedReader:
        """A file, opened; raises ``OSError``."""

    def draft(self, folder: str) -> Path:
        """Where on this machine to write the next one of a folder; raises ``OSError``."""

    def publish(self, folder: str, name: str, draft: Path) -> None:
        """Make a draft a file; it is none any more even where that fails; raises ``OSError``."""

    def drop(self, draft: Path) -> None:
        """Give a draft up; one that is none any more is no error."""

    def remove(self, folder: str, name: str) -> None:
        """Remove a file; one that is not there is no error."""


class _Drafts:
    """Files that are being written, each locked as long as whoever began it lives.

    Two owners never share one: one that was paused and wakes up writes its own beside that of its heir. What
    a crash leaves is swept with the next draft.
    """

    def __init__(self, mode: int) -> None:
        self._mode = mode
        self._locks: dict[Path, int] = {}

    def begin(self, where: Path) -> Path:
        """One more; raises ``OSError``, also where the file system has no locks."""
        for left in where.glob(f"{_PREFIX}*{_PARTIAL}"):
            _sweep(left)
        while True:
            path = where / f"{_PREFIX}{uuid.uuid4().hex}{_PARTIAL}"
            lock = self._locks[path] = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, self._mode)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                self.end(path)
                raise
            if path.exists():
                return path
            self.end(path)  # swept between opening and locking

    def end(self, draft: Path) -> None:
        """Forget one, and remove what is still there; if that fails, the next sweep has it."""
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        lock = self._locks.pop(draft, None)
        if lock is not None:
            os.close(lock)


class Directory:
    """On this machine, or on what is mounted here."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._drafts = _Drafts(0o666)

    def names(self, folder: str) -> Sequence[str]:
        """See ``CheckpointStore``."""
        where = self._path / folder
        return [file.name for file in where.iterdir()] if where.is_dir() else []

    def read(self, folder: str, name: str) -> BufferedReader:
        """See ``CheckpointStore``."""
        return (self._path / folder / name).open("rb")

    def draft(self, folder: str) -> Path:
        """See ``CheckpointStore``."""
        where = self._path / folder
        make_directory(where)
        return self._drafts.begin(where)

    def publish(self, folder: str, name: str, draft: Path) -> None:
        """See ``CheckpointStore``."""
        try:
            publish_draft(draft, self._path / folder / name)
        finally:
            self._drafts.end(draft)

    def drop(self, draft: Path) -> None:
        """See ``CheckpointStore``."""
        self._drafts.end(draft)

    def remove(self, folder: str, name: str) -> None:
        """See ``CheckpointStore``."""
        (self._path / folder / name).unlink(missing_ok=True)


class Objects:
    """A prefix in a bucket (S3, Google Cloud Storage, Azure), by Arrow's file systems."""

    def __init__(self, uri: str, files: fs.FileSystem, root: str) -> None:
        self.name = uri
        self._files = files
        self._root = root
        self._drafts = _Drafts(0o600)

    @classmethod
    def at(cls, uri: str) -> Self:
        """Reach a bucket; credentials come from the surroundings, as its own tools take them.

        Raises:
            InputError: no such kind of store, or a wrong address.
        """
        if "@" in uri:
            raise InputError(
                "checkpoints: leave credentials out of the address; see the store's own tools"
            )
        try:
            files, root = fs.FileSystem.from_uri(uri)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"checkpoints = {uri.partition('?')[0]!r}: {error}") from None
        return cls(uri.partition("?")[0], files, root)

    def names(self, folder: str) -> Sequence[str]:
        """See ``CheckpointStore``."""
        where = fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True)
        try:
            found = self._files.get_file_info(where)
        except OSError as error:
            raise CheckpointError(f"{self.name} cannot be read: {error}") from error
        return [file.base_name for file in found if file.type is fs.FileType.File]

    def read(self, folder: str, name: str) -> BufferedReader:
        """A copy of the object on this machine, which goes when it is closed."""
        copy = cast("BufferedReader", tempfile.TemporaryFile())  # noqa: SIM115 (whoever reads closes it)
        with self._files.open_input_stream(f"{self._root}/{folder}/{name}") as stream:
            shutil.copyfileobj(stream, copy, _PIECE)
        copy.seek(0)
        return copy

    def draft(self, folder: str) -> Path:
        """See ``CheckpointStore``."""
        return self._drafts.begin(Path(tempfile.gettempdir()))

    def publish(self, folder: str, name: str, draft: Path) -> None:
        """An object appears when its last part has arrived."""
        try:
            with (
                draft.open("rb") as file,
                self._files.open_output_stream(f"{self._root}/{folder}/{name}") as stream,
            ):
                shutil.copyfileobj(file, stream, _PIECE)
        finally:
            self._drafts.end(draft)

    def drop(self, draft: Path) -> None:
        """See ``CheckpointStore``."""
        self._drafts.end(draft)

    def remove(self, folder: str, name: str) -> None:
        """See ``CheckpointStore``."""
        try:
            self._files.delete_file(f"{self._root}/{folder}/{name}")
        except FileNotFoundError:
            return


def store_of(lake: Path, objects: str | None) -> CheckpointStore:
    """Where the checkpoints of a lake are: beside its data, or where the settings say."""
    return Directory(lake / "state") if objects is None else Objects.at(objects)


def _sweep(left: Path) -> None:
    """Remove a draft that nobody is writing any more; if it cannot be told, somebody is."""
    try:
        lock = os.open(left, os.O_RDWR | os.O_NOFOLLOW)  # NFS locks only what is open for writing
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left.unlink(missing_ok=True)
    except OSError:
        return
    finally:
        os.close(lock)
