"""Keyed digests of what a record must join but must not hold: recipients, ids, masked text."""

from __future__ import annotations

from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, Final

from guardrails.address import normalise
from guardrails.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RECIPIENT: Final = "audit/recipient"
IDENTIFIER: Final = "audit/id"
CONTENT: Final = "audit/content"
REPLY: Final = "audit/reply"


class Digests:
    """
    Digests under one key, per tenant: two tenants' records of one person cannot be joined without the key.

    Args:
        keys: Where the sub-keys come from; asked at first use.
        cached: Recipients whose digest is remembered, in memory only.
    """

    __slots__ = ("_keys", "_recipient")

    def __init__(self, keys: Keys, *, cached: int) -> None:
        self._keys = keys
        self._recipient: Callable[[str, str | None, str], str] = lru_cache(maxsize=cached)(self._digest_recipient)

    def recipients(self, addresses: Sequence[str], tenant: str | None) -> list[str]:
        """One JSON object for each address: the digest of its normalised form, and its kind."""
        known, epochs = self._recipient, self._keys.epochs
        epoch = "" if epochs is None else epochs.now()
        if len(addresses) == 1:
            return [known(addresses[0], tenant, epoch)]
        return [known(address, tenant, epoch) for address in addresses]

    def identifier(self, value: str, tenant: str | None) -> str:
        """The digest of an id that may not stand in a record as it is."""
        return self._keys.digester(IDENTIFIER, tenant).label(value)

    def content(self, text: str, tenant: str | None) -> str:
        """The digest of masked text, all parts joined by newlines."""
        return self._keys.digester(CONTENT, tenant).label(text)

    def reply(self, text: str, tenant: str | None) -> str:
        """The digest of a masked reply, or of a provider's own id."""
        return self._keys.digester(REPLY, tenant).label(text)

    def _digest_recipient(self, address: str, tenant: str | None, _epoch: str) -> str:
        person = normalise(address)
        digest = self._keys.digester(RECIPIENT, tenant).label(person.value)
        return f'{{"digest":{quote(digest)},"kind":{quote(person.kind)}}}'
