"""What may happen once: which envelopes were accepted, remembered by one process or by all that share a store."""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final, Protocol, final

from guardrails.core import forks
from guardrails.errors import Unavailable

_PREFIX: Final = "guardrails:handoff:"
_LEAST_MS: Final = 1_000


class Once(Protocol):
    """Remembers which envelopes were accepted; several processes share one that all of them see."""

    def take(self, envelope_id: str, until: datetime, /) -> bool:
        """True the first time; False when this id was taken before. Forgets it after *until*."""


@final
class OnceHere:
    """`Once` for one process."""

    def __init__(self) -> None:
        self._taken: dict[str, datetime] = {}
        self._lock = threading.Lock()
        forks.watch_in_child(self)

    def take(self, envelope_id: str, until: datetime, /) -> bool:
        """As `Once.take`."""
        with self._lock:
            now = datetime.now(UTC)
            for known in [known for known, end in self._taken.items() if end < now]:
                del self._taken[known]
            if envelope_id in self._taken:
                return False
            self._taken[envelope_id] = until
            return True

    def after_fork_in_child(self) -> None:
        """Go on; whoever held the lock is not here."""
        self._lock = threading.Lock()


@final
class OnceInStore:
    """
    `Once` for all processes that share a Redis or Valkey server. What it keeps is the random id of an envelope.

    Args:
        storage: The server, as `RateLimit(storage=...)` takes it. Needs the extra `redis`.
        timeout_seconds: How long one question may take.
        plaintext_hosts: Hosts other than loopback that may be asked without TLS.

    Raises:
        ConfigError: The address is wrong, has no encryption, or the client is not installed.
    """

    def __init__(self, storage: str, *, timeout_seconds: float = 1.0, plaintext_hosts: Collection[str] = ()) -> None:
        from guardrails.server.endpoint import endpoint  # noqa: PLC0415 - only who shares a store pays
        from guardrails.server.link import Link  # noqa: PLC0415 - needs the extra

        where = endpoint(storage, plaintext_hosts, asked_by="context.accept(once=...)")
        self._link = Link(where, timeout_seconds=timeout_seconds, max_connections=8)

    def take(self, envelope_id: str, until: datetime, /) -> bool:
        """
        As `Once.take`.

        Raises:
            Unavailable: The server does not answer; the envelope can be tried again.
        """
        from guardrails.server.link import StoreDown  # noqa: PLC0415 - as above

        name, mine = _PREFIX + envelope_id, secrets.token_hex(8)
        lasts = max(_LEAST_MS, int((until - datetime.now(UTC)).total_seconds() * 1_000))

        def taken(client: Any) -> bool:
            # Asked again after a lost answer, it finds its own mark.
            return bool(client.set(name, mine, nx=True, px=lasts)) or client.get(name) == mine.encode()

        try:
            return bool(self._link.ask(taken))
        except StoreDown:
            pass
        raise Unavailable("the store that says which envelopes were accepted does not answer", control="handoff")

    def __repr__(self) -> str:
        return f"OnceInStore({self._link.where!r})"


@functools.lru_cache(maxsize=16)
def once_in(storage: str) -> OnceInStore:
    """The one of this address."""
    return OnceInStore(storage)
