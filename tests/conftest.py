"""Fixtures for every test: both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
import trio

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
