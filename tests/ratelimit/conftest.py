"""A real server for each kind that can be started here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardrails.keys import Keys
from tests.servers import Server, binaries, running

KEYS = Keys(b"k" * 32)


@pytest.fixture(scope="module", params=sorted(binaries()))
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module."""
    folder: Path = tmp_path_factory.mktemp("s")
    with running(binaries()[request.param], folder) as server:
        yield server


@pytest.fixture
def server(kept: Server) -> Iterator[Server]:
    """The module's server, empty and running."""
    if kept.process is None:
        kept.start()
    kept.empty()
    yield kept
    if kept.process is not None:
        kept.cont()


@pytest.fixture(autouse=True)
def stores_of_its_own() -> None:
    """Guards that name a store alike share what is known of it; a test must not inherit that the last one's store was dead."""
    if "guardrails.ratelimit.store" in sys.modules:
        from guardrails.ratelimit import store  # noqa: PLC0415 - needs the extra

        store._stores.clear()
