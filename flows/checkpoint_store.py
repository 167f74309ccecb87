"""Where checkpoints are kept: a directory, or an object store that every machine can reach."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import pyarrow as pa
from pyarrow import fs

from flows.files import publish
from schemas.errors import CheckpointError, InputError


class CheckpointStore(Protocol):
    """Files by folder and name; each appears whole or not at all."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    def names(self, folder: str) -> Sequence[str]:
        """Files of a folder; none where there is no folder."""

    def read(self, folder: str, name: str) -> bytes:
        """Content of a file; raises ``OSError``."""

    def write(self, folder: str, name: str, content: memoryview) -> None:
        """Publish a file; raises ``OSError``."""

    def remove(self, folder: str, name: str) -> None:
        """Remove a file; one that is not there is no error."""


class Directory:
    """On this machine, or on what is mounted here."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def names(self, folder: str) -> Sequence[str]:
        """See ``CheckpointStore``."""
        where = self._path / folder
        return [file.name for file in where.iterdir()] if where.is_dir() else []

    def read(self, folder: str, name: str) -> bytes:
        """See ``CheckpointStore``."""
        return (self._path / folder / name).read_bytes()

    def write(self, folder: str, name: str, content: memoryview) -> None:
        """See ``CheckpointStore``."""
        publish(self._path / folder / name, content)

    def remove(self, folder: str, name: str) -> None:
        """See ``CheckpointStore``."""
        (self._path / folder / name).unlink(missing_ok=True)


class Objects:
    """A prefix in a bucket (S3, Google Cloud Storage, Azure), by Arrow's file systems."""

    def __init__(self, uri: str, files: fs.FileSystem, root: str) -> None:
        self.name = uri
        self._files = files
        self._root = root

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

    def read(self, folder: str, name: str) -> bytes:
        """See ``CheckpointStore``."""
        with self._files.open_input_stream(f"{self._root}/{folder}/{name}") as stream:
            content: bytes = stream.read()
        return content

    def write(self, folder: str, name: str, content: memoryview) -> None:
        """An object appears when its last part has arrived."""
        with self._files.open_output_stream(f"{self._root}/{folder}/{name}") as stream:
            stream.write(content)

    def remove(self, folder: str, name: str) -> None:
        """See ``CheckpointStore``."""
        try:
            self._files.delete_file(f"{self._root}/{folder}/{name}")
        except FileNotFoundError:
            return


def store_of(lake: Path, objects: str | None) -> CheckpointStore:
    """Where the checkpoints of a lake are: beside its data, or where the settings say."""
    return Directory(lake / "state") if objects is None else Objects.at(objects)
