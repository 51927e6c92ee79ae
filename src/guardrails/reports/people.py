"""The keyed digests under which one person stands in a log."""

from __future__ import annotations

import os

from guardrails import address
from guardrails.audit.digests import RECIPIENT
from guardrails.audit.reading import files
from guardrails.keys import Keys
from guardrails.reports.source import blocks

_TENANT = b'"tenant":"'


def digests(value: str, keys: Keys, tenants: set[str | None]) -> frozenset[str]:
    """
    Every digest that stands for an address: per tenant, and under old keys too while keys rotate.

    Args:
        value: An address, however it is written.
        keys: Those of the log.
        tenants: Whose records; None for records that name no tenant.

    Raises:
        ConfigError: The key is not usable.
        Unavailable: The key provider failed.
    """
    address.load()
    person = address.normalise(value).value
    return frozenset(label for tenant in tenants for label in keys.labels(RECIPIENT, tenant, person))


def tenants_of(folder: str | os.PathLike[str]) -> set[str | None]:
    """
    The tenants that a log names, and None.

    Raises:
        OSError: The folder or a file cannot be read.
    """
    found: set[bytes] = set()
    for path in files(folder):
        for block in blocks(path):
            at = block.find(_TENANT)
            while at >= 0:
                at += len(_TENANT)
                end = block.find(b'"', at)
                found.add(block[at:end])
                at = block.find(_TENANT, end)
    return {None, *(name.decode("utf-8", "replace") for name in found)}
