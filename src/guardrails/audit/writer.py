"""
The way of a record from any thread to its line: who drains the queue, and when.

Rules. `put` may be called from anywhere, also from a garbage collector that runs inside this very code: it appends and, at most,
tries a lock. Only one holder at a time drains the queue: the writer's thread, or with `durability="os"` whoever came first.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from guardrails.audit import lifetime
from guardrails.audit.entry import END, FAILED, FLUSH, INTENT, WAITING, WRITTEN, Entry, Tasks, answer
from guardrails.audit.queue import Queue
from guardrails.audit.record import EventIds
from guardrails.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guardrails.audit.bounds import Bounds
    from guardrails.audit.record import Before
    from guardrails.audit.refusals import Refusals
    from guardrails.audit.streams import Streams

_LOOK_AGAIN_SECONDS: Final = 1.0


class Writer:
    """
    A queue, and the thread that drains it.

    Args:
        streams: Where records go; this writer alone uses it.
        threaded: Whether a thread writes, in batches; else whoever puts an entry writes it.
        deadline_seconds: How long anybody waits for a record.
        bounds: Slots, batch size, rates of refusals.
        show: Gets copies of the lines that were written.
        event_ids: Names records.
        keeps_time: Whether something falls due while nobody sends: checkpoints.

    Attributes:
        is_threaded: Whether a thread writes.
        is_started: Whether `start` has nothing to do.
        epoch: Number of forks behind us; what was begun in another epoch belongs to another process.
    """

    def __init__(
        self,
        streams: Streams,
        *,
        threaded: bool,
        deadline_seconds: float,
        bounds: Bounds,
        show: Callable[[Sequence[bytes]], None],
        event_ids: EventIds,
        keeps_time: bool = False,
    ) -> None:
        self._streams = streams
        self._keeps_time = keeps_time
        self.is_threaded = threaded
        self._deadline_seconds = deadline_seconds
        self._queue = Queue(streams, bounds=bounds, show=show, event_ids=event_ids)
        self.unreserve: Callable[[], None] = self._queue.unreserve
        self.epoch: int = 0
        self.is_closed: bool = False
        self.is_started: bool = False
        self._registered = False
        self._waiting = threading.local()
        self._reset(event_ids)

    def _reset(self, event_ids: EventIds) -> None:
        self.event_ids = event_ids
        self._turn = threading.Lock()  # whose turn it is to drain, without a thread
        self._owner = 0  # the thread that holds the turn
        self._wake = threading.Lock()  # held while the thread has nothing to do
        self._wake.acquire()
        self._idle = False
        self._thread: threading.Thread | None = None
        self.is_started = False
        self._starting = threading.RLock()  # a garbage collector may record a refusal while the thread starts

    # -- admission

    def reserve(self) -> None:
        """
        Take the slot of an outcome to come; the outcome's own line gives it back.

        Raises:
            Unavailable: The log is closed, its sink fails or hangs, or too many sends have no outcome yet.
        """
        streams = self._streams
        if self.is_closed or streams.failed is not None or streams.writing_since or self._keeps_time:
            self._refuse_while_down()
        self._queue.reserve()

    def _refuse_while_down(self) -> None:
        if self.is_closed:
            raise Unavailable("the audit log is closed")
        streams = self._streams
        if streams.failed is not None and (self.is_threaded or streams.rest_seconds()):
            raise Unavailable(f"the audit log cannot be written ({streams.failed}); it is tried again by itself")
        since = streams.writing_since  # read once: the write may end meanwhile
        if since and time.monotonic() - since > self._deadline_seconds:
            raise Unavailable("the audit sink hangs; it is waited for in the background")
        if self._keeps_time and (problem := streams.problem) is not None:
            raise Unavailable(f"the audit log is not anchored: {problem}; it is tried again by itself")

    def health(self) -> dict[str, str | int | bool | None]:
        """Counts, and under "problem" why sends would be refused."""
        facts: dict[str, str | int | bool | None] = {
            "queued": len(self._queue.entries),
            "in_flight": self._queue.under_way,
            "lost": self.lost,
            "lag_ms": round((time.monotonic() - since) * 1_000) if (since := self._streams.writing_since) else 0,
        }
        if self._keeps_time:
            facts["anchor_behind_seconds"] = int(self._streams.behind_seconds)
        try:
            self._refuse_while_down()
        except Unavailable as error:
            facts["problem"] = str(error)
        return facts

    def reserve_decision(self) -> bool:
        """Whether a refusal may be queued as a record of its own."""
        return not self.is_closed and self._queue.reserve_decision()

    @property
    def refusals(self) -> Refusals:
        """Those that are counted together."""
        return self._queue.refusals

    @property
    def lost(self) -> int:
        """Records that could not be written before the log was closed, or came after it."""
        return self._queue.lost

    @property
    def is_ready(self) -> bool:
        """Whether `put` writes in this thread, at once: no thread to hop to, a healthy stream, nobody's turn."""
        return not self.is_threaded and self._streams.is_open and not self._turn.locked()

    def lose_one(self) -> None:
        """Count a record that comes too late to be written."""
        self._queue.lose_one()

    # -- life

    def open(self) -> None:
        """
        Start the stream, and the thread.

        Raises:
            Unavailable: The stream cannot be opened within the deadline.
        """
        self.is_closed = False
        self.start()
        self._refuse_while_down()
        entry = Entry(FLUSH, {})
        entry.expect()
        self.put(entry)
        if self.wait(entry, self._deadline_seconds) != WRITTEN:
            raise Unavailable(f"the audit log cannot be opened ({self._streams.failed or 'it takes too long'})")

    @property
    def last(self) -> Before | None:
        """The last stream that was begun, as far as it was accepted."""
        return self._streams.last

    def start(self) -> None:
        """
        Be looked after, and have a thread if one is needed; cheap when that is so already.

        Raises:
            Unavailable: No thread can be started any more.
        """
        if not self._registered:
            self._registered = True
            lifetime.register(self)
        if self._thread is None and (self.is_threaded or self._keeps_time):
            with self._starting:
                if self._thread is None:
                    run = self._run if self.is_threaded else partial(self._keep_time, self.epoch)
                    self._thread = threading.Thread(target=run, name="guardrails-audit", daemon=True)
                    try:
                        self._thread.start()
                    except RuntimeError:
                        self._thread = None
                        raise Unavailable(
                            "the audit log cannot start its thread: the interpreter is shutting down"
                        ) from None
        self.is_started = True

    def close(self) -> None:
        """Write what is queued, end the stream, stop the thread; within the deadline."""
        if self.is_closed:
            return
        self.is_closed = True
        if not self._registered:
            return
        self.end_stream("close")
        self._registered = self.is_started = False
        if not self.is_threaded and self._thread is not None:
            self._thread = None
            self._signal()
        lifetime.unregister(self)
        self._queue.drop_all()

    def end_stream(self, why: str, /) -> bool:
        """Write what is queued and close the stream; False when this very thread is in the middle of a write."""
        if self._is_quiet() and not self._streams.is_open:
            if self.is_threaded and self.is_closed:
                self._put_end(why)  # nothing to write, but a thread to stop
            return True
        entry = self._put_end(why)
        if self._owner == threading.get_ident():
            return False
        self.wait(entry, self._deadline_seconds)
        return True

    def _is_quiet(self) -> bool:
        """Whether nothing waits, and nobody is writing."""
        busy = not (self._idle or self._thread is None) if self.is_threaded else self._turn.locked()
        return not (self._queue.entries or self._queue.refusals.pending or busy)

    def start_over(self) -> None:
        """In a forked child: what is queued, open or locked belongs to the parent."""
        self.epoch += 1
        self._reset(EventIds())
        self._queue.start_over(self.event_ids)
        self._streams.forget(self.event_ids)

    # -- entries

    def put(self, entry: Entry) -> None:
        """Queue *entry*; without a thread also write it, unless somebody else is at it."""
        if self.is_closed and entry.kind is not END:
            if entry.kind is INTENT or entry.kind is FLUSH:
                answer((entry,), FAILED)
            else:
                self._queue.drop(entry)
            return
        entries = self._queue.entries
        if self.is_threaded:
            entries.append(entry)
            if self._idle:
                self._signal()
        elif entry.members and not entries and self._streams.is_open and self._turn.acquire(blocking=False):
            self._write_one(entry)
        else:
            entries.append(entry)
            self._take_turn()

    def tasks(self) -> Tasks:
        """Those of the event loop that runs in this thread."""
        import asyncio  # noqa: PLC0415 - loaded already: this runs on its loop

        loop = asyncio.get_running_loop()
        known: Tasks | None = getattr(self._waiting, "tasks", None)
        if known is None or known.loop is not loop:
            known = self._waiting.tasks = Tasks(loop, self._deadline_seconds)
        return known

    def wait(self, entry: Entry, seconds: float) -> str:
        """Wait for *entry* in this thread; the state then."""
        if not self.is_threaded:
            until = time.monotonic() + seconds
            while entry.state == WAITING and (left := until - time.monotonic()) > 0:
                if rest := self._streams.rest_seconds():
                    time.sleep(min(rest, left))
                if self._turn.acquire(timeout=left):
                    self._turn.release()
                    self._take_turn()
            return entry.state
        return entry.wait(seconds)

    def _put_end(self, why: str) -> Entry:
        entry = Entry(END, {}, why=why)
        entry.expect()
        self._streams.retry_now()
        self.put(entry)
        if self.is_threaded:
            self._signal()
        return entry

    def _signal(self) -> None:
        try:
            self._wake.release()
        except RuntimeError:  # awake already
            return

    # -- draining

    def _take_turn(self) -> None:
        while self._queue.wants_writing and not self._streams.rest_seconds() and self._turn.acquire(blocking=False):
            self._owner = threading.get_ident()
            try:
                self._queue.write_some()
            finally:
                self._owner = 0
                self._turn.release()
        lifetime.after_write()

    def _write_one(self, entry: Entry) -> None:
        """What `_take_turn` does, for one entry that nobody else waits before; the caller has the turn."""
        queue = self._queue
        self._owner = threading.get_ident()
        try:
            queue.write_one(entry)
        finally:
            self._owner = 0
            self._turn.release()
        if queue.entries or queue.refusals.pending:
            self._take_turn()
        lifetime.after_write()

    def _run(self) -> None:
        streams, queue = self._streams, self._queue
        entries = queue.entries
        while True:
            rest = streams.rest_seconds()
            if rest:
                self._wake.acquire(timeout=rest)
                continue
            due = queue.due_in()
            if not entries and streams.failed is None and due != 0.0:
                self._idle = True
                if not entries:
                    self._wake.acquire(timeout=-1 if due is None else due)
                self._idle = False
                continue
            try:
                ended = queue.write_some()
            except BaseException:  # noqa: BLE001 - a sink may raise anything; in this thread it stops nobody but the log
                ended = not entries
            if ended and self._is_over():
                return

    def _is_over(self) -> bool:
        """Whether the thread may end: nobody opened the log again meanwhile."""
        with self._starting:
            if self.is_closed:
                self._thread = None
            return self.is_closed

    def _keep_time(self, epoch: int) -> None:
        """Without a thread that writes: what is due also gets written while nobody sends."""
        while not self.is_closed and epoch == self.epoch:
            due = self._queue.due_in()
            if due != 0.0:
                self._wake.acquire(timeout=_LOOK_AGAIN_SECONDS if due is None else min(due, _LOOK_AGAIN_SECONDS))
            if self._queue.due_in() == 0.0:
                self._take_turn()
                if self._streams.failed is not None:
                    self._wake.acquire(timeout=_LOOK_AGAIN_SECONDS)
