"""
What waits to be written, the slots that sends have to have, and the way of a batch to its stream.

Rules. `entries` may be added to from anywhere, also from a garbage collector that runs inside this very code. Only one holder at
a time writes. Intents fail when the sink does; outcomes and decisions stay. An outcome gives its slot back once it is written.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from guardrails.audit.entry import DECISION, END, FAILED, NOTE, OUTCOME, WRITTEN, Entry, answer
from guardrails.audit.refusals import Refusals
from guardrails.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guardrails.audit.bounds import Bounds
    from guardrails.audit.record import EventIds
    from guardrails.audit.streams import Streams

_KEPT: Final = frozenset((DECISION, NOTE, OUTCOME))
_FEW: Final = 8  # entries that are not worth a second write
_RECORD_SECONDS: Final = 20e-6  # about what a sender needs for one record
_log: Final = logging.getLogger("guardrails.audit")


class Queue:
    """
    Entries, slots and refusals that are only counted.

    Args:
        streams: Where records go.
        bounds: Slots, batch size, rates of refusals.
        show: Gets copies of the lines that were written.
        event_ids: Names aggregates of refusals.

    Attributes:
        entries: What waits, oldest first.
        lost: Records that could not be written before the log was closed, or came after it.
    """

    __slots__ = ("_aggregate", "_bounds", "_decision_slots", "_show", "_slots", "_streams", "entries", "lost", "refusals")

    def __init__(
        self, streams: Streams, *, bounds: Bounds, show: Callable[[Sequence[bytes]], None], event_ids: EventIds
    ) -> None:
        self._streams = streams
        self._bounds = bounds
        self._show = show
        self.lost: int = 0
        self.start_over(event_ids)

    def start_over(self, event_ids: EventIds) -> None:
        """With nothing in it."""
        self.entries: deque[Entry] = deque()
        self.refusals: Refusals = Refusals(self._bounds, event_ids)
        self._slots = deque([None] * self._bounds.in_flight, maxlen=self._bounds.in_flight)
        self._decision_slots = deque([None] * self._bounds.decisions_waiting, maxlen=self._bounds.decisions_waiting)
        self._aggregate: Entry | None = None

    # -- slots

    @property
    def under_way(self) -> int:
        """Slots that are taken: sends whose outcome is not on record yet."""
        return self._bounds.in_flight - len(self._slots)

    def reserve(self) -> None:
        """
        Take the slot of an outcome to come.

        Raises:
            Unavailable: There is none left.
        """
        try:
            self._slots.pop()
        except IndexError:
            raise Unavailable(f"{self._bounds.in_flight} sends have no outcome on record yet") from None

    def unreserve(self) -> None:
        """Give a slot back that no outcome will."""
        self._slots.append(None)

    def reserve_decision(self) -> bool:
        """Whether a refusal may be queued as a record of its own."""
        if not self.refusals.permit(time.monotonic()):
            return False
        try:
            self._decision_slots.pop()
        except IndexError:
            return False
        return True

    # -- writing, one holder at a time

    def write_one(self, entry: Entry) -> None:
        """Write *entry*, which was not queued, to the open stream."""
        try:
            line = self._streams.write_one(entry.members)
            lines = self._streams.write([entry.members]) if line is None else [line]
        except Exception:  # noqa: BLE001 - the sink's; Streams has said it, and backs off
            self._put_back([entry])
            return
        except BaseException:
            self._put_back([entry])
            raise
        entry.state = WRITTEN
        if entry.kind is OUTCOME:
            self._slots.append(None)
        elif entry.kind is DECISION:
            self._decision_slots.append(None)
        self._show(lines)

    def write_some(self) -> bool:
        """Write one batch; whether it ended the stream."""
        entries = self.entries
        batch: list[Entry] = []
        try:
            most = self._how_many()
            while entries and len(batch) < most:
                batch.append(entries.popleft())
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

    def due_in(self) -> float | None:
        """Seconds until there is something to write that nobody puts: counted refusals, or a checkpoint."""
        dues = (self.refusals.due_in(time.monotonic()), self._streams.due_in())
        return min((due for due in dues if due is not None), default=None)

    @property
    def wants_writing(self) -> bool:
        """Whether there is something to write now."""
        return bool(self.entries) or self._aggregate_is_due() or self._streams.due_in() == 0.0

    # -- what is not written

    def drop(self, entry: Entry) -> None:
        """Leave *entry* unwritten, for ever; a record is counted."""
        if entry.kind is OUTCOME:
            self._slots.append(None)
        if entry.is_record:
            self.lose_one()

    def drop_all(self) -> None:
        """Leave everything unwritten but the end: a thread that hangs in a write must find it afterwards."""
        left = [self.entries.popleft() for _ in range(len(self.entries))]
        self.entries.extend(entry for entry in left if entry.kind is END)
        for entry in left:
            self.drop(entry)

    def lose_one(self) -> None:
        """Count a record that comes too late to be written."""
        self.lost += 1
        if self.lost == 1:
            _log.error("the audit log was closed while it was in use: what came after is lost, and counted in .lost")

    # -- of a batch

    def _how_many(self) -> int:
        """
        How many entries the next batch takes.

        Where all sends that are under way wait here, and the disk is quick, half of them: while it has those, nobody would do
        anything. From then on one half is written while the other half sends and comes back with its next records.
        """
        waiting = len(self.entries)
        if waiting > _FEW and 0 < self.under_way <= waiting and self._streams.took_seconds < waiting * _RECORD_SECONDS:
            waiting //= 2
        return min(waiting, self._bounds.batch_records)

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
        self.entries.extendleft(reversed(kept))
        answer([entry for entry in batch if entry.kind not in _KEPT], FAILED)
