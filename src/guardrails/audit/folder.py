"""Folders and the names in them, so that a power cut cannot take them away."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

SUFFIX: Final = ".jsonl"
COMPRESSED: Final = ".jsonl.gz"


def make_folder(folder: Path) -> None:
    """Create *folder* and its parents, mode 0700, so that a power cut cannot take them away."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        with contextlib.suppress(FileExistsError):  # two processes may start together
            parent.mkdir(mode=0o700)
    for parent in missing:
        sync_folder(parent.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in *folder* on stable storage."""
    if os.name != "posix":  # elsewhere a directory cannot be opened, and needs no sync
        return
    fd = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def stream_of(name: str) -> str:
    """The stream that a file says it holds, by its name."""
    return name.removesuffix(".gz").removesuffix(SUFFIX).rpartition("-")[2]


def log_files(folder: str | os.PathLike[str]) -> list[Path]:
    """
    The log files of a directory, oldest first.

    Of a stream that is there twice, the one that is not compressed: whoever compressed it had no time to remove it.

    Raises:
        OSError: It is not a directory, or cannot be read.
    """
    names = sorted(entry.name for entry in Path(folder).iterdir() if entry.name.endswith((SUFFIX, COMPRESSED)))
    plain = {name for name in names if name.endswith(SUFFIX)}
    return [Path(folder) / name for name in names if name in plain or name.removesuffix(".gz") not in plain]
