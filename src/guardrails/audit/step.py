"""
The step that writes the intent at the door, and the outcome when the send is over.

Break-glass. Where the platform gave the log an emergency sink, a message of the class "emergency" whose intent the log cannot
write goes on the record there, and out. That is said loudly, and put on the log's own record once it works again.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from guardrails.audit import message_record, record
from guardrails.audit.entry import INTENT, NOTE, OUTCOME, WRITTEN, Entry
from guardrails.core.control import Outcome
from guardrails.core.message_class import stated_class
from guardrails.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guardrails.audit.scribe import Scribe
    from guardrails.audit.writer import Writer
    from guardrails.core.call import Call
    from guardrails.core.control import Io, Sealed

EMERGENCY: Final = "emergency"
_monotonic: Final = time.monotonic
_log: Final = logging.getLogger("guardrails.audit")


@dataclass(slots=True, kw_only=True, eq=False)
class Book:
    """
    What the steps of one log share.

    Args:
        name: The log's.
        seconds: An intent that takes longer is refused.
        deadline_seconds: Core's bound; later than our own, which knows what became of the intent.
        writer: Of the log.
        emergency: Of the reserved sink; None where the platform did not allow it.
        scribe: Makes its records.
        used: Messages that went out on the emergency record since the log was last reconciled.
    """

    name: str
    seconds: float
    deadline_seconds: float
    writer: Writer
    emergency: Writer | None
    scribe: Scribe
    used: int = 0

    def reconcile(self) -> None:
        """Close the emergency record, and put on the log's own what went there. The log works: it has just taken an intent."""
        used, self.used = self.used, 0
        writer = self.emergency
        if writer is None or not used:
            return
        writer.end_stream("reconciled")
        last = writer.last
        told: dict[str, str | int | bool | None] = {"messages": used}
        if last is not None:
            told |= {"head": last.head, "records": last.records, "stream": last.stream}
        _log.error("the audit log works again: %d messages went out on its emergency record meanwhile", used)
        self.writer.put(Entry(NOTE, record.config(self.writer.event_ids(), change=EMERGENCY, named=told)))


class IntentStep:
    """One send's intent and outcome."""

    __slots__ = ("_book", "_call", "_epoch", "_send_id", "_settled", "_writer", "record_id", "reply")

    phase: str = "intent"

    def __init__(self, book: Book, call: Call) -> None:
        self._book = book
        self._call = call
        self._writer = book.writer
        self._send_id = ""
        self._settled = True  # nothing to say until an intent has been handed over
        self._epoch = 0
        self.record_id: str | None = None
        self.reply: str | None = None  # keyed digest of the reply, where it has one

    @property
    def store(self) -> Book:
        """Intents of one log are one stream."""
        return self._book

    @property
    def deadline_seconds(self) -> float:
        """See `Book`."""
        return self._book.deadline_seconds

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - one log, one intent
        """Write the intent before the send."""
        book = self._book
        try:
            await self._write(book.writer, sealed, io)
        except Unavailable:
            if book.emergency is None or stated_class(sealed.message) != EMERGENCY:
                raise
            self.settle(Outcome("abandoned"))  # if it was handed over after all, it was not on the strength of it
            await self._write(book.emergency, sealed, io)
            book.used += 1
            _log.critical("break-glass: a message of the class emergency goes out on the emergency record alone")
        else:
            if book.used:
                book.reconcile()

    async def _write(self, writer: Writer, sealed: Sealed, io: Io) -> None:
        book = self._book
        try:
            if not writer.is_started:
                writer.start()
            writer.reserve()
        except Unavailable as error:
            error.control = book.name
            raise
        event_id = writer.event_ids()
        try:
            entry = Entry(INTENT, book.scribe.intent(self._call, sealed, event_id, emergency=writer is not book.writer))
        except BaseException:
            writer.unreserve()
            raise
        seconds = book.seconds
        until = _monotonic() + seconds
        # From here on the intent may be on record, whatever happens: it will get an outcome.
        self._writer, self._send_id, self._epoch, self._settled = writer, sealed.send_id, writer.epoch, False
        self.record_id = event_id
        if writer.is_ready:
            writer.put(entry)
            if entry.state is not WRITTEN:  # somebody else's turn came between
                await io.ask(blocking=lambda: writer.wait(entry, seconds))
        else:
            await io.ask(blocking=lambda: put_and_wait(writer, entry, seconds), awaiting=_awaiting(writer, entry))
        if entry.state is not WRITTEN or _monotonic() > until:
            raise Unavailable(why_not(entry, seconds), control=book.name)

    async def undo(self, io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Nothing was sent: say so, if the intent is on record or may yet be."""
        self.settle(Outcome("abandoned"))

    def settle(self, outcome: Outcome, /) -> None:
        """Queue the outcome; the slot for it was reserved with the intent."""
        writer = self._writer
        if self._settled or self._epoch != writer.epoch:  # after a fork inside a send, the parent tells the outcome
            return
        self._settled = True
        if self._call.canary is not None:
            writer.unreserve()
            return
        members = message_record.outcome(
            writer.event_ids(), self._send_id, outcome, self._book.scribe.room, self._call.policy
        )
        if self.reply is not None:
            members["reply"] = f'"reply":"{self.reply}"'
        writer.put(Entry(OUTCOME, members))


def put_and_wait(writer: Writer, entry: Entry, seconds: float) -> str:
    """Queue *entry* and wait for it in this thread; its state then."""
    entry.expect()
    writer.put(entry)
    return writer.wait(entry, seconds)


def why_not(entry: Entry, seconds: float) -> str:
    """Why an entry is not on record."""
    if entry.state == "failed":
        return "the audit log cannot be written; it is tried again by itself"
    return f"the intent was not on record within {seconds:g} s"


def _awaiting(writer: Writer, entry: Entry) -> Callable[[], Awaitable[object]] | None:
    if not writer.is_threaded:
        return None

    def put() -> Awaitable[object]:
        tasks = writer.tasks()
        entry.loop, entry.future = tasks.loop, tasks.future()
        writer.put(entry)
        return entry.future

    return put
