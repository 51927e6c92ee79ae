"""
Have the processes died that write a log?

Each holds a lock on its file for as long as it lives, however it ends. Whoever has seen the lock, and sees it gone from a stream
that was not closed, knows at once. Where locks cannot be seen (on a copy of the files, on another host) nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from guardrails.audit.folder import stream_of
from guardrails.audit.tails import last_written, left_behind

_STREAMS: Final = 256  # files; more processes than that do not write to one folder


class Writers:
    """
    The writers of one log, as they were seen so far.

    Args:
        folder: Of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._alive: dict[str, str] = {}  # stream to when its writer was last seen alive, as names of files have times

    def gone(self) -> Iterator[str]:
        """
        Streams whose writer was seen alive and is not, and since when no other stream has begun.

        Raises:
            OSError: The folder cannot be read.
        """
        paths = last_written(self._folder, _STREAMS)
        newest, now = max((path.name for path in paths), default=""), f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        there = {stream_of(path.name) for path in paths}
        self._alive = {stream: seen for stream, seen in self._alive.items() if stream in there}
        for path in paths:
            stream = stream_of(path.name)
            try:
                dead = left_behind(path, stream) is not None
            except FileNotFoundError:  # compressed or removed meanwhile
                continue
            if not dead:
                self._alive[stream] = now
            elif stream in self._alive and newest < self._alive[stream]:
                yield stream
