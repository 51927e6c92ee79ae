"""
Where a vault's rows lie: groups of keys, each with bytes and an expiry. A store knows nothing of what it keeps.

Every store adds atomically: of several writers of one key, all get the bytes of the first.
"""

from __future__ import annotations

import threading
from typing import Protocol, final

from guardrails.errors import Unavailable

Row = tuple[bytes, float]  # what is kept, and until when (seconds since 1970; infinite for ever)


class FullError(Exception):
    """A group holds as many live rows as it may."""


class Store(Protocol):
    """
    What a vault asks of a store. Times are seconds since 1970; every method may raise `Unavailable`.

    Attributes:
        blocks: Whether a call may wait for a disk or a network.
    """

    blocks: bool

    def get(self, group: str, key: str, /, *, now: float) -> Row | None:
        """The live row."""

    def add(self, group: str, key: str, value: bytes, /, *, until: float, now: float, most: int) -> Row:
        """
        The live row, which is *value* if there was none.

        Raises:
            FullError: There was none, and the group holds *most* live rows.
        """

    def put(self, group: str, key: str, value: bytes, /, *, until: float, now: float) -> None:
        """Set the row."""

    def keys(self, group: str, /, *, now: float) -> list[str]:
        """The keys of the live rows."""

    def remove(self, group: str, key: str, /) -> None:
        """Delete a row, if it is there."""

    def remove_groups(self, prefix: str, /) -> int:
        """Delete every group whose name begins with *prefix*; how many rows that were."""

    def close(self) -> None:
        """Let go of files and connections."""


def failed(error: BaseException) -> Unavailable:
    """What is raised for *error* of a store; its text is not repeated."""
    return Unavailable(f"the vault's store failed ({type(error).__name__}); nothing was sent, try again when it is back")


@final
class MemoryStore:
    """Rows of this process, gone with it."""

    blocks: bool = False

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Row]] = {}
        self._lock = threading.Lock()

    def get(self, group: str, key: str, /, *, now: float) -> Row | None:
        """The live row."""
        row = self._groups.get(group, {}).get(key)
        return row if row is not None and row[1] > now else None

    def add(self, group: str, key: str, value: bytes, /, *, until: float, now: float, most: int) -> Row:
        """The live row, which is *value* if there was none."""
        with self._lock:
            rows = self._groups.setdefault(group, {})
            row = rows.get(key)
            if row is not None and row[1] > now:
                return row
            if len(rows) >= most:
                for old in [one for one, (_, end) in rows.items() if end <= now]:
                    del rows[old]
                if len(rows) >= most:
                    raise FullError
            rows[key] = row = (value, until)
            return row

    def put(self, group: str, key: str, value: bytes, /, *, until: float, now: float) -> None:  # noqa: ARG002 - it is kept as it is
        """Set the row."""
        with self._lock:
            self._groups.setdefault(group, {})[key] = (value, until)

    def keys(self, group: str, /, *, now: float) -> list[str]:
        """The keys of the live rows."""
        with self._lock:
            return [key for key, (_, until) in self._groups.get(group, {}).items() if until > now]

    def remove(self, group: str, key: str, /) -> None:
        """Delete a row, if it is there."""
        with self._lock:
            self._groups.get(group, {}).pop(key, None)

    def remove_groups(self, prefix: str, /) -> int:
        """Delete every group whose name begins with *prefix*."""
        with self._lock:
            gone = [self._groups.pop(group) for group in list(self._groups) if group.startswith(prefix)]
        return sum(map(len, gone))

    def close(self) -> None:
        """Nothing to let go of."""
