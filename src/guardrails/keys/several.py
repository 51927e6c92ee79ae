"""
A file of master keys, newest first, one a line: how a key is rotated without losing what older ones made.

The file is replaced as a whole: at every moment it holds the old keys, or the old ones and the new one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError
from guardrails.keys.master import Keys
from guardrails.keys.material import KEY_BYTES, key_from_text
from guardrails.keys.operator import write_secret

MOST: Final = 32
_MOST_BYTES: Final = 16_384


def new_key() -> str:
    """A master key as people write it."""
    return secrets.token_hex(KEY_BYTES)


def keys_in(path: str | os.PathLike[str]) -> list[bytes]:
    """
    The keys in a file, newest first.

    Raises:
        ConfigError: It cannot be read, or holds something else.
    """
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the key file {os.fspath(path)} cannot be read ({type(error).__name__})") from None
    return keys_of(raw.decode("utf-8", "replace"))


def keys_of(text: str) -> list[bytes]:
    """
    The keys in a text, newest first, one a line.

    Raises:
        ConfigError: There is none, there are too many, or a line is no key.
    """
    lines = text.split()
    del text
    if not 0 < len(lines) <= MOST:
        del lines
        raise ConfigError(f"there must be 1 to {MOST} keys, one a line, newest first")
    return [key_from_text(line) for line in lines]


def ids_of(keys: Keys, purpose: str, tenant: str | None = None) -> list[str]:
    """The id of each key for one purpose, newest first, as it stands in records and stores."""
    return [label.split(":")[1] for label in keys.digester(purpose, tenant).all_labels("")]


def rotate(path: str | os.PathLike[str], *, keep: int | None = None) -> Keys:
    """
    Put a new key before those in a file.

    Args:
        path: The file.
        keep: How many keys stay, the new one included; None for all.

    Raises:
        ConfigError: The file cannot be read or written.
    """
    held = [new_key(), *(key.hex() for key in keys_in(path))][:keep]
    if len(held) > MOST:
        del held
        raise ConfigError(f"more than {MOST} keys: say how many stay, with keep=")
    temporary = f"{os.fspath(path)}.{secrets.token_hex(8)}"
    problem: str | None = None
    try:
        write_secret(temporary, "".join(f"{one}\n" for one in held).encode("ascii"))
        Path(temporary).replace(path)
    except OSError as error:
        problem = type(error).__name__
    finally:
        del held
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
    if problem is not None:
        raise ConfigError(f"the key file {os.fspath(path)} cannot be replaced ({problem})")
    return Keys(keys_in(path))
