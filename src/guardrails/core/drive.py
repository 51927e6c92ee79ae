"""
The only file that knows sync from async.

A guard is one coroutine. For a sync send it is stepped by hand, here and now, in the caller's thread; for an async send
it is awaited in the caller's task, and asyncio or trio do the waiting. The inner call is never moved to another task.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from guardrails.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")

_WORKERS: Final = 8  # threads for blocking controls, per process
_SWALLOWED: Final = 3  # cancellations that a control may swallow before it is abandoned
_UNDO_SECONDS: Final = 5.0


class Turn(Protocol):
    """Whose own time is running: a control, or a door step."""

    timed_out: bool
    cancels: int
    cancelled_before: int
    scope: Any

    @property
    def name(self) -> str:
        """The name of the control."""

    def remaining(self) -> float:
        """Seconds that are left to it."""


class Timed(Protocol):
    """What a driver needs to know of a journey."""

    turn: Any
    dead: bool
    told_now: datetime | None


class Ports:
    """What the three kinds of `Io` share."""

    __slots__ = ("_timed",)

    awaits = False
    scoped = False

    def __init__(self, timed: Timed) -> None:
        self._timed = timed

    def now(self) -> datetime:
        """The time for people and records: aware, UTC."""
        return self._timed.told_now or datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    here: Callable[[], Hashable] = staticmethod(threading.get_ident)  # what identifies the thread or task that runs now


class BlockingIo(Ports):
    """For sync sends: waiting blocks the caller's thread, never longer than the control may take."""

    __slots__ = ()

    async def sleep(self, seconds: float) -> None:
        """Block for *seconds*."""
        turn = self._timed.turn
        left = seconds if turn is None else min(seconds, max(0.0, turn.remaining()))
        time.sleep(left)  # noqa: ASYNC251 - this Io is for sync sends: blocking is what it is for
        if turn is not None and left < seconds:
            turn.timed_out = True
            raise ControlError("slept past its deadline")

    async def ask(
        self, *, blocking: Callable[[], T] | None = None, awaiting: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """Call *blocking* here."""
        if blocking is None:
            del awaiting
            raise ControlError("io.ask on a sync send needs blocking=...")
        return blocking()


class AsyncioIo(Ports):
    """For async sends on asyncio."""

    __slots__ = ()
    awaits = True

    here: Callable[[], Hashable] = staticmethod(asyncio.current_task)

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        await asyncio.sleep(seconds)

    async def ask(
        self, *, blocking: Callable[[], T] | None = None, awaiting: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """Await *awaiting*; without it call *blocking* in a worker thread."""
        if awaiting is not None:
            return await awaiting()
        if blocking is None:
            raise ControlError("io.ask needs blocking=... or awaiting=...")
        return await asyncio.get_running_loop().run_in_executor(_workers(), copy_context().run, blocking)


class TrioIo(Ports):
    """For async sends on trio: stores are asked through their blocking client in a worker thread."""

    __slots__ = ()
    awaits = True
    scoped = True

    @staticmethod
    def here() -> Hashable:
        """The task that runs now."""
        return _trio().lowlevel.current_task()  # type: ignore[no-any-return]  # trio is optional, and so untyped here

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        await _trio().sleep(seconds)

    async def ask(
        self, *, blocking: Callable[[], T] | None = None, awaiting: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """Call *blocking* in a worker thread; without it await *awaiting*."""
        if blocking is not None:
            return await _trio().to_thread.run_sync(blocking, abandon_on_cancel=True)  # type: ignore[no-any-return]
        if awaiting is None:
            raise ControlError("io.ask needs blocking=... or awaiting=...")
        return await awaiting()


def io_for(timed: Timed, *, awaits: bool) -> BlockingIo | AsyncioIo | TrioIo:
    """The `Io` for the place where the caller runs."""
    if not awaits:
        return BlockingIo(timed)
    try:
        on_asyncio = asyncio.current_task() is not None
    except RuntimeError:
        on_asyncio = False
    if on_asyncio:
        return AsyncioIo(timed)
    if "trio" in sys.modules and _trio().lowlevel.in_trio_task():
        return TrioIo(timed)
    # Neither: somebody steps the coroutine by hand. Controls can decide, but not wait.
    return BlockingIo(timed)


def step(coroutine: Coroutine[Any, Any, T], timed: Timed) -> T:
    """
    Run a coroutine that needs no event loop to its end, here and now.

    Raises:
        ControlError: Something awaited a real event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    turn = timed.turn
    timed.dead = True  # before the cleanup of its controls runs: nothing may be forwarded from there
    try:
        coroutine.close()
    except Exception:  # noqa: BLE001 - what its cleanup raised (or that it awaited again) changes nothing: it is stopped
        stopped = "and its cleanup failed"
    else:
        stopped = "and was stopped"
    name = "a control" if turn is None else f"control {turn.name!r}"
    raise ControlError(
        f"{name} awaited an event loop inside a sync send {stopped}; use io.sleep and io.ask, or async_only = True",
        control=None if turn is None else turn.name,
    )


class Watched:
    """
    Awaits a journey, and on asyncio arms a deadline only while a control itself makes it wait.

    A send that waits on its own time costs one trampoline, and no timer. When somebody closes the coroutine half-way,
    nothing is forwarded any more.
    """

    __slots__ = ("_arms", "_coroutine", "_timed")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], timed: Timed, *, arms: bool) -> None:
        self._coroutine = coroutine
        self._timed = timed
        self._arms = arms

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, timed = self._coroutine, self._timed
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                if error is None:
                    waited = coroutine.send(value)
                else:
                    thrown, error = error, None
                    waited = coroutine.throw(thrown)
                    del thrown
            except StopIteration as stop:
                return stop.value
            turn = timed.turn
            if turn is not None and turn.cancels > _SWALLOWED:
                timed.dead = True
                take_back(turn)
                _close_for_good(coroutine)
                raise ControlError(f"control {turn.name!r} would not stop at its deadline", control=turn.name)
            timer = _arm(turn) if turn is not None and self._arms else None
            try:
                value = yield waited
            except BaseException as caught:  # noqa: BLE001 - all of it belongs to the coroutine: passed on at once
                error = caught
                if isinstance(caught, GeneratorExit):
                    timed.dead = True
            finally:
                if timer is not None:
                    timer.cancel()


def _close_for_good(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Close a coroutine that swallows what would end it; nothing of it may be forwarded any more."""
    for _ in range(_SWALLOWED):
        try:
            coroutine.close()
        except Exception:  # noqa: BLE001, S112 - it awaits again: once more, and then it is left to the collector
            continue
        return


def _arm(turn: Turn) -> asyncio.TimerHandle | None:
    task = asyncio.current_task()
    if task is None:
        return None
    if not turn.cancels:
        turn.cancelled_before = task.cancelling()
    return task.get_loop().call_later(max(0.0, turn.remaining()), _expire, turn, task)


def _expire(turn: Turn, task: asyncio.Task[Any]) -> None:
    turn.timed_out = True
    turn.cancels += 1
    task.cancel()


def take_back(turn: Turn) -> bool:
    """
    Undo the cancellations that a deadline asked for.

    Returns:
        Whether somebody else cancelled the task as well.
    """
    task = asyncio.current_task()
    if task is None:
        return False
    asked = turn.cancels
    turn.cancels = 0
    for _ in range(asked):
        task.uncancel()
    return task.cancelling() > turn.cancelled_before


async def within_scope(turn: Turn, coroutine: Coroutine[Any, Any, T]) -> T | None:
    """On trio: run *coroutine* under *turn*'s deadline; None and `timed_out` when it overran."""
    trio = _trio()
    with trio.CancelScope(deadline=trio.current_time() + max(0.0, turn.remaining())) as scope:
        turn.scope = scope
        try:
            return await coroutine
        finally:
            turn.scope = None
    turn.timed_out = True  # type: ignore[unreachable]  # the scope swallows its own cancellation
    return None


def pause_scope(turn: Turn) -> None:
    """On trio: the turn's own time stands still."""
    turn.scope.deadline = float("inf")


def resume_scope(turn: Turn) -> None:
    """On trio: the turn's own time runs again."""
    turn.scope.deadline = _trio().current_time() + max(0.0, turn.remaining())


async def shielded(make: Callable[[], Coroutine[Any, Any, None]], io: Ports) -> None:
    """
    Run a clean-up to its end, whoever cancels meanwhile (for at most a few seconds).

    A cancellation that arrives is raised again by the waiting itself, afterwards.
    """
    if isinstance(io, TrioIo):
        trio = _trio()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _UNDO_SECONDS):
            await make()
        return
    if not isinstance(io, AsyncioIo):
        await make()
        return
    task = asyncio.ensure_future(asyncio.wait_for(make(), _UNDO_SECONDS))
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:  # noqa: BLE001 - read from the task below
            break
    error = None if task.cancelled() else task.exception()
    if cancelled:
        raise asyncio.CancelledError
    if error is not None:
        raise error


def _trio() -> Any:
    import trio  # noqa: PLC0415 - optional, and only asked for where it is running already

    return trio


_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()


def _workers() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603 - one pool per process, made on first use
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="guardrails")
        return _pool


def _after_fork() -> None:
    global _pool, _pool_lock  # noqa: PLW0603 - the child has none of the parent's threads
    _pool = None
    _pool_lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
