"""Controls of a version that is no longer in force."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable

from guardrails.policy.stacks import Stacks


class Retired:
    """
    Has the controls of a version closed, when no call is under it any more.

    Args:
        before: The version that was in force.
        after: The one that is: what both have stays open.
        close: Closes controls.
    """

    def __init__(self, before: Stacks, after: Stacks, close: Callable[[Iterable[object]], object]) -> None:
        self._close = close
        kept = {id(one) for one in after.version.controls.made()}
        self._closing = [one for one in before.version.controls.made() if id(one) not in kept]
        stacks = before.made()
        self._left = len(stacks)
        self._lock = threading.RLock()
        for stack in stacks:
            weakref.finalize(stack, self._one_less).atexit = False

    def _one_less(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        closing, self._closing = self._closing, []
        if closing:  # this may be a garbage collector, in the middle of anything
            threading.Thread(target=self._close, args=(closing,), name="guardrails-policy-retired").start()
