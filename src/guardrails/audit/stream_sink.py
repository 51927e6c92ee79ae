"""A sink that writes to an open binary stream, such as a pipe to a log shipper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol


class ByteStream(Protocol):
    """What `StreamSink` needs: an open binary file, unbuffered or buffered."""

    def write(self, data: bytes, /) -> int | None:
        """Write *data*; how much of it was taken."""

    def flush(self) -> None:
        """Hand over what is buffered."""


class StreamSink:
    """
    Writes lines to a stream that somebody else opened and will close.

    A stream gives no promise about power cuts, so a log with no other sink asks for `durability="os"`.

    Args:
        stream: Such as `sys.stderr.buffer`, or a pipe. Never a program's standard output that speaks a protocol.
    """

    can_sync: Final = False

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def open(self, stream: str, /) -> None:
        """Nothing to open."""

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:  # noqa: ARG002 - see the class
        """
        Write *lines* and flush.

        Raises:
            OSError: The stream is closed, full, or nobody reads it.
        """
        data = b"".join(lines)
        while data:
            taken = self._stream.write(data)
            if taken is None:  # buffered, or a stream that would block
                taken = len(data)
            if taken <= 0:
                raise OSError("the stream takes no more")
            data = data[taken:]
        self._stream.flush()

    def close(self) -> None:
        """The stream belongs to somebody else."""

    def __repr__(self) -> str:
        return "StreamSink(...)"
