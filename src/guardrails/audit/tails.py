"""What lies in a folder, by the names and the ends of its files."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from guardrails.audit.folder import SUFFIX, log_files, stream_of
from guardrails.audit.found import Unclosed
from guardrails.audit.locks import lock
from guardrails.audit.reading import opened

_NEWEST: Final = 32
_STEP_BYTES: Final = 65_536
_MOST_BYTES: Final = 4 * 1_048_576  # of one file that are looked at
_TAIL_BYTES: Final = 20_480  # longer than a line of the usual bounds; of a longer one, the number is not known
_STREAM: Final = re.compile(r"[0-9a-f]{32}")
_SEQ: Final = re.compile(rb',"seq":([0-9]{1,16}),"stage":"([a-z]+)",')


def last_written(folder: Path, most: int) -> list[Path]:
    """
    The plain log files that were written to last, the newest first.

    Raises:
        OSError: The folder cannot be read.
    """
    plain = [path for path in log_files(folder) if path.name.endswith(SUFFIX)]
    return sorted(plain, key=_written, reverse=True)[:most]


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # compressed or removed meanwhile
        return 0.0


def last_lines(path: Path, most: int | None = None) -> list[bytes]:
    """
    The last complete lines, oldest first, without newlines; as many as lie in the last 4 MiB.

    Read from the end, and no more than that takes: what is looked at every few seconds should not grow with the log.

    Args:
        path: A log file.
        most: How many; None for all.

    Raises:
        OSError: It cannot be read.
    """
    with opened(path) as file:
        size = begin = file.seek(0, os.SEEK_END)
        blocks: list[bytes] = []
        newlines = 0
        while begin > 0 and size - begin < _MOST_BYTES and (most is None or newlines <= most):
            step = min(begin, _STEP_BYTES)
            begin = file.seek(begin - step)
            blocks.append(file.read(step))
            newlines += blocks[-1].count(b"\n")
    lines = b"".join(reversed(blocks)).split(b"\n")[1 if begin else 0 : -1]
    return lines if most is None else lines[-most:]


def newest_streams(folder: Path) -> tuple[str, ...]:
    """
    The streams that began last and have something in them, oldest first.

    Raises:
        OSError: The folder cannot be read.
    """
    found: list[str] = []
    for path in reversed(log_files(folder)):
        stream = stream_of(path.name)
        with contextlib.suppress(FileNotFoundError):  # compressed or removed meanwhile
            if _STREAM.fullmatch(stream) and path.stat(follow_symlinks=False).st_size:
                found.append(stream)
        if len(found) == _NEWEST:
            break
    return tuple(reversed(found))


def unclosed_streams(folder: Path) -> tuple[Unclosed, ...]:
    """
    Streams without a close record whose writer is gone, oldest first.

    Raises:
        OSError: The folder or a file cannot be read.
    """
    found = []
    for path in log_files(folder):
        stream = stream_of(path.name)
        if path.name.endswith(SUFFIX) and _STREAM.fullmatch(stream):
            with contextlib.suppress(FileNotFoundError):
                left = left_behind(path, stream)
                if left is not None:
                    found.append(left)
    return tuple(found)


def left_behind(path: Path, stream: str) -> Unclosed | None:
    """
    What a writer that is gone left without a close record; None where it lives, or closed it.

    Raises:
        FileNotFoundError: It is not there any more.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError:  # somebody else's, or no file: the verifier will say so
        return None
    try:
        size = os.fstat(fd).st_size
        start = max(0, size - _TAIL_BYTES)
        tail = os.pread(fd, size - start, start)
        complete, _, cut = tail.rpartition(b"\n")
        last = _SEQ.search(complete.rpartition(b"\n")[2])
        if not tail or (last is not None and last[2] == b"close" and not cut) or not lock(fd, shared=True):
            return None
        return Unclosed(stream=stream, records=int(last[1]) + 1 if last else 0, tail_bytes=len(cut))
    except OSError:
        return None
    finally:
        os.close(fd)
