"""Which store an address of storage means."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from typing import Final

from guardrails.errors import ConfigError
from guardrails.pii.vault.sqlite import SqliteStore
from guardrails.pii.vault.store import MemoryStore, Store
from guardrails.server.endpoint import endpoint

_FILE: Final = "sqlite:///"


def is_remote(storage: str) -> bool:
    """Whether other machines may use the same rows."""
    return isinstance(storage, str) and not storage.startswith(("memory:", "sqlite:"))


def open_store(storage: str, plaintext_hosts: Collection[str]) -> Store:
    """
    The store.

    Args:
        storage: Its address.
        plaintext_hosts: Hosts that may be asked without TLS, besides loopback.

    Raises:
        ConfigError: There is no such storage, it cannot be used, or it would be asked without TLS.
    """
    if storage == "memory://":
        return MemoryStore()
    if not isinstance(storage, str):
        raise ConfigError(f"Vault(storage=...) takes an address such as 'sqlite:///PATH', not {type(storage).__name__}")
    if storage.startswith(_FILE) and len(storage) > len(_FILE):
        return SqliteStore(storage.removeprefix(_FILE))
    if storage.startswith(("memory:", "sqlite:")):
        raise ConfigError('Vault(storage=...): write "memory://", or "sqlite:///PATH" (three slashes, then the path)')
    where = endpoint(storage, plaintext_hosts, asked_by="Vault")
    if find_spec("redis") is None:
        raise ConfigError('Vault: a shared storage needs the extra "redis": pip install "platform-guardrails[redis]"')
    from guardrails.pii.vault.redis import RedisStore  # noqa: PLC0415 - needs the extra

    return RedisStore(where)
