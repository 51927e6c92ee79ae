"""The files of a log as blocks of whole lines, which is how much of it is held at a time."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from guardrails.audit.reading import LINE_BYTES, Malformed, parse, source

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
    with source(path) as file:
        file.seek(begin)
        try:
            while block := file.read(BLOCK_BYTES):
                if not block.endswith(b"\n"):
                    block += file.readline(LINE_BYTES)
                end = block.rfind(b"\n") + 1
                yield block if end == len(block) else block[:end]
                if end < len(block):
                    return  # the end of the file, or a line that no writer makes: what follows is for the verifier
        except (EOFError, zlib.error) as error:
            raise OSError(errno.EIO, f"damaged ({type(error).__name__})", path.name) from None


def record_of(line: bytes) -> dict[str, Any] | None:
    """A line, with its newline, as a record; None if it is none."""
    if not line.endswith(b"\n"):
        return None
    try:
        return parse(line[:-1])
    except Malformed:
        return None
