"""
Limits in a shared store against one PING and against bare `limits`, in one run, on a real server.

A decision is what a guarded send asks of N limits: one look at the message, one step at the door. The baselines use the same
client on the same connection: one PING, and N hits of `limits` on its own Redis storage, one after the other.
Every decision is of a message that is admitted, so nothing is saved by a refusal.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import limits
from limits.storage import RedisStorage

from bench.measure import Timed, interleaved, judged, packages
from bench.ratelimit import Passage
from guardrails import Guard, RateLimited
from guardrails.core.message import Message
from guardrails.keys import Keys
from guardrails.ratelimit import Limit, RateLimit
from guardrails.ratelimit.storage import STRATEGIES
from tests.servers import Server, binaries, running

CALLS = 300  # per round
ROUNDS = 11
STRATEGY = "sliding-window-counter"
KEYS = Keys(b"b" * 32)
MESSAGE = Message("hello", channel="sms", recipients="+12125550173")


class Blocking:
    """Io around a sync send."""

    async def ask(self, *, blocking: Callable[[], Any]) -> Any:
        """Ask here."""
        return blocking()


def decisions(server: Server, count: int) -> Callable[[], float]:
    control = RateLimit(
        *(Limit("1000000/minute", per="recipient", strategy=STRATEGY, name=f"n{number}") for number in range(count)),
        storage=server.url,
        keys=KEYS,
    )
    call: Any = Passage(MESSAGE, dry_run=False)
    io: Any = Blocking()

    async def forward(_: Any) -> None:
        for step in call.steps:
            await step.commit(call.sealed, (), io)
        call.steps.clear()

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(CALLS):
            try:
                control.guard(call, forward, io).send(None)  # type: ignore[attr-defined]  # a coroutine
            except StopIteration:
                continue
        return (time.perf_counter() - begun) / CALLS

    return measure


def hits(server: Server, count: int) -> Callable[[], float]:
    limiter = STRATEGIES[STRATEGY](RedisStorage(server.url))
    items = [limits.parse("1000000/minute") for _ in range(count)]

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(CALLS):
            for number, item in enumerate(items):
                assert limiter.hit(item, f"n{number}", "+12125550173")
        return (time.perf_counter() - begun) / CALLS

    return measure


def pings(server: Server) -> Callable[[], float]:
    control = RateLimit("1/minute", storage=server.url, keys=KEYS)
    assert control._shared is not None  # noqa: SLF001
    client = control._shared.store.link.client  # noqa: SLF001 - the very client that is measured

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(CALLS):
            client.ping()
        return (time.perf_counter() - begun) / CALLS

    return measure


def at_once(server: Server, count: int) -> tuple[int, float]:
    """Admitted of *count* sends that start together on one loop, with a limit of three quarters; and seconds."""
    limit = RateLimit(Limit(f"{count * 3 // 4}/hour", name=f"at-once-{count}"), storage=server.url, keys=KEYS)

    @Guard(limit, channel="sms")
    async def send(to: str, body: str) -> str:
        return to + body

    async def one() -> int:
        try:
            await send("+12125550173", "hello")
        except RateLimited:
            return 0
        return 1

    async def main() -> int:
        return sum(await asyncio.gather(*(one() for _ in range(count))))

    begun = time.perf_counter()
    with asyncio.Runner() as runner:
        return runner.run(main()), time.perf_counter() - begun


def main() -> None:
    """Print the table for each kind of server that is here."""
    for kind, binary in sorted(binaries().items()):
        with tempfile.TemporaryDirectory() as folder, running(binary, Path(folder)) as server:
            print(f"\n{kind}, {packages('redis', 'limits')}, {ROUNDS} rounds of {CALLS}, {STRATEGY}, median")
            subjects = {"one PING": pings(server)}
            for count in (1, 3, 8):
                subjects[f"{count} limits in one decision"] = decisions(server, count)
                subjects[f"{count} hits of limits"] = hits(server, count)
            timed = interleaved(subjects, ROUNDS)
            for name, one in timed.items():
                show(name, one, timed)
            for count in (500, 2_000):
                admitted, seconds = at_once(server, count)
                assert admitted == count * 3 // 4
                print(f"  {count} at once: exactly {admitted} admitted, {count / seconds:,.0f} decisions/s")


def show(name: str, one: Timed, timed: dict[str, Timed]) -> None:
    ratio = one.ratio(timed["one PING"])
    verdict = judged(ratio, 1.5, 1.1, "PING") if "decision" in name else ""
    print(f"  {name:26} {one.median * 1e6:8.1f} us  {ratio:5.2f} PING  {verdict}")


if __name__ == "__main__":
    main()
