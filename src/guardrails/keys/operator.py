"""
Ed25519 key pairs in files: of operators who sign switches, and of who signs checkpoints. Never derived from the master key.

Source: RFC 8032 (Ed25519), RFC 5958 (PKCS #8).
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from guardrails.errors import ConfigError

_MODE = 0o600


def new_private_key(path: str | os.PathLike[str]) -> str:
    """
    Make a key pair; the private key goes into a new file that only its owner can read.

    Returns:
        The public key, in base64.

    Raises:
        ConfigError: The file is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(path, pem)
    return public_text(key)


def write_secret(path: str | os.PathLike[str], content: bytes) -> None:
    """
    Write a new file that only its owner can read, on stable storage.

    Raises:
        ConfigError: It is there already, or cannot be written.
    """
    problem: str | None = None
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), _MODE)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, _MODE)  # whatever the umask took away
            stream.write(content)
            stream.flush()
            os.fsync(handle)
    except FileExistsError:
        problem = "it is there already; a key is never written over"
    except OSError as error:
        problem = type(error).__name__
    if problem is not None:
        raise ConfigError(f"the key file {os.fspath(path)} cannot be written ({problem})")


def private_key(path: str | os.PathLike[str]) -> Any:
    """
    The private key in a PEM file.

    Raises:
        ConfigError: It cannot be read, or is another kind of key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - heavy

    key: object = None
    try:
        key = load_pem_private_key(Path(path).read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"the key file {os.fspath(path)} cannot be read ({type(error).__name__})") from None
    except (TypeError, ValueError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{os.fspath(path)} is no unencrypted Ed25519 key in PEM; make one: guardrails keys new operator")
    return key


def public_text(key: Any) -> str:
    """The public key of a private one, in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")
