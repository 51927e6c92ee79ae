"""
Reading a log: lines of a file, records of a directory. Nothing here trusts what it reads.

Imports no more than the standard library, so that a reviewer's machine needs nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import stat
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from guardrails.audit.folder import SUFFIX, log_files

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_BYTES: Final = 1_048_576 + 1  # no writer makes longer lines; a longer one is read in pieces and is none


def _no_number(_text: str) -> None:
    raise ValueError("records hold whole numbers only")


_DECODER: Final = json.JSONDecoder(parse_float=_no_number, parse_constant=_no_number)


class Malformed(ValueError):
    """A line is no record; the message says why, in our words."""


class Damaged(OSError):
    """A compressed file is not what was compressed."""


def files(folder: str | os.PathLike[str]) -> list[Path]:
    """
    The log files of a directory, oldest first.

    Raises:
        OSError: It is not a directory, or cannot be read.
    """
    return log_files(folder)


def opened(path: Path) -> IO[bytes]:
    """
    A log file, for reading.

    Raises:
        OSError: It is not a regular file, or cannot be read.
    """
    # O_NONBLOCK: a pipe that somebody put there must not hold us up.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path.name)
    return os.fdopen(descriptor, "rb")


@contextlib.contextmanager
def source(path: Path) -> Iterator[IO[bytes]]:
    """
    What a log file holds, decompressed; of one that was compressed since it was listed, what its twin holds.

    Raises:
        OSError: It is not a regular file, or cannot be read.
    """
    try:
        file = opened(path)
    except FileNotFoundError:
        if not path.name.endswith(SUFFIX):
            raise
        path = path.with_name(path.name + ".gz")
        file = opened(path)
    with file:  # a GzipFile does not close what it reads from
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if path.name.endswith(".gz") else file


def lines(path: Path) -> Iterator[bytes]:
    """
    The lines of one file with their newlines; only the last may lack it.

    Raises:
        OSError: It is not a regular file, or cannot be read.
        Damaged: It is compressed, and does not decompress.
    """
    with source(path) as file:
        try:
            while line := file.readline(LINE_BYTES):
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Damaged(errno.EIO, "not what was compressed", path.name) from None


def parse(line: bytes) -> dict[str, Any]:
    """
    One line as a record.

    Args:
        line: Without its newline.

    Raises:
        Malformed: It is not the canonical form of a JSON object (RFC 8785): anything else could be read in two ways.
    """
    try:
        record = _DECODER.decode(line.decode("utf-8"))
        canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise Malformed("not UTF-8") from None
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(record, dict):
        raise Malformed("not a JSON object")
    if canonical != line:
        raise Malformed("not in canonical form")
    return record


def seconds_of(ts: str) -> float:
    """The time of a record, in seconds since 1970; 0 for what is no time."""
    try:
        return datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
    except ValueError:  # such as the 31st of February
        return 0.0


def read_records(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """
    The records of a directory, stream by stream; lines that are no records are left out (`verify_directory` names them).

    Raises:
        OSError: The directory or a file cannot be read.
    """
    for path in files(folder):
        for line in lines(path):
            if line.endswith(b"\n"):
                try:
                    yield parse(line[:-1])
                except Malformed:
                    continue


def intents(folder: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """
    The intents of a directory by `send_id`.

    Raises:
        OSError: The directory or a file cannot be read.
    """
    return {str(record.get("send_id")): record for record in read_records(folder) if record.get("stage") == "intent"}
