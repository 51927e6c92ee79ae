"""
What is in a file, without waiting for ever.

Sends, reloads and switches read files that somebody may replace by a pipe. Whoever waits for a pipe that nobody writes to waits
with all locks that it holds.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from typing import Final

PIPE_SECONDS: Final = 5.0  # for what comes out of a pipe


def contents(path: str | os.PathLike[str], most: int, *, pipes: bool = True) -> bytes:
    """
    The bytes of a file, or of a pipe such as a shell's `<(command)`.

    Args:
        path: The file.
        most: Bytes; of a longer one a byte more comes back, so that it can be told.
        pipes: Whether it may be something else than a file.

    Raises:
        OSError: It cannot be read, is no file, or nothing comes out of it for `PIPE_SECONDS`.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not pipes and not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return _read(handle, most, time.monotonic() + PIPE_SECONDS)
    finally:
        os.close(handle)


def _read(handle: int, most: int, until: float) -> bytes:
    ready = select.poll()
    ready.register(handle, select.POLLIN)
    found: list[bytes] = []
    left = most + 1
    while left:
        try:
            block = os.read(handle, left)
        except BlockingIOError:  # a pipe: more may come
            if not ready.poll(max(0.0, until - time.monotonic()) * 1e3):
                raise TimeoutError(errno.ETIMEDOUT, "nothing comes out of it") from None
            continue
        if not block:
            break
        found.append(block)
        left -= len(block)
    return b"".join(found)
