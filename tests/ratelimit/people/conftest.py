"""A storage of each kind: memory, a SQLite file, and real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.servers import Server, binaries, running

Storage: TypeAlias = str


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Servers that were asked for, each started once."""
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for kind, binary in binaries().items():
            servers[kind] = stack.enter_context(running(binary, tmp_path_factory.mktemp("s")))
        yield servers


@pytest.fixture(params=["memory", "sqlite", *sorted(binaries())])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """The address of an empty storage. Each use of `memory://` is another one."""
    kind: str = request.param
    if kind == "memory":
        return "memory://"
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/people.db"
    server: Server = request.getfixturevalue("started")[kind]
    server.empty()
    return server.url
