"""Durable files: a reader sees a whole file or none."""

import hashlib
import os
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
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
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
