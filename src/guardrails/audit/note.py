"""
Checkpoints as signed notes: what a stream held, in three lines that anybody can check.

Sources: C2SP signed-note (note, key id, verifier key) and tlog-checkpoint (origin, size, root).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, NoReturn, Protocol

from guardrails.errors import ConfigError

_ED25519: Final = b"\x01"
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64
_ORIGIN: Final = "platform-guardrails/audit/"
_NAME: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_BODY: Final = re.compile(r"platform-guardrails/audit/([0-9a-f]{32})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n")


class Signer(Protocol):
    """Signs checkpoints. Implement it over a KMS or an HSM to keep the key out of the writer's reach."""

    @property
    def name(self) -> str:
        """The key's name in signature lines: letters, digits and `._:/-`."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 public key."""

    def sign(self, message: bytes, /) -> bytes:
        """The 64 bytes of the Ed25519 signature."""


class Ed25519Signer:
    """
    Signs with a private key from a PEM file (`openssl genpkey -algorithm ed25519`). Never derived from the master key.

    Args:
        path: The unencrypted PKCS #8 file.
        name: The key's name in signature lines.

    Raises:
        ConfigError: The file cannot be read, holds another kind of key, or the name has other characters.
    """

    __slots__ = ("_key", "name", "public_key")

    def __init__(self, path: str | os.PathLike[str], *, name: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - heavy

        if not _NAME.fullmatch(name):
            raise ConfigError("Ed25519Signer(name=...) may hold letters, digits and ._:/- only, at most 128")
        key: object = None
        try:
            key = load_pem_private_key(Path(path).read_bytes(), password=None)
        except OSError as error:
            raise ConfigError(f"the signing key cannot be read ({type(error).__name__})") from None
        except (TypeError, ValueError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(
                "the signing key must be an unencrypted Ed25519 key in PEM: openssl genpkey -algorithm ed25519"
            )
        self._key = key
        self.name: str = name
        self.public_key: bytes = key.public_key().public_bytes_raw()

    def sign(self, message: bytes, /) -> bytes:
        """The signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"Ed25519Signer(name={self.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer holds a secret and cannot be copied or pickled")


def verifier_key(signer: Signer) -> str:
    """The line for a reviewer's trust file: name, key id, public key."""
    public = base64.b64encode(_ED25519 + signer.public_key).decode("ascii")
    return f"{signer.name}+{_key_id(signer.name, signer.public_key).hex()}+{public}"


def signed_checkpoint(stream: str, size: int, root: bytes, signer: Signer) -> bytes:
    """The signed note for the first *size* records of *stream*."""
    body = f"{_ORIGIN}{stream}\n{size}\n{base64.b64encode(root).decode('ascii')}\n".encode("ascii")
    signature = signer.sign(body)
    signed = base64.b64encode(_key_id(signer.name, signer.public_key) + signature).decode("ascii")
    return body + f"\n\u2014 {signer.name} {signed}\n".encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a note says, once its signature holds."""

    stream: str
    size: int
    root: bytes


class Forged(ValueError):
    """A note is no checkpoint, or none of its signatures is by a trusted key; the message says which."""


class Trust:
    """
    Verifier keys, from the reviewer's own file: one a line, `#` for comments.

    Raises:
        ConfigError: The file cannot be read or holds no verifier key.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            said = Path(path).read_text("ascii").splitlines()
        except (OSError, ValueError) as error:
            raise ConfigError(f"the trust file cannot be read ({type(error).__name__})") from None
        self._keys = {}
        for line in said:
            if line.strip() and not line.startswith("#"):
                name, public = _verifier(line.strip())
                self._keys[name, _key_id(name, public)] = public
        if not self._keys:
            raise ConfigError("the trust file holds no verifier key")

    def checkpoint(self, note: bytes) -> Checkpoint:
        """
        What *note* says.

        Raises:
            Forged: Nobody trusted says so.
        """
        body, gap, signatures = note.partition(b"\n\n")
        body += b"\n"
        try:
            match = _BODY.fullmatch(body.decode("ascii"))
            lines = signatures.decode().split("\n")
        except UnicodeDecodeError:
            match, lines = None, []
        if match is None or not gap or lines.pop() != "":
            raise Forged("not a checkpoint")
        if not any(self._holds(body, line) for line in lines):
            raise Forged("no signature by a trusted key holds")
        return Checkpoint(match[1], int(match[2]), base64.b64decode(match[3]))

    def _holds(self, body: bytes, line: str) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only with anchors
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - only with anchors

        match line.split(" "):
            case ["\u2014", name, encoded]:
                try:
                    raw = base64.b64decode(encoded, validate=True)
                except (ValueError, binascii.Error):
                    return False
            case _:
                return False
        public = self._keys.get((name, raw[:_ID_BYTES]))
        if base64.b64encode(raw).decode("ascii") != encoded:  # one signature has one spelling
            return False
        if public is None or len(raw) != _ID_BYTES + _SIGNATURE_BYTES:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(raw[_ID_BYTES:], body)
        except InvalidSignature:
            return False
        return True


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode("ascii") + b"\n" + _ED25519 + public).digest()[:_ID_BYTES]


def _verifier(line: str) -> tuple[str, bytes]:
    name, _, rest = line.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    public = raw[1:]
    if raw[:1] != _ED25519 or len(public) != _KEY_BYTES or _key_id(name, public).hex() != key_id:
        raise ConfigError("a line of the trust file is no Ed25519 verifier key (name+id+key)")
    return name, public
