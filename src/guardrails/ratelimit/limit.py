"""One limit as people write it, read strictly: whatever could be misread is refused, with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from guardrails.core.message import Message
from guardrails.errors import ConfigError

Cost: TypeAlias = int | str | Callable[[Message], int]
Per: TypeAlias = str | tuple[str, ...] | Callable[[Message], str] | None

STRATEGIES: Final = ("moving-window", "fixed-window", "sliding-window-counter")
COSTS: Final = ("segments", "tokens")
PROTECTS: Final = ("people", "provider")
SCOPES: Final = ("tenant", "global")
ROLES: Final = ("recipient", "tenant", "conversation", "actor", "channel", "sender")
PER_TENANT: Final = frozenset({"recipient", "conversation", "actor"})  # whose values mean something within a tenant only
UNIT_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}

MAX_AMOUNT: Final = 1_000_000_000
MAX_LOGGED: Final = 100_000  # units; a moving window keeps the time of each send
MAX_WINDOW_SECONDS: Final = 366 * 86_400
MAX_WAIT_SECONDS: Final = 3_600

_RATE: Final = re.compile(r"\s*([0-9]{1,10})\s*(?:/|\sper\s)\s*(?:([0-9]{1,9})\s*)?([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+:/-]{0,63}", re.ASCII)
_LIKELY: Final = {
    "s": "second",
    "sec": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "d": "day",
    "w": "week",
}
_EXAMPLE: Final = 'write it as "5/minute" or "100 per 10 seconds"'


@dataclass(frozen=True, slots=True)
class Limit:
    """
    How many sends may pass in a window of time.

    Args:
        rate: `"<amount>/<unit>"` or `"<amount> per <n> <units>"`; second, minute, hour, day or week.
        per: What is counted separately: a role ("recipient", "tenant", "conversation", "actor", "channel", "sender"),
            a tuple of roles, or a function of the message that returns a str. Without it there is one counter.
        name: How errors and records call it; `<per>/<window>` unless given. It is part of the counter's identity, the amount
            is not.
        strategy: "moving-window" (exact: at most *amount* in any window), "fixed-window" (windows begin with their first
            send), or "sliding-window-counter" (an approximation in constant memory).
        scope: "tenant" counts recipients, conversations and actors of each tenant separately; "global" across tenants.
        cost: Units that one send takes, at least 1: a number, "segments" (of a text message), "tokens" (estimated), or a
            function of the message as it is really sent, masked. What depends on the text is charged at the door.
        wait: Seconds that a send may wait for room, at most an hour; None refuses at once. See `RateLimit`.
        tokenizer: Counts tokens exactly, for `cost="tokens"`: a function of the text that returns a number or a sequence,
            or an object with `encode`, as of tiktoken and tokenizers. Without it four bytes are a token.
        protects: Whom it protects, which decides what happens while a shared store does not answer: "people" (nothing is sent)
            or "provider" (each process goes on with its share; see `RateLimit(replicas=)`).

    Attributes:
        amount: Units that fit into one window.
        window_seconds: Length of the window.
        roles: The roles of *per*; empty for one counter and for a function.

    Raises:
        ConfigError: Something is not as above.

    >>> Limit("5/minute", per="recipient").name
    'recipient/minute'
    """

    rate: str
    per: Per = field(default=None, kw_only=True)
    name: str | None = field(default=None, kw_only=True)
    strategy: str = field(default="moving-window", kw_only=True)
    scope: str = field(default="tenant", kw_only=True)
    cost: Cost = field(default=1, kw_only=True)
    protects: str = field(default="people", kw_only=True)
    wait: float | None = field(default=None, kw_only=True)
    tokenizer: Any = field(default=None, kw_only=True, repr=False, compare=False)
    amount: int = field(init=False, repr=False, compare=False)
    window_seconds: int = field(init=False, repr=False, compare=False)
    roles: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        amount, window_seconds, window = _rate(self.rate)
        roles = _roles(self.per)
        object.__setattr__(self, "amount", amount)
        object.__setattr__(self, "window_seconds", window_seconds)
        object.__setattr__(self, "roles", roles)
        if self.name is None:
            object.__setattr__(self, "name", f"{self.counted}/{window}")
        elif type(self.name) is not str or not _NAME.fullmatch(self.name):
            raise ConfigError("Limit name must be 1 to 64 letters, digits, blanks or any of . _ + : / -")
        if self.strategy not in STRATEGIES:
            raise ConfigError(f"Limit {self.rate!r}: strategy must be one of {', '.join(STRATEGIES)}")
        if self.scope not in SCOPES:
            raise ConfigError(f'Limit {self.rate!r}: scope must be "tenant" or "global"')
        if self.protects not in PROTECTS:
            raise ConfigError(f'Limit {self.rate!r}: protects must be "people" or "provider"')
        if not callable(self.cost) and self.cost not in COSTS and not _is_amount(self.cost):
            raise ConfigError(
                f'Limit {self.rate!r}: cost must be an int of at least 1, "segments", "tokens" or a function of the message'
            )
        if self.wait is not None and not is_wait(self.wait):
            raise ConfigError(f"Limit {self.rate!r}: wait is seconds, more than 0 and at most {MAX_WAIT_SECONDS}")
        if self.tokenizer is not None:
            if self.cost != "tokens":
                raise ConfigError(f'Limit {self.rate!r}: tokenizer= goes with cost="tokens"')
            if not callable(self.tokenizer) and not callable(getattr(self.tokenizer, "encode", None)):
                raise ConfigError(f"Limit {self.rate!r}: tokenizer must be a function of a text, or have a method encode")
        if self.strategy == "moving-window" and amount > MAX_LOGGED:
            raise ConfigError(
                f"Limit {self.rate!r}: a moving window remembers every send and holds at most {MAX_LOGGED}; "
                'write strategy="sliding-window-counter"'
            )

    @property
    def label(self) -> str:
        """The name; never None once made."""
        return self.name or ""

    @property
    def counted(self) -> str:
        """What is counted, for errors and records: `"recipient"`, `"tenant+channel"`, `"all"`."""
        if self.per is None:
            return "all"
        if callable(self.per):
            named = getattr(self.per, "__name__", "")
            return named if _NAME.fullmatch(named) else "custom"
        return "+".join(self.roles)

    @property
    def by_tenant(self) -> bool:
        """Whether the tenant is part of the counter's identity without being named in *per*."""
        return self.scope == "tenant" and "tenant" not in self.roles and not PER_TENANT.isdisjoint(self.roles)


def is_wait(seconds: object) -> bool:
    """Whether somebody may wait that long."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= MAX_WAIT_SECONDS


def _is_amount(cost: object) -> bool:
    return type(cost) is int and 1 <= cost <= MAX_AMOUNT


def _rate(rate: object) -> tuple[int, int, str]:
    """Amount, window in seconds, and the window as people say it."""
    if not isinstance(rate, str):
        raise ConfigError(f"a rate is a str, not {type(rate).__name__}; {_EXAMPLE}")
    shown = repr(rate[:40])
    if any(mark in rate for mark in ",;|\n"):
        raise ConfigError(f"{shown} holds several limits; write one Limit for each")
    match = _RATE.fullmatch(rate)
    if match is None:
        raise ConfigError(f"{shown} is not a rate (whole positive numbers only); {_EXAMPLE}")
    amount, count, unit = int(match[1]), int(match[2] or 1), match[3].lower()
    single = unit.removesuffix("s") if unit.removesuffix("s") in UNIT_SECONDS else unit
    if single not in UNIT_SECONDS:
        raise ConfigError(f"{shown}: {_unit_advice(unit)}")
    if amount < 1:
        raise ConfigError(f"{shown} would never let anything pass; to stop all sends, do not call them")
    if count < 1:
        raise ConfigError(f"{shown}: a window of 0 {single}s has no length; {_EXAMPLE}")
    if amount > MAX_AMOUNT or count * UNIT_SECONDS[single] > MAX_WINDOW_SECONDS:
        raise ConfigError(f"{shown}: at most {MAX_AMOUNT} units in at most 366 days")
    return amount, count * UNIT_SECONDS[single], single if count == 1 else f"{count}-{single}s"


def _unit_advice(unit: str) -> str:
    if unit.removesuffix("s") in ("month", "year"):
        return f"a {unit.removesuffix('s')} has no fixed length; write days, such as 30 days"
    likely = _LIKELY.get(unit) or _LIKELY.get(unit.removesuffix("s"))
    if likely:
        return f"write {likely} in full"
    return f"unknown unit; write one of {', '.join(UNIT_SECONDS)}"


def _roles(per: object) -> tuple[str, ...]:
    if per is None or callable(per):
        return ()
    roles = (per,) if isinstance(per, str) else per
    if not isinstance(roles, tuple) or not roles or not all(isinstance(role, str) for role in roles):
        raise ConfigError("per must be None, a role, a tuple of roles, or a function of the message")
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise ConfigError(f"per: unknown role {unknown[0][:40]!r}; the roles are {', '.join(ROLES)}")
    if len(set(roles)) != len(roles):
        raise ConfigError(f"per names a role twice: {roles}")
    return tuple(str(role) for role in roles)
