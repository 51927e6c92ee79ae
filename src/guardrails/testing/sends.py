"""A send of any shape that sends nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias

from guardrails.errors import ConfigError

SendShape: TypeAlias = Literal[
    "sync", "async", "generator", "async generator", "returns iterator", "returns async iterator"
]


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
