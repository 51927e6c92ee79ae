"""
Where a vault's rows lie: groups of keys, each with bytes and an expiry. A store knows nothing of what it keeps.

Every store adds atomically: of several writers of one key, all get the bytes of the first. What has expired is deleted by
those who write later.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, Protocol, final

from guardrails.core import forks
from guardrails.errors import Unavailable

ALTERED: Final = "the vault holds a row that was altered, or that another key made"
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

    def renew(self, group: str, key: str, /, *, until: float, now: float) -> bool:
        """Let a live row live at least until then; False if there is none."""

    def keys(self, groups: Sequence[str], /, *, now: float) -> list[str]:
        """The keys of the live rows of all *groups*."""

    def remove(self, *places: tuple[str, str]) -> None:
        """Delete rows, each of a group and under a key, if they are there."""

    def remove_groups(self, prefix: str, /) -> int:
        """Delete every group whose name begins with *prefix*; how many rows that were."""

    def close(self) -> None:
        """Let go of files and connections."""


def failed(error: BaseException) -> Unavailable:
    """What is raised for *error* of a store; its text is not repeated."""
    return Unavailable(f"the vault's store failed ({type(error).__name__}); nothing was sent, try again when it is back")


_SWEPT: Final = 1_000  # a sweep looks at every row, so there is one after as many writes as there were rows, and not before


@final
class MemoryStore:
    """Rows of this process, gone with it."""

    blocks: bool = False

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Row]] = {}
        self._lock = threading.Lock()
        self._until_sweep = _SWEPT
        forks.watch(self)

    def get(self, group: str, key: str, /, *, now: float) -> Row | None:
        """The live row."""
        row = self._groups.get(group, {}).get(key)
        return row if row is not None and row[1] > now else None

    def add(self, group: str, key: str, value: bytes, /, *, until: float, now: float, most: int) -> Row:
        """The live row, which is *value* if there was none."""
        with self._lock:
            self._sweep(now)
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

    def put(self, group: str, key: str, value: bytes, /, *, until: float, now: float) -> None:
        """Set the row."""
        with self._lock:
            self._sweep(now)
            self._groups.setdefault(group, {})[key] = (value, until)

    def renew(self, group: str, key: str, /, *, until: float, now: float) -> bool:
        """Let a live row live at least until then; False if there is none."""
        with self._lock:
            value, ends = self._groups.get(group, {}).get(key, (b"", 0.0))
            if ends <= now:
                return False
            self._groups[group][key] = (value, max(ends, until))
            return True

    def keys(self, groups: Sequence[str], /, *, now: float) -> list[str]:
        """The keys of the live rows of all *groups*."""
        with self._lock:
            return [key for group in groups for key, (_, until) in self._groups.get(group, {}).items() if until > now]

    def remove(self, *places: tuple[str, str]) -> None:
        """Delete rows, if they are there."""
        with self._lock:
            for group, key in places:
                self._groups.get(group, {}).pop(key, None)

    def remove_groups(self, prefix: str, /) -> int:
        """Delete every group whose name begins with *prefix*."""
        with self._lock:
            gone = [self._groups.pop(group) for group in list(self._groups) if group.startswith(prefix)]
        return sum(map(len, gone))

    def close(self) -> None:
        """Nothing to let go of."""

    def _sweep(self, now: float) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        live = {
            group: left
            for group, rows in self._groups.items()
            if (left := {key: row for key, row in rows.items() if row[1] > now})
        }
        self._groups = live
        self._until_sweep = max(_SWEPT, sum(map(len, live.values())))

    def before_fork(self) -> None:
        """Wait until nobody writes."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on, with rows of its own."""
        self._lock = threading.Lock()
