"""
What the core costs per call, against the bare function in the same run: microseconds.

Controls, binding and streams by themselves: no detection, no limit, no record.
"""

# ruff: noqa: ARG001, D102 - sends take what real ones take; the controls here are three lines each

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from floors import afloor, floor
from measure import Effort, Subject, Timed, awaited, effort, headline, interleaved, judged, packages, repeated, row

from guardrails import Call, Guard
from guardrails.core.control import Forward, Io

TO = "+12125550173"
BODY = "Your parcel arrives on Tuesday between nine and eleven."
CALLS = 4_000
CHUNKS = 1_000
BUDGET_US = 3.0  # three pass-through controls on top of the bare call
GOAL_US = 2.0
SIZES = (0, 1, 3, 5)
FLOOR = "the least guard (bench/floors.py)"


class PassThrough:
    """The least that a control can be."""

    name = "pass_through"

    async def guard(self, call: Call, forward: Forward, _io: Io, /) -> object:
        return await forward(call)


class Same:
    """The least that a filter can be."""

    def feed(self, chunk: str, /) -> str:
        return chunk

    def flush(self) -> str:
        return ""


class Filtering:
    """Adds one filter to a stream."""

    name = "filtering"

    async def guard(self, call: Call, forward: Forward, _io: Io, /) -> object:
        reply: Any = await forward(call)
        reply.add_filter(Same())
        return reply


def passing(count: int) -> Guard:
    return Guard(*(PassThrough() for _ in range(count)), channel="sms")


def send(to: str, body: str) -> str:
    return to


async def asend(to: str, body: str) -> str:
    return to


def controls(work: Effort, loop: asyncio.AbstractEventLoop) -> None:
    calls = work.calls(CALLS)
    sync: dict[str, Subject] = {"bare": repeated(lambda: send(TO, BODY), calls)}
    asynchronous: dict[str, Subject] = {"bare": awaited(lambda: asend(TO, BODY), calls, loop)}
    for size in SIZES:
        guard = passing(size)
        name = f"guard with {size} pass-through controls"
        sync[name] = repeated(_call(guard(send)), calls)
        asynchronous[name] = awaited(_call(guard(asend)), calls, loop)
    for size in SIZES:
        name = f"{FLOOR} with {size}"
        least = [PassThrough() for _ in range(size)]
        sync[name] = repeated(_call(floor(least, send)), calls)
        asynchronous[name] = awaited(_call(afloor(least, asend)), calls, loop)
    for title, subjects in (("sync", sync), ("async", asynchronous)):
        found = interleaved(subjects, work.rounds)
        headline(f"Controls, {title} send: us per call")
        for name, timed in found.items():
            _against_bare(name, timed, found["bare"], judge=" 3 " in name)
        for size in SIZES:
            above = found[f"guard with {size} pass-through controls"].ratio(found[f"{FLOOR} with {size}"])
            print(f"  with {size}: {above:.2f} times the least guard")


def _call(guarded: Callable[[str, str], Any]) -> Callable[[], Any]:
    return lambda: guarded(TO, BODY)


def _against_bare(name: str, timed: Timed, bare: Timed, *, judge: bool) -> None:
    verdict = judged(timed.above(bare).median * 1e6, BUDGET_US, GOAL_US) if judge else ""
    row(name, timed, None if timed is bare else bare, verdict)


# -- binding ----------------------------------------------------------------------------------------------------------


@dataclass
class Card:
    """A payload with attributes."""

    title: str
    note: str
    price: int


VARS = {"first": "Ann", "city": "Springfield", "code": "A-17"}
PARTS = [{"type": "text", "text": "Hello."}, {"type": "text", "text": "Your parcel is here."}]


def nested(to: str, vars: dict[str, str]) -> str:  # noqa: A002 - what SDKs call it
    return to


def listed(to: str, parts: list[dict[str, str]]) -> str:
    return to


def carded(to: str, card: Card) -> str:
    return to


class Rewriting:
    """Changes every part, so that the payload has to be written back."""

    name = "rewriting"

    async def guard(self, call: Call, forward: Forward, _io: Io, /) -> object:
        return await forward(call.with_text({path: text + "!" for path, text in call.message.parts.items()}))


def binding(work: Effort) -> None:
    calls = work.calls(CALLS // 2)
    card = Card("Parcel", "It is at the door.", 17)
    shapes: dict[str, tuple[Callable[..., Any], list[str], tuple[Any, ...]]] = {
        "flat (to, body)": (send, ["body"], (TO, BODY)),
        "vars.* (3 strings)": (nested, ["vars.*"], (TO, VARS)),
        "parts[*].text (2 strings)": (listed, ["parts[*].text"], (TO, PARTS)),
        "dataclass (2 strings, 1 number)": (carded, ["card"], (TO, card)),
    }
    for title, guard in (("read", passing(0)), ("read and written back", Guard(Rewriting(), channel="sms"))):
        subjects: dict[str, Subject] = {}
        for name, (function, text, arguments) in shapes.items():
            subjects[f"bare {name}"] = repeated(lambda f=function, a=arguments: f(*a), calls)
            guarded = guard.wrap(function, text=text, recipient="to")
            subjects[name] = repeated(lambda f=guarded, a=arguments: f(*a), calls)
        found = interleaved(subjects, work.rounds)
        headline(f"Binding, sync send, {title}: us per call (ratio to the bare call)")
        for name in shapes:
            row(name, found[name], found[f"bare {name}"])


# -- streams ----------------------------------------------------------------------------------------------------------


def streams(work: Effort, loop: asyncio.AbstractEventLoop) -> None:
    chunks = work.calls(CHUNKS)

    def stream(to: str, body: str) -> Iterator[str]:
        for _ in range(chunks):
            yield "a chunk "

    async def astream(to: str, body: str) -> AsyncIterator[str]:
        for _ in range(chunks):
            yield "a chunk "

    def returned(to: str, body: str) -> Iterator[str]:
        return stream(to, body)

    none, one = Guard(PassThrough(), channel="llm"), Guard(Filtering(), channel="llm")

    def read(function: Callable[[str, str], Iterator[str]]) -> Subject:
        whole = repeated(lambda: deque(function(TO, BODY), maxlen=0), 1)
        return lambda: whole() / chunks

    def aread(function: Callable[[str, str], AsyncIterator[str]]) -> Subject:
        async def run() -> None:
            async with aclosing(function(TO, BODY)) as pieces:  # type: ignore[type-var]  # a generator in fact
                async for _ in pieces:
                    pass

        whole = awaited(run, 1, loop)
        return lambda: whole() / chunks

    tables = (
        (
            "sync",
            {
                "bare": read(stream),
                "generator, no filter": read(none(stream)),
                "generator, one filter": read(one(stream)),
                "returned iterator, no filter": read(none(returned)),
                "returned iterator, one filter": read(one(returned)),
            },
        ),
        (
            "async",
            {
                "bare": aread(astream),
                "async generator, no filter": aread(none(astream)),
                "async generator, one filter": aread(one(astream)),
            },
        ),
    )
    for title, subjects in tables:
        found = interleaved(subjects, work.rounds)
        headline(f"Streams, {title}: us per chunk")
        for name, timed in found.items():
            row(name, timed, None if name == "bare" else found["bare"])


def main(*, quick: bool = False) -> None:
    """Print the tables."""
    work = effort(quick=quick)
    print(f"{packages('platform-guardrails')}; median of {work.rounds} interleaved rounds")
    loop = asyncio.new_event_loop()
    try:
        controls(work, loop)
        binding(work)
        streams(work, loop)
    finally:
        loop.close()


if __name__ == "__main__":
    main()
