"""A key as people write it and as providers answer it. No error shows any of it."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from guardrails.errors import ConfigError, Unavailable

KEY_BYTES: Final = 32
ENVIRONMENT: Final = "GUARDRAILS_KEY"
HOW_TO: Final = "write 32 random bytes in hex or base64, such as the output of `openssl rand -hex 32`"

Material: TypeAlias = bytes | Sequence[bytes]


def key_from_text(text: str) -> bytes:
    """
    The bytes of a key as people write it.

    Raises:
        ConfigError: It is something else. The value is never shown.
    """
    key = decoded(text)
    del text
    if key is None:
        raise ConfigError(f"that is not a key of {KEY_BYTES} bytes; {HOW_TO}")
    return key


def asked(source: Callable[[], Material] | None) -> tuple[bytes, ...]:
    """What a provider answers; its own errors may quote anything, so only their class is told."""
    failed = "no source"
    try:
        keys = checked(source()) if source is not None else None
    except ConfigError:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever a provider raises, there is no key: fail closed
        failed, keys = type(exc).__name__, None
    else:
        if keys is None:
            raise ConfigError(f"the key provider must return {KEY_BYTES} bytes, or several of them, newest first")
    if keys is None:
        raise Unavailable(f"the key provider failed ({failed}); nothing can be digested without a key")
    return keys


def from_environment() -> bytes:
    """
    The key in `GUARDRAILS_KEY`.

    Raises:
        ConfigError: That is no key.
    """
    key = decoded(os.environ.get(ENVIRONMENT, ""))
    if key is None:
        raise ConfigError(f"{ENVIRONMENT} is set, but is not a key of {KEY_BYTES} bytes; {HOW_TO}")
    return key


def checked(material: object) -> tuple[bytes, ...] | None:
    """The keys, or None: the caller raises, with nothing secret left in its frame."""
    several = (material,) if isinstance(material, bytes) else material
    if not isinstance(several, (list, tuple)) or not several:
        return None
    if not all(isinstance(key, bytes) and len(key) == KEY_BYTES for key in several):
        return None
    return tuple(bytes(key) for key in several)


def decoded(text: object) -> bytes | None:
    """The bytes of a key in hex or base64, or None: the caller raises, with nothing secret left in its frame."""
    if not isinstance(text, str):
        return None
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        unpadded = text.rstrip("=").replace("-", "+").replace("_", "/")
        key = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == KEY_BYTES else None
