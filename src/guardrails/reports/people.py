"""Who can look up a person's records: the machine's key for every tenant of a log, or an exported key for one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from guardrails.audit.lookup import Lookup
from guardrails.audit.reading import files
from guardrails.keys import Keys
from guardrails.reports.source import blocks

_TENANT: Final = b'"tenant":"'


def lookups(folder: str | os.PathLike[str], *, tenant: str | None = None, exported: Path | None = None) -> list[Lookup]:
    """
    What finds people in a log.

    Args:
        folder: The log.
        tenant: Whose people; None: those of every tenant that the log names, and those of none.
        exported: What `guardrails keys export` wrote, for one tenant; None: the key of this machine.

    Raises:
        ConfigError: A key is not usable.
        Unavailable: The key provider failed.
        OSError: The log cannot be read.
    """
    if exported is not None:
        return [Lookup.read(exported)]
    keys = Keys.default()
    return [Lookup.of(keys, one) for one in (tenants_of(folder) if tenant is None else {tenant})]


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
