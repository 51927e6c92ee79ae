"""From a database back to files, which is what reviewers, queries and the verifier read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

from guardrails.audit.folder import SUFFIX, make_folder, sync_folder

_STREAM: Final = re.compile("[0-9a-f]{32}")


class Readable(Protocol):
    """A sink that can be read: `SqliteSink`, `PostgresSink`."""

    def streams(self) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Each stream with its lines, oldest first."""


def write_streams(sink: Readable, folder: str | os.PathLike[str]) -> int:
    """
    Write each stream to a file of its own, byte for byte as it was recorded; how many there were.

    Args:
        sink: Where they are.
        folder: New, or without files of these streams.

    Raises:
        OSError: A file cannot be written, or is there already.
        Exception: What the sink raised.
    """
    there = Path(folder).absolute()
    make_folder(there)
    count = 0
    for stream, lines in sink.streams():
        # Numbered, not dated: the order is that of the database. What is no id of a stream is no part of a path either.
        name = stream if _STREAM.fullmatch(stream) else "unnamed"
        fd = os.open(there / f"{count:08}-{name}{SUFFIX}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.writelines(lines)
        count += 1
    sync_folder(there)
    return count
