"""A Redis or Valkey server, asked as limits ask it: bounded connections, deadlines, a circuit breaker."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar, final

from guardrails.errors import Unavailable
from guardrails.server.endpoint import endpoint
from guardrails.server.link import Link, StoreDown, run

T = TypeVar("T")


@final
class Server:
    """
    One server.

    Args:
        storage: Its address.
        rule: Who asks, for errors.
    """

    def __init__(
        self,
        storage: str,
        *,
        rule: str,
        timeout_seconds: float,
        max_connections: int,
        plaintext_hosts: Collection[str],
    ) -> None:
        where = endpoint(storage, plaintext_hosts, asked_by=rule)
        self._link = Link(where, timeout_seconds=timeout_seconds, max_connections=max_connections)
        self._rule = rule

    def ask(self, question: Callable[[Any], T]) -> T:
        """
        What *question* answers, which is given a client. It may be asked twice, when a kept connection was dead.

        Raises:
            Unavailable: The server does not answer, or refuses.
        """
        try:
            answer: T = self._link.ask(question)
        except StoreDown:
            pass
        else:
            return answer
        raise Unavailable(f"{self._rule}: the store does not answer; nothing was sent")

    def run(self, source: str, sha: str, keys: list[str], arguments: list[Any]) -> Any:
        """What a script answers."""
        return self.ask(lambda client: run(client, source, sha, keys, arguments))

    def close(self) -> None:
        """Close idle connections; a later question opens new ones."""
        self._link.close()
