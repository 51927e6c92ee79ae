"""What a message takes of a limit, what says no, and what was used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from guardrails.ratelimit.limit import Limit
from guardrails.ratelimit.windows import FixedWindow, MovingWindow, SlidingWindow

if TYPE_CHECKING:
    from guardrails.ratelimit.storage import Span, WindowStorage


_KINDS: Final = {"moving-window": "m", "fixed-window": "f", "sliding-window-counter": "s"}


class Rule:
    """
    One limit, ready for the strategies of `limits`.

    Args:
        limit: The limit.
        storage: Where it counts in memory.
        replicas: How many processes share the amount when each counts for itself.
        wait: Seconds that a send may wait for room, unless the limit says otherwise.
        lease: Whether its units come back when the send has ended; then they are held, and never spent.

    Attributes:
        kind: How the scripts of a shared store call it.
        counter: What the names of its counters there begin with. The amount is not in it: a limit that is changed keeps its past.
        bounds: Its whole amount and its length in microseconds, as the scripts read them.
    """

    __slots__ = ("amount", "bounds", "counter", "hit", "is_lease", "kind", "limit", "seconds", "span", "wait", "window")

    def __init__(
        self, limit: Limit, storage: WindowStorage, /, *, replicas: int = 1, wait: float = 0.0, lease: bool = False
    ) -> None:
        from guardrails.ratelimit.storage import STRATEGIES, WINDOWS, Span  # noqa: PLC0415 - this loads `limits`

        strategy = STRATEGIES[limit.strategy](storage)
        self.limit: Limit = limit
        self.is_lease: bool = lease
        self.amount: int = max(1, limit.amount // replicas)  # this process's share of it
        self.seconds: int = limit.window_seconds
        self.wait: float = wait if limit.wait is None else limit.wait  # 0 refuses at once
        self.span: Span = Span(self.amount, limit.window_seconds)
        self.window: type[FixedWindow | MovingWindow | SlidingWindow] = WINDOWS[limit.strategy]
        self.hit: Callable[..., bool] = strategy.hit
        self.kind: str = "c" if lease else _KINDS[limit.strategy]
        self.counter: str = f"{self.kind}:" if self.kind in "mc" else f"{self.kind}{self.seconds}:"
        self.bounds: str = f"{limit.amount} {self.seconds}000000"

    def one_a_minute(self, storage: WindowStorage, /) -> Rule:
        """The same limit for rehearsals: they shall meet it at once, and be forgotten soon."""
        limit = replace(self.limit, rate="1/minute", cost=1, tokenizer=None, wait=None, name=self.limit.label)
        return Rule(limit, storage, lease=self.is_lease)


LEASE_RETRY_SECONDS = 0.5  # nobody knows when a send will end: look again soon


class Charge(NamedTuple):
    """Units that one message takes of one counter."""

    rule: Rule
    key: str  # a keyed digest
    units: int
    position: int  # of the recipient, from 1; 0 when the counter is not a recipient's


class Refusal(NamedTuple):
    """Which charge does not fit, and when it would."""

    charge: Charge
    retry_after: float | None  # seconds, rounded up to a microsecond; None when it never fits
    wait: float = 0.0  # seconds for which every limit that refuses would wait
