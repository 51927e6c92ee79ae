"""
The way of a record from any thread to its line.

Rules. Entries go through one queue, in order. `put` may be called from anywhere, also from a garbage collector that runs
inside this very code: it appends and, at most, tries a lock. Only one holder at a time drains the queue: the writer's
thread, or with `durability="os"` whoever came first. Intents fail when the sink does; outcomes and decisions stay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from guardrails.audit import lifetime
from guardrails.audit.entry import (
    DECISION,
    END,
    FAILED,
    FLUSH,
    INTENT,
    NOTE,
    OUTCOME,
    WAITING,
    WRITTEN,
    Entry,
    Tasks,
    answer,
)
from guardrails.audit.record import EventIds
from guardrails.audit.refusals import Refusals
from guardrails.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guardrails.audit.bounds import Bounds
    from guardrails.audit.record import Before
    from guardrails.audit.streams import Streams

_KEPT: Final = frozenset((DECISION, NOTE, OUTCOME))
_LOOK_AGAIN_SECONDS: Final = 1.0
_FEW: Final = 8  # entries that are not worth a second write
_RECORD_SECONDS: Final = 20e-6  # about what a sender needs for one record
_log: Final = logging.getLogger("guardrails.audit")


class Writer:
    """
    Queue, slots and the thread.

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
        lost: Records that could not be written before the log was closed, or came after it.
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
        self._bounds = bounds
        self._show = show
        self.epoch: int = 0
        self.lost: int = 0
        self.is_closed: bool = False
        self.is_started: bool = False
        self._registered = False
        self._waiting = threading.local()
        self._reset(event_ids)

    def _reset(self, event_ids: EventIds) -> None:
        self.event_ids = event_ids
        self.refusals: Refusals = Refusals(self._bounds, event_ids)
        self._queue: deque[Entry] = deque()
        self._slots = deque([None] * self._bounds.in_flight, maxlen=self._bounds.in_flight)
        self._decision_slots = deque([None] * self._bounds.decisions_waiting, maxlen=self._bounds.decisions_waiting)
        self._aggregate: Entry | None = None
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
        try:
            self._slots.pop()
        except IndexError:
            raise Unavailable(f"{self._bounds.in_flight} sends have no outcome on record yet") from None

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
            "queued": len(self._queue),
            "in_flight": self._bounds.in_flight - len(self._slots),
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

    def unreserve(self) -> None:
        """Give a slot back that no outcome will."""
        self._slots.append(None)

    def reserve_decision(self) -> bool:
        """Whether a refusal may be queued as a record of its own."""
        if self.is_closed or not self.refusals.permit(time.monotonic()):
            return False
        try:
            self._decision_slots.pop()
        except IndexError:
            return False
        return True

    @property
    def is_ready(self) -> bool:
        """Whether `put` writes in this thread, at once: no thread to hop to, a healthy stream, nobody's turn."""
        return not self.is_threaded and self._streams.is_open and not self._turn.locked()

    def lose_one(self) -> None:
        """Count a record that comes too late to be written."""
        self.lost += 1
        if self.lost == 1:
            _log.error("the audit log was closed while it was in use: what came after is lost, and counted in .lost")

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
        # What is left is lost, but for the end: a thread that hangs in a write must find it afterwards.
        left = [self._queue.popleft() for _ in range(len(self._queue))]
        self._queue.extend(entry for entry in left if entry.kind is END)
        for entry in left:
            self._drop(entry)

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
        return not (self._queue or self.refusals.pending or busy)

    def start_over(self) -> None:
        """In a forked child: what is queued, open or locked belongs to the parent."""
        self.epoch += 1
        self._reset(EventIds())
        self._streams.forget(self.event_ids)

    # -- entries

    def put(self, entry: Entry) -> None:
        """Queue *entry*; without a thread also write it, unless somebody else is at it."""
        if self.is_closed and entry.kind is not END:
            if entry.kind is INTENT or entry.kind is FLUSH:
                answer((entry,), FAILED)
            else:
                self._drop(entry)
            return
        if self.is_threaded:
            self._queue.append(entry)
            if self._idle:
                self._signal()
        elif entry.members and not self._queue and self._streams.is_open and self._turn.acquire(blocking=False):
            self._write_one(entry)
        else:
            self._queue.append(entry)
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
        while (
            (self._queue or self._aggregate_is_due() or self._streams.due_in() == 0.0)
            and not self._streams.rest_seconds()
            and self._turn.acquire(blocking=False)
        ):
            self._owner = threading.get_ident()
            try:
                self._write_some()
            finally:
                self._owner = 0
                self._turn.release()
        lifetime.after_write()

    def _write_one(self, entry: Entry) -> None:
        """What `_write_some` does with a batch of one; the caller has the turn."""
        self._owner = threading.get_ident()
        try:
            line = self._streams.write_one(entry.members)
            lines = self._streams.write([entry.members]) if line is None else [line]
        except Exception:  # noqa: BLE001 - the sink's; Streams has said it, and backs off
            self._put_back([entry])
        except BaseException:
            self._put_back([entry])
            raise
        else:
            entry.state = WRITTEN
            if entry.kind is OUTCOME:
                self._slots.append(None)
            elif entry.kind is DECISION:
                self._decision_slots.append(None)
            self._show(lines)
        finally:
            self._owner = 0
            self._turn.release()
        if self._queue or self.refusals.pending:
            self._take_turn()
        lifetime.after_write()

    def _run(self) -> None:
        streams, queue = self._streams, self._queue
        while True:
            rest = streams.rest_seconds()
            if rest:
                self._wake.acquire(timeout=rest)
                continue
            due = self._due_in()
            if not queue and streams.failed is None and due != 0.0:
                self._idle = True
                if not queue:
                    self._wake.acquire(timeout=-1 if due is None else due)
                self._idle = False
                continue
            if self._write_some() and self._is_over():
                return

    def _is_over(self) -> bool:
        """Whether the thread may end: nobody opened the log again meanwhile."""
        with self._starting:
            if self.is_closed:
                self._thread = None
            return self.is_closed

    def _write_some(self) -> bool:
        """Write one batch; whether it ended the stream."""
        queue = self._queue
        batch: list[Entry] = []
        try:
            most = self._how_many()
            while queue and len(batch) < most:
                batch.append(queue.popleft())
                if batch[-1].kind is END:
                    break
            ends = bool(batch) and batch[-1].kind is END
            if self.refusals.pending:
                self._add_aggregate(batch, now=ends)
            if not ends or self._streams.is_open or len(batch) > 1:
                lines = self._streams.write([entry.members for entry in batch if entry.members])
                if ends:
                    lines += self._streams.end(batch[-1].why)
            else:
                lines = []
        except Exception:  # noqa: BLE001 - the sink's; Streams has said it, and backs off
            self._put_back(batch)
            return any(entry.kind is END for entry in batch)
        except BaseException:
            self._put_back(batch)
            raise
        for entry in batch:
            if entry.kind is OUTCOME:
                self._slots.append(None)
            elif entry.kind is DECISION and entry is not self._aggregate:
                self._decision_slots.append(None)
        answer(batch, WRITTEN)
        if lines:
            self._show(lines)
        return ends

    def _how_many(self) -> int:
        """
        How many entries the next batch takes.

        Where all sends that are under way wait here, and the disk is quick, half of them: while it has those, nobody would do
        anything. From then on one half is written while the other half sends and comes back with its next records.
        """
        waiting = len(self._queue)
        under_way = self._bounds.in_flight - len(self._slots)
        if waiting > _FEW and 0 < under_way <= waiting and self._streams.took_seconds < waiting * _RECORD_SECONDS:
            waiting //= 2
        return min(waiting, self._bounds.batch_records)

    def _due_in(self) -> float | None:
        """Seconds until there is something to write that nobody puts: counted refusals, or a checkpoint."""
        dues = (self.refusals.due_in(time.monotonic()), self._streams.due_in())
        return min((due for due in dues if due is not None), default=None)

    def _keep_time(self, epoch: int) -> None:
        """Without a thread that writes: what is due also gets written while nobody sends."""
        while not self.is_closed and epoch == self.epoch:
            due = self._due_in()
            if due != 0.0:
                self._wake.acquire(timeout=_LOOK_AGAIN_SECONDS if due is None else min(due, _LOOK_AGAIN_SECONDS))
            if self._due_in() == 0.0:
                self._take_turn()
                if self._streams.failed is not None:
                    self._wake.acquire(timeout=_LOOK_AGAIN_SECONDS)

    def _aggregate_is_due(self) -> bool:
        waits = self._aggregate is not None and self._aggregate.state != WRITTEN
        return self.refusals.pending and not waits and self.refusals.due_in(time.monotonic()) == 0.0

    def _add_aggregate(self, batch: list[Entry], *, now: bool) -> None:
        if now or self._aggregate_is_due():
            members = self.refusals.take()
            if members is not None:
                self._aggregate = Entry(DECISION, members)
                batch.insert(len(batch) - now, self._aggregate)

    def _put_back(self, batch: list[Entry]) -> None:
        kept = [entry for entry in batch if entry.kind in _KEPT]
        self._queue.extendleft(reversed(kept))
        answer([entry for entry in batch if entry.kind not in _KEPT], FAILED)

    def _drop(self, entry: Entry) -> None:
        if entry.kind is OUTCOME:
            self._slots.append(None)
        if entry.is_record:
            self.lose_one()
