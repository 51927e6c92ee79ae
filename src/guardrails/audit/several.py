"""
Several sinks at once: each in a thread of its own, so that one that hangs holds up nobody but those who need it.

Rules. A batch counts when every required sink has it, and at least `min_success` of all. A sink that fails, or lags too far
behind, misses the rest of the stream: what it holds is cut short, and its verifier will say so. It joins again at the next
stream, which is begun for its sake, at first after half a minute, and at most every ten minutes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from guardrails.audit.found import NOTHING, Expired, Found
from guardrails.audit.sink import Retaining, Rotating, Telling

if TYPE_CHECKING:
    from guardrails.audit.sink import Sink

_LAG_BYTES: Final = 33_554_432  # that a sink may be behind
_REJOIN_SECONDS: Final = 30.0
_REJOIN_AT_MOST_SECONDS: Final = 600.0
_log: Final = logging.getLogger("guardrails.audit")


class SinksFailedError(OSError):
    """Too few sinks took a batch, or not in time."""


class _Vote:
    """Who has taken one batch."""

    __slots__ = ("_changed", "failed", "taken")

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.taken: set[int] = set()
        self.failed: set[int] = set()

    def cast(self, lane: int, *, taken: bool) -> None:
        with self._changed:
            (self.taken if taken else self.failed).add(lane)
            self._changed.notify_all()

    def wait(self, decided: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(decided, seconds)


class _Lane:
    """One sink and its thread."""

    def __init__(self, index: int, sink: Sink, *, required: bool) -> None:
        self.index = index
        self.sink = sink
        self.required = required
        self.missed: str | None = None  # the stream of which it misses something
        self.expired: set[str] = set()  # streams that it wants to remove
        self._given = self._done = 0  # bytes; each written by one thread alone
        self.rejoin_seconds = _REJOIN_SECONDS
        self.rejoin_at = 0.0
        self._tasks: deque[tuple[str, int, Callable[[], None], _Vote | None]] = deque()
        self._wake = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def put(self, stream: str, size: int, task: Callable[[], None], vote: _Vote | None) -> None:
        """Have *task* done after everything before it."""
        self._given += size
        self._tasks.append((stream, size, task, vote))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="guardrails-audit-sink", daemon=True)
            self._thread.start()
        self._wake.release()

    @property
    def behind(self) -> int:
        """Bytes that wait."""
        return self._given - self._done

    def miss(self, stream: str, why: str) -> None:
        """It misses something of *stream*, and so gets no more of it."""
        if self.missed != stream:
            self.missed = stream
            self.rejoin_at = time.monotonic() + self.rejoin_seconds
            self.rejoin_seconds = min(2 * self.rejoin_seconds, _REJOIN_AT_MOST_SECONDS)
            _log.error("an audit sink (%s) misses the rest of a stream: %s", type(self.sink).__name__, why)

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            stream, size, task, vote = self._tasks.popleft()
            taken = False
            if stream != self.missed:
                try:
                    task()
                except BaseException as error:  # noqa: BLE001 - a sink may raise anything; it is out until the next stream
                    self.miss(stream, type(error).__name__)
                    with contextlib.suppress(BaseException):
                        self.sink.close()
                else:
                    taken = True
            self._done += size
            if vote is not None:
                vote.cast(self.index, taken=taken)


class SeveralSinks:
    """
    Hands each stream to several sinks.

    Args:
        sinks: Each with whether it is required; as `given` again.
        min_success: How many must take each batch, required or not.
        deadline_seconds: How long anybody waits for a sink.
    """

    def __init__(self, sinks: Iterable[tuple[Sink, bool]], *, min_success: int, deadline_seconds: float) -> None:
        self.given: tuple[tuple[Sink, bool], ...] = tuple(sinks)
        self.min_success: int = min_success
        self._deadline_seconds = deadline_seconds
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lanes = [_Lane(index, sink, required=required) for index, (sink, required) in enumerate(self.given)]
        self._stream = ""

    @property
    def can_sync(self) -> bool:
        """Whether all that are required, or one where none is, can write durably."""
        able = [(getattr(sink, "can_sync", True), required) for sink, required in self.given]
        needed = [can for can, required in able if required]
        return all(needed) if needed else any(can for can, _ in able)

    def open(self, stream: str, /) -> None:
        """Open *stream* in each sink."""
        if self._pid != os.getpid():  # a forked child: the threads stayed with the parent
            self._start()
        self._stream = stream
        vote = _Vote()
        for lane in self._lanes:
            lane.put(stream, 0, _opening(lane, stream), vote)
        self._settle(vote)

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Append *lines* in each sink that has the whole stream so far.

        Raises:
            SinksFailedError: Too few took them, or not in time.
        """
        vote, size = _Vote(), sum(map(len, lines))
        for lane in self._lanes:
            if lane.missed == self._stream:
                vote.failed.add(lane.index)
            elif lane.behind + size > _LAG_BYTES:
                lane.miss(self._stream, "too far behind")
                vote.failed.add(lane.index)
            else:
                lane.put(self._stream, size, _writing(lane, lines, durable=durable), vote)
        self._settle(vote)

    def close(self) -> None:
        """Let each sink go."""
        vote = _Vote()
        for lane in self._lanes:
            lane.put("", 0, lane.sink.close, vote)
        vote.wait(lambda: len(vote.taken | vote.failed) == len(self._lanes), self._deadline_seconds)

    def is_full(self) -> bool:
        """Whether a sink's stream is full, or one that missed something may join again."""
        now = time.monotonic()
        return any(
            now >= lane.rejoin_at
            if lane.missed == self._stream
            else isinstance(lane.sink, Rotating) and lane.sink.is_full()
            for lane in self._lanes
        )

    def found(self) -> Found:
        """The streams that all sinks hold that can tell; what dead writers left in any."""
        told = [lane.sink.found() for lane in self._lanes if isinstance(lane.sink, Telling) and lane.missed != self._stream]
        if not told:
            return NOTHING
        everywhere = set(told[0].streams).intersection(*(one.streams for one in told))
        unclosed = {one.stream: one for each in told for one in each.unclosed}
        return Found(streams=tuple(one for one in told[0].streams if one in everywhere), unclosed=tuple(unclosed.values()))

    def expired(self) -> Sequence[Expired]:
        """Streams to remove, from any sink."""
        found: dict[str, Expired] = {}
        for lane in self._lanes:
            if isinstance(lane.sink, Retaining):
                told = {one.stream: one for one in lane.sink.expired()}
                lane.expired |= told.keys()
                found |= told
        return tuple(found.values())

    def remove(self, streams: Iterable[Expired], /) -> None:
        """Remove them from each sink that wanted that, behind what it has to do: another one may keep them for longer."""
        gone = tuple(streams)
        for lane in self._lanes:
            own = tuple(one for one in gone if one.stream in lane.expired)
            lane.expired.difference_update(one.stream for one in own)
            if own and isinstance(lane.sink, Retaining):
                lane.put(self._stream, 0, _removing(lane.sink, own), None)

    def _settle(self, vote: _Vote) -> None:
        needed = {lane.index for lane in self._lanes if lane.required}
        count = len(self._lanes)

        def decided() -> bool:
            enough = needed <= vote.taken and len(vote.taken) >= self.min_success
            return enough or bool(needed & vote.failed) or count - len(vote.failed) < self.min_success

        vote.wait(decided, self._deadline_seconds)
        if not (needed <= vote.taken and len(vote.taken) >= self.min_success):
            late = "in time " if len(vote.failed) < count else ""
            raise SinksFailedError(f"too few audit sinks took a batch {late}({len(vote.taken)} of {count})")

    def __repr__(self) -> str:
        return f"SeveralSinks({len(self.given)})"


def _opening(lane: _Lane, stream: str) -> Callable[[], None]:
    def task() -> None:
        lane.sink.open(stream)

    return task


def _writing(lane: _Lane, lines: Sequence[bytes], *, durable: bool) -> Callable[[], None]:
    def task() -> None:
        lane.sink.write(lines, durable=durable and getattr(lane.sink, "can_sync", True))
        lane.rejoin_seconds = _REJOIN_SECONDS

    return task


def _removing(sink: Retaining, streams: Sequence[Expired]) -> Callable[[], None]:
    def task() -> None:
        sink.remove(streams)

    return task
