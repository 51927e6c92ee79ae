"""Keyed digests, and how they stand in records."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NoReturn, final

_BLOCK_BYTES: Final = 64  # of SHA-256; no key of ours is longer


@final
class Digester:
    """
    HMAC-SHA256 under one sub-key; old keys only for readers.

    Attributes:
        key_id: 12 hex digits that name the newest sub-key; derived from it, and not secret.
    """

    __slots__ = ("_inner", "_key", "_old", "_outer", "key_id")

    def __init__(self, derived: Sequence[bytes], /) -> None:
        self._key, *old = derived
        self._old = tuple((_key_id(key), key) for key in old)
        # HMAC's two pads, hashed once: a digest then costs a third of hmac.digest. Only ever copied, never updated.
        block = self._key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))
        self.key_id: str = _key_id(self._key)

    def digest(self, data: str | bytes) -> bytes:
        """32 bytes under the newest key. Text is taken as UTF-8; any `str` has a digest."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.digest()

    def label(self, data: str | bytes) -> str:
        """How a digest stands in records: `hmac-sha256:<key id>:<base64url without padding>`."""
        return _label(self.key_id, self.digest(data))

    def all_labels(self, data: str | bytes) -> tuple[str, ...]:
        """The labels under every key, newest first: what a reader looks for while keys rotate."""
        exact = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        older = (_label(key_id, hmac.digest(key, exact, "sha256")) for key_id, key in self._old)
        return (self.label(exact), *older)

    def __repr__(self) -> str:
        return f"Digester(key_id={self.key_id!r}, keys={1 + len(self._old)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Digester holds a secret and cannot be copied or pickled; make it from Keys where it is used")


def _key_id(key: bytes) -> str:
    return hmac.digest(key, b"platform-guardrails/key-id/1", "sha256")[:6].hex()


def _label(key_id: str, digest: bytes) -> str:
    return f"hmac-sha256:{key_id}:{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
