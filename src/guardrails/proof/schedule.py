"""Canaries that come by themselves: one thread a guard, from its first send until it is closed."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from guardrails.core.companion import hear, tell_round
from guardrails.proof.canary import CanaryReport, canary

if TYPE_CHECKING:
    from guardrails.core.guard import Guard

Listener: TypeAlias = Callable[["Guard", CanaryReport], None]

_log: Final = logging.getLogger("guardrails")


def on_report(listener: Listener) -> None:
    """Call *listener* with every round of every schedule, in the schedule's thread; what it raises is logged by class."""
    hear(listener)


class Schedule:
    """
    Runs the canaries of a guard.

    Args:
        guard: Held weakly: a guard that nobody holds ends its schedule.
        seconds: Between the beginnings of two rounds.
    """

    def __init__(self, guard: Guard, seconds: float) -> None:
        self._guard = weakref.ref(guard)
        self._seconds = seconds
        self._stopped = threading.Event()
        self._start()
        _schedules.add(self)

    def stop(self) -> None:
        """End; a round that runs is not waited for."""
        self._stopped.set()

    def _start(self) -> None:
        threading.Thread(target=self._run, name="guardrails-canaries", daemon=True).start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            guard = self._guard()
            if guard is None:
                return
            due = max(due + self._seconds, time.monotonic())
            self._round(guard)
            del guard

    def _round(self, guard: Guard) -> None:
        try:
            report = canary(guard)
        except Exception as error:  # noqa: BLE001 - the next round comes; its absence shows in health and in the log
            _log.error("guardrails: a round of canaries could not be run (%s)", type(error).__name__)
            return
        tell_round(guard, report)

    def after_fork(self) -> None:
        """In a child: the thread was the parent's."""
        if not self._stopped.is_set():
            self._stopped = threading.Event()
            self._start()


def start(guard: Guard, seconds: float) -> Schedule:
    """Run the canaries of *guard* every *seconds*; `Guard(canary_every_seconds=...)` calls this."""
    return Schedule(guard, seconds)


_schedules: Final[weakref.WeakSet[Schedule]] = weakref.WeakSet()


def _after_fork() -> None:
    for schedule in list(_schedules):
        schedule.after_fork()


os.register_at_fork(after_in_child=_after_fork)
