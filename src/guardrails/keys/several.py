"""
A file of master keys, newest first, one a line: how a key is rotated without losing what older ones made.

The file is replaced as a whole: at every moment it holds the old keys, or the old ones and the new one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
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
        ConfigError: The file cannot be read or written, or *keep* is no number of keys.
    """
    if keep is not None and (type(keep) is not int or keep < 1):
        raise ConfigError("rotate(keep=...) takes how many keys stay, at least 1: the new one")
    path = Path(path).resolve()  # what a link leads to
    with _alone(path):
        return _rotated(path, keep)


def _rotated(path: Path, keep: int | None) -> Keys:
    held = [new_key(), *(key.hex() for key in keys_in(path))][:keep]
    if len(held) > MOST:
        del held
        raise ConfigError(f"more than {MOST} keys: say how many stay, with keep=")
    temporary = f"{path}.{secrets.token_hex(8)}"
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
        raise ConfigError(f"the key file {path} cannot be replaced ({problem})")
    return Keys(keys_in(path))


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else rotates meanwhile: of two at once, each keeps the other's key."""
    if sys.platform == "win32":  # a lock is not to be had there
        yield
        return
    import fcntl  # noqa: PLC0415 - not everywhere

    try:
        while True:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), path.stat()):
                break
            os.close(handle)  # it was replaced while we waited
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read ({type(error).__name__})") from None
    try:
        yield
    finally:
        os.close(handle)
