"""
`UniqueRecipients`: how many different people one sender may reach within a window.

Messaging platforms limit this, and not messages: 250 or 2,000 people in a moving 24 hours, however many messages each gets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from guardrails import address
from guardrails.core.message import Message
from guardrails.core.trial import Trial
from guardrails.errors import ConfigError
from guardrails.keys import Keys
from guardrails.ratelimit.limit import SCOPES
from guardrails.ratelimit.people.cap import read_roles
from guardrails.ratelimit.people.classes import Classes, ClassOf
from guardrails.ratelimit.people.counted import MAX_KEYS, Counting, Kept, kept_in, replayed
from guardrails.ratelimit.people.person import fields_of, has_roles, joined, people
from guardrails.ratelimit.people.storage import MEMORY
from guardrails.ratelimit.people.tally import SECOND, Ask, Want
from guardrails.ratelimit.use import Use

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.ratelimit.replay import Replay

MAX_AMOUNT: Final = 1_000_000
MAX_DAYS: Final = 31
_WINDOW: Final = re.compile(r"\s*([0-9]{1,7})\s*(s|seconds?|m|minutes?|h|hours?|d|days?)\s*", re.ASCII)
_ANYBODY: Final = "-"  # no digest is written like this
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class UniqueRecipients:
    """
    Different people that may be reached in a moving window. Who was reached in it already may be sent more.

    Put it after the audit log, beside the other limits. People count from their last message on, and attempts count.

    Args:
        amount: How many people.
        window: A length of time, such as "24h" or "7 days"; at most 31 days.
        per: What they are counted for: "sender", another role but "recipient", a tuple of roles, or None for all together.
        scope: "tenant" counts for each tenant apart; "global" across tenants.

    The other arguments are those of `Cap`.

    Raises:
        ConfigError: An argument is wrong, or what is kept has no key that is kept.

    >>> UniqueRecipients(1000, window="24h", per="sender")
    UniqueRecipients(1000 in 24h, per=sender)
    """

    kind: Final = "limit"
    refuses_rehearsal: Final = Trial(others=True)

    def __init__(
        self,
        amount: int,
        *,
        window: str,
        per: str | tuple[str, ...] | None = None,
        scope: str = "tenant",
        storage: str | Kept = MEMORY,
        keys: Keys | None = None,
        classes: Collection[str] = (),
        exempt: Collection[str] = (),
        message_class: ClassOf | None = None,
        region: str | None = None,
        opaque_ids: bool = False,
        max_keys: int = MAX_KEYS,
        timeout_seconds: float = 0.9,
        max_connections: int = 4,
        plaintext_hosts: Collection[str] = (),
        name: str = "unique_recipients",
    ) -> None:
        address.load()
        if type(amount) is not int or not 1 <= amount <= MAX_AMOUNT:
            raise ConfigError(f"UniqueRecipients: amount is a number of people, 1 to {MAX_AMOUNT}")
        seconds = read_window(window)
        self.roles: tuple[str, ...] = () if per is None else read_roles(per, "UniqueRecipients")
        if "recipient" in self.roles:
            raise ConfigError('UniqueRecipients: recipients are what is counted; per= says for whom, such as "sender"')
        if scope not in SCOPES:
            raise ConfigError('UniqueRecipients: scope must be "tenant" or "global"')
        self._amount, self._seconds, self._said = amount, seconds, window.strip()
        self._scope = scope
        self._region, self._opaque_ids = region, opaque_ids
        self.name = name
        self.needs: tuple[str, ...] = ("recipient", *(role for role in self.roles if role != "channel"))
        self.kept: Kept = kept_in(
            storage, keys, rule="UniqueRecipients", max_keys=max_keys, timeout_seconds=timeout_seconds,
            max_connections=max_connections, plaintext_hosts=plaintext_hosts,
        )  # fmt: skip
        held = Classes("UniqueRecipients", classes=classes, exempt=exempt, asked=message_class)
        self._counting = Counting(self.kept, held, self._asked, f"{amount} people in {self._said}")
        self.per_process: bool = self._counting.per_process
        self.uses_network: bool = self._counting.uses_network

    def replayed(self, replay: Replay, /) -> UniqueRecipients:
        """The same in a replay."""
        return replayed(self, replay)

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Defer what would reach one person too many; count at the door."""
        return await self._counting.guard(call, forward, io)

    def _asked(self, message: Message, layer: str) -> Ask:
        wants = self._wants(message, layer)
        return lambda _: wants

    def _wants(self, message: Message, layer: str) -> Sequence[Want]:
        counter, found = self._counter(message, layer), []
        for who in people(message, region=self._region, opaque_ids=self._opaque_ids):
            member = self.kept.digester.digest(joined("person", counter, who)).hex()
            found.append(Want(counter, member, self._amount, 0, 0, self._seconds * SECOND))
        return found

    def _counter(self, message: Message, layer: str) -> str:
        shared = fields_of(message, self.roles, self._scope, self.name)
        return self.kept.digester.digest(joined("unique", self.name, layer, *shared)).hex()

    def usage(self, message: Message, *, layer: str = "platform") -> list[Use]:
        """
        How many people were reached in the window; nothing where *message* lacks for whom they are counted.

        Args:
            message: Whose counter; its text and its recipients do not matter.
            layer: Of the guard: "platform" or "team".

        Raises:
            Unavailable: The storage does not answer.
        """
        if not has_roles(message, self.roles):
            return []
        want = Want(self._counter(message, layer), _ANYBODY, self._amount, 0, 0, self._seconds * SECOND)
        about = Use(self.name, "+".join(self.roles) or "all", 0, self._amount, self._seconds, "people", 0.0, 0)
        return self._counting.stands(lambda _: [want], about)

    def reset(self, message: Message, *, layer: str = "platform", limit: str | None = None) -> int:
        """
        Forget whom *message*'s sender (or whoever *per* says) has reached: its recipients, or everybody where it has none.

        Returns:
            How many of them had been reached; 1 for everybody.

        Raises:
            Denied: A recipient is no address.
            Unavailable: The storage does not answer.
        """
        if limit not in (None, self.name) or not has_roles(message, self.roles):
            return 0
        if message.recipients:
            return self._counting.forget(self._wants(message, layer))
        return self._counting.forget([Want(self._counter(message, layer), "", self._amount, 0, 0, 0)])

    def close(self) -> None:
        """Let go of files and connections; a later send opens new ones."""
        self.kept.tally.close()

    def __repr__(self) -> str:
        return f"UniqueRecipients({self._amount} in {self._said}, per={'+'.join(self.roles) or 'all'})"


def read_window(window: object) -> int:
    """
    Seconds of a window.

    Raises:
        ConfigError: It is no length of time, or too long.
    """
    match = _WINDOW.fullmatch(window) if isinstance(window, str) else None
    seconds = int(match[1]) * _UNITS[match[2][0]] if match else 0
    if not 1 <= seconds <= MAX_DAYS * _UNITS["d"]:
        raise ConfigError(f'UniqueRecipients: write the window as "24h" or "7 days"; at most {MAX_DAYS} days')
    return seconds
