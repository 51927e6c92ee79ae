"""
A connection to a Redis or Valkey server, asked within bounds.

- Every question has a deadline; a server that failed is not asked again until the breaker lets one try.
- Connections are bounded. Whoever finds none free waits for one, and gives up when the server has failed meanwhile.
- A child after a fork has none of its parent's connections.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

from guardrails.errors import ConfigError
from guardrails.server.breaker import Breaker
from guardrails.server.endpoint import Endpoint

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError
    from redis.retry import Retry
except ImportError:  # pragma: no cover - the tests have it
    raise ConfigError(
        'RateLimit: a shared storage needs the extra "redis": pip install "platform-guardrails[redis]"'
    ) from None


_log: Final = logging.getLogger("guardrails")


class StoreDown(Exception):
    """The store did not answer, or not with an answer."""


class Link:
    """
    Connections to one server.

    Args:
        where: The server.
        timeout_seconds: How long one question may take.
        max_connections: Connections at once.
        renewed: Called in a child after a fork, before the first question.
    """

    def __init__(
        self, where: Endpoint, *, timeout_seconds: float, max_connections: int, renewed: Callable[[], None] = lambda: None
    ) -> None:
        self.where: Final = where
        self.timeout_seconds: Final = timeout_seconds
        self._connections = max_connections
        self._renewed = renewed
        self._fresh()

    def _fresh(self) -> None:
        self.pid: int = os.getpid()
        self.breaker: Breaker = Breaker(time.monotonic)
        self._slots = threading.BoundedSemaphore(self._connections)
        self.client: Any = _client(self.where, self.timeout_seconds, self._connections)
        # A link that nobody closed takes its sockets with it, without a warning from each of them.
        closing = weakref.finalize(self, self.client.connection_pool.disconnect)
        closing.atexit = False

    @property
    def is_ours(self) -> bool:
        """Whether it was made by this process, and not by the parent that forked it."""
        return self.pid == os.getpid()

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """
        What *question* answers, which is given a client. It may be asked twice, when a kept connection was dead.

        Raises:
            StoreDown: The server does not answer, or not with an answer.
        """
        if not self.is_ours:
            self._fresh()
            self._renewed()
        if not self.breaker.may_ask():
            raise StoreDown
        was_open = self.breaker.is_open
        with self._slots:
            if self.breaker.is_open and not was_open:  # it failed while we waited for a connection
                raise StoreDown
            try:
                try:
                    answer = question(self.client)
                except redis.TimeoutError:
                    raise
                except redis.ConnectionError:
                    # Kept connections die with a server that starts again. Asking twice takes once: the id is the same.
                    self.client.connection_pool.disconnect(inuse_connections=False)
                    answer = question(self.client)
            except (redis.RedisError, OSError) as error:
                if not self.breaker.is_open:
                    _log.warning("the store at %s fails: %s", self.where.place, why(error))
                # Not kept for the next question: behind the address there may be another server by then, as after a failover.
                self.client.connection_pool.disconnect(inuse_connections=False)
                self.breaker.failed()
                failed = True
            else:
                self.breaker.answered()
                failed = False
        if failed:  # outside the block: what the client raised may quote addresses and commands
            raise StoreDown
        return answer

    def script(self, source: str, sha: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """What a script answers; it is told anew where it was forgotten."""
        return self.ask(lambda client: run(client, source, sha, keys, arguments))

    def close(self) -> None:
        """Close idle connections; a later question opens new ones."""
        if self.is_ours:
            self.client.connection_pool.disconnect(inuse_connections=False)


def why(error: Exception) -> str:
    """What a client raised, in our words: its own may quote addresses and commands."""
    kind = type(error).__name__
    return f"{kind}, {_HINTS[kind]}" if kind in _HINTS else kind


_HINTS: Final = {
    "AuthenticationError": "it wants another user or password",
    "NoPermissionError": "its user may not run scripts, or not use our keys",
    "ReadOnlyError": "it is a replica, and takes no writes",
    "MasterDownError": "it is a replica without its master",
    "OutOfMemoryError": "it is full",
    "MovedError": "it runs in cluster mode, which limits cannot use",
    "ClusterCrossSlotError": "it runs in cluster mode, which limits cannot use",
    "ClusterDownError": "it runs in cluster mode, which limits cannot use",
}


def run(client: Any, source: str, sha: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """
    A script, within a question.

    It goes to a connection of the client's pool directly: the client's way of a command costs as much as the server's answer.
    """
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command((packed("EVALSHA", sha, len(keys), *keys, *arguments),))
        return connection.read_response()
    except NoScriptError:  # the server started again, or was told to forget
        pass
    except redis.ResponseError:
        raise
    except BaseException:  # nobody may read what is still to come for an answer of its own
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
    return client.eval(source, len(keys), *keys, *arguments)


def packed(*words: str | bytes | float) -> bytes:
    """A command as the server reads it (RESP 2: an array of byte strings)."""
    found = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        found.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(found)


def sha_of(source: str) -> str:
    """What the server calls a script."""
    import hashlib  # noqa: PLC0415 - only here

    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _client(where: Endpoint, timeout: float, connections: int) -> Any:
    options: dict[str, Any] = {
        "username": where.username,
        "password": where.password,
        "db": where.database,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),  # a question may be asked again only by us, who know its id
        "protocol": 2,
        "max_connections": connections,
    }
    connect: Any = redis.Redis  # its options are typed one by one, ours are read from a table
    if where.path:
        del options["socket_connect_timeout"]
        return connect(unix_socket_path=where.path, **options)
    tls = {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True} if where.tls else {}
    return connect(host=where.host, port=where.port, **tls, **options)
