"""Every way in which a send can be called: shape, kind of callable, event loop."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.testing import RecordingSend, SendShape
from tests.conftest import LOOPS

TO = "+12125550173"


class Account:
    """A client whose methods send."""

    def __init__(self, send: RecordingSend) -> None:
        self._send = send

    def call(self, to: str, body: str) -> Any:
        return self._send(to, body)

    async def acall(self, to: str, body: str) -> Any:
        return await self._send(to, body)

    def stream(self, to: str, body: str) -> Iterator[Any]:
        yield from self._send(to, body)

    async def astream(self, to: str, body: str) -> AsyncIterator[Any]:
        async for chunk in self._send(to, body):
            yield chunk


def _function(send: RecordingSend) -> Any:
    """A plain function of the same shape."""
    account = Account(send)
    match send.shape:
        case "sync" | "returns iterator":

            def function(to: str, body: str) -> Any:
                return account.call(to, body)

            return function
        case "async" | "returns async iterator":

            async def coroutine(to: str, body: str) -> Any:
                return await account.acall(to, body)

            return coroutine
        case "generator":

            def generator(to: str, body: str) -> Iterator[Any]:
                yield from account.stream(to, body)

            return generator
        case "async generator":

            async def asyncgen(to: str, body: str) -> AsyncIterator[Any]:
                async for chunk in account.astream(to, body):
                    yield chunk

            return asyncgen


def _method(send: RecordingSend) -> Any:
    account = Account(send)
    return {
        "sync": account.call,
        "returns iterator": account.call,
        "async": account.acall,
        "returns async iterator": account.acall,
        "generator": account.stream,
        "async generator": account.astream,
    }[send.shape]


def _partial(send: RecordingSend) -> Any:
    function = _function(send)
    return functools.partial(function)


KINDS: dict[str, Callable[[RecordingSend], Any]] = {
    "function": _function,
    "method": _method,
    "partial": _partial,
    "object": lambda send: send,
}


@dataclass(frozen=True)
class Way:
    """One way to send. `deliver` drives it to its end and returns the reply; the chunks of a stream joined."""

    shape: SendShape
    kind: str
    loop: str | None

    def __str__(self) -> str:
        return f"{self.shape}-{self.kind}-{self.loop or 'here'}".replace(" ", "_")

    @property
    def awaits(self) -> bool:
        return self.loop is not None

    def send(self, *, reply: object = "sent", raises: BaseException | None = None) -> RecordingSend:
        return RecordingSend(shape=self.shape, reply=reply, raises=raises)

    def deliver(self, guard: Guard, send: RecordingSend, to: str = TO, body: str = "hello") -> Any:
        return self.drive(lambda: self.guarded(guard, send), to, body)

    def guarded(self, guard: Guard, send: RecordingSend) -> Any:
        if self.kind == "run":
            return functools.partial(self._run, guard, send)
        return guard(KINDS[self.kind](send))

    @staticmethod
    def _run(guard: Guard, send: RecordingSend, to: str, body: str) -> Any:
        message = Message(body, channel="sms", recipients=to)
        if send.shape == "sync":
            return guard.run(message, lambda sealed: send(sealed.recipients[0], sealed.text))

        async def asend(sealed: Message) -> Any:
            return await send(sealed.recipients[0], sealed.text)

        return guard.arun(message, asend)

    def drive(self, make: Callable[[], Any], to: str = TO, body: str = "hello") -> Any:
        """Call what *make* gives, and read the reply to its end."""
        if self.loop is None:
            reply = make()(to, body)
            return "".join(reply) if "iterator" in self.shape or self.shape == "generator" else reply

        async def main() -> Any:
            called = make()(to, body)
            if self.shape == "async generator":
                return "".join([chunk async for chunk in called])
            reply = await called
            if self.shape == "returns async iterator":
                if isinstance(reply, str):
                    return reply
                return "".join([chunk async for chunk in reply])
            return reply

        return LOOPS[self.loop](main)


SHAPES: tuple[SendShape, ...] = (
    "sync",
    "async",
    "generator",
    "async generator",
    "returns iterator",
    "returns async iterator",
)

WAYS = [
    *(
        Way(shape, kind, loop)
        for shape in SHAPES
        for kind in KINDS
        for loop in ((None,) if shape in ("sync", "generator", "returns iterator") else ("asyncio", "trio"))
    ),
    Way("sync", "run", None),
    Way("async", "run", "asyncio"),
    Way("async", "run", "trio"),
]
SYNC_WAYS = [way for way in WAYS if not way.awaits]
ASYNC_WAYS = [way for way in WAYS if way.awaits]
