"""
Waiting for room: how long at most, and when to look again.

Who waits has a place in the line of each counter. Whoever comes later sees the units of those before as taken, so nobody is
overtaken and nobody starves; who gives up leaves the line. Nothing is held while somebody sleeps but that place.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from guardrails.core.control import Io
    from guardrails.ratelimit.charge import Refusal

LEAST_SECONDS: Final = 0.02  # between two looks
SHORT_SECONDS: Final = 1.0  # room may come earlier than was foretold: look again after a quarter, at least this often
_JITTER: Final = 0.1
_STEPS: Final = 1_000


def pause(retry_after: float | None, left: float, *, chance: float, longest: float = float("inf")) -> float | None:
    """
    Seconds until the next look; None when there is no use in waiting.

    Args:
        retry_after: The earliest time at which there may be room, in seconds from now; None for never.
        left: Seconds that may still be waited.
        chance: 0 to 1; spreads out those who wait for the same moment.
        longest: The longest pause.

    >>> pause(0.5, 2.0, chance=0.0), pause(3.0, 2.0, chance=0.0)
    (0.5, None)
    """
    if retry_after is None or left <= 0 or retry_after > left:
        return None
    quarter = max(SHORT_SECONDS, retry_after / 4)
    return min(left, max(LEAST_SECONDS, min(retry_after, quarter, longest)) * (1 + _JITTER * chance))


class Waiting:
    """How long one message has waited; at most as long as every limit that refuses it allows."""

    __slots__ = ("_began", "seconds")

    def __init__(self) -> None:
        self._began: float | None = None
        self.seconds: float = 0.0

    def pause(self, refusal: Refusal, io: Io, *, longest: float = float("inf")) -> float | None:
        """Seconds to sleep before the next look; None when it is to be refused."""
        if not refusal.wait or refusal.retry_after is None:
            return None
        now = io.monotonic()
        if self._began is None:
            self._began = now
        self.seconds = now - self._began
        chance = secrets.randbelow(_STEPS) / _STEPS
        return pause(refusal.retry_after, refusal.wait - self.seconds, chance=chance, longest=longest)
