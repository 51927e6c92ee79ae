"""
Keys: one master key, and HMAC sub-keys per purpose and tenant.

Rules of this file:
- No secret is in a repr, an exception or a log line, and none is in the locals of a frame that raises.
- Nothing is read, created or derived before the first use; nothing is ever sent anywhere.
- There are no locks: each step is one atomic dict operation or one atomic file operation, so a fork finds nothing held.
- A key that cannot be trusted (wrong length, readable by others, foreign content) is refused, never repaired.

Sources: RFC 5869 (HKDF), RFC 2104 (HMAC).
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, final

from guardrails.errors import ConfigError
from guardrails.keys.digester import Digester
from guardrails.keys.epochs import Epochs, epochs_from_environment
from guardrails.keys.file import embedded_key, embedded_path
from guardrails.keys.material import ENVIRONMENT, HOW_TO, KEY_BYTES, Material, asked, checked, decoded, from_environment

AUDIT: Final = "audit/"  # purposes of the audit log's digests, which epochs hold for
_DIGESTERS: Final = 4_096  # kept per Keys; each is one derivation (about 20 us) when it has to be made again


@final
class Keys:
    """
    The master key, and what is derived from it.

    Args:
        master: 32 bytes; several, newest first, while keys rotate; or a callable that returns either and is asked once,
            at first use.
        epochs: Secrets that can be destroyed, mixed into the keys of the audit log's digests.

    Raises:
        ConfigError: The key material is not 32 bytes each.

    >>> Keys.ephemeral().digester("audit") is None
    False
    """

    __slots__ = ("__weakref__", "_digesters", "_embedded", "_masters", "_source", "ephemeral_only", "epochs")

    ephemeral_only: bool  # True: random, gone with this process
    epochs: Epochs | None

    def __init__(self, master: Material | Callable[[], Material], *, epochs: Epochs | None = None) -> None:
        if epochs is not None and not isinstance(epochs, Epochs):
            raise ConfigError(f"Keys(epochs=...) takes Epochs(folder), not {type(epochs).__name__}")
        self.epochs = epochs
        self._digesters: dict[tuple[str, str | None, str], Digester] = {}
        self._masters: dict[None, tuple[bytes, ...]] = {}  # empty until first use; filled by one atomic setdefault
        self._embedded = False
        self.ephemeral_only = False
        self._source: Callable[[], Material] | None = master if callable(master) else None
        if not callable(master):
            given = checked(master)
            del master
            if given is None:
                raise ConfigError(f"Keys: every key must be exactly {KEY_BYTES} bytes, and there must be one; {HOW_TO}")
            self._masters[None] = given

    @classmethod
    def from_text(cls, text: str) -> Keys:
        """
        A key as people write it.

        Args:
            text: 32 bytes in hex or base64 (either alphabet, padding optional).

        Raises:
            ConfigError: It is something else. The value is never shown.
        """
        key = decoded(text)
        del text
        if key is None:
            raise ConfigError(f"Keys.from_text: that is not a key of {KEY_BYTES} bytes; {HOW_TO}")
        return cls(key)

    @classmethod
    def ephemeral(cls) -> Keys:
        """A random key that lives as long as this process (and its forks)."""
        keys = cls(secrets.token_bytes(KEY_BYTES))
        keys.ephemeral_only = True
        return keys

    @classmethod
    def default(cls) -> Keys:
        """
        The key of this machine, looked up at first use: `GUARDRAILS_KEY`, else a file that is created on first use.

        The file lies under `$GUARDRAILS_HOME` or the user's state folder, and only its owner can read it. Epochs are those
        of `$GUARDRAILS_EPOCHS`, if it is set: a folder, perhaps with `:DAYS` behind it.
        """
        keys = cls(from_environment, epochs=epochs_from_environment())
        keys._embedded = True
        return keys

    @property
    def auto_created(self) -> bool:
        """True when the key comes, or would come, from the embedded file rather than from somebody who chose it."""
        if not self._embedded:
            return False
        if not self._masters:
            return ENVIRONMENT not in os.environ
        return self._source is embedded_key

    def digester(self, purpose: str, tenant: str | None = None) -> Digester:
        """
        The HMAC for one purpose (and one tenant).

        Args:
            purpose: What it is for, such as `"audit/recipient"`; different purposes cannot be joined.
            tenant: Whose data; None for data that belongs to no tenant.

        Raises:
            ConfigError: The key in the environment or in the embedded file is not usable.
            Unavailable: The key provider raised.
        """
        salted = self.epochs is not None and purpose.startswith(AUDIT)
        epoch = self.epochs.now() if self.epochs is not None and salted else ""
        known = self._digesters.get((purpose, tenant, epoch))
        if known is not None:
            return known
        made = Digester(
            self._sub_keys(purpose, tenant, self.epochs.current(tenant).secret if self.epochs and salted else b"")
        )
        if len(self._digesters) >= _DIGESTERS:
            self._digesters.clear()
        return self._digesters.setdefault((purpose, tenant, epoch), made)

    def readers(self, purpose: str, tenant: str | None = None) -> tuple[Digester, ...]:
        """
        What a reader of the audit log looks with: one digester for each epoch whose secret is still there, newest first.

        Args:
            purpose: As for `digester`.
            tenant: Whose data.

        Raises:
            ConfigError: A key or a secret cannot be used.
            Unavailable: The key provider raised.
        """
        if self.epochs is None or not purpose.startswith(AUDIT):
            return (self.digester(purpose, tenant),)
        return tuple(Digester(self._sub_keys(purpose, tenant, salt.secret)) for salt in self.epochs.all(tenant))

    def labels(self, purpose: str, tenant: str | None, data: str | bytes) -> tuple[str, ...]:
        """Every label under which *data* may stand in records: all keys that rotate, all epochs."""
        return tuple(label for reader in self.readers(purpose, tenant) for label in reader.all_labels(data))

    def exported(self, purpose: str, tenant: str | None = None) -> tuple[bytes, ...]:
        """
        The sub-keys themselves, newest first, for somebody who is to look up one tenant's records and nothing else.

        From a sub-key nobody gets to the master key, to another purpose or to another tenant.

        Raises:
            ConfigError: A key or a secret cannot be used.
            Unavailable: The key provider raised.
        """
        salted = self.epochs is not None and purpose.startswith(AUDIT)
        salts = [salt.secret for salt in self.epochs.all(tenant)] if self.epochs and salted else [b""]
        return tuple(key for salt in salts for key in self._sub_keys(purpose, tenant, salt))

    def _sub_keys(self, purpose: str, tenant: str | None, salt: bytes) -> list[bytes]:
        return [_derived(master, purpose, tenant, salt) for master in self._resolved()]

    def require_production(self) -> None:
        """
        Refuse a key that nobody chose.

        Raises:
            ConfigError: The embedded file would be used, or the key ends with this process.
        """
        if self.auto_created:
            raise ConfigError(f"production needs a key of yours: set {ENVIRONMENT} or pass keys=; {HOW_TO}")
        if self.ephemeral_only:
            raise ConfigError("production needs a key that outlives the process; Keys.ephemeral() does not")

    def refuse_inside(self, folder: str | os.PathLike[str]) -> None:
        """
        Refuse a key file that lies beside what it protects.

        Args:
            folder: The audit folder.

        Raises:
            ConfigError: The embedded key file, or the secrets of epochs, lie (or would lie) inside *folder*.
        """
        if self.epochs is not None and _lies_inside(self.epochs.folder / "any", folder):
            raise ConfigError("the secrets of epochs lie inside the audit folder: give Epochs(folder) another one")
        if self.auto_created and _lies_inside(embedded_path(), folder):
            raise ConfigError(
                "the key file lies inside the audit folder, where whoever can copy the log can copy the key; "
                f"set GUARDRAILS_HOME to another folder, or set {ENVIRONMENT}"
            )

    def _resolved(self) -> tuple[bytes, ...]:
        masters = self._masters.get(None)
        if masters is not None:
            return masters
        source = self._source
        if self._embedded:
            # Fixed here, so that `auto_created` keeps telling the truth when the environment changes later.
            source = self._source = from_environment if ENVIRONMENT in os.environ else embedded_key
        return self._masters.setdefault(None, asked(source))

    def __repr__(self) -> str:
        kind = "ephemeral" if self.ephemeral_only else "default" if self._embedded else "given"
        return f"Keys({kind})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys hold secrets and cannot be copied or pickled; make them where they are used")


def _derived(master: bytes, purpose: str, tenant: str | None, salt: bytes = b"") -> bytes:
    """
    HKDF-SHA256; the lengths in `info` keep (purpose, tenant) pairs apart, and no tenant apart from an empty one.

    Extract and one block of expand, which is all that 32 bytes need. Not by `cryptography`: its lazily made objects are
    guarded by locks that a fork leaves locked in the child, when another thread derives at that moment.

    Source: RFC 5869.
    """
    named = purpose.encode("utf-8", "surrogatepass")
    owner = b"" if tenant is None else b"t" + tenant.encode("utf-8", "surrogatepass")
    info = b"platform-guardrails/keys/1" + len(named).to_bytes(4, "big") + named + owner
    extracted = hmac.digest(salt or bytes(KEY_BYTES), master, "sha256")  # no salt: as many zeros as the hash is long
    return hmac.digest(extracted, info + b"\x01", "sha256")


def _lies_inside(path: Path, folder: str | os.PathLike[str]) -> bool:
    return Path(folder).resolve() in path.resolve().parents
