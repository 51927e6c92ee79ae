"""How long one message may be looked at, and what happens when that is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, final

from guardrails.errors import ConfigError, Unavailable
from guardrails.pii.spans import Span

OVER_BUDGET: Final = ("deny", "patterns")


@final
class Budget:
    """
    The time of one message. Asked before and after each window; a window that has begun is finished.

    Args:
        milliseconds: How long.
        over: `"deny"` refuses the message; `"patterns"` looks at what is left with patterns only.
        now: Seconds of a clock that never goes back.

    Attributes:
        exceeded: Whether it was over while something was still to be looked at, or when the last answer came.
    """

    __slots__ = ("_closed", "_now", "_over", "_until", "exceeded", "milliseconds")

    def __init__(self, milliseconds: float, over: str, now: Callable[[], float] = time.monotonic) -> None:
        self.milliseconds: float = milliseconds
        self.exceeded: bool = False
        self._over = over
        self._now = now
        self._until = now() + milliseconds / 1000
        self._closed = False

    def close(self) -> None:
        """The message has been looked at: what is asked from now on is free."""
        self._closed = True

    def bounded(
        self, look: Callable[[str], list[Span]], patterns: Callable[[str], list[Span]]
    ) -> Callable[[str], list[Span]]:
        """
        *look* within this budget.

        Args:
            look: Everything.
            patterns: The cheap part of it.

        Raises:
            Unavailable: By what is returned, where the budget is over and that is to refuse the message.
        """

        def bounded(text: str, /) -> list[Span]:
            if self._is_over():
                return patterns(text)
            found = look(text)
            self._is_over()
            return found

        return bounded

    def _is_over(self) -> bool:
        if self._closed or self._now() < self._until:
            return False
        self.exceeded = True
        if self._over == "deny":
            raise Unavailable(f"looking at the message took longer than its budget of {self.milliseconds:g} ms")
        return True


def check_budget(milliseconds: object, over: object) -> None:
    """
    Whether these arguments of `MaskPII` make sense.

    Raises:
        ConfigError: They do not.
    """
    is_number = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
    if milliseconds is not None and not (is_number and 0 < milliseconds < float("inf")):  # type: ignore[operator]  # it is
        raise ConfigError("MaskPII(budget_ms=...) takes milliseconds above 0, or None for no budget")
    if over not in OVER_BUDGET:
        raise ConfigError(f"MaskPII(over_budget=...) is one of {', '.join(map(repr, OVER_BUDGET))}")
