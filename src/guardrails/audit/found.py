"""What a sink can say about the place where it writes, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclosed:
    """
    A stream without a close record, whose writer is gone.

    Args:
        stream: Its id.
        records: Complete lines, by the number of the last one.
        tail_bytes: Bytes of an incomplete last line.
    """

    stream: str
    records: int
    tail_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What lay there when a stream was opened.

    Args:
        streams: Ids of the newest streams before it. So that each stream is named by those that come after it, and one that
            is removed whole is missed.
        unclosed: Streams that a dead writer left behind; only at the first opening of a sink.
    """

    streams: tuple[str, ...] = ()
    unclosed: tuple[Unclosed, ...] = ()


NOTHING: Found = Found()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """
    A stream whose time is over, and what it held.

    Args:
        stream: Its id.
        records: How many.
        head: SHA-256 of the last line, in hex.
        root: RFC 6962 root over all lines, in hex.
        ended: When its last record was written.
        retain_days: How long it was kept after that.
        carried: Whether it is long gone, and only its tombstone's own stream expires now.
    """

    stream: str
    records: int
    head: str
    root: str
    ended: str
    retain_days: int
    carried: bool = False
