"""For every test: both event loops, and properties without a clock."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
import trio
from hypothesis import settings

# How long one example takes says something about the machine, and pytest's own timeout finds what hangs.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")


@contextmanager
def switching_often(seconds: float = 1e-6) -> Iterator[None]:
    """Threads change as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*works: Callable[[], object]) -> None:
    """
    Run each in a thread of its own, all from one moment on, and let the threads change as often as they can.

    They have begun before that: Python cannot install the tracer of coverage in two threads at a time, and ends the second.
    """
    begin = threading.Barrier(len(works) + 1)

    def run(work: Callable[[], object]) -> None:
        begin.wait()
        work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    with switching_often():
        begin.wait()
        for thread in threads:
            thread.join()


Run: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


def on_asyncio(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run *main* on a fresh asyncio loop."""
    with asyncio.Runner() as runner:
        return runner.run(main())


def on_trio(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run *main* on trio."""
    return trio.run(main)


LOOPS: dict[str, Run] = {"asyncio": on_asyncio, "trio": on_trio}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine function to its end, once on asyncio and once on trio."""
    return LOOPS[request.param]
