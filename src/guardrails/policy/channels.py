"""
Names of channels that are slips of a name that a policy has: such messages would lose what it tightens there.

Rules:
1. A name that the policy has is no slip: an empty entry (`smss: {}`) says that it is another channel.
2. Names that this library gives channels are no slips of each other (`sms`, `mms`); nor is a name that goes on after a
   separator (`sms-otp`).
3. Everything else that is near, or differs only in case, is refused: the guard, the decoration or the message.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Final

from guardrails.core.profiles import PROFILES
from guardrails.policy.slips import refuse_slip

_OURS: Final = frozenset({*PROFILES, "handoff", "http", "mms", "other", "tool"})
_WORD: Final = re.compile(r"[^\W_]+")


def meant(channel: str, known: Collection[str]) -> str | None:
    """The name among *known* of which *channel* is a slip; None where it is one of them, or another channel."""
    if channel in known:
        return None
    plain = {_plain(one): one for one in known}
    if _plain(channel) in plain:
        return plain[_plain(channel)]
    if channel == "other":  # nobody wrote it
        return None
    rivals = [one for said, one in plain.items() if not _apart(channel, one) and not _goes_on(_plain(channel), said)]
    near = difflib.get_close_matches(_plain(channel), [_plain(one) for one in rivals], n=1)
    return plain[near[0]] if near else None


def checked_channel(channel: str, known: Collection[str], policy: str) -> None:
    """
    Whether *channel* is one that the policy has, or another one.

    Args:
        channel: The name.
        known: The channels of the policy.
        policy: Its file, for the error.

    Raises:
        ConfigError: It is a slip of one of them.
    """
    refuse_slip("channel", channel, meant(channel, known), policy)


def checked_scope(channel: str, known: Collection[str], policy: str) -> bool:
    """
    Whether *channel*, of a switch, is one that the policy or this library has. Any other may be right: a guard's code named it.

    Args:
        channel: The name.
        known: The channels of the policy.
        policy: Its file, for the error.

    Raises:
        ConfigError: It is a slip of one of them: a block would stop nothing.
    """
    checked_channel(channel, {*known, *_OURS}, policy)
    return channel in known or channel in _OURS


def _plain(name: str) -> str:
    return name.strip().casefold()


def _apart(one: str, other: str) -> bool:
    return {one, other} <= _OURS


def _goes_on(one: str, other: str) -> bool:
    """Whether one of them is the other and more words."""
    words, others = _WORD.findall(one), _WORD.findall(other)
    least = min(len(words), len(others))
    return len(words) != len(others) and words[:least] == others[:least]
