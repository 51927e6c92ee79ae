"""Counts messages that only the seal stopped: what the mask had let pass, and would have gone out without the last look."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from guardrails.core.observe import Ending

Scope = TypeVar("Scope")
MOST_SCOPES: Final = 1_024  # counted apart; beyond, the oldest is forgotten


def is_seal_hit(send: Ending) -> bool:
    """
    Whether the seal, and nothing before it, refused the message that ends here.

    What an operator of the mask refuses is no such hit: that is what it is for.
    """
    mask = send.plan.stack.mask
    if send.result != "refused" or mask is None:
        return False
    kind, control, _ = send.why()
    if kind != "Blocked" or control != mask.name:
        return False
    return any(said.slot is mask and said.verdict in ("allow", "mask") for said in send.said())


class SealHits(Generic[Scope]):
    """
    Hits within a moving window, by scope. The caller holds a lock.

    Args:
        most: So many within the window are too many.
        window_seconds: The window.
    """

    def __init__(self, most: int, window_seconds: float) -> None:
        self._most = most
        self._window = window_seconds
        self._hits: dict[Scope, deque[float]] = {}

    def hit(self, scope: Scope, now: float) -> bool:
        """Count one at *now* (monotonic seconds); whether they are too many. Then *scope* starts anew."""
        hits = self._hits.get(scope)
        if hits is None:
            if len(self._hits) >= MOST_SCOPES:
                del self._hits[next(iter(self._hits))]
            hits = self._hits[scope] = deque(maxlen=self._most)
        hits.append(now)
        if len(hits) < self._most or now - hits[0] > self._window:
            return False
        del self._hits[scope]
        return True

    def forget(self, scope: Scope) -> None:
        """Start *scope* anew."""
        self._hits.pop(scope, None)
