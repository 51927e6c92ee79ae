"""
One memory decision against one bare `limits` hit, in one run.

A decision is all that a guarded send asks of one limit: the check on the way in, the reservation at the door and the spend
behind the intent, with the control contract's own coroutines and steps, for 500 recipients in turn.
Beside it stands throttled-py, whose strategies are others.
The baseline is `hit` of the same strategy of `limits` on its own memory storage, key made and counted, nothing else.
"""

from __future__ import annotations

import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any

import limits
import throttled
from limits.storage import MemoryStorage

from guardrails import Guard, RateLimited
from guardrails.core.control import Sealed
from guardrails.core.message import Message
from guardrails.core.verdict import Coverage
from guardrails.ratelimit import Limit, RateLimit
from guardrails.ratelimit.storage import STRATEGIES

ROUNDS = 15
CALLS = 4_000  # per round
PEOPLE = [f"+1212555{number:04d}" for number in range(500)]
RATE = "100000/minute"


class Passage:
    """A call and its door, as far as a limit uses them; notes are kept by core and are not part of the decision."""

    def __init__(self, message: Message, *, dry_run: bool) -> None:
        self.message = message
        self.layer = "platform"
        self.dry_run = dry_run
        self.repeat = False
        self.monitored = False
        self.canary = None
        self.steps: list[Any] = []
        self.sealed = Sealed(message, {}, (), Coverage(), "0" * 32, "bench:send")

    def note(self, *_: object, **__: object) -> None:
        """Nothing."""

    def at_door(self, step: Any) -> None:
        """Keep a step for the door."""
        self.steps.append(step)

    async def forward(self, _: Any) -> object:
        """What lies inside: the door, which commits the steps in order."""
        for step in self.steps:
            await step.commit(self.sealed, (), None)
        self.steps.clear()
        return None


def run(coroutine: Coroutine[Any, Any, object]) -> None:
    """Step a coroutine that never pauses, as core does around a sync send."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("a memory limit paused")


def decisions(strategy: str, *, check_only: bool = False) -> Callable[[], float]:
    """Seconds per decision, measured over one round."""
    control = RateLimit(Limit(RATE, per="recipient", strategy=strategy))
    calls: list[Any] = [Passage(Message("hello", channel="sms", recipients=one), dry_run=check_only) for one in PEOPLE]
    io: Any = None

    def measure() -> float:
        begun = time.perf_counter()
        for number in range(CALLS):
            call = calls[number % 500]
            run(control.guard(call, call.forward, io))
        return (time.perf_counter() - begun) / CALLS

    return measure


def hits(strategy: str) -> Callable[[], float]:
    """Seconds per bare hit, measured over one round."""
    limiter = STRATEGIES[strategy](MemoryStorage())
    item = limits.parse(RATE)

    def measure() -> float:
        begun = time.perf_counter()
        for number in range(CALLS):
            limiter.hit(item, PEOPLE[number % 500])
        return (time.perf_counter() - begun) / CALLS

    return measure


def throttled_hits(strategy: str) -> Callable[[], float]:
    """Seconds per `limit` of throttled-py, of its strategy of the same kind; it has no log of hits."""
    using = {"fixed-window": "fixed_window"}.get(strategy, "sliding_window")
    quota = throttled.rate_limiter.per_min(100_000)
    limiter = throttled.Throttled(using=using, quota=quota, store=throttled.store.MemoryStore())

    def measure() -> float:
        begun = time.perf_counter()
        for number in range(CALLS):
            limiter.limit(PEOPLE[number % 500])
        return (time.perf_counter() - begun) / CALLS

    return measure


def exactly(strategy: str) -> int:
    """Granted of 400 decisions that race in 8 threads for 100 units."""
    control = RateLimit(Limit("100/hour", strategy=strategy))
    send = Guard(control, channel="sms").wrap(str.upper, text="self", recipient=None)
    granted: list[int] = []
    barrier = threading.Barrier(8)

    def race() -> None:
        barrier.wait()
        for _ in range(50):
            try:
                send("hello")
            except RateLimited:
                continue
            granted.append(1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    return len(granted)


def main() -> dict[str, float]:
    """Print the table; return the ratio of each strategy."""
    versions = f"limits {version('limits')}, throttled-py {version('throttled-py')}, Python {platform.python_version()}"
    print(f"{versions}, {ROUNDS} rounds of {CALLS}, median")
    ratios = {}
    for strategy in STRATEGIES:
        bare, whole, check = hits(strategy), decisions(strategy), decisions(strategy, check_only=True)
        peer = throttled_hits(strategy)
        rounds = [(bare(), whole(), check(), peer()) for _ in range(ROUNDS + 2)][2:]  # the first two warm up
        hit, decision, looked, other = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios[strategy] = statistics.median(one[1] / one[0] for one in rounds)
        print(
            f"{strategy:24} bare hit {hit * 1e6:5.2f} us   decision {decision * 1e6:5.2f} us "
            f"(of it the check {looked * 1e6:4.2f})   ratio {ratios[strategy]:.2f} (budget 3, goal 2)   "
            f"throttled-py {other * 1e6:5.2f} us"
        )
        granted = exactly(strategy)
        assert granted == 100
        print(f"{'':24} 8 threads race for 100 units: exactly {granted} granted")
    return ratios


if __name__ == "__main__":
    main()
