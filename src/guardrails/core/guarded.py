"""What a caller holds instead of the iterator that a send returned, sync or async; `flow` says what comes out of it."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from guardrails.core.flow import Flow
from guardrails.core.nesting import unmark
from guardrails.core.refusal import bare, without_our_frames
from guardrails.core.shapes import Shape
from guardrails.errors import GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.journey import Journey
    from guardrails.core.stream import Stream

_log: Final = logging.getLogger("guardrails")


class _GuardedBase:
    """What a caller holds instead of the iterator that the send returned."""

    __slots__ = ("__weakref__", "_flow", "_leave")

    def __init__(self, journey: Journey, stream: Stream) -> None:
        self._flow = Flow(journey, stream)
        self._leave: Any = None  # the source's own `__exit__` or `__aexit__`, once it was entered

    def __getattr__(self, name: str) -> Any:
        # Whatever else the object offers is offered here, unless it could hand out what the filters would rewrite.
        if name.startswith("__") or name == "_flow" or self._flow.filtered:
            raise AttributeError(f"a guarded stream has no attribute {name!r}")
        return getattr(self._flow.source, name)

    def __del__(self) -> None:
        flow = getattr(self, "_flow", None)
        if flow is not None:
            flow.abandoned()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'ended' if self._flow.ended else 'open'})"


class GuardedStream(_GuardedBase):
    """A sync stream behind the guard. Several threads may read it: each chunk goes to one of them."""

    __slots__ = ("_reads",)

    def __init__(self, journey: Journey, stream: Stream) -> None:
        super().__init__(journey, stream)
        self._reads = threading.RLock()  # what a filter holds back belongs to one reader at a time

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        flow = self._flow
        failure: BaseException | None = None
        with self._reads:
            while failure is None:
                if flow.ready():
                    return flow.take()
                if flow.ended:
                    raise StopIteration(flow.value)
                failure = self._pull(flow)
        let_go(flow.source)
        return raise_clean(failure)

    def _pull(self, flow: Flow) -> BaseException | None:
        """Read one chunk; what went wrong is returned."""
        token = flow.enter()
        try:
            chunk = next(flow.source)
        except StopIteration as stop:
            chunk, over, failure = None, stop, None
        except BaseException as error:  # noqa: BLE001 - handed to the caller outside this block
            chunk, over, failure = None, None, flow.source_failed(error)
        else:
            over = failure = None
        finally:
            unmark(token)
        if failure is not None:
            return failure
        try:
            if over is None:
                flow.feed(chunk)
            else:
                flow.exhausted(over.value)
        except BaseException as error:  # noqa: BLE001 - handed to the caller outside this block
            return flow.failed(error)
        return None

    def send(self, value: object) -> Any:
        """As `next`; a guarded stream takes no values."""
        if value is not None:
            raise TypeError("a guarded stream takes no values: send(None) or next() only")
        return next(self)

    def throw(self, error: BaseException) -> NoReturn:
        """End the stream with *error*."""
        error = _made(error)
        self._flow.failed(error)
        let_go(self._flow.source)
        raise error

    def close(self) -> None:
        """End the stream; the outcome is written, and the source closed."""
        self._flow.abandoned()
        close = getattr(self._flow.source, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        source = self._flow.source
        if hasattr(type(source), "__exit__"):
            self._leave = source.__exit__
            self._flow.begun(source.__enter__())
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.close()
        finally:
            if self._leave is not None:
                self._leave(*exc_info)


class GuardedAsyncStream(_GuardedBase):
    """An async stream behind the guard."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        flow = self._flow
        failure: BaseException | None = None
        while failure is None:
            if flow.ready():
                return flow.take()
            if flow.ended:
                raise StopAsyncIteration
            failure = await self._pull(flow)
        await alet_go(flow.source)
        return raise_clean(failure)

    async def _pull(self, flow: Flow) -> BaseException | None:
        token = flow.enter()
        over = False
        failure: BaseException | None = None
        chunk: Any = None
        try:
            chunk = await anext(flow.source)
        except StopAsyncIteration:
            over = True
        except BaseException as error:  # noqa: BLE001 - handed to the caller outside this block
            failure = flow.source_failed(error)
        finally:
            unmark(token)
        if failure is not None:
            return failure
        try:
            if over:
                flow.exhausted()
            else:
                flow.feed(chunk)
        except BaseException as error:  # noqa: BLE001 - handed to the caller outside this block
            return flow.failed(error)
        return None

    async def asend(self, value: object) -> Any:
        """As `anext`; a guarded stream takes no values."""
        if value is not None:
            raise TypeError("a guarded stream takes no values: asend(None) or anext() only")
        return await anext(self)

    async def athrow(self, error: BaseException) -> NoReturn:
        """End the stream with *error*."""
        error = _made(error)
        self._flow.failed(error)
        await alet_go(self._flow.source)
        raise error

    async def aclose(self) -> None:
        """End the stream; the outcome is written first, then the source is closed."""
        self._flow.abandoned()
        await close_source(self._flow.source)

    async def __aenter__(self) -> Self:
        source = self._flow.source
        if hasattr(type(source), "__aexit__"):
            self._leave = source.__aexit__
            self._flow.begun(await source.__aenter__())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await self.aclose()
        finally:
            if self._leave is not None:
                await self._leave(*exc_info)


def guarded(journey: Journey, stream: Stream) -> GuardedStream | GuardedAsyncStream:
    """The caller's view of *stream*."""
    kind, shape = type(stream._source), journey.plan.shape  # noqa: SLF001 - core's own
    if hasattr(kind, "__next__") and not shape.awaits:  # what can be read either way is read as its send was called
        return GuardedStream(journey, stream)
    if hasattr(kind, "__anext__") or shape is Shape.ASYNC_GENERATOR:
        return GuardedAsyncStream(journey, stream)
    return GuardedStream(journey, stream)


def raise_clean(failure: BaseException) -> NoReturn:
    """Raise *failure* without frames of ours behind it."""
    try:
        raise bare(failure) if isinstance(failure, GuardrailsError) else without_our_frames(failure)
    finally:
        del failure


def _made(error: Any) -> BaseException:
    """What `throw` was given, as generators take it: an exception, or its class."""
    made = error() if isinstance(error, type) and issubclass(error, BaseException) else error
    if not isinstance(made, BaseException):
        raise TypeError(f"throw takes an exception, not {type(error).__name__}")
    return made


def let_go(source: Any) -> None:
    """Close what a sync stream is read from; what ended the stream is what the caller shall see."""
    close = getattr(source, "close", None)
    try:
        if close is not None:
            close()
    except Exception as error:  # noqa: BLE001 - said in the log, see above
        _log.error("guardrails: closing a failed stream raised %s", type(error).__name__)


async def alet_go(source: Any) -> None:
    """As `let_go`, for an async stream."""
    try:
        await close_source(source)
    except Exception as error:  # noqa: BLE001 - said in the log, as in `let_go`
        _log.error("guardrails: closing a failed stream raised %s", type(error).__name__)


async def close_source(source: Any) -> None:
    """Close what an async stream is read from, whichever of `aclose` and `close` it has."""
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if close is None:
        return
    done = close()
    if inspect.isawaitable(done):
        await done
