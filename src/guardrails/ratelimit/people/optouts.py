"""
Where opt-outs are kept: keyed digests, each with when and where from. A store knows no address.

A list has to be made before it can be asked. A store that lost its memory has none, and then nothing is sent: an empty
list that nobody made would let everything pass. It also knows under which keys its digests were made, and refuses whoever
lacks one of them, who would not find those people.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, final

from guardrails.core import forks
from guardrails.errors import Unavailable

NO_LIST: Final = "suppression: no opt-out list in the store; make it with create() or load()"
OTHER_KEY: Final = "suppression: opt-outs under a key not given here; list it as an older key"


class OptOut(NamedTuple):
    """One person who wants no messages."""

    digest: str  # `hmac-sha256:<key id>:<base64url>`
    since: str  # RFC 3339, UTC
    source: str  # how it became known, such as "stop-word"


class OptOutStore(Protocol):
    """
    What `Suppression` asks of a store. Every method may raise `Unavailable`.

    Attributes:
        blocks: Whether a call may wait for a disk or a network.
    """

    blocks: bool

    def create(self, key_id: str, /) -> None:
        """Make the list, if there is none; from now on it holds digests under this key too."""

    def opted_out(self, digests: Sequence[str], key_ids: Collection[str], /) -> Collection[str]:
        """
        Those of *digests* that are on the list.

        Raises:
            Unavailable: There is no list, or it holds digests under a key that is not one of *key_ids*.
        """

    def add(self, rows: Sequence[OptOut], /) -> int:
        """Put rows on the list; how many were new. What is on it already keeps its time."""

    def remove(self, digests: Sequence[str], /) -> int:
        """Take digests off it; how many were on it."""

    def rows(self) -> Iterator[OptOut]:
        """All of it."""

    def close(self) -> None:
        """Let go of files and connections."""


def checked_keys(held: Iterable[str], key_ids: Collection[str]) -> None:
    """
    Refuse a list that is not there, or that these keys cannot read whole.

    Raises:
        Unavailable: It is so.
    """
    made_with = set(held)
    if not made_with:
        raise Unavailable(NO_LIST)
    if not made_with <= set(key_ids):
        raise Unavailable(OTHER_KEY)


@final
class MemoryOptOuts:
    """A list of this process, gone with it. It is there from the start."""

    blocks: bool = False

    def __init__(self, key_id: str) -> None:
        self._rows: dict[str, OptOut] = {}
        self._keys = {key_id}
        self.after_fork_in_child()
        forks.watch_in_child(self)

    def after_fork_in_child(self) -> None:
        """Whoever wrote in the parent is not here."""
        self._lock = threading.Lock()

    def create(self, key_id: str, /) -> None:
        """The list holds digests under this key too."""
        self._keys.add(key_id)

    def opted_out(self, digests: Sequence[str], key_ids: Collection[str], /) -> Collection[str]:
        """Those of *digests* that are on the list."""
        checked_keys(self._keys, key_ids)
        return [digest for digest in digests if digest in self._rows]

    def add(self, rows: Sequence[OptOut], /) -> int:
        """Put rows on the list."""
        with self._lock:
            before = len(self._rows)
            for row in rows:
                self._rows.setdefault(row.digest, row)
            return len(self._rows) - before

    def remove(self, digests: Sequence[str], /) -> int:
        """Take digests off it."""
        with self._lock:
            return sum(self._rows.pop(digest, None) is not None for digest in digests)

    def rows(self) -> Iterator[OptOut]:
        """All of it."""
        return iter(list(self._rows.values()))

    def close(self) -> None:
        """Nothing to let go of."""
