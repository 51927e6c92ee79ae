"""Sinks that do what disks do, and worse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from guardrails.audit import AuditLog, read_records
from guardrails.audit.bounds import Bounds
from guardrails.core.guard import Guard
from guardrails.keys import Keys

KEYS = Keys(b"k" * 32)
PHONE = "+12125550173"


class MemorySink:
    """Keeps the lines of each stream."""

    def __init__(self) -> None:
        self.streams: dict[str, list[bytes]] = {}
        self.durable: list[bool] = []
        self.open_streams: list[str] = []

    def open(self, stream: str, /) -> None:
        self.streams[stream] = []
        self.open_streams = [stream]

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        self.durable.append(durable)
        self.streams[self.open_streams[0]] += lines

    def close(self) -> None:
        self.open_streams = []

    def dump(self, folder: Path) -> Path:
        """As files, to read and verify."""
        folder.mkdir(exist_ok=True)
        for number, (stream, lines) in enumerate(self.streams.items()):
            (folder / f"{number:04}-{stream}.jsonl").write_bytes(b"".join(lines))
        return folder


class FailingSink(MemorySink):
    """Raises while `broken` is true; the first line of a batch may get through, as on a full disk."""

    def __init__(self, *, broken: bool = False, torn: bool = False) -> None:
        super().__init__()
        self.broken = broken
        self.torn = torn
        self.calls = 0

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        self.calls += 1
        if self.broken:
            if self.torn:
                super().write([lines[0][: len(lines[0]) // 2]], durable=durable)
            raise OSError(28, "No space left on device")
        super().write(lines, durable=durable)


class GatedSink(MemorySink):
    """Hangs in `write` while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        self.entered.set()
        if not self.gate.wait(15):
            raise OSError("the test forgot to open the gate")
        super().write(lines, durable=durable)


def guarded(
    log: AuditLog, *controls: object, send: Callable[[str, str], object] | None = None
) -> Callable[[str, str], object]:
    """A guarded send of (to, body)."""

    def deliver(to: str, body: str) -> object:
        return send(to, body) if send else "sent"

    return Guard(log, *controls, channel="sms")(deliver)  # type: ignore[arg-type]  # tests pass what Guard accepts


def stages(folder: Path) -> list[str]:
    return [str(record["stage"]) for record in read_records(folder)]


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what another thread or process is about to do."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("it did not happen")
        time.sleep(0.002)


SMALL = Bounds(in_flight=4, decisions_burst=3, decisions_per_second=1, decisions_waiting=3, aggregate_seconds=1)
