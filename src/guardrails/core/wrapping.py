"""The wrapper that takes a send's place: of the same kind, with the same looks, and no way back to the send."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final

from guardrails.core.edition import Edition, Versioned
from guardrails.core.journey import Journey
from guardrails.core.plan import Plan
from guardrails.core.shapes import Shape, mark, says
from guardrails.core.travel import run_awaiting, run_blocking


class Live:
    """
    One decoration: the plan in force, and how to make it anew. Calls in flight keep theirs.

    Args:
        plans: The plan; changes with the guard's turn.
        compiled: The plan for another edition; raises `ConfigError`.
    """

    __slots__ = ("__weakref__", "compiled", "plans")

    def __init__(self, plans: Versioned[Plan], compiled: Callable[[Edition], Plan]) -> None:
        self.plans: Versioned[Plan] = plans
        self.compiled: Callable[[Edition], Plan] = compiled

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self.plans.now


def wrapper_for(live: Live, signature: inspect.Signature | None) -> Callable[..., Any]:
    """A function that answers like the send and runs the guard around it."""
    plan = live.plan
    wrapper = _MAKERS[plan.shape](live)
    if not says(plan.send, plan.shape):
        wrapper = _hidden(wrapper)
    _look_like(wrapper, plan.send)
    if signature is not None:
        wrapper.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature reads
    mark(wrapper, plan.shape)
    return wrapper


def _look_like(wrapper: Callable[..., Any], send: Any) -> None:
    while isinstance(send, functools.partial):
        send = send.func
    if not hasattr(send, "__qualname__"):
        send = type(send)
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if (value := getattr(send, name, None)) is not None:
            setattr(wrapper, name, value)
    wrapper.__annotations__ = {}
    if inspect.isroutine(send):
        wrapper.__annotations__.update(getattr(send, "__annotations__", {}))
        # Without __wrapped__: a guard that one attribute look-up goes around is none.
        looks = getattr(send, "__dict__", {}).items()
        wrapper.__dict__.update({key: value for key, value in looks if key != "__wrapped__"})


# In each wrapper the arguments are given to the journey and forgotten at once: an exception that passes shows the
# locals of this frame to whoever prints tracebacks.


def _plain(live: Live) -> Callable[..., Any]:
    def send(*args: Any, **kwargs: Any) -> Any:
        journey = Journey(live.plans.now, args, kwargs)
        del args, kwargs
        return run_blocking(journey)

    return send


def _coroutine(live: Live) -> Callable[..., Any]:
    async def send(*args: Any, **kwargs: Any) -> Any:
        journey = Journey(live.plans.now, args, kwargs)
        del args, kwargs
        return await run_awaiting(journey)

    return send


def _hidden(inner: Callable[..., Any]) -> Callable[..., Any]:
    """For a send that gives a coroutine or generator without saying so, as the methods of some SDKs do."""

    def send(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return send


def _generator(live: Live) -> Callable[..., Any]:
    def send(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        journey = Journey(live.plans.now, args, kwargs)
        del args, kwargs
        stream = run_blocking(journey)
        if isinstance(stream, str):  # a control replied instead of the send
            yield stream
            return None
        try:
            while True:
                try:
                    chunk = next(stream)
                except StopIteration as stop:
                    return stop.value
                _no_value((yield chunk))
        finally:
            stream.close()

    return send


def _async_generator(live: Live) -> Callable[..., Any]:
    async def send(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        journey = Journey(live.plans.now, args, kwargs)
        del args, kwargs
        stream = await run_awaiting(journey)
        if isinstance(stream, str):  # a control replied instead of the send
            yield stream
            return
        try:
            async for chunk in stream:
                _no_value((yield chunk))
        finally:
            await stream.aclose()

    return send


def _no_value(value: object) -> None:
    if value is not None:
        raise TypeError("a guarded stream takes no values: next() and send(None) only")


_MAKERS: Final[dict[Shape, Callable[[Live], Callable[..., Any]]]] = {
    Shape.SYNC: _plain,
    Shape.ASYNC: _coroutine,
    Shape.GENERATOR: _generator,
    Shape.ASYNC_GENERATOR: _async_generator,
}
