"""
Streams whose time is over: first their tombstones are on record, then those are under a checkpoint, then the streams go.

In that order, so that nobody can call a stream expired which was not, and a crash between the steps loses nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from guardrails.audit import record
from guardrails.audit.sink import Retaining

if TYPE_CHECKING:
    from guardrails.audit.chain import Chain
    from guardrails.audit.found import Expired
    from guardrails.audit.record import EventIds
    from guardrails.audit.sink import Sink


_log: Final = logging.getLogger("guardrails.audit")


class Burial:
    """
    Of the streams of one sink.

    Args:
        sink: Whose; nothing expires in one that keeps everything.
    """

    __slots__ = ("_retaining", "_waiting")

    def __init__(self, sink: Sink) -> None:
        self._retaining: Retaining | None = sink if isinstance(sink, Retaining) else None
        self._waiting: list[tuple[int, Expired]] = []  # to be removed, and the record that bears witness of it

    def __bool__(self) -> bool:
        """Whether a stream waits for its removal."""
        return bool(self._waiting)

    def tombstones(self, chain: Chain, event_ids: EventIds, lines: list[bytes]) -> bool:
        """Add tombstones for what the sink wants to remove to *lines*; whether there are any."""
        if self._retaining is None:
            return False
        expired = list(self._retaining.expired())
        lines += [chain.link(record.tombstone(event_ids(), one)) for one in expired]
        self._waiting += [(chain.seq, one) for one in expired]
        return bool(expired)

    def remove(self, until: int) -> None:
        """Have the sink remove the streams whose tombstones are among the first *until* records, if it can."""
        gone = [one for at, one in self._waiting if at <= until]
        if gone and self._retaining is not None:
            self._waiting = [(at, one) for at, one in self._waiting if at > until]
            try:
                self._retaining.remove(gone)
            except Exception as error:  # noqa: BLE001 - they stay, and are told of again; the log itself is well
                _log.warning("%d audit streams whose time is over cannot be removed (%s)", len(gone), type(error).__name__)

    def forget(self) -> None:
        """Their tombstones are on no record, or on one that is over: the sink tells of them again."""
        self._waiting = []
