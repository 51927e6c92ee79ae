"""Where switches are kept: lines in a file, or in a list of a Redis or Valkey server. A store knows nothing of what they say."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Protocol

from guardrails.errors import ConfigError, Unavailable
from guardrails.policy.contents import contents
from guardrails.server.endpoint import endpoint

MOST_LINES: Final = 10_000
_MOST_BYTES: Final = 8 * 1024 * 1024
_SECONDS: Final = 0.5


class Store(Protocol):
    """
    Keeps lines.

    Attributes:
        waits: Whether a question may take long enough that it is asked in a thread of its own.
    """

    waits: bool

    def changed(self) -> bool:
        """Whether it is worth reading again."""

    def read(self) -> list[bytes]:
        """
        All lines.

        Raises:
            Unavailable: It does not answer.
        """

    def append(self, line: bytes, /) -> None:
        """
        One more line.

        Raises:
            Unavailable: It does not answer, or is full.
        """

    def close(self) -> None:
        """Let go of connections."""


class FileStore:
    """
    Lines in a file, which may be missing: then nothing was ever switched.

    Args:
        path: The file.
    """

    waits: bool = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._seen: object = None

    def changed(self) -> bool:
        """Whether the file is another one, or has another size or time."""
        try:
            about = self._path.stat()
        except OSError as error:
            now: object = type(error)
        else:
            now = (about.st_ino, about.st_size, about.st_mtime_ns)
        if now == self._seen:
            return False
        self._seen = now
        return True

    def read(self) -> list[bytes]:
        """All complete lines; one that is being written has no end yet."""
        try:
            raw = contents(self._path, _MOST_BYTES, pipes=False)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._seen = None
            raise Unavailable(f"the switches cannot be read ({type(error).__name__})", control="switches") from None
        if len(raw) > _MOST_BYTES:
            raise Unavailable("the file of switches is too large", control="switches")
        return [line for line in raw[: raw.rfind(b"\n") + 1].splitlines()[-MOST_LINES:] if line]

    def append(self, line: bytes, /) -> None:
        """One more line, in one write, on stable storage."""
        handle = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
            written = os.write(handle, line + b"\n")
            os.fsync(handle)
        except OSError as error:
            raise Unavailable(f"the switch cannot be written ({type(error).__name__})", control="switches") from None
        finally:
            if handle is not None:
                os.close(handle)
        if written != len(line) + 1:
            raise Unavailable("the switch was not written whole; write it again", control="switches")

    def close(self) -> None:
        """Nothing is open between two calls."""


class ServerStore:
    """
    Lines in a list of a Redis or Valkey server.

    Args:
        address: As for `RateLimit`.
        key: The list's key.
        plaintext_hosts: Hosts other than loopback that may be asked without TLS.
    """

    waits: bool = True

    def __init__(self, address: str, *, key: str, plaintext_hosts: Collection[str] = ()) -> None:
        where = endpoint(address, plaintext_hosts, asked_by="switches")
        try:
            import redis  # noqa: PLC0415 - an extra
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415
        except ImportError:
            raise ConfigError(
                "redis is not installed: pip install 'platform-guardrails[redis]'", control="policy"
            ) from None
        self._errors: tuple[type[BaseException], ...] = (redis.RedisError, OSError)
        options: dict[str, Any] = {
            "db": where.database,
            "username": where.username,
            "password": where.password,
            "socket_timeout": _SECONDS,
            "socket_connect_timeout": _SECONDS,
            "retry": Retry(NoBackoff(), 0),  # it is asked again soon enough
        }
        if where.path:
            options["unix_socket_path"] = where.path
        else:
            options |= {"host": where.host, "port": where.port, "ssl": where.tls}
        self._client: Any = redis.Redis(**options)
        self._key = key

    def changed(self) -> bool:
        """Nobody knows before it has been read."""
        return True

    def read(self) -> list[bytes]:
        """All lines."""
        try:
            return [bytes(line) for line in self._client.lrange(self._key, -MOST_LINES, -1)]
        except self._errors as error:
            problem = type(error).__name__
        raise Unavailable(f"the switches cannot be read ({problem})", control="switches")

    def append(self, line: bytes, /) -> None:
        """One more line."""
        try:
            self._client.rpush(self._key, line)
        except self._errors as error:
            problem = type(error).__name__
        else:
            return
        raise Unavailable(f"the switch cannot be written ({problem})", control="switches")

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()
