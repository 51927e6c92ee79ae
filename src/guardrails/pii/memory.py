"""
What was found in segments that come again: templates, footers, greetings.

1. Kept are types, places and scores under a keyed digest of the segment, never its text.
2. The key is random, of this process, and another one for each tenant: nobody learns from a quick answer what others wrote.
3. Bounded; the oldest goes first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Final, final

from guardrails.errors import ConfigError
from guardrails.pii.spans import Span

Look = Callable[[str], list[Span]]

SEGMENTS: Final = 2_048  # kept by default; about 1 MB
MOST_SEGMENTS: Final = 1_000_000
SHORTEST: Final = 16  # characters; less is found as fast as it is looked up


def checked_cache(cache: object) -> int:
    """
    The number of segments to keep, as it was given.

    Raises:
        ConfigError: It is no such number.
    """
    if isinstance(cache, bool) or not isinstance(cache, int) or not 0 <= cache <= MOST_SEGMENTS:
        raise ConfigError(f"MaskPII(cache=...) takes a number of segments from 0 to {MOST_SEGMENTS:,}")
    return cache


@final
class Memory:
    """
    Findings by segment.

    Args:
        most: Segments that are kept.
    """

    __slots__ = ("_found", "_key", "_most")

    def __init__(self, most: int = SEGMENTS) -> None:
        self._most = most
        self._key = secrets.token_bytes(32)
        # Single operations on a dict need no lock, and a lock would have to survive forks.
        self._found: dict[bytes, tuple[Span, ...]] = {}

    def remembering(self, look: Look, tenant: str | None) -> Look:
        """
        *look*, which is asked only for segments that are new to *tenant*.

        A look that raises is not remembered.
        """
        key = blake2b(
            (tenant or "").encode("utf-8", "surrogatepass"), key=self._key, person=b"tenant", digest_size=32
        ).digest()
        found = self._found

        def spans(text: str, /) -> list[Span]:
            if len(text) < SHORTEST:
                return look(text)
            name = blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()
            known = found.get(name)
            if known is not None:
                return list(known)
            fresh = look(text)
            while len(found) >= self._most:
                with suppress(StopIteration, RuntimeError):  # another thread was faster
                    found.pop(next(iter(found)), None)
            found[name] = tuple(fresh)
            return fresh

        return spans

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"Memory({len(self._found)} of {self._most} segments)"
