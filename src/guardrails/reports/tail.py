"""The newest records of a log, and those that come while one looks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from guardrails.audit.reading import files, source
from guardrails.reports.source import blocks, record_of

_STEP_BYTES: Final = 262_144


def newest(folder: str | os.PathLike[str], count: int) -> list[dict[str, Any]]:
    """
    The last *count* records of all streams, by time, oldest first.

    Raises:
        OSError: The folder or a file cannot be read.
    """
    found = [record for path in files(folder) for record in _last(path, count)]
    return sorted(found, key=_time)[-count:]


class Follower:
    """
    What is added to a log after this was made.

    Args:
        folder: The log.

    Raises:
        OSError: The folder cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = folder
        self._ends = {path.name: _whole_lines(path) for path in files(folder)}

    def new(self) -> list[dict[str, Any]]:
        """
        Records since the last time, by time.

        Raises:
            OSError: The folder or a file cannot be read.
        """
        found = []
        for path in files(self._folder):
            if path.name.endswith(".gz"):  # was a file without .gz before, and is known
                continue
            end = self._ends.setdefault(path.name, 0)
            for block in blocks(path, end):
                end += len(block)
                found += [record for line in block.splitlines(keepends=True) if (record := record_of(line)) is not None]
            self._ends[path.name] = end
        return sorted(found, key=_time)

    def follow(self, wait: Callable[[], object]) -> Iterator[dict[str, Any]]:
        """
        Records as they come, for ever.

        Args:
            wait: Called between two looks.
        """
        while True:
            yield from self.new()
            wait()


def _last(path: Path, count: int) -> list[dict[str, Any]]:
    """The last records of one file, in its order."""
    if path.name.endswith(".gz"):  # has to be read from its beginning
        lines: list[bytes] = []
        for block in blocks(path):
            lines = [*lines, *block.splitlines(keepends=True)[-count:]][-count:]
    else:
        with source(path) as file:
            begin = file.seek(0, os.SEEK_END)
            text = b""
            while begin > 0 and text.count(b"\n") <= count:
                step = min(begin, _STEP_BYTES)
                begin = file.seek(begin - step)
                text = file.read(step) + text
        lines = text.splitlines(keepends=True)
    records = [record for line in lines if (record := record_of(line)) is not None]
    return records[-count:]


def _whole_lines(path: Path) -> int:
    """Bytes up to the end of the last complete line."""
    if path.name.endswith(".gz"):
        return 0
    with source(path) as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            step = min(end, _STEP_BYTES)
            file.seek(end - step)
            at = file.read(step).rfind(b"\n")
            if at >= 0:
                return end - step + at + 1
            end -= step
    return 0


def _time(record: dict[str, Any]) -> str:
    return str(record.get("ts", ""))
