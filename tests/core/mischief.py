# ruff: noqa: ARG002, BLE001, S311, TID251 - misbehaving is the point here; and a seed has to give the same round again
"""
Rounds of sends through real controls and team controls that misbehave in every way we could think of, drawn by seed.

Each round sends the same message six times through a random guard, with a limit of three, in a random shape, and then asks
what must hold whatever the controls did (G1, G2, G3, G6, G9). `make fuzz` plays thousands of them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from guardrails import AuditLog, Denied, Guard, GuardrailsError, MaskPII, RateLimit, Unavailable, monitor
from guardrails.core.call import Call
from guardrails.core.control import Forward, Io, Outcome, Sealed
from guardrails.core.stream import Stream
from guardrails.keys import Keys

CARD = "4242 4242 4242 4242"
TO, BODY = "+1 212 555 0101", f"pay {CARD}"
SENDS, LIMIT = 6, 3
CHUNKS = ("a ", CARD[:7], CARD[7:], " b")

Behaviour = Callable[["Rascal", Call, Forward, Io], Awaitable[object]]


class Rascal:
    """A control that does what its kind says."""

    def __init__(self, kind: str, random: Random) -> None:
        self.name = kind
        self.random = random
        self.kept: Call | None = None

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        return await BEHAVIOURS[self.name](self, call, forward, io)


class Trap:
    """A door step that may fail anywhere."""

    store: Hashable = "trap"

    def __init__(self, random: Random) -> None:
        self.random = random
        self.phase = random.choice(["recheck", "reserve", "shared", "intent"])

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        assert CARD not in sealed.message.text
        if self.random.random() < 0.5:
            raise self.random.choice(
                [ValueError(CARD), Denied(CARD), Unavailable(CARD), asyncio.CancelledError(), KeyError()]
            )

    async def undo(self, io: Io, /) -> None:
        if self.random.random() < 0.3:
            raise ValueError(CARD)

    def settle(self, outcome: Outcome, /) -> None:
        if self.random.random() < 0.3:
            raise ValueError(CARD)


class Echo:
    """A stream filter that adds a card, or breaks."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def feed(self, chunk: str, /) -> str:
        if self.random.random() < 0.1:
            raise ValueError(CARD)
        return f"{chunk} {CARD} "

    def flush(self) -> str:
        return f" {CARD}"


async def passes(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    return await forward(call)


async def rewrites(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    return await forward(call.with_text(f"{call.message.text} {CARD}"))


async def forwards_twice_quietly(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    reply = await forward(call)
    with suppress(BaseException):
        await forward(call)
    return reply


async def forwards_twice(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    await forward(call)
    return await forward(call)


async def swallows(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    try:
        return await forward(call)
    except Exception:
        return "fine"


async def swallows_all(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    try:
        return await forward(call)
    except BaseException:
        return "fine"


async def raises(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    raise ValueError(CARD)


async def raises_after(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    await forward(call)
    raise ValueError(CARD)


async def denies(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    raise Denied(f"no {CARD}")


async def denies_after(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    await forward(call)
    raise Denied(f"no {CARD}")


async def says_nothing(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    return None


async def replies(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    return "reply"


async def forgets_await(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    return forward(call)


async def drops_forward(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    forward(call).close()
    return "dropped"


async def steps_by_hand(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    inside = forward(call)
    try:
        inside.send(None)
    except StopIteration as stop:
        return stop.value
    return "half"


async def forwards_in_a_thread(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    def elsewhere() -> None:
        with suppress(BaseException):
            forward(call).send(None)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    return "elsewhere"


async def forwards_in_a_task(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    inside = forward(call)
    try:
        return await asyncio.create_task(inside)
    except RuntimeError:  # no loop
        inside.close()
        return "no loop"


async def gathers(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    twice = forward(call), forward(call)
    try:
        return (await asyncio.gather(*twice, return_exceptions=True))[0]
    except RuntimeError:  # no loop
        for one in twice:
            one.close()
        return "no loop"


async def closes_one(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    forward(call).close()
    return await forward(call)


async def pauses(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    await io.sleep(0)
    return await forward(call)


async def needs_a_loop(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    await asyncio.sleep(0)
    return await forward(call)


async def forwards_an_old_call(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    old, rascal.kept = rascal.kept, call
    return await forward(old or call)


async def forwards_something_else(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    return await forward(call.message)  # type: ignore[arg-type]  # that is what is wrong with it


async def traps(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    call.at_door(Trap(rascal.random))
    return await forward(call)


async def echoes(rascal: Rascal, call: Call, forward: Forward, io: Io) -> object:
    def broken(_error: BaseException | None) -> None:
        raise ValueError(CARD)

    reply = await forward(call)
    if isinstance(reply, Stream):
        reply.add_filter(Echo(rascal.random))
        if rascal.random.random() < 0.3:
            reply.on_close(broken)
    return reply


BEHAVIOURS: dict[str, Behaviour] = {
    one.__name__: one
    for one in (
        passes, rewrites, forwards_twice_quietly, forwards_twice, swallows, swallows_all, raises, raises_after, denies,
        denies_after, says_nothing, replies, forgets_await, drops_forward, steps_by_hand, forwards_in_a_thread,
        forwards_in_a_task, gathers, closes_one, pauses, needs_a_loop, forwards_an_old_call, forwards_something_else, traps,
        echoes,
    )
}  # fmt: skip
SHAPES = ("sync", "async", "generator", "async generator", "returns iterator", "returns async iterator")


@dataclass
class Round:
    """What happened in one round."""

    seed: int
    folder: Path
    shape: str = ""
    channel: str = ""
    kinds: list[str] = field(default_factory=list)
    entered: list[tuple[str, int]] = field(default_factory=list)  # text, and intents on record when it was sent
    replies: list[str] = field(default_factory=list)
    failures: list[BaseException | None] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """What must not be, and was."""
        wrong: list[str] = []
        stages = [record["stage"] for record in self.records]
        refused = [error for error in self.failures if isinstance(error, GuardrailsError) and error.sent is False]
        checks = {
            "G1: sent without its intent": any(known <= number for number, (_, known) in enumerate(self.entered)),
            "G1: an intent without its outcome": stages.count("intent") != stages.count("outcome"),
            "G2: refused, and sent": len(self.entered) > SENDS - len(refused),
            "G3: in a record": any(CARD in json.dumps(record) for record in self.records),
            "G6: over the limit": len(self.entered) > LIMIT,
            "G9: past the mask": any(CARD in text for text, _ in self.entered),
            "the reply past the mask": self._reply_is_masked() and any(CARD in reply for reply in self.replies),
        }
        wrong += [said for said, so in checks.items() if so]
        for error in self.failures:
            if isinstance(error, GuardrailsError):
                if CARD in f"{error} {vars(error)}" or error.__cause__ or error.__context__:
                    wrong.append("G3: in an error")
            elif error is not None and not isinstance(error, OSError | asyncio.CancelledError):
                wrong.append(f"raised {type(error).__name__}")
        return wrong

    def _reply_is_masked(self) -> bool:
        return self.channel == "llm" or self.shape not in ("sync", "async")

    def __str__(self) -> str:
        failures = [type(error).__name__ for error in self.failures]
        return f"seed {self.seed}: {self.shape} on {self.channel} through {self.kinds}: {failures}"


def play(seed: int, folder: Path, mask: MaskPII) -> Round:
    """One round, the same for the same seed."""
    random = Random(seed)
    now = Round(seed, folder, shape=random.choice(SHAPES), channel=random.choice(["sms", "llm"]))
    kinds = [*BEHAVIOURS]

    def rascals(most: int) -> list[Any]:
        chosen = random.sample(kinds, random.randint(0, most))
        now.kinds += chosen
        return [(monitor if random.random() < 0.2 else lambda one: one)(Rascal(kind, random)) for kind in chosen]

    audit = AuditLog(folder, durability="os", keys=Keys.ephemeral())
    with Guard(audit, RateLimit(f"{LIMIT}/hour", per="recipient"), mask, *rascals(1), channel=now.channel) as guard:
        send = guard.extend(*rascals(2)).wrap(_send(now, fails=random.random() < 0.2), text="body", recipient="to")
        for _ in range(SENDS):
            now.failures.append(_deliver(now, send, random))
        del send
        gc.collect()
    now.records = _records(folder)
    return now


def _records(folder: Path) -> list[dict[str, Any]]:
    lines = (line for file in sorted(folder.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines())
    return [json.loads(line) for line in lines]


def _send(now: Round, *, fails: bool) -> Callable[..., Any]:  # noqa: C901 - one send in six shapes
    def arrive(body: str) -> None:
        now.entered.append((body, sum(record["stage"] == "intent" for record in _records(now.folder))))

    def whole(body: str) -> str:
        arrive(body)
        if fails:
            raise OSError(CARD)
        return f"reply {CARD}"

    def pieces(body: str) -> Iterator[str]:
        arrive(body)
        for chunk in CHUNKS:
            yield chunk
            if fails:
                raise OSError(CARD)

    async def apieces(body: str) -> AsyncIterator[str]:
        for chunk in pieces(body):
            yield chunk
            await asyncio.sleep(0)

    def sync(to: str, body: str) -> str:
        return whole(body)

    async def coroutine(to: str, body: str) -> str:
        await asyncio.sleep(0)
        return whole(body)

    def generator(to: str, body: str) -> Iterator[str]:
        yield from pieces(body)

    async def async_generator(to: str, body: str) -> AsyncIterator[str]:
        async for chunk in apieces(body):
            yield chunk

    def returns_iterator(to: str, body: str) -> Iterator[str]:
        return pieces(body)

    async def returns_async_iterator(to: str, body: str) -> AsyncIterator[str]:
        return apieces(body)

    return {
        "sync": sync,
        "async": coroutine,
        "generator": generator,
        "async generator": async_generator,
        "returns iterator": returns_iterator,
        "returns async iterator": returns_async_iterator,
    }[now.shape]


def _deliver(  # noqa: C901 - flat: six shapes, three ways to read
    now: Round, send: Callable[..., Any], random: Random
) -> BaseException | None:
    """Send once, and read the reply to its end, to its first chunk or not at all."""
    how = random.choice(["whole", "first", "dropped"])
    cancelled_after = random.randint(0, 3) if random.random() < 0.2 else None

    async def consume() -> None:
        reply = send(TO, BODY)
        if not hasattr(reply, "__anext__"):
            reply = await reply
        if not hasattr(reply, "__anext__"):
            now.replies.append(str(reply))
        elif how == "whole":
            now.replies.append("".join([str(chunk) async for chunk in reply]))
        elif how == "first":
            now.replies.append(str(await anext(reply, "")))
            await reply.aclose()

    async def main() -> None:
        task = asyncio.ensure_future(consume())
        for _ in range(cancelled_after or 0):
            await asyncio.sleep(0)
        if cancelled_after is not None:
            task.cancel()
        await task

    try:
        if now.shape in ("async", "async generator", "returns async iterator"):
            with asyncio.Runner() as runner:
                runner.run(main())
            return None
        reply = send(TO, BODY)
        if not hasattr(reply, "__next__"):
            now.replies.append(str(reply))
        elif how == "whole":
            now.replies.append("".join(map(str, reply)))
        elif how == "first":
            now.replies.append(str(next(reply, "")))
            reply.close()
    except BaseException as error:
        return error
    return None


def main(first: int, rounds: int) -> int:
    """Play rounds and say which went wrong; how many did."""
    import tempfile  # noqa: PLC0415 - of the campaign only

    mask = MaskPII(names="off")
    wrong = 0
    for seed in range(first, first + rounds):
        with tempfile.TemporaryDirectory() as folder:
            now = play(seed, Path(folder), mask)
        if complaints := now.complaints():
            wrong += 1
            print(now, complaints, sep="\n    ")  # noqa: T201 - a campaign's result
    print(f"{rounds} rounds from seed {first}: {wrong} went wrong")  # noqa: T201 - a campaign's result
    return wrong


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)  # undo and settle that fail are said there, as they should be
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
