"""
Names of tenants that are slips of one that a policy has.

A guard for such a tenant would lose what the policy tightens for it, and a block of it would stop nobody.

Rules:
1. Most tenants are in no policy, and their ids may differ by one digit: a name with a digit in it is a slip only where nothing
   but case and separators tells it from one that the policy has.
2. Other names are slips if one letter is missing, too many, another or changed places with the next.
3. An entry of its own (`acmes: {}`) says that it is another tenant.

Only names in code and commands are looked at. A message's own tenant comes from data, and decides by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from guardrails.policy.slips import refuse_slip

_SEPARATORS: Final = re.compile(r"[\s._:-]+")
_SHORTEST: Final = 4  # characters, of the longer one: of three, every name is near


def meant_tenant(tenant: str, known: Collection[str]) -> str | None:
    """The name among *known* of which *tenant* is a slip; None where it is one of them, or another tenant."""
    if tenant in known:
        return None
    plain = _plain(tenant)
    return next((one for one in known if _plain(one) == plain), None) or next(
        (one for one in known if _one_letter_off(plain, _plain(one))), None
    )


def checked_tenant(tenant: str, known: Collection[str], policy: str) -> None:
    """
    Whether *tenant* is one that the policy has, or another one.

    Args:
        tenant: The name.
        known: The tenants of the policy.
        policy: Its file, for the error.

    Raises:
        ConfigError: It is a slip of one of them.
    """
    refuse_slip("tenant", tenant, meant_tenant(tenant, known), policy)


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()


def _one_letter_off(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    if len(longer) < _SHORTEST or len(longer) - len(shorter) > 1 or not (one + other).isalpha():
        return False
    if len(shorter) < len(longer):
        return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))
    apart = [at for at, (this, that) in enumerate(zip(one, other, strict=True)) if this != that]
    swapped = len(apart) == 2 and one[apart[0]] + one[apart[1]] == other[apart[1]] + other[apart[0]]  # noqa: PLR2004 - a pair
    return len(apart) == 1 or (swapped and apart[1] - apart[0] == 1)
