"""
Measuring in one run: subjects take turns round by round, so that a busy machine is busy for all of them.

A subject is a function that runs its work once and returns seconds per operation. What is shown is the median over the
rounds; the best round stands beside it and says how noisy the machine was.
"""

# ruff: noqa: D102 - two figures that say what they are

from __future__ import annotations

import asyncio
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

Subject = Callable[[], float]
WARM_UP = 2  # rounds that are thrown away


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure."""

    rounds: int
    scale: float = 1.0

    def calls(self, count: int) -> int:
        """How many operations make up one round of a subject."""
        return max(10, int(count * self.scale))


FULL = Effort(rounds=21)
QUICK = Effort(rounds=7, scale=0.25)


def effort(*, quick: bool) -> Effort:
    return QUICK if quick else FULL


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds per operation of one subject, round by round."""

    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def best(self) -> float:
        return min(self.rounds)

    def above(self, base: Timed) -> Timed:
        """What it costs on top of *base*, round by round."""
        return Timed([mine - theirs for mine, theirs in zip(self.rounds, base.rounds, strict=True)])

    def ratio(self, base: Timed) -> float:
        """How many times *base* it takes: the median of the rounds' ratios."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.rounds, base.rounds, strict=True))


def interleaved(subjects: Mapping[str, Subject], rounds: int) -> dict[str, Timed]:
    """Every subject once a round; every second round in reverse, so that none always follows the same neighbour."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds + WARM_UP):
        for name in names if number % 2 else reversed(names):
            seconds = subjects[name]()
            if number >= WARM_UP:
                found[name].append(seconds)
    return {name: Timed(seconds) for name, seconds in found.items()}


def repeated(send: Callable[[], object], calls: int) -> Subject:
    """*send* called again and again."""

    def measure() -> float:
        numbers = range(calls)
        begun = time.perf_counter()
        for _ in numbers:
            send()
        return (time.perf_counter() - begun) / calls

    return measure


def awaited(send: Callable[[], Awaitable[object]], calls: int, loop: asyncio.AbstractEventLoop) -> Subject:
    """*send* awaited again and again in one task of *loop*."""

    async def measure() -> float:
        numbers = range(calls)
        begun = time.perf_counter()
        for _ in numbers:
            await send()
        return (time.perf_counter() - begun) / calls

    return lambda: loop.run_until_complete(measure())


def packages(*names: str) -> str:
    """Python and package versions in one line."""
    found = [f"Python {platform.python_version()} ({platform.machine()})"]
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    return ", ".join(found)


def judged(value: float, budget: float | None, goal: float | None = None, unit: str = "us") -> str:
    """*value* against its budget, in words."""
    if budget is None:
        return ""
    says = f"{'met' if value <= budget else 'MISSED'} (budget {budget:g} {unit}"
    if goal is not None:
        says += f", goal {goal:g} {'met' if value <= goal else 'not yet'}"
    return says + ")"


def headline(title: str) -> None:
    print(f"\n{title}")
    print(f"  {'':44} {'median':>9} {'best':>9} {'on top':>9} {'ratio':>7}")


def row(name: str, timed: Timed, base: Timed | None = None, verdict: str = "", *, unit: float = 1e6) -> None:
    """One line: per operation in microseconds, on top of the baseline, times the baseline."""
    on_top = f"{timed.above(base).median * unit:9.2f}" if base is not None else " " * 9
    ratio = f"{timed.ratio(base):7.2f}" if base is not None else " " * 7
    print(f"  {name:44} {timed.median * unit:9.2f} {timed.best * unit:9.2f} {on_top} {ratio}  {verdict}".rstrip())
