# ruff: noqa: ARG005 - controls, steps and stand-ins take what the contract gives them
"""Which shape a send has, for everything that can be called."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from guardrails import Guard
from guardrails.core.shapes import Shape, is_guarded, says, shape_of
from guardrails.errors import ConfigError


def sync(body: str) -> str:
    return body


async def coroutine(body: str) -> str:
    return body


def generator(body: str) -> Iterator[str]:
    yield body


async def async_generator(body: str) -> AsyncIterator[str]:
    yield body


def returns_iterator(body: str) -> Iterator[str]:
    return iter(body)


async def returns_async_iterator(body: str) -> AsyncIterator[str]:
    return async_generator(body)


class Client:
    def sync(self, body: str) -> str:
        return body

    async def coroutine(self, body: str) -> str:
        return body

    def generator(self, body: str) -> Iterator[str]:
        yield body

    async def async_generator(self, body: str) -> AsyncIterator[str]:
        yield body

    @classmethod
    async def of_class(cls, body: str) -> str:
        return body

    @staticmethod
    async def static(body: str) -> str:
        return body


class Calls:
    def __call__(self, body: str) -> str:
        return body


class CallsAsync:
    async def __call__(self, body: str) -> str:
        return body


class CallsGenerator:
    def __call__(self, body: str) -> Iterator[str]:
        yield body


class CallsAsyncGenerator:
    async def __call__(self, body: str) -> AsyncIterator[str]:
        yield body


def hides(inner: Callable[..., Any]) -> Callable[..., Any]:
    """As SDKs do: a plain function with the looks of another."""

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return outer


def awaits(inner: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function around a plain one."""

    @functools.wraps(inner)
    async def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return outer


@contextlib.contextmanager
def manager(body: str) -> Iterator[str]:
    yield body


@contextlib.asynccontextmanager
async def async_manager(body: str) -> AsyncIterator[str]:
    yield body


TABLE: list[tuple[str, Any, Shape]] = [
    ("function", sync, Shape.SYNC),
    ("coroutine function", coroutine, Shape.ASYNC),
    ("generator function", generator, Shape.GENERATOR),
    ("async generator function", async_generator, Shape.ASYNC_GENERATOR),
    ("function that returns an iterator", returns_iterator, Shape.SYNC),
    ("coroutine that returns an async iterator", returns_async_iterator, Shape.ASYNC),
    ("method", Client().sync, Shape.SYNC),
    ("coroutine method", Client().coroutine, Shape.ASYNC),
    ("generator method", Client().generator, Shape.GENERATOR),
    ("async generator method", Client().async_generator, Shape.ASYNC_GENERATOR),
    ("class method", Client.of_class, Shape.ASYNC),
    ("static method", Client.static, Shape.ASYNC),
    ("callable object", Calls(), Shape.SYNC),
    ("async callable object", CallsAsync(), Shape.ASYNC),
    ("generator callable object", CallsGenerator(), Shape.GENERATOR),
    ("async generator callable object", CallsAsyncGenerator(), Shape.ASYNC_GENERATOR),
    ("partial", functools.partial(sync), Shape.SYNC),
    ("partial of a coroutine function", functools.partial(coroutine), Shape.ASYNC),
    ("partial of a partial", functools.partial(functools.partial(generator), body="x"), Shape.GENERATOR),
    ("partial of an async callable object", functools.partial(CallsAsync()), Shape.ASYNC),
    ("partial of an async generator method", functools.partial(Client().async_generator), Shape.ASYNC_GENERATOR),
    ("plain function hiding a coroutine", hides(coroutine), Shape.ASYNC),
    ("plain function hiding one that hides one", hides(hides(coroutine)), Shape.ASYNC),
    ("partial of a plain function hiding a coroutine", functools.partial(hides(coroutine)), Shape.ASYNC),
    ("plain function hiding a function", hides(sync), Shape.SYNC),
    ("plain function hiding a generator function", hides(generator), Shape.SYNC),
    ("coroutine function around a plain one", awaits(sync), Shape.ASYNC),
    ("context manager", manager, Shape.SYNC),
    ("async context manager", async_manager, Shape.SYNC),
    ("built-in", len, Shape.SYNC),
    ("class as a callable", str, Shape.SYNC),
    ("lambda", lambda body: body, Shape.SYNC),
    ("guarded function", Guard()(sync), Shape.SYNC),
    ("guarded coroutine function", Guard()(coroutine), Shape.ASYNC),
    ("guarded generator function", Guard()(generator), Shape.GENERATOR),
    ("guarded async generator function", Guard()(async_generator), Shape.ASYNC_GENERATOR),
    ("guarded function hiding a coroutine", Guard()(hides(coroutine)), Shape.ASYNC),
    ("partial of a guarded coroutine function", functools.partial(Guard()(coroutine)), Shape.ASYNC),
    ("plain function hiding a guarded one hiding a coroutine", hides(Guard()(hides(coroutine))), Shape.ASYNC),
    ("guarded with an override", Guard().wrap(sync, shape="async"), Shape.ASYNC),
]


@pytest.mark.parametrize(("send", "shape"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_shape_of(send: Any, shape: Any) -> None:
    assert shape_of(send) is shape


LOOKS = [
    (name, send) for name, send, _ in TABLE if name not in ("built-in", "class as a callable", "guarded with an override")
]


def answer(question: Callable[[Any], bool], send: Any) -> bool:
    """What *question* says of a function, and of an object's `__call__`: the wrapper of an object is a function."""
    is_object = not inspect.isroutine(send) and not isinstance(send, functools.partial)
    return question(type(send).__call__ if is_object else send)


@pytest.mark.parametrize(
    "question",
    [inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction],
    ids=lambda q: q.__name__,
)
@pytest.mark.parametrize("send", [row[1] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_the_wrapper_answers_as_the_send_does(question: Any, send: Any) -> None:
    assert answer(question, send) is question(Guard()(send))


@pytest.mark.parametrize(
    "question",
    [inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction],
    ids=lambda q: q.__name__,
)
@pytest.mark.parametrize("send", [row[1] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_a_wrapper_around_a_wrapper_answers_as_the_send_does(question: Any, send: Any) -> None:
    assert answer(question, send) is question(Guard()(Guard()(send)))


def test_only_what_awaits_needs_a_loop() -> None:
    assert [shape for shape in Shape if shape.awaits] == [Shape.ASYNC, Shape.ASYNC_GENERATOR]


@pytest.mark.parametrize(
    ("send", "override", "shape"),
    [
        (sync, "sync", Shape.SYNC),
        (sync, "async", Shape.ASYNC),
        (coroutine, "async", Shape.ASYNC),
        (hides(coroutine), "sync", Shape.SYNC),
        (hides(coroutine), "async", Shape.ASYNC),
        (len, "async", Shape.ASYNC),
        (hides(generator), "async", Shape.ASYNC),
    ],
)
def test_an_override_decides_where_looks_deceive(send: Any, override: Any, shape: Any) -> None:
    assert shape_of(send, override) is shape


@pytest.mark.parametrize(
    ("send", "override"),
    [
        (coroutine, "sync"),
        (CallsAsync(), "sync"),
        (generator, "sync"),
        (generator, "async"),
        (async_generator, "async"),
        (async_generator, "sync"),
        (sync, "generator"),
        (sync, ""),
        (sync, 5),
    ],
    ids=lambda value: getattr(value, "__name__", str(value) if isinstance(value, str) else type(value).__name__),
)
def test_an_override_that_contradicts_what_is_plain_is_a_config_error(send: Any, override: Any) -> None:
    with pytest.raises(ConfigError):
        shape_of(send, override)


def test_a_wrapped_chain_without_an_end_is_a_config_error() -> None:
    def send(body: str) -> None: ...

    def other(body: str) -> None: ...

    send.__wrapped__ = other  # type: ignore[attr-defined]  # a cycle, on purpose
    other.__wrapped__ = send  # type: ignore[attr-defined]
    with pytest.raises(ConfigError):
        shape_of(send)
    with pytest.raises(ConfigError):
        Guard()(send)


def test_our_wrappers_are_told_apart_from_copies_of_their_looks() -> None:
    wrapper = Guard()(sync)
    assert is_guarded(wrapper)
    assert not is_guarded(sync)
    assert not is_guarded(hides(wrapper))
    assert not is_guarded(functools.update_wrapper(lambda body: body, wrapper))


def test_a_method_made_of_a_wrapper_is_guarded() -> None:
    class Guarded:
        send = Guard()(lambda self, body: body)

    assert is_guarded(Guarded().send)


def test_what_cannot_be_hashed_can_be_a_send() -> None:
    class Unhashable(Calls):
        __hash__ = None  # type: ignore[assignment]  # as a dataclass with eq

        def __eq__(self, other: object) -> bool:
            return self is other

    assert shape_of(Unhashable()) is Shape.SYNC
    assert Guard()(Unhashable())("x") == "x"


def test_looks() -> None:
    assert says(coroutine, Shape.ASYNC)
    assert not says(hides(coroutine), Shape.ASYNC)
