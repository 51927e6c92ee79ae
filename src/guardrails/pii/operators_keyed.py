"""
Operators that need a key: a digest that joins equal values, and encryption that the holder of the key can undo.

1. What they put into a text holds no digit: key ids, digests and ciphertexts are written in the letters a to p, so no
   number recognizer finds anything in them, and they survive a change of case and the GSM 7-bit alphabet.
2. Nothing here is a vault: an encrypted value is in the text itself, and whoever has the key can read it.

Sources: RFC 2104 (HMAC), NIST SP 800-38D (AES-GCM).
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from guardrails.address import normalise
from guardrails.errors import ConfigError
from guardrails.keys import Keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_DIGEST_BYTES: Final = 16  # 128 bits: no two values of one tenant meet by chance
_NONCE_BYTES: Final = 12
_HASH: Final = "pii/hash"
_ENCRYPT: Final = "pii/encrypt"
_AS_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_AS_HEX: Final = str.maketrans("abcdefghijklmnop", "0123456789abcdef")
_SEALED: Final = re.compile(
    r"<(?P<entity>[A-Z][A-Z0-9_]*):enc:(?P<key>[a-p]{12}):(?P<box>(?:[a-p]{2}){28,})>", re.IGNORECASE
)
_ADDRESSES: Final = frozenset({"PHONE_NUMBER", "EMAIL_ADDRESS"})


@dataclass(frozen=True, slots=True)
class Hash:
    """
    Replaces the value by a keyed digest: `<EMAIL_ADDRESS:hash:<key id>:<digest>>`.

    Equal values have equal digests as long as the key is the same; without the key nobody can try values out, as with a
    plain hash of a phone number anybody could. Phone numbers and e-mail addresses are normalised first, so that two
    spellings of one address are one value.

    Args:
        keys: The master key; None for the key of this machine (`Keys.default()`).
        tenant: Separates tenants: equal values of two tenants differ.
    """

    keys: Keys = field(default_factory=Keys.default, repr=False)
    tenant: str | None = None

    def __post_init__(self) -> None:
        check_keyed("Hash", self.keys, self.tenant)

    def apply(self, entity: str, value: str, /) -> str:
        """The digest that stands for *value*."""
        if entity in _ADDRESSES:
            value = normalise(value).value
        digester = self.keys.digester(_HASH, self.tenant)
        digest = digester.digest(f"{entity}\0{value}")[:_DIGEST_BYTES]
        return f"<{entity}:hash:{_letters(digester.key_id)}:{_letters(digest.hex())}>"


@dataclass(frozen=True, slots=True)
class Encrypt:
    """
    Replaces the value by its ciphertext under AES-256-GCM: `<EMAIL_ADDRESS:enc:<key id>:<nonce, ciphertext and tag>>`.

    Entity, key id and tenant are authenticated with it: a ciphertext that was altered, or moved to another entity or
    tenant, does not open. Each encryption is different, so equal values cannot be told from the text.

    Args:
        keys: The master key; None for the key of this machine. Old keys in it still decrypt.
        tenant: Separates tenants: what one encrypts does not open as another's.
    """

    keys: Keys = field(default_factory=Keys.default, repr=False)
    tenant: str | None = None

    def __post_init__(self) -> None:
        check_keyed("Encrypt", self.keys, self.tenant)

    def apply(self, entity: str, value: str, /) -> str:
        """The ciphertext that stands for *value*."""
        key_id, cipher = next(iter(self._ciphers().items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        box = nonce + cipher.encrypt(nonce, value.encode("utf-8", "surrogatepass"), self._bound_to(entity, key_id))
        return f"<{entity}:enc:{_letters(key_id)}:{_letters(box.hex())}>"

    def decrypt(self, text: str, /) -> str:
        """
        *text* with every ciphertext that opens replaced by its value.

        What was not made by this key, for this tenant, exactly so, is left as it stands.

        >>> encrypt = Encrypt(Keys.ephemeral())
        >>> encrypt.decrypt(encrypt.apply("EMAIL_ADDRESS", "ann@example.com"))
        'ann@example.com'
        """
        return _SEALED.sub(partial(self._opened, self._ciphers()), text) if ":enc:" in text.lower() else text

    def _opened(self, ciphers: dict[str, AESGCM], match: re.Match[str]) -> str:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded by whoever encrypts

        key_id = match["key"].lower().translate(_AS_HEX)
        cipher = ciphers.get(key_id)
        if cipher is None:
            return match[0]
        box = bytes.fromhex(match["box"].lower().translate(_AS_HEX))
        try:
            value = cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], self._bound_to(match["entity"].upper(), key_id))
        except InvalidTag:
            return match[0]
        return value.decode("utf-8", "surrogatepass")

    def _bound_to(self, entity: str, key_id: str) -> bytes:
        owner = "-" if self.tenant is None else f"={self.tenant}"
        return f"platform-guardrails/encrypt/1\0{entity}\0{key_id}\0{owner}".encode("utf-8", "surrogatepass")

    def _ciphers(self) -> dict[str, AESGCM]:
        """Key id to cipher, newest first."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only who encrypts pays

        ciphers: dict[str, AESGCM] = {}
        for label in self.keys.digester(_ENCRYPT, self.tenant).all_labels("aes-256-gcm"):
            _, key_id, digest = label.split(":")
            ciphers[key_id] = AESGCM(base64.urlsafe_b64decode(digest + "="))
        return ciphers


def _letters(hexadecimal: str) -> str:
    return hexadecimal.translate(_AS_LETTERS)


def check_keyed(what: str, keys: object, tenant: object) -> None:
    """
    Whether an operator's settings are keys and a tenant.

    Raises:
        ConfigError: They are not.
    """
    if not isinstance(keys, Keys):
        raise ConfigError(f"{what}(keys=...) takes Keys, such as Keys.from_text(...), not {type(keys).__name__}")
    if tenant is not None and not isinstance(tenant, str):
        raise ConfigError(f"{what}(tenant=...) takes a str or None, not {type(tenant).__name__}")
