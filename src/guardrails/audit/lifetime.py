"""
What happens to writers when their process forks, ends, or is told to end.

Rules. A forked child never touches its parent's stream. At exit, and on SIGTERM where nobody else handles it, what is
queued gets written and each stream ends with its close record. SIGTERM then still kills the process, as it would have.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from types import FrameType


class Mortal(Protocol):
    """What this file needs to know of a writer."""

    def end_stream(self, why: str, /) -> bool:
        """Write what is queued and close the stream; False when this very thread is in the middle of a write."""

    def start_over(self) -> None:
        """Forget everything that belongs to the parent process."""


_writers: Final[dict[int, Mortal]] = {}  # those that have been opened and not closed
_busy: list[bool] = []  # not empty: SIGTERM came while its thread was writing, and waits for that write


def register(writer: Mortal) -> None:
    """Look after *writer* from now on."""
    _writers[id(writer)] = writer
    _watch_sigterm()


def unregister(writer: Mortal) -> None:
    """No longer look after *writer*."""
    _writers.pop(id(writer), None)
    if not _writers and _in_main_thread() and signal.getsignal(signal.SIGTERM) is _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def after_write() -> None:
    """The write that SIGTERM interrupted is complete."""
    if _busy and _in_main_thread():
        _die()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _watch_sigterm() -> None:
    if _in_main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    done = [writer.end_stream("sigterm") for writer in list(_writers.values())]
    if all(done):
        _die()
    _busy.append(True)


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _at_exit() -> None:
    for writer in list(_writers.values()):
        writer.end_stream("exit")


def _in_child() -> None:
    _busy.clear()
    for writer in list(_writers.values()):
        writer.start_over()


atexit.register(_at_exit)  # at import, so that what an application registers later still runs before it
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
