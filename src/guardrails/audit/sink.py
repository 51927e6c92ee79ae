"""Where the lines of a stream go. A team implements `Sink` to send records somewhere else; the other protocols are optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guardrails.audit.found import Expired, Found


@runtime_checkable
class Sink(Protocol):
    """
    Takes the lines of one stream after another.

    The writer calls it from one thread at a time, and never again for a stream that failed: after any exception it
    calls `close`, then `open` with a new stream id. A sink needs no lock, no retry and no deadline of its own; one that
    hangs makes sends `Unavailable`, and is waited for in the background.

    Optional: `can_sync = False` says that `durable` cannot be had; `AuditLog` then asks for `durability="os"`.
    """

    def open(self, stream: str, /) -> None:
        """
        Be ready for a new stream; forget any former one.

        Called before a stream's first line, after a failure, and in a forked child.

        Args:
            stream: 32 hex digits.
        """

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Append *lines*, in this order, all or nothing as far as that can be had.

        Returning means accepted: what has been written before may now be acted upon.

        Args:
            lines: Complete lines of the open stream, each with its newline, exactly as they must be stored.
            durable: Whether to return only when a power cut could not take them any more.

        Raises:
            Exception: Anything: the writer gives up this stream, and nobody sends on the strength of these lines.
        """

    def close(self) -> None:
        """Let go of the open stream, if there is one. Never called while `write` runs."""


@runtime_checkable
class Rotating(Protocol):
    """A sink whose streams have an end."""

    def is_full(self) -> bool:
        """Whether the open stream shall be closed and followed by a new one. Asked before each write; quick."""


@runtime_checkable
class Telling(Protocol):
    """A sink that knows what lies where it writes."""

    def found(self) -> Found:
        """What lay there when the open stream was opened. Asked once, after `open`."""


@runtime_checkable
class Readable(Protocol):
    """
    A sink that can be read back: canaries then look whether a record is really there, and chained to the one before.

    Of a sink that cannot, a canary's report says "not read back".
    """

    def tails(self, most: int, /) -> Iterable[Sequence[bytes]]:
        """
        The ends of the streams that were written to last, that of the open stream first; read from where they are stored.

        Called from another thread than the writer's, also while `write` runs.

        Args:
            most: Lines of each stream; of a stream that has not more, all.

        Returns:
            For each stream its last complete lines, oldest first, without their newlines.

        Raises:
            Exception: Anything: the records cannot be read.
        """


@runtime_checkable
class Retaining(Protocol):
    """A sink that removes streams whose time is over. Each gets a record first, and a checkpoint, if there are any."""

    def expired(self) -> Sequence[Expired]:
        """Streams to remove, prepared in the background; quick, and empty most of the time."""

    def remove(self, streams: Iterable[Expired], /) -> None:
        """Remove them: their tombstones are on record."""
