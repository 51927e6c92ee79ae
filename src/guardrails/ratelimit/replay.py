"""
What limits need to be asked about the past: counters of their own, in memory, by a clock that shows other times.

`guardrails overlap` replays a corpus on them; nobody's counter moves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Replay:
    """
    One replay.

    Args:
        clock: Seconds since 1970, as the replay has them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock: Callable[[], float] = clock
        self._made: dict[int, tuple[object, Any]] = {}

    def now(self) -> datetime:
        """The time of the replay, aware."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def shared(self, original: object, make: Callable[[], T]) -> T:
        """What stands for *original* in this replay: rules that count on one thing go on counting on one thing."""
        known = self._made.get(id(original))
        if known is None:
            known = self._made[id(original)] = original, make()
        found: T = known[1]
        return found


@runtime_checkable
class Replayable(Protocol):
    """
    A limit that can be replayed. A control of yours that counts may offer this too.

    One whose answer does not depend on the time says so with `timeless = True`: messages of a corpus then need no times for it.
    """

    def replayed(self, replay: Replay, /) -> Any:
        """A control with the same rules that counts by *replay*, and asks and changes nothing else."""
