"""Who waits for room, in the order in which they came; the ledger's lock is held around all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from guardrails.errors import Unavailable

MOST: Final = 4_096  # who wait for one RateLimit at once; each look counts those before


class Line:
    """Places by number; a lower number came earlier."""

    __slots__ = ("_places", "_units")

    def __init__(self) -> None:
        self._places: dict[int, Sequence[tuple[str, int]]] = {}
        self._units: dict[str, dict[int, int]] = {}  # by key, then by place

    def __bool__(self) -> bool:
        return bool(self._places)

    def __contains__(self, place: int) -> bool:
        return place in self._places

    def join(self, place: int, wanted: Sequence[tuple[str, int]]) -> None:
        """
        Stand at the end, for units of keys.

        Raises:
            Unavailable: Too many wait.
        """
        if len(self._places) >= MOST:
            raise Unavailable(f"rate limit: {MOST} messages wait already; nothing was sent")
        self._places[place] = wanted
        for key, units in wanted:
            line = self._units.setdefault(key, {})
            line[place] = line.get(place, 0) + units

    def leave(self, place: int) -> bool:
        """Whether that place was taken; now it is not."""
        wanted = self._places.pop(place, None)
        if wanted is None:
            return False
        for key, _ in wanted:
            line = self._units.get(key)
            if line is not None:
                line.pop(place, None)
                if not line:
                    del self._units[key]
        return True

    def ahead(self, key: str, place: int) -> int:
        """Units that those want who came before *place*; 0 stands for somebody who comes now."""
        line = self._units.get(key)
        if line is None:
            return 0
        return sum(line.values()) if not place else sum(units for number, units in line.items() if number < place)
