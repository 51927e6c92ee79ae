"""When the controls of a guard are opened and closed: at its first send at the latest, once, and its canaries with them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guardrails.core.companion import Companion, companion_of
from guardrails.core.refusal import bare, crashed, fate
from guardrails.errors import GuardrailsError, Unavailable

if TYPE_CHECKING:
    from guardrails.core.edition import Source
    from guardrails.core.guard import Guard
    from guardrails.core.stack import Slot


class Life:
    """
    Of one layer's own controls. It does not hold its guard, which would keep both alive.

    Args:
        slots: The controls.
        source: Who opens and closes them instead, such as a policy.
        canary_every_seconds: How often canaries run, from the first send on.
    """

    __slots__ = ("_canary", "_lock", "_opened", "_slots", "_source", "canary_every_seconds", "is_closed", "is_open")

    def __init__(self, slots: Sequence[Slot], source: Source | None, canary_every_seconds: float | None) -> None:
        self._slots = slots
        self._source = source
        self.canary_every_seconds: float | None = canary_every_seconds
        self._canary: Companion | None = None
        self._opened: list[Slot] = []
        self._lock = threading.Lock()
        self.is_open: bool = False
        self.is_closed: bool = False

    def begin(self, guard: Guard, *, opening: bool) -> None:
        """
        Open what is not open yet; after a failure the next send goes on where it stopped.

        Args:
            guard: Whose life this is.
            opening: Whether to open at all, or only to look.

        Raises:
            Unavailable: It is closed.
            GuardrailsError: A control could not be opened.
        """
        with self._lock:
            if self.is_closed:
                raise Unavailable("the guard is closed; nothing was sent", control="guard")
            if self.is_open or not opening:
                return
            failure: BaseException | None = None
            if self._source is not None:
                self._source.open(guard)
            for slot in self._slots[len(self._opened) :]:
                failure = call_control(slot, "open")
                if failure is not None:
                    break
                self._opened.append(slot)
            self.is_open = failure is None
            if self.is_open:
                self._start_canary(guard)
        if failure is not None:
            raise failure

    def pace(self, guard: Guard, canary_every_seconds: float | None) -> None:
        """Run canaries so often from now on; None for no more."""
        with self._lock:
            if canary_every_seconds == self.canary_every_seconds:
                return
            self.canary_every_seconds = canary_every_seconds
            companion, self._canary = self._canary, None
            if self.is_open:
                self._start_canary(guard)
        if companion is not None:
            companion.stop()

    def _start_canary(self, guard: Guard) -> None:
        if self._canary is None and self.canary_every_seconds is not None:
            self._canary = companion_of(guard, self.canary_every_seconds)

    def end(self, guard: Guard) -> None:
        """
        Stop the canaries and close what is open, in reverse order; once.

        Raises:
            GuardrailsError: A control failed to close; all others are closed.
        """
        with self._lock:
            if self.is_closed:
                return
            self.is_closed, self.is_open = True, False
            opened, self._opened = self._opened, []
            companion = self._canary
        if companion is not None:
            companion.stop()
        if self._source is not None:
            self._source.close(guard)
        failures = [call_control(slot, "close") for slot in reversed(opened)]
        for failure in failures:
            if failure is not None:
                raise failure

    def after_fork(self) -> None:
        """The lock may have been held by a thread that is not here."""
        self._lock = threading.Lock()


def call_control(slot: Slot, method: str) -> BaseException | None:
    """Open or close one control; what went wrong is returned, so that nothing raw is chained to it."""
    act = getattr(slot.control, method, None)
    if act is None:
        return None
    try:
        act()
    except GuardrailsError as error:
        error.control = error.control or slot.name
        error.where = error.where or slot.where
        return bare(error)
    except Exception as error:  # noqa: BLE001 - told by name and class; its text may hold anything
        return crashed(error, name=slot.name, where=slot.where, sent=False, after_send=fate(sent=False))
    return None
