"""
Which shape a send has.

Shape is read twice: from the callable at decoration (does calling it give a value, a coroutine, a generator?)
and from the result at the call (is it an iterator?). Wrappers carry their shape privately, so that an outer guard
need not guess at an inner one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, Final
from weakref import WeakKeyDictionary

from guardrails.errors import ConfigError

_UNWRAP_DEPTH: Final = 64  # decorators on one function; a longer chain is a cycle


class Shape(Enum):
    """What calling a send gives."""

    SYNC = "sync"
    ASYNC = "async"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"

    @property
    def awaits(self) -> bool:
        """Whether the send runs on an event loop."""
        return self in {Shape.ASYNC, Shape.ASYNC_GENERATOR}


# Not an attribute of the wrapper: functools.wraps would copy it onto whatever is wrapped around it.
_marked: WeakKeyDictionary[Callable[..., Any], Shape] = WeakKeyDictionary()


def mark(wrapper: Callable[..., Any], shape: Shape) -> None:
    """Let *wrapper* carry its shape."""
    _marked[wrapper] = shape


def is_guarded(send: Any) -> bool:
    """Whether *send* is one of our wrappers (or a method made of one)."""
    return _mark_of(send) is not None


def shape_of(send: Callable[..., Any], override: str | None = None) -> Shape:
    """
    The shape of *send*.

    Args:
        send: Function, method, partial, or object with `__call__`.
        override: `"sync"` or `"async"`, for a send whose looks deceive.

    Raises:
        ConfigError: *override* is something else, or contradicts what *send* plainly is.
    """
    seen = _seen(send)
    if override is None:
        return seen
    if override not in ("sync", "async"):
        raise ConfigError('shape must be "sync" or "async"')
    if seen in {Shape.GENERATOR, Shape.ASYNC_GENERATOR}:
        raise ConfigError(f"shape={override!r} cannot be given for a {seen.value} function; leave it out")
    if override == "sync" and _own(send) is Shape.ASYNC:
        raise ConfigError('shape="sync" cannot be given for a coroutine function; leave it out')
    return Shape(override)


def says(send: Callable[..., Any], shape: Shape) -> bool:
    """
    Whether *send* itself says that it has *shape*, so that the wrapper must say the same.

    Of an object, its `__call__` speaks: that is what frameworks ask. What hides behind `__wrapped__` does not speak.
    """
    return shape is Shape.SYNC or _own(send) is shape


def _seen(send: Callable[..., Any]) -> Shape:
    """Follow partials and `__wrapped__` until something has a shape of its own."""
    candidate: Any = send
    behind_wrapper = False
    for _ in range(_UNWRAP_DEPTH):
        own = _mark_of(candidate) or _own(candidate)
        if own is not None:
            # SDKs hide coroutines behind plain functions. A plain function around a *generator* function may return
            # anything (contextmanager does), so that is seen from its result.
            return own if own is Shape.ASYNC or not behind_wrapper else Shape.SYNC
        if isinstance(candidate, functools.partial):
            candidate = candidate.func
        elif hasattr(candidate, "__wrapped__"):
            candidate = candidate.__wrapped__
            behind_wrapper = True
        else:
            return Shape.SYNC
    raise ConfigError("the send's __wrapped__ chain has no end")


def _own(candidate: Any) -> Shape | None:
    for one in (candidate, None if inspect.isroutine(candidate) else getattr(type(candidate), "__call__", None)):  # noqa: B004 - the method itself is wanted
        if inspect.isasyncgenfunction(one):
            return Shape.ASYNC_GENERATOR
        if inspect.isgeneratorfunction(one):
            return Shape.GENERATOR
        if inspect.iscoroutinefunction(one):
            return Shape.ASYNC
    return None


def _mark_of(candidate: Any) -> Shape | None:
    function = getattr(candidate, "__func__", candidate)
    try:
        return _marked.get(function)
    except TypeError:  # not hashable or not weakly referable: not one of ours
        return None
