"""`Cap`: so many messages to a person on a day of their calendar, and no more."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from guardrails import address
from guardrails.core.message import Message
from guardrails.core.trial import Trial
from guardrails.errors import ConfigError
from guardrails.keys import Keys
from guardrails.ratelimit.limit import ROLES, SCOPES
from guardrails.ratelimit.people.classes import Classes, ClassOf
from guardrails.ratelimit.people.clock import period
from guardrails.ratelimit.people.counted import MAX_KEYS, Counting, Kept, kept_in, micros, moment, replayed
from guardrails.ratelimit.people.person import fields_of, has_roles, joined, people
from guardrails.ratelimit.people.storage import MEMORY
from guardrails.ratelimit.people.tally import SECOND, Ask, Want
from guardrails.ratelimit.people.zones import Zone, Zones
from guardrails.ratelimit.use import Use

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.ratelimit.replay import Replay

_RATE: Final = re.compile(r"\s*([0-9]{1,6})\s*(?:/|\sper\s)\s*(day|week|month)\s*", re.ASCII)
# Where the zone is not known: no calendar day, week or month is longer, with an hour for a clock that goes back.
_LONGEST: Final = {"day": 25 * 3_600, "week": 169 * 3_600, "month": (31 * 24 + 1) * 3_600}


class Cap:
    """
    Messages to each person by calendar day, week (from Monday) or month, in the person's time zone.

    Put it after the audit log, beside the other limits. Attempts count: a message that was given to its send is not given back.

    Args:
        rate: "<amount>/day", "/week" or "/month".
        per: "recipient", or a tuple of roles with it ("channel", "sender", ...). With one zone for everybody also without it.
        zone: As of `QuietHours`. In several zones the earliest beginning of the day and its latest end hold.
        unknown: Zones in which recipients of whom nothing is known may be; without it any 25 hours are a day for them.
        scope: "tenant" counts for each tenant apart; "global" across tenants.
        storage: `"memory://"`, `"sqlite:///path"`, or a Redis or Valkey server as of `RateLimit`. A server's clock counts.
            Or the `kept` of another rule, to count in the same rows.
        keys: Key of the digests; `Keys.default()` unless the storage is memory.
        classes: Message classes that it holds for; all, and messages without a class in any case, unless given.
        exempt: Message classes that go out all the same and are not counted, such as "otp"; each is recorded.
        message_class: The class of a message; without it see `guardrails.ratelimit.message_class`.
        region: ISO 3166 country of numbers in national spelling; without it they are refused.
        opaque_ids: Take recipients that are no phone number and no e-mail address as they are.
        max_keys: Counters kept in memory at once.
        timeout_seconds: How long one question to a server may take, at most 0.9.
        max_connections: Connections to it at once.
        plaintext_hosts: Hosts other than loopback that may be asked without TLS.
        name: How errors and records call it; it is part of the counters' identity.

    Raises:
        ConfigError: An argument is wrong, or what is kept has no key that is kept.

    >>> Cap("3/day", per="recipient", zone="Europe/Berlin")
    Cap(3/day, per=recipient)
    """

    kind: Final = "limit"
    refuses_rehearsal: Final = Trial()

    def __init__(
        self,
        rate: str,
        *,
        per: str | tuple[str, ...] = "recipient",
        zone: Zone = None,
        unknown: Collection[str] = (),
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
        name: str = "cap",
    ) -> None:
        address.load()
        self._amount, self._unit = read_rate(rate)
        self.roles: tuple[str, ...] = read_roles(per, "Cap")
        if scope not in SCOPES:
            raise ConfigError('Cap: scope must be "tenant" or "global"')
        self._zones = Zones(zone, unknown, region)
        if "recipient" not in self.roles and not self._zones.is_fixed:
            raise ConfigError('Cap: per= has no "recipient", whose calendar it could be; give one zone= for everybody')
        self._scope = scope
        self._region, self._opaque_ids = region, opaque_ids
        self.name = name
        self.needs: tuple[str, ...] = tuple(role for role in self.roles if role != "channel")
        self.kept: Kept = kept_in(
            storage, keys, rule="Cap", max_keys=max_keys, timeout_seconds=timeout_seconds,
            max_connections=max_connections, plaintext_hosts=plaintext_hosts,
        )  # fmt: skip
        held = Classes("Cap", classes=classes, exempt=exempt, asked=message_class)
        self._counting = Counting(self.kept, held, self._asked, f"cap {self._amount}/{self._unit}")
        self.per_process: bool = self._counting.per_process
        self.uses_network: bool = self._counting.uses_network

    def replayed(self, replay: Replay, /) -> Cap:
        """The same in a replay."""
        return replayed(self, replay)

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Defer what is over the cap; count at the door."""
        return await self._counting.guard(call, forward, io)

    def _asked(self, message: Message, layer: str) -> Ask:
        counters = self._counters(message, layer)
        return lambda now: [self._want(counter, zones, now) for counter, zones in counters]

    def _counters(self, message: Message, layer: str) -> Sequence[tuple[str, Sequence[ZoneInfo]]]:
        """For each recipient the counter, and the zones whose calendar holds."""
        shared = fields_of(message, self.roles, self._scope, self.name)
        if "recipient" not in self.roles:
            return [(self._digest(layer, *shared), self._zones.any_of)]
        found = []
        for who, given in zip(
            people(message, region=self._region, opaque_ids=self._opaque_ids), message.recipients, strict=True
        ):
            found.append((self._digest(layer, *shared, who), self._zones.of(given, message)))
        return found

    def _digest(self, *fields: str | None) -> str:
        return self.kept.digester.digest(joined("cap", self.name, self._unit, *fields)).hex()

    def _want(self, counter: str, zones: Sequence[ZoneInfo], now: int) -> Want:
        if not zones:
            return Want(counter, "", self._amount, 0, 0, _LONGEST[self._unit] * SECOND)
        periods = [period(moment(now), self._unit, zone) for zone in zones]
        since = min(micros(begin) for begin, _ in periods)
        until = max(micros(end) for _, end in periods)
        return Want(counter, "", self._amount, since, until, 0)

    def usage(self, message: Message, *, layer: str = "platform") -> list[Use]:
        """
        How many messages of the day, week or month count; nothing where *message* lacks what is counted.

        Args:
            message: Whose counters; its text does not matter.
            layer: Of the guard: "platform" or "team".

        Raises:
            Denied: A recipient is no address.
            Unavailable: The storage does not answer.
        """
        if not has_roles(message, self.roles):
            return []
        scope, seconds = "+".join(self.roles), _LONGEST[self._unit]
        about = Use(self.name, scope, 0, self._amount, seconds, f"calendar-{self._unit}", 0.0, 0)
        positions = len(message.recipients) if "recipient" in self.roles else 0
        return self._counting.stands(self._asked(message, layer), about, recipients=positions)

    def reset(self, message: Message, *, layer: str = "platform", limit: str | None = None) -> int:
        """
        Forget what counts for *message*; how many counters there were.

        Raises:
            Denied: A recipient is no address.
            Unavailable: The storage does not answer.
        """
        if limit not in (None, self.name) or not has_roles(message, self.roles):
            return 0
        return self._counting.forget(self._asked(message, layer)(micros(datetime.now(UTC))))

    def close(self) -> None:
        """Let go of files and connections; a later send opens new ones."""
        self.kept.tally.close()

    def __repr__(self) -> str:
        return f"Cap({self._amount}/{self._unit}, per={'+'.join(self.roles)})"


def read_rate(rate: object) -> tuple[int, str]:
    """
    Amount, and "day", "week" or "month".

    Raises:
        ConfigError: It is no such rate.
    """
    match = _RATE.fullmatch(rate) if isinstance(rate, str) else None
    if match is None or not int(match[1]):
        raise ConfigError('Cap: write it as "3/day", "10/week" or "20/month"; for other windows take a Limit')
    return int(match[1]), match[2]


def read_roles(per: object, rule: str) -> tuple[str, ...]:
    """
    The roles that *per* names.

    Raises:
        ConfigError: One is none, or stands there twice.
    """
    roles = (per,) if isinstance(per, str) else per
    if not isinstance(roles, tuple) or not roles or not set(roles) <= set(ROLES) or len(set(roles)) != len(roles):
        raise ConfigError(f"{rule}: per is one of {', '.join(ROLES)}, or a tuple of them")
    return tuple(str(role) for role in roles)
