"""Which store an address of storage means."""

from __future__ import annotations

from typing import Final

from guardrails.errors import ConfigError
from guardrails.pii.vault.sqlite import SqliteStore
from guardrails.pii.vault.store import MemoryStore, Store

_FILE: Final = "sqlite:///"
_HOW: Final = 'use "memory://" or "sqlite:///PATH"'


def is_remote(storage: str) -> bool:
    """Whether other machines may use the same rows."""
    return isinstance(storage, str) and not storage.startswith(("memory:", "sqlite:"))


def open_store(storage: str) -> Store:
    """
    The store.

    Raises:
        ConfigError: There is no such storage, or it cannot be used.
    """
    if storage == "memory://":
        return MemoryStore()
    if isinstance(storage, str) and storage.startswith(_FILE) and len(storage) > len(_FILE):
        return SqliteStore(storage.removeprefix(_FILE))
    raise ConfigError(f"Vault(storage=...): no such storage; {_HOW}")
