"""
A copy of every record for the application's own structlog, best-effort.

Only where the application configured structlog, and from a thread of its own: a log handler that hangs, fails or sends
messages itself must not hold up the record that counts. What does not fit in the queue is dropped.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

_QUEUED: Final = 1_000  # records
_log: Final = logging.getLogger("guardrails.audit")


class Mirror:
    """Says each record once more, as the event `guardrails.audit` of a structlog logger of that name."""

    __slots__ = ("_failed", "_lines", "_pid", "_wake", "dropped")

    def __init__(self) -> None:
        self.dropped: int = 0
        self._failed = False
        self._pid = os.getpid()
        self._lines: deque[bytes] = deque(maxlen=_QUEUED)
        self._wake: threading.Event | None = None

    def show(self, lines: Sequence[bytes]) -> None:
        """Queue copies of *lines*, if the application configured structlog."""
        if not structlog.is_configured():
            return
        if self._pid != os.getpid():
            # A forked child: the thread stayed with the parent, and so does what it had not said yet.
            self._pid, self._lines, self._wake = os.getpid(), deque(maxlen=_QUEUED), None
        self.dropped += max(0, len(self._lines) + len(lines) - _QUEUED)
        self._lines.extend(lines)
        if self._wake is None:
            wake = threading.Event()
            try:
                threading.Thread(target=self._run, args=(wake,), name="guardrails-audit-mirror", daemon=True).start()
            except RuntimeError:  # the interpreter is shutting down
                return
            self._wake = wake
        self._wake.set()

    def _run(self, wake: threading.Event) -> None:
        while wake.wait():
            wake.clear()
            while self._lines:
                try:
                    structlog.get_logger("guardrails.audit").info("guardrails.audit", **json.loads(self._lines.popleft()))
                except Exception as error:  # noqa: BLE001 - an application's processor may raise anything, and it is a copy
                    if not self._failed:
                        self._failed = True
                        _log.warning("the application's structlog raised %s for a copy of a record", type(error).__name__)
