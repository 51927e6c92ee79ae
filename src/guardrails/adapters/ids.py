"""The ids of `guardrails.context` on their way through a host: opaque ones only, never anything that could be personal."""

from __future__ import annotations

import re
from typing import Final

from guardrails.adapters.leaves import UUID
from guardrails.core.context import current

IDS: Final = ("tenant", "conversation", "actor")
_FORM: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# 7 to 15 digits (E.164) that stand alone, also with separators: a number that could be somebody's.
_NUMBER: Final = re.compile(r"(?<![A-Za-z0-9])\d(?:[.:-]?\d){6,14}(?![A-Za-z0-9])")


def is_opaque(value: str) -> bool:
    """Whether an id may travel: it is short, plain, and nothing that looks like a telephone number."""
    return _FORM.fullmatch(value) is not None and _NUMBER.search(UUID.sub("", value)) is None


def opaque(**ids: str | None) -> dict[str, str]:
    """Those of *ids* that may travel."""
    return {name: value for name, value in ids.items() if value is not None and is_opaque(value)}


def carried_ids(prefix: str) -> dict[str, str]:
    """The ids in force here that may travel, under names that begin with *prefix*."""
    ids = current.get()
    return {f"{prefix}{name}": value for name, value in opaque(**{name: getattr(ids, name) for name in IDS}).items()}
