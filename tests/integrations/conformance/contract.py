"""
What every integration has to keep, whatever its host: twelve points, and what a host must offer so that they can be tried.

A `Host` is one integration of one library in one mode ("sync", "stream", ...), on the real package, with the provider's end
played in this process. It is driven with `send`; everything that reached the provider lies in `wire`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

from guardrails import Guard, context
from tests.conftest import on_asyncio

EMAIL: Final = "ann@example.com"
SECRET: Final = "eve@example.com"  # what a provider says in an error
HIDDEN: Final = "<EMAIL_ADDRESS>"
PHONE: Final = "+12125550173"
TEXT: Final = f"Write to {EMAIL}, or call us. Thank you."
MASKED: Final = f"Write to {HIDDEN}, or call us. Thank you."

POINTS: Final[Mapping[int, str]] = {
    1: "outgoing text masked on the wire",
    2: "recipient untouched",
    3: "reply masked",
    4: "stream masked, however cut",
    5: "refusal: nothing sent, the host's own error",
    6: "control crash: the same",
    7: "the host's retries charged once",
    8: "ids reach the record",
    9: "intent and outcome, also on cancel and provider error",
    10: "caller's objects untouched",
    11: "sync and async",
    12: "nothing personal in the SDK's DEBUG log",
}


class Host(ABC):
    """
    One integration in one mode.

    Attributes:
        name: As it stands in the table.
        package: The distribution it is for.
        modes: Ways to send.
        streams: Those whose reply arrives in pieces.
        without: Points that do not apply, with the reason; a key `(mode, point)` is for one mode only.
        needs_filter: It logs above our hook, or below it what is answered; its log is clean with `MaskingFilter` on the handlers.
        recipient: Who receives what is sent.
        refusal: What it raises when a message is refused.
        error: What it raises when the provider fails.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    modes: ClassVar[tuple[str, ...]]
    streams: ClassVar[frozenset[str]] = frozenset()
    without: ClassVar[Mapping[int | tuple[str, int], str]] = {}
    needs_filter: ClassVar[bool] = False
    recipient: ClassVar[str] = PHONE
    refusal: ClassVar[tuple[type[BaseException], ...]]
    error: ClassVar[tuple[type[BaseException], ...]] = (Exception,)

    loop: asyncio.AbstractEventLoop  # on which a held send waits

    def __init__(self, guard: Guard, mode: str, *, answer: str = TEXT, cut: int = 7) -> None:
        self.guard = guard
        self.mode = mode
        self.answer = answer
        self.cut = cut
        self.wire: list[str] = []
        self.people: list[str] = []
        self.faults: list[str] = []  # of the next requests: "busy" (the host tries again) or "error" or "interrupt"
        self.given: list[Any] = []  # the caller's objects
        self.conversation: str | None = None
        self.held: asyncio.Event | None = None  # while the provider is asked to take its time
        self.released = threading.Event()
        self.start()

    def start(self) -> None:  # noqa: B027 - most hosts have nothing to set up
        """Set the host up."""

    def close(self) -> None:  # noqa: B027 - as above
        """Stop what `start` has started."""

    @classmethod
    def lacks(cls, mode: str, point: int) -> str | None:
        """Why *point* does not apply; None when it does."""
        if point == 4 and mode not in cls.streams:
            return "no stream in this mode"
        return cls.without.get((mode, point)) or cls.without.get(point)

    @property
    def is_async(self) -> bool:
        """Whether this mode runs on an event loop."""
        return self.mode.startswith("a") or "async" in self.mode

    # -- driving -------------------------------------------------------------------------------------------------------

    def send(self, text: str = TEXT) -> str:
        """Send *text* once; everything that the caller sees of the answer."""
        with self.ids():
            return str(on_asyncio(lambda: self.asend(text))) if self.is_async else self.send_now(text)

    @contextlib.contextmanager
    def ids(self) -> Iterator[None]:
        """How this host's user names the conversation."""
        with context(conversation=self.conversation):
            yield

    def send_now(self, text: str) -> str:
        """Send in a sync mode."""
        raise NotImplementedError

    async def asend(self, text: str) -> str:
        """Send in an async mode."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End a send while the provider has it."""
        if not self.is_async:
            self.faults.append("interrupt")
            with contextlib.suppress(KeyboardInterrupt):
                self.send()
            return

        async def main() -> None:
            self.loop = asyncio.get_running_loop()
            self.held = asyncio.Event()
            task = asyncio.ensure_future(self.asend(TEXT))
            await self.held.wait()
            task.cancel()
            self.released.set()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
            self.held = None

        on_asyncio(main)

    # -- the provider's end --------------------------------------------------------------------------------------------

    def arrived(self, body: str, *people: str) -> str | None:
        """Keep what reached the provider; says how it is to fail."""
        self.wire.append(body)
        self.people += people
        fault = self.faults.pop(0) if self.faults else None
        if fault == "interrupt":
            raise KeyboardInterrupt
        return fault

    async def hold(self) -> None:
        """Take time, if that is asked for."""
        if self.held is not None:
            self.held.set()
            await asyncio.Event().wait()

    def pieces(self) -> list[str]:
        """The answer, cut."""
        return [self.answer[at : at + self.cut] for at in range(0, len(self.answer), self.cut)]


class AsyncOnly(Host, ABC):
    """A host that has no sync side."""

    @property
    def is_async(self) -> bool:
        """Always."""
        return True

    @abstractmethod
    async def asend(self, text: str) -> str: ...


Make = Callable[..., Host]
