"""
One writer's streams, one after another.

A stream that failed is given up, one that is full is closed, and the next one names it, how much of it was accepted, and
the hash of its last record.

Nothing here locks: whoever calls has made sure that nobody else does.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

from guardrails.audit import record
from guardrails.audit.burial import Burial
from guardrails.audit.chain import Chain
from guardrails.audit.found import NOTHING
from guardrails.audit.record import Before
from guardrails.audit.sink import Rotating, Telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from guardrails.audit.checkpoints import Checkpoints
    from guardrails.audit.fields import Members
    from guardrails.audit.found import Found
    from guardrails.audit.record import EventIds
    from guardrails.audit.sink import Sink

_BACKOFF_SECONDS: Final = 0.1  # doubled with each failure
_BACKOFF_AT_MOST_SECONDS: Final = 5.0
_log: Final = logging.getLogger("guardrails.audit")


class Streams:
    """
    Turns members into lines of the open stream and hands them to the sink.

    Args:
        sink: Where the lines go.
        render: Makes a stream's line function from its id.
        durable: Whether each write waits for stable storage.
        event_ids: For genesis and close records.
        library: Version of this library.
        config: What the genesis record says about the log.
        checkpoints: Signs and anchors what was written.

    Attributes:
        failed: Class name of what the sink raised last; None while all is well.
        took_seconds: How long the last batch took.
        writing_since: Monotonic seconds when the write that runs now began; 0.0 without one.
        last: The last stream whose genesis was accepted, up to what was accepted; None before the first.
    """

    __slots__ = (
        "_backoff_seconds",
        "_burial",
        "_chain",
        "_checkpoints",
        "_config",
        "_down_until",
        "_durable",
        "_event_ids",
        "_is_full",
        "_last",
        "_library",
        "_render",
        "_sink",
        "_told",
        "_why",
        "failed",
        "took_seconds",
        "writing_since",
    )

    def __init__(
        self,
        sink: Sink,
        render: Callable[[str], Callable[[Members], bytes]],
        *,
        durable: bool,
        event_ids: EventIds,
        library: str,
        config: Mapping[str, str | int],
        checkpoints: Checkpoints,
    ) -> None:
        self._sink = sink
        self._is_full: Callable[[], bool] | None = sink.is_full if isinstance(sink, Rotating) else None
        self._burial = Burial(sink)
        self._render = render
        self._durable = durable
        self._event_ids = event_ids
        self._library = library
        self._config = config
        self._checkpoints = checkpoints
        self._chain: Chain | None = None
        self._last: Before | Chain | None = None
        self._why = "start"
        self._told: str | None = None  # what is on record of anchors that fail
        self._backoff_seconds = _BACKOFF_SECONDS
        self._down_until = 0.0
        self.failed: str | None = None
        self.took_seconds: float = 0.0
        self.writing_since: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a stream is open and healthy."""
        return self._chain is not None

    @property
    def last(self) -> Before | None:
        """The last stream that was begun, as far as it was accepted."""
        last = self._last
        if isinstance(last, Chain):
            records, head = last.accepted
            return Before(stream=last.stream, records=records, head=head)
        return last

    def rest_seconds(self) -> float:
        """Seconds until a failed sink may be tried again."""
        return max(0.0, self._down_until - time.monotonic()) if self._down_until else 0.0

    def retry_now(self) -> None:
        """Do not wait for the end of the back-off."""
        self._down_until = 0.0

    @property
    def behind_seconds(self) -> float:
        """For how long a checkpoint has been waiting to be kept."""
        return self._checkpoints.behind_seconds

    @property
    def problem(self) -> str | None:
        """Why nothing may go out on the strength of an open stream; None where nothing speaks against it."""
        return self._checkpoints.problem

    def due_in(self) -> float | None:
        """Seconds until an open stream wants its next checkpoint; None without one."""
        return None if self._chain is None else self._checkpoints.due_in(time.monotonic())

    def write(self, records: Iterable[Members]) -> list[bytes]:
        """
        Write *records*, in a new stream if none is open or the open one is full; the lines that were accepted.

        Raises:
            Exception: What the sink raised; the stream has been given up.
        """
        self.writing_since = began = time.monotonic()
        lines: list[bytes] = []
        try:
            chain = self._chain
            # A full stream stays while a note is missing: the next one could not begin.
            if chain is not None and self._is_full is not None and self._checkpoints.is_idle and self._is_full():
                lines += self._finish(chain, "rotated")
                chain = None
            begun = len(lines)
            begins = chain is None
            if chain is None:
                chain = self._begin()
                lines.append(chain.link(self._genesis()))
            lines += map(chain.link, records)
            buried = self._burial.tombstones(chain, self._event_ids, lines)
            self._tell_of_anchors(chain, lines)
            # What begins a stream is anchored in any case, and has no note before it that a checkpoint could name.
            now = self._checkpoints.is_due(chain.stream, len(lines) - begun) or (
                buried and not begins and self._checkpoints.is_idle
            )
            if now:
                lines += self._with_checkpoint(chain)
            if len(lines) > begun:
                self._accepted(chain, lines[begun:], now=now)
            if self._burial:
                self._remove(chain)
        except BaseException as error:  # also an interrupt: nobody knows how much of the line is in the file
            self._give_up(error)
            raise
        finally:
            self.writing_since = 0.0
        self.took_seconds = time.monotonic() - began
        return lines

    def write_one(self, members: Members) -> bytes | None:
        """
        `write` for one record and an open stream, for whoever counts microseconds; the line that was accepted.

        None: nothing was written, because the stream is full or a checkpoint is due: call `write`.

        Raises:
            Exception: What the sink raised; the stream has been given up.
        """
        chain: Chain = self._chain  # type: ignore[assignment]  # the caller has asked is_open
        if self._is_full is not None and self._is_full():
            return None
        checkpoints = self._checkpoints
        if checkpoints.is_on and (checkpoints.is_due(chain.stream, 1) or self._has_news):
            return None
        self.writing_since = time.monotonic()
        try:
            line = chain.link(members)
            self._sink.write((line,), durable=self._durable)
            if checkpoints.is_on:
                checkpoints.follow(chain.stream, (line,))
            chain.accepted = (chain.seq, chain.prev)
        except BaseException as error:
            self._give_up(error)
            raise
        self.writing_since = 0.0
        return line

    def end(self, why: str) -> list[bytes]:
        """
        Write the close record and let the sink go; the lines that were accepted.

        Raises:
            Exception: What the sink raised; the stream stays without a close record.
        """
        chain = self._chain
        if chain is None:
            return []
        self.writing_since = time.monotonic()
        try:
            lines = self._finish(chain, why)
        except BaseException as error:
            self._give_up(error)
            raise
        finally:
            self.writing_since = 0.0
        return lines

    def forget(self, event_ids: EventIds) -> None:
        """In a forked child: the stream is the parent's."""
        self._last = self.last
        self._chain, self._why = None, "fork"
        self._burial.forget()
        self._checkpoints.stop()
        self._event_ids = event_ids
        self._down_until = self.writing_since = 0.0
        self._backoff_seconds = _BACKOFF_SECONDS
        self.failed = None

    def _begin(self) -> Chain:
        stream = secrets.token_hex(16)
        self._sink.open(stream)
        return Chain(stream, self._render(stream))

    def _genesis(self) -> Members:
        return record.genesis(
            self._event_ids(),
            why=self._why,
            before=self.last,
            library=self._library,
            config=self._config,
            found=self._found(),
        )

    def _found(self) -> Found:
        return self._sink.found() if isinstance(self._sink, Telling) else NOTHING

    def _with_checkpoint(self, chain: Chain) -> list[bytes]:
        before = self._checkpoints.before()
        return [chain.link(record.checkpoint(self._event_ids(), before=before))] if before else []

    @property
    def _has_news(self) -> bool:
        return (self._checkpoints.failed is None) != (self._told is None)

    def _tell_of_anchors(self, chain: Chain, lines: list[bytes]) -> None:
        """Put on record that anchors began to fail, and that they work again."""
        if self._has_news:
            failed = self._checkpoints.failed
            state = "kept" if failed is None else "behind"
            named: dict[str, str | int | bool | None] = {"problem": failed or self._told, "state": state}
            lines.append(chain.link(record.config(self._event_ids(), change="anchor", named=named)))
            self._told = failed
            if failed is None:
                _log.warning("the audit anchors take checkpoints again")

    def _remove(self, chain: Chain) -> None:
        """Have the sink remove what has a tombstone on record, and under a checkpoint, if there are any."""
        self._burial.remove(self._checkpoints.kept(chain.stream) if self._checkpoints.is_on else chain.seq)

    def _accepted(self, chain: Chain, lines: list[bytes], *, now: bool) -> None:
        self._sink.write(lines, durable=self._durable)
        self._checkpoints.follow(chain.stream, lines, now=now)
        chain.accept()
        if chain is not self._chain:
            self._began(chain)

    def _finish(self, chain: Chain, why: str) -> list[bytes]:
        self._checkpoints.wait()
        lines: list[bytes] = []
        self._tell_of_anchors(chain, lines)
        before = self._checkpoints.before()
        lines.append(chain.link(record.close(self._event_ids(), why=why, records=chain.seq + 1, before=before)))
        self._sink.write(lines, durable=True)
        self._checkpoints.finish(chain.stream, lines)
        chain.accept()
        if self._burial:
            self._remove(chain)
            self._burial.forget()
        self._checkpoints.stop()
        self._sink.close()
        self._chain, self._why = None, why
        return lines

    def _began(self, chain: Chain) -> None:
        if self.failed is not None:
            _log.warning("the audit sink works again, in a new stream")
        self._chain = self._last = chain
        self._down_until, self._backoff_seconds, self.failed = 0.0, _BACKOFF_SECONDS, None

    def _give_up(self, error: BaseException) -> None:
        self._chain, self._why, self.writing_since = None, "sink_failed", 0.0
        self._burial.forget()
        self._checkpoints.stop()
        first, self.failed = self.failed is None, type(error).__name__
        self._down_until = time.monotonic() + self._backoff_seconds
        self._backoff_seconds = min(2 * self._backoff_seconds, _BACKOFF_AT_MOST_SECONDS)
        try:
            self._sink.close()
        except Exception as again:  # noqa: BLE001 - it is given up anyway
            _log.debug("the audit sink raised %s when closed", type(again).__name__)
        if first:
            _log.error("the audit sink failed (%s): sends are refused until it works again", self.failed)
