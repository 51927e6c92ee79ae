"""
A whole guard per call, against the bare function in the same run: microseconds.

Records go to a temporary folder with `durability="os"`; the limit counts a thousand recipients in turn and never refuses.
"""

# ruff: noqa: ARG001 - sends take what real ones take; the controls here are three lines each

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from floors import Counting, Recording, afloor, floor
from measure import Effort, Subject, awaited, effort, headline, interleaved, judged, packages, repeated, row

from guardrails import AuditLog, Guard, MaskPII, RateLimit
from guardrails.core.control import Control

PEOPLE = [f"+1212555{number:04d}" for number in range(1_000)]
BODY = "Your parcel arrives on Tuesday between nine and eleven."
GENEROUS = "100000/minute"
CALLS = 500
RECORDED_BUDGET_US, RECORDED_GOAL_US = 25.0, 20.0
WHOLE_BUDGET_US, WHOLE_GOAL_US = 80.0, 60.0
UNSEEN = 2_000
FLOOR = "their parts, least guard"


def send(to: str, body: str) -> str:
    return to


async def asend(to: str, body: str) -> str:
    return to


def controls_without_detection(work: Effort, loop: asyncio.AbstractEventLoop, folder: Path, open_guards: ExitStack) -> None:
    def guard(*controls: Control) -> Guard:
        made = Guard(*controls, channel="sms")
        return open_guards.enter_context(made)

    def limit() -> RateLimit:
        return RateLimit(GENEROUS, per="recipient")

    def log(name: str) -> AuditLog:
        return AuditLog(folder / name, durability="os")

    calls = work.calls(CALLS)
    subjects: dict[str, Subject] = {"bare": _turns(send, calls), "bare, async": _aturns(asend, calls, loop)}
    for name, made in {
        "limit": guard(limit()),
        "audit": guard(log("audit")),
        "limit + audit": guard(log("both"), limit()),
    }.items():
        subjects[name] = _turns(made(send), calls)
        subjects[f"{name}, async"] = _aturns(made(asend), calls, loop)
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    open_guards.callback(os.close, descriptor)
    parts = (Recording(descriptor), Counting(GENEROUS))
    subjects[FLOOR] = _turns(floor(parts, send), calls)
    subjects[f"{FLOOR}, async"] = _aturns(afloor(parts, asend), calls, loop)
    found = interleaved(subjects, work.rounds)
    headline('One limit in memory, intent and outcome recorded (durability="os"): us per call')
    for name, timed in found.items():
        bare = found["bare, async" if name.endswith("async") else "bare"]
        verdict = judged(timed.median * 1e6, RECORDED_BUDGET_US, RECORDED_GOAL_US) if "limit + audit" in name else ""
        row(name, timed, None if timed is bare else bare, verdict)
    for end in ("", ", async"):
        above = found[f"limit + audit{end}"].ratio(found[FLOOR + end])
        print(f"  limit + audit{end}: {above:.2f} times their parts on the least guard")


def _turns(function: Callable[[str, str], Any], calls: int) -> Subject:
    people = itertools.cycle(PEOPLE)
    return repeated(lambda: function(next(people), BODY), calls)


def _aturns(function: Callable[[str, str], Any], calls: int, loop: asyncio.AbstractEventLoop) -> Subject:
    people = itertools.cycle(PEOPLE)
    return awaited(lambda: function(next(people), BODY), calls, loop)


# -- the whole guard --------------------------------------------------------------------------------------------------

PLAIN = (
    "Your parcel number {n} arrives on Tuesday between nine and eleven.",
    "Hello, your table for four is booked at half past seven, reference K{n}.",
    "The technician is on the way and will be there in about {n} minutes.",
    "Thank you for your order {n}. We will let you know when it leaves the house.",
)
PERSONAL = (
    "Please call me back on +1 212 555 0173 about order {n}.",
    "Write to ann{n}@example.com and we will sort it out.",
    "The card 4242 4242 4242 4242 was charged for order {n}.",
)


def unseen() -> Iterator[str]:
    """Texts that have not been seen before: seven sentences in turn, each with a number of its own."""
    for number in itertools.count(1_000):
        for sentence in (*PLAIN, *PERSONAL):
            yield sentence.format(n=number)


def whole(work: Effort, folder: Path) -> None:
    """Each call timed by itself: detection depends on the text, so the tail is shown beside the median."""
    count = work.calls(UNSEEN)
    with Guard(
        AuditLog(folder / "whole", durability="os"),
        RateLimit(GENEROUS, per="recipient"),
        MaskPII(names="off"),
        channel="sms",
    ) as guard:
        guarded = guard(send)
        texts = unseen()
        people = itertools.cycle(PEOPLE)
        for _ in range(200):
            guarded(next(people), next(texts))
        fresh = _each(guarded, people, itertools.islice(texts, count))
        again = _each(guarded, people, itertools.repeat(BODY, count))
    print(f"\nWhole guard (audit, limit, MaskPII), patterns only, {count} calls each: us per call")
    print(f"  {'':44} {'p50':>9} {'p95':>9} {'p99':>9}")
    for name, spent in (("texts not seen before", fresh), ("the same text again", again)):
        cuts = statistics.quantiles(spent, n=100)
        middle = statistics.median(spent) * 1e6
        verdict = judged(middle, WHOLE_BUDGET_US, WHOLE_GOAL_US)
        print(f"  {name:44} {middle:9.2f} {cuts[94] * 1e6:9.2f} {cuts[98] * 1e6:9.2f}  {verdict}")


def _each(guarded: Callable[[str, str], Any], people: Iterator[str], texts: Iterator[str]) -> list[float]:
    spent = []
    for text in texts:
        person = next(people)
        begun = time.perf_counter()
        guarded(person, text)
        spent.append(time.perf_counter() - begun)
    return spent


def main(*, quick: bool = False) -> None:
    """Print the tables."""
    work = effort(quick=quick)
    about = packages("platform-guardrails", "limits", "presidio-analyzer", "structlog")
    print(f"{about}; median of {work.rounds} interleaved rounds")
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(prefix="guardrails-bench-") as home, ExitStack() as open_guards:
        # The key of this run, too: a benchmark leaves nothing in the user's folders.
        os.environ.setdefault("GUARDRAILS_HOME", str(Path(home) / "home"))
        try:
            controls_without_detection(work, loop, Path(home), open_guards)
            open_guards.close()
            whole(work, Path(home))
        finally:
            loop.close()


if __name__ == "__main__":
    main()
