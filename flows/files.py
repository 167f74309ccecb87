"""Durable files: a reader sees a whole file or none."""

import hashlib
import os
from io import BufferedReader
from pathlib import Path


def make_directory(path: Path) -> None:
    """Make a directory, and what is missing above it, so that they survive a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def publish(path: Path, content: bytes | memoryview) -> None:
    """Write, flush to disk, then rename: the file appears whole, and survives a power cut."""
    make_directory(path.parent)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    publish_draft(partial, path)


def publish_draft(draft: Path, path: Path) -> None:
    """Flush a file of the same directory to disk, then rename it."""
    try:
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames inside the directory durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(content: bytes | memoryview) -> str:
    """First 16 hex digits of the sha256: enough to tell a damaged file from a whole one."""
    return hashlib.sha256(content).hexdigest()[:16]


def digest_of(file: BufferedReader) -> str:
    """The same of a whole file, from where it is to its end."""
    return hashlib.file_digest(file, "sha256").hexdigest()[:16]
