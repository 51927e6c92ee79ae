"""Vaults in every kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from guardrails.keys import Keys
from guardrails.pii.vault import Vault
from tests.servers import Server, binaries, running

KEYS = Keys(b"v" * 32)
Make = Callable[..., Vault]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    started: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(kind: str) -> Server:
            if kind not in started:
                started[kind] = stack.enter_context(running(binaries()[kind], tmp_path_factory.mktemp("server")))
            return started[kind]

        yield start


@pytest.fixture(params=sorted(binaries()))
def server(request: pytest.FixtureRequest, servers: Callable[[str], Server]) -> Server:
    return servers(request.param)


@pytest.fixture(params=["memory", "sqlite", "keys apart", *sorted(binaries())])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    match request.param:
        case "memory":
            return lambda **more: Vault("memory://", keys=KEYS, **more)
        case "sqlite" | "keys apart":
            keys = f"sqlite:///{tmp_path / 'keys.db'}" if request.param == "keys apart" else None
            return lambda **more: Vault(f"sqlite:///{tmp_path / 'vault.db'}", keys=KEYS, keys_in=keys, **more)
        case kind:
            server: Server = request.getfixturevalue("servers")(kind)
            server.empty()
            return lambda **more: Vault(server.url, keys=KEYS, **more)
