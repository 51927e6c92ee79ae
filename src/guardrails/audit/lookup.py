"""
Finding a person's records: every digest under which an address, an id or a text may stand in them.

A reviewer needs no master key for that. What `guardrails keys export` writes holds the sub-keys of the audit log's digests for
one tenant: enough to look up, and not enough to sign, to open the vault, or to look up another tenant's people.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from guardrails import address
from guardrails.audit.digests import CONTENT, IDENTIFIER, RECIPIENT, REPLY
from guardrails.errors import ConfigError
from guardrails.keys import KEY_BYTES, Digester, Keys

PURPOSE: Final = "audit-lookup"
KINDS: Final = {"recipient": RECIPIENT, "id": IDENTIFIER, "content": CONTENT, "reply": REPLY}
_SCHEMA_VERSION: Final = 1
_FILE_BYTES: Final = 16_777_216


class Lookup:
    """
    What can look up one tenant's records.

    Args:
        tenant: Whose; None for records that name no tenant.
        keys: Sub-keys by purpose, newest first.
    """

    __slots__ = ("_digesters", "tenant")

    def __init__(self, tenant: str | None, keys: Mapping[str, tuple[bytes, ...]]) -> None:
        self.tenant: str | None = tenant
        self._digesters = {purpose: Digester(several) for purpose, several in keys.items() if several}

    @classmethod
    def of(cls, keys: Keys, tenant: str | None) -> Lookup:
        """
        From the master key, and the epochs whose secrets are still there.

        Raises:
            ConfigError: A key or a secret cannot be used.
            Unavailable: The key provider raised.
        """
        return cls(tenant, {purpose: keys.exported(purpose, tenant) for purpose in KINDS.values()})

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Lookup:
        """
        From what `guardrails keys export` wrote.

        Raises:
            ConfigError: It cannot be read, or is something else.
        """
        try:
            with Path(path).open("rb") as file:
                told = json.loads(file.read(_FILE_BYTES))
            keys = {str(purpose): tuple(map(bytes.fromhex, several)) for purpose, several in told["keys"].items()}
            good = (told["schema_version"], told["purpose"]) == (_SCHEMA_VERSION, PURPOSE)
            good = good and all(len(key) == KEY_BYTES for several in keys.values() for key in several)
        except OSError as error:
            raise ConfigError(f"the exported keys cannot be read ({type(error).__name__})") from None
        except (AttributeError, KeyError, TypeError, ValueError):
            good, told, keys = False, {}, {}
        if not good:
            raise ConfigError("that is not what `guardrails keys export --purpose audit-lookup` writes")
        return cls(told["tenant"], keys)

    def labels(self, kind: str, value: str) -> tuple[str, ...]:
        """
        Every digest under which *value* may stand in a record, newest first.

        Args:
            kind: One of `KINDS`.
            value: An address however it is written, an id, or text as it was sent.

        Raises:
            ConfigError: There is no such kind.
        """
        if kind not in KINDS:
            raise ConfigError(f"the kind must be one of {', '.join(KINDS)}")
        if kind == "recipient":
            address.load()
            value = address.normalise(value).value
        digester = self._digesters.get(KINDS[kind])
        return () if digester is None else digester.all_labels(value)

    def __repr__(self) -> str:
        return f"Lookup(purposes={len(self._digesters)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Lookup holds secrets and cannot be copied or pickled")


def exported(keys: Keys, tenant: str | None) -> dict[str, Any]:
    """
    What a reviewer gets, for JSON: secret, but only of this tenant's digests.

    Raises:
        ConfigError: A key or a secret cannot be used.
        Unavailable: The key provider raised.
    """
    named = {purpose: [key.hex() for key in keys.exported(purpose, tenant)] for purpose in KINDS.values()}
    return {"schema_version": _SCHEMA_VERSION, "purpose": PURPOSE, "tenant": tenant, "keys": named}
