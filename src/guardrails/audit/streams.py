"""
One writer's streams, one after another: a stream that failed is given up, and the next one names it.

Nothing here locks: whoever calls has made sure that nobody else does.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

from guardrails.audit import record
from guardrails.audit.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from guardrails.audit.anchors import Checkpoints
    from guardrails.audit.record import EventIds, Members
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
        writing_since: Monotonic seconds when the write that runs now began; 0.0 without one.
    """

    __slots__ = (
        "_backoff_seconds",
        "_chain",
        "_checkpoints",
        "_config",
        "_down_until",
        "_durable",
        "_event_ids",
        "_library",
        "_previous",
        "_render",
        "_sink",
        "_why",
        "failed",
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
        self._render = render
        self._durable = durable
        self._event_ids = event_ids
        self._library = library
        self._config = config
        self._checkpoints = checkpoints
        self._chain: Chain | None = None
        self._previous: str | None = None  # the last stream whose genesis was accepted
        self._why = "start"
        self._backoff_seconds = _BACKOFF_SECONDS
        self._down_until = 0.0
        self.failed: str | None = None
        self.writing_since: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a stream is open and healthy."""
        return self._chain is not None

    def rest_seconds(self) -> float:
        """Seconds until a failed sink may be tried again."""
        return max(0.0, self._down_until - time.monotonic()) if self._down_until else 0.0

    def retry_now(self) -> None:
        """Do not wait for the end of the back-off."""
        self._down_until = 0.0

    def write(self, records: Iterable[Members]) -> list[bytes]:
        """
        Write *records*, in a new stream if none is open; the lines that were accepted.

        Raises:
            Exception: What the sink raised; the stream has been given up.
        """
        self.writing_since = time.monotonic()
        try:
            chain = self._chain
            lines: list[bytes] = []
            if chain is None:
                chain = self._begin()
                lines.append(chain.link(self._genesis()))
            lines += map(chain.link, records)
            if lines:
                self._sink.write(lines, durable=self._durable)
                self._checkpoints.follow(chain.stream, lines)
        except BaseException as error:  # also an interrupt: nobody knows how much of the line is in the file
            self._give_up(error)
            raise
        finally:
            self.writing_since = 0.0
        if chain is not self._chain:
            self._began(chain)
        return lines

    def write_one(self, members: Members) -> bytes:
        """
        `write` for one record and an open stream, for whoever counts microseconds; the line that was accepted.

        Raises:
            Exception: What the sink raised; the stream has been given up.
        """
        self.writing_since = time.monotonic()
        try:
            line = self._chain.link(members)  # type: ignore[union-attr]  # the caller has asked is_open
            self._sink.write((line,), durable=self._durable)
            if self._checkpoints.is_on:
                self._checkpoints.follow(self._chain.stream, (line,))  # type: ignore[union-attr]  # as above
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
            line = chain.link(record.close(self._event_ids(), why=why, records=chain.seq + 1))
            self._sink.write([line], durable=True)
            self._checkpoints.follow(chain.stream, [line], now=True)
            self._sink.close()
        except BaseException as error:
            self._give_up(error)
            raise
        finally:
            self.writing_since = 0.0
        self._chain, self._why = None, why
        return [line]

    def forget(self, event_ids: EventIds) -> None:
        """In a forked child: the stream is the parent's."""
        self._chain, self._why = None, "fork"
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
            self._event_ids(), why=self._why, previous=self._previous, library=self._library, config=self._config
        )

    def _began(self, chain: Chain) -> None:
        if self.failed is not None:
            _log.warning("the audit sink works again, in a new stream")
        self._chain, self._previous = chain, chain.stream
        self._down_until, self._backoff_seconds, self.failed = 0.0, _BACKOFF_SECONDS, None

    def _give_up(self, error: BaseException) -> None:
        self._chain, self._why, self.writing_since = None, "sink_failed", 0.0
        first, self.failed = self.failed is None, type(error).__name__
        self._down_until = time.monotonic() + self._backoff_seconds
        self._backoff_seconds = min(2 * self._backoff_seconds, _BACKOFF_AT_MOST_SECONDS)
        try:
            self._sink.close()
        except Exception as again:  # noqa: BLE001 - it is given up anyway
            _log.debug("the audit sink raised %s when closed", type(again).__name__)
        if first:
            _log.error("the audit sink failed (%s): sends are refused until it works again", self.failed)
