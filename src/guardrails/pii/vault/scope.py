"""
Whose rows are whose: everything in a store is found by keyed digests, and every row is sealed to its place.

1. Group names and keys hold no value, no address and no name: only HMAC digests under keys of the vault.
2. A subject's values are under a random key of that subject, which is itself sealed under the master key. Without that
   key nothing of the subject can be read or linked, in no copy of the store.
3. A row opens only where it was written: tenant, subject, token, entity and key id are authenticated with it.

Sources: RFC 5869 and RFC 2104 (by `Keys`), NIST SP 800-38D (AES-GCM).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from guardrails.pii.failures import SpeakableError
from guardrails.pii.vault.store import ALTERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.keys import Keys

_NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


def digests(keys: Keys, purpose: str, tenant: str | None, data: str) -> list[str]:
    """The digest of *data* under every key, newest first, fit for names of groups and keys."""
    return [label.rsplit(":", 1)[1] for label in keys.digester(f"vault/{purpose}", tenant).all_labels(data)]


def tenant_groups(keys: Keys, tenant: str | None) -> list[str]:
    """What every group of *tenant* begins with, under every key."""
    return [f"{one}/" for one in digests(keys, "tenant", None, "-" if tenant is None else f"={tenant}")]


def groups(keys: Keys, tenant: str | None, kind: str, *data: str) -> list[str]:
    """The groups of *data* under every key, each newest first."""
    owners = tenant_groups(keys, tenant)
    named = [zip(owners, digests(keys, kind, tenant, one), strict=True) for one in data]
    return [f"{owner}{kind}/{digest}/" for pairs in named for owner, digest in pairs]


def seal(key: bytes, data: bytes, bound_to: str) -> bytes:
    """*data* under AES-256-GCM."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only who keeps values pays

    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, _bytes(bound_to))


def unseal(keys: Sequence[bytes], box: bytes, bound_to: str) -> bytes:
    """
    What is in *box*, under the first of *keys* that opens it.

    Raises:
        SpeakableError: None does.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only who keeps values pays
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    for key in keys:
        try:
            return AESGCM(key).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _bytes(bound_to))
        except (InvalidTag, ValueError, TypeError):  # a row that holds something else than bytes
            continue
    raise SpeakableError(ALTERED)


@cache
def load() -> None:
    """
    Load now what sealing needs.

    A child that is forked while another thread imports it, or uses it for the first time, would wait for that thread for ever.
    """
    with suppress(SpeakableError):
        unseal([bytes(KEY_BYTES)], seal(bytes(KEY_BYTES), b"", "a"), "b")


def wrapping_keys(keys: Keys, tenant: str | None) -> list[bytes]:
    """The keys that seal what belongs to *tenant*, newest first."""
    return [base64.urlsafe_b64decode(one + "=") for one in digests(keys, "wrap", tenant, "aes-256-gcm")]


@dataclass(frozen=True, slots=True)
class Value:
    """
    What a token stands for.

    Args:
        entity: As what it was found.
        text: The value.
        within: What stood before it in the same web address; empty outside of one.
    """

    entity: str
    text: str = field(repr=False)
    within: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """
    One subject's rows.

    Args:
        group: Where they lie.
        key: The subject's own key.
        until: When that is gone (seconds since 1970), unless it is renewed.
    """

    group: str
    key: bytes = field(repr=False)
    until: float = math.inf

    def digest(self, value: Value, attempt: int) -> bytes:
        """Equal for equal values of this subject, and without the key like chance."""
        return hmac.digest(self.key, _packed([value.entity, value.text, value.within, attempt]), "sha256")

    def sealed(self, code: str, value: Value) -> bytes:
        """The row of a token."""
        entity = _bytes(value.entity)
        box = seal(self.key, _packed([value.text, value.within]), self._place(code, value.entity))
        return self._key_id() + b"\0" + entity + b"\0" + box

    def opened(self, code: str, row: bytes) -> Value | None:
        """
        What the row of a token says; None if it is from before the subject was forgotten.

        Raises:
            SpeakableError: It was altered, or written for another place.
        """
        key_id, _, rest = row.partition(b"\0")
        if key_id != self._key_id():
            return None
        name, _, box = rest.partition(b"\0")
        entity = name.decode("utf-8", "replace")
        text, within = json.loads(unseal([self.key], box, self._place(code, entity)))
        return Value(entity, text, within)

    def _key_id(self) -> bytes:
        return hashlib.sha256(b"platform-guardrails/vault/key-id\0" + self.key).hexdigest()[:12].encode()

    def _place(self, code: str, entity: str) -> str:
        return f"platform-guardrails/vault/1\0{self.group}\0{code}\0{entity}\0{self._key_id().decode()}"


def _packed(parts: list[object]) -> bytes:
    return json.dumps(parts, ensure_ascii=True).encode("ascii")  # half a surrogate pair survives as an escape


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
