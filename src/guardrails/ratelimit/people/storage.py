"""Which storage an address means, and the key that goes with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from guardrails.errors import ConfigError
from guardrails.keys import Digester, Keys

if TYPE_CHECKING:
    from guardrails.ratelimit.people.server import Server

MEMORY: Final = "memory://"
FILE: Final = "sqlite:///"
MOST_SECONDS: Final = 0.9  # a question; a send asks on its way in and at the door, and is refused within 2 s


def digester_for(storage: object, keys: Keys | None, purpose: str, *, rule: str) -> Digester:
    """
    The key for what is kept in *storage*.

    Raises:
        ConfigError: What outlives this process, or is shared with other machines, would be under a key that is not.
    """
    in_memory = storage == MEMORY
    keys = keys or (Keys.ephemeral() if in_memory else Keys.default())
    if not in_memory and keys.ephemeral_only:
        raise ConfigError(
            f"{rule}: what is kept needs a key that is kept: set GUARDRAILS_KEY, or pass keys= with a key of yours"
        )
    if isinstance(storage, str) and not in_memory and not storage.startswith(FILE) and keys.auto_created:
        raise ConfigError(
            f"{rule}: processes that share a storage must share a key: set GUARDRAILS_KEY, or pass keys= with a key of yours"
        )
    return keys.digester(purpose)


def file_of(storage: str) -> str | None:
    """The path of a SQLite file, or None."""
    return storage.removeprefix(FILE) if storage.startswith(FILE) and len(storage) > len(FILE) else None


def server_of(
    storage: str,
    *,
    rule: str,
    timeout_seconds: float,
    max_connections: int,
    plaintext_hosts: Collection[str],
) -> Server:
    """
    The server.

    Raises:
        ConfigError: The address is none, not encrypted, or the extra is not installed.
    """
    if not isinstance(timeout_seconds, (int, float)) or not 0 < timeout_seconds <= MOST_SECONDS:
        raise ConfigError(f"{rule}: timeout_seconds must be more than 0 and at most {MOST_SECONDS}")
    if type(max_connections) is not int or max_connections < 1:
        raise ConfigError(f"{rule}: max_connections must be an int of at least 1")
    if storage.startswith("sqlite:"):
        raise ConfigError(f'{rule}: a file is written "sqlite:///relative.db" or "sqlite:////absolute/path.db"')
    from guardrails.server.endpoint import endpoint  # noqa: PLC0415

    endpoint(storage, plaintext_hosts, asked_by=rule)  # a wrong address is told before a missing extra
    from guardrails.ratelimit.people.server import Server  # noqa: PLC0415 - needs the extra

    return Server(
        storage,
        rule=rule,
        timeout_seconds=timeout_seconds,
        max_connections=max_connections,
        plaintext_hosts=plaintext_hosts,
    )
