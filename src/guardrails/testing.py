"""
Fakes for testing controls and guarded sends: no network, no clock, no disk.

    send = RecordingSend(shape="async")
    safe = Guard(my_control, channel="sms").wrap(send)
    ...
    assert_never_sent(send)

`try_control` tries one control by itself, under the same contract that a guard holds it to.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, TypeAlias, TypeVar

from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.errors import ConfigError, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Control, Forward, Io
    from guardrails.core.verdict import Note

__all__ = [
    "CapturingSink",
    "FakeIo",
    "RecordingSend",
    "SendShape",
    "Sent",
    "Trial",
    "assert_never_sent",
    "atry_control",
    "try_control",
]

T = TypeVar("T")
SendShape: TypeAlias = Literal[
    "sync", "async", "generator", "async generator", "returns iterator", "returns async iterator"
]

_START: Final = datetime(2024, 1, 1, 12, tzinfo=UTC)


class FakeIo:
    """
    An `Io` whose time stands still unless somebody sleeps or advances it. Nothing waits.

    Args:
        now: The time that it starts at (aware).

    Attributes:
        sleeps: Seconds of each `sleep`, in order.
        asked: How often `ask` was called.

    >>> io = FakeIo()
    >>> before = io.monotonic()
    >>> io.advance(90)
    >>> io.monotonic() - before
    90.0
    """

    def __init__(self, *, now: datetime = _START) -> None:
        if now.tzinfo is None:
            raise ConfigError("FakeIo(now=...) must be an aware datetime")
        self.sleeps: list[float] = []
        self.asked: int = 0
        self._now = now.astimezone(UTC)
        self._elapsed = 0.0

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Record it, and let the time pass at once."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    def now(self) -> datetime:
        """The fake time: aware, UTC."""
        return self._now + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds since this object was made."""
        return self._elapsed

    async def ask(
        self, *, blocking: Callable[[], T] | None = None, awaiting: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """Call *blocking* here and now; without it await *awaiting*."""
        self.asked += 1
        if blocking is not None:
            return blocking()
        if awaiting is None:
            raise ConfigError("io.ask needs blocking=... or awaiting=...")
        return await awaiting()


class Sent(NamedTuple):
    """
    One call that reached a `RecordingSend`.

    Args:
        to: The recipient.
        body: The text, as it would have gone out.
    """

    to: str
    body: str


class RecordingSend:
    """
    A send of any shape that records its calls and sends nothing.

    Its parameters are `to` and `body`, so that a bare `guard(RecordingSend())` works. A call counts once its code runs:
    for generators at the first `next`.

    Args:
        shape: How it is called: "sync", "async", "generator", "async generator", "returns iterator" (a function that
            returns one) or "returns async iterator" (a coroutine that returns one).
        reply: What it returns; for streams a `str` is one chunk, anything else an iterable of chunks.
        raises: Raised instead of returning; by streams after their last chunk.

    Attributes:
        calls: What arrived, in order.

    >>> send = RecordingSend()
    >>> send("+12125550173", "hello")
    'sent'
    >>> send.calls
    [Sent(to='+12125550173', body='hello')]
    """

    def __new__(cls, *, shape: SendShape = "sync", **_others: Any) -> Self:
        """The kind of send that *shape* asks for: what it is shows in the type of its `__call__`."""
        if shape not in _SENDS:
            raise ConfigError(f"shape must be one of {', '.join(_SENDS)}")
        return super().__new__(_SENDS[shape] if cls is RecordingSend else cls)  # type: ignore[return-value]  # a subclass of cls

    def __init__(
        self,
        *,
        shape: SendShape = "sync",
        reply: object = "sent",
        raises: BaseException | None = None,
    ) -> None:
        self.shape: SendShape = shape
        self.reply = reply
        self.raises = raises
        self.calls: list[Sent] = []

    def __call__(self, to: str, body: str) -> Any:
        """Record the call."""
        self.calls.append(Sent(to, body))
        if self.raises is not None:
            raise self.raises
        return self.reply

    def _chunks(self, to: str, body: str) -> Iterator[Any]:
        self.calls.append(Sent(to, body))
        yield from (self.reply,) if isinstance(self.reply, str) else self.reply  # type: ignore[misc]  # its caller says that it is iterable
        if self.raises is not None:
            raise self.raises

    def __repr__(self) -> str:
        return f"RecordingSend(shape={self.shape!r}, {len(self.calls)} calls)"


class _Async(RecordingSend):
    async def __call__(self, to: str, body: str) -> Any:
        return super().__call__(to, body)


class _Generator(RecordingSend):
    def __call__(self, to: str, body: str) -> Iterator[Any]:
        yield from self._chunks(to, body)


class _AsyncGenerator(RecordingSend):
    async def __call__(self, to: str, body: str) -> AsyncIterator[Any]:
        for chunk in self._chunks(to, body):
            yield chunk


class _ReturnsIterator(RecordingSend):
    def __call__(self, to: str, body: str) -> Iterator[Any]:
        return self._started(self._chunks(to, body))

    def _started(self, chunks: Iterator[Any]) -> Iterator[Any]:
        # Such a send runs when it is called, not when its reply is read.
        return _Started(chunks)


class _ReturnsAsyncIterator(RecordingSend):
    async def __call__(self, to: str, body: str) -> AsyncIterator[Any]:
        return _AsyncStarted(_Started(self._chunks(to, body)))


class _Started:
    """An iterator whose source has already run to its first chunk."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._ahead: list[Any] = []
        self._error: BaseException | None = None
        try:
            self._ahead.append(next(source))
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - raised when it is read
            self._error = error

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._ahead:
            return self._ahead.pop()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return next(self._source)


class _AsyncStarted:
    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._source)
        except StopIteration:
            raise StopAsyncIteration from None


_SENDS: Final[dict[str, type[RecordingSend]]] = {
    "sync": RecordingSend,
    "async": _Async,
    "generator": _Generator,
    "async generator": _AsyncGenerator,
    "returns iterator": _ReturnsIterator,
    "returns async iterator": _ReturnsAsyncIterator,
}


def assert_never_sent(send: RecordingSend) -> None:
    """
    Nothing reached *send*.

    Raises:
        AssertionError: Something did; says how often, and no text.
    """
    if send.calls:
        raise AssertionError(f"the send was entered {len(send.calls)} time(s)")


class CapturingSink:
    """
    A `Sink` that keeps an audit log's lines in memory: `AuditLog(CapturingSink())`.

    Attributes:
        lines: Every accepted line, in order, over all streams.
        streams: The ids of the streams that were opened.
        durable: Whether each accepted write had to be durable.
        closed: How often it was closed.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.streams: list[str] = []
        self.durable: list[bool] = []
        self.closed: int = 0
        self._error: Exception | None = None
        self._failures = 0
        self._go = threading.Event()
        self._go.set()
        self._hanging = threading.Event()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The lines, parsed."""
        return [json.loads(line) for line in self.lines]

    def fail(self, error: Exception | None = None, *, times: int = 1_000_000_000) -> None:
        """
        Let the next writes fail.

        Args:
            error: What they raise; an `OSError` unless given.
            times: How many of them.
        """
        self._error = error or OSError("the sink was told to fail")
        self._failures = times

    def hang(self) -> None:
        """Let every write wait until `resume`."""
        self._hanging.clear()
        self._go.clear()

    def resume(self) -> None:
        """Writes succeed again; those that hang go on."""
        self._error = None
        self._failures = 0
        self._go.set()

    def wait_until_hanging(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until a write hangs; whether one does."""
        return self._hanging.wait(timeout_seconds)

    def open(self, stream: str, /) -> None:
        """A new stream."""
        self.streams.append(stream)

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Keep *lines*.

        Raises:
            Exception: What `fail` was given.
        """
        if not self._go.is_set():
            self._hanging.set()
            self._go.wait()
        if self._error is not None and self._failures > 0:
            self._failures -= 1
            raise self._error
        self.lines += lines
        self.durable.append(durable)

    def close(self) -> None:
        """Count it."""
        self.closed += 1

    def __repr__(self) -> str:
        return f"CapturingSink({len(self.lines)} lines, {len(self.streams)} streams)"


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What a control did with one message.

    Args:
        forwarded: The message as it forwarded it; None when it did not.
        reply: What came back; None after an error.
        error: What a guarded send would have raised; None when nothing.
        verdicts: What the control noted.
    """

    forwarded: Message | None
    reply: object
    error: GuardrailsError | None
    verdicts: Sequence[Note]

    def __repr__(self) -> str:
        error = None if self.error is None else type(self.error).__name__
        return f"Trial(forwarded={self.forwarded!r}, reply={type(self.reply).__name__}, error={error})"


def try_control(control: Control, message: str | Message, /, *, io: Io | None = None, reply: object = "sent") -> Trial:
    """
    Try one control by itself, around a sync send that records.

    Args:
        control: The control.
        message: What is to be sent; a str is a message on the channel "test".
        io: What the control may wait for; a fresh `FakeIo` unless given.
        reply: What the send replies.

    Raises:
        ConfigError: The control needs an event loop: use `atry_control`.

    >>> from guardrails import Deny, check
    >>> @check
    ... def no_discounts(message):
    ...     return Deny("promises a discount") if "discount" in message.text else None
    >>> try_control(no_discounts, "10% discount").error
    Denied('promises a discount')
    >>> try_control(no_discounts, "hello").forwarded.text
    'hello'
    """
    bench = _Bench(control, FakeIo() if io is None else io, reply)
    given = _message(message)
    try:
        bench.reply = Guard(bench, channel=given.channel).run(given, bench.send)
    except ConfigError:  # the set-up is wrong: nothing was tried
        raise
    except GuardrailsError as error:
        return bench.trial(error)
    return bench.trial()


async def atry_control(
    control: Control, message: str | Message, /, *, io: Io | None = None, reply: object = "sent"
) -> Trial:
    """As `try_control`, around an async send: for controls that need an event loop."""
    bench = _Bench(control, FakeIo() if io is None else io, reply)
    given = _message(message)
    try:
        bench.reply = await Guard(bench, channel=given.channel).arun(given, bench.asend)
    except ConfigError:  # the set-up is wrong: nothing was tried
        raise
    except GuardrailsError as error:
        return bench.trial(error)
    return bench.trial()


def _message(message: str | Message) -> Message:
    return Message(message, channel="test") if isinstance(message, str) else message


class _Bench:
    """Stands in a guard for the control that is tried, and hands it another `io`."""

    def __init__(self, control: Control, io: Io, reply: object) -> None:
        self.control = control
        self.io = io
        self.gives = reply
        self.reply: object = None
        self.forwarded: Message | None = None
        self.calls: list[Call] = []
        self.verdicts: Sequence[Note] = ()
        self.name = getattr(control, "name", None) or type(control).__name__
        self.function = getattr(control, "function", control.guard)  # errors say where the control is, not this

    def __getattr__(self, name: str) -> Any:
        return getattr(self.control, name)

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - another one is handed on
        try:
            return await self.control.guard(call, forward, self.io)
        finally:
            self.verdicts = [note for note in call.so_far().verdicts if note.control == self.name]

    def send(self, message: Message) -> object:
        self.forwarded = message
        return self.gives

    async def asend(self, message: Message) -> object:
        return self.send(message)

    def trial(self, error: GuardrailsError | None = None) -> Trial:
        return Trial(self.forwarded, None if error is not None else self.reply, error, tuple(self.verdicts))
