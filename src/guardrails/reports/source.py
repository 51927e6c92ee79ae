"""The files of a log as blocks of whole lines, which is how much of it is held at a time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

from guardrails.audit import reading
from guardrails.audit.reading import LINE_BYTES, Malformed, parse

BLOCK_BYTES: Final = 4_194_304


def blocks(path: Path, begin: int = 0) -> Iterator[bytes]:
    """
    A file in blocks of whole lines; an incomplete last line is left out.

    Args:
        path: The file.
        begin: Where its first wanted line begins, in bytes, uncompressed.

    Raises:
        OSError: It is not a regular file, cannot be read, or does not decompress.
    """
    held = b""
    with opened(path) as file:
        file.seek(begin)
        while True:
            try:
                more = file.read(BLOCK_BYTES)
            except (EOFError, zlib.error) as error:
                raise OSError(f"damaged ({type(error).__name__})") from None
            if not more:
                return
            end = more.rfind(b"\n") + 1
            if end:
                yield held + more[:end]
                held = more[end:]
            elif len(held) + len(more) <= LINE_BYTES + BLOCK_BYTES:
                held += more
            else:
                return  # no writer makes such lines: whatever follows is for the verifier


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """
    A log file for reading, decompressed if its name says so.

    Raises:
        OSError: It is not a regular file, or cannot be read.
    """
    with reading.opened(path) as file:  # a GzipFile does not close what it reads from
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if path.name.endswith(".gz") else file


def record_of(line: bytes) -> dict[str, Any] | None:
    """A line, with its newline, as a record; None if it is none."""
    if not line.endswith(b"\n"):
        return None
    try:
        return parse(line[:-1])
    except Malformed:
        return None
