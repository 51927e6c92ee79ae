"""An audit sink in memory that fails and hangs when told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any


class CapturingSink:
    """
    A `Sink` that keeps an audit log's lines in memory: `AuditLog(CapturingSink())`.

    Attributes:
        lines: Every accepted line, in order, over all streams.
        streams: The ids of the streams that were opened.
        durable: Whether each accepted write had to be durable.
        closed: How often it was closed.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.streams: list[str] = []
        self.durable: list[bool] = []
        self.closed: int = 0
        self._error: Exception | None = None
        self._failures = 0
        self._go = threading.Event()
        self._go.set()
        self._hanging = threading.Event()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The lines, parsed."""
        return [json.loads(line) for line in self.lines]

    def fail(self, error: Exception | None = None, *, times: int = 1_000_000_000) -> None:
        """
        Let the next writes fail.

        Args:
            error: What they raise; an `OSError` unless given.
            times: How many of them.
        """
        self._error = error or OSError("the sink was told to fail")
        self._failures = times

    def hang(self) -> None:
        """Let every write wait until `resume`."""
        self._hanging.clear()
        self._go.clear()

    def resume(self) -> None:
        """Writes succeed again; those that hang go on."""
        self._error = None
        self._failures = 0
        self._go.set()

    def wait_until_hanging(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until a write hangs; whether one does."""
        return self._hanging.wait(timeout_seconds)

    def open(self, stream: str, /) -> None:
        """A new stream."""
        self.streams.append(stream)

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Keep *lines*.

        Raises:
            Exception: What `fail` was given.
        """
        if not self._go.is_set():
            self._hanging.set()
            self._go.wait()
        if self._error is not None and self._failures > 0:
            self._failures -= 1
            raise self._error
        self.lines += lines
        self.durable.append(durable)

    def tails(self, most: int, /) -> Iterator[Sequence[bytes]]:
        """The ends of its streams, the newest first."""
        for stream in reversed(self.streams):
            own = [line.removesuffix(b"\n") for line in self.lines if f'"stream":"{stream}"'.encode() in line]
            yield own[-most:]

    def close(self) -> None:
        """Count it."""
        self.closed += 1

    def __repr__(self) -> str:
        return f"CapturingSink({len(self.lines)} lines, {len(self.streams)} streams)"
