"""A PostgreSQL server of our own, on a free port, as a user that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg


def _program(name: str) -> str:
    """From the path, or where Debian keeps it."""
    found = shutil.which(name) or next(
        (str(one) for one in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    assert found is not None, f"{name} is missing: install postgresql (.ci/run does)"
    return found


def _user() -> str | None:
    """PostgreSQL refuses to run as root: somebody else, if we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Server:
    """Starts, stops, dies and comes back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = _user()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[Any] | None = None

    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=tester dbname=postgres"

    def _options(self) -> dict[str, Any]:
        return {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | (
            {} if self.user is None else {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
        )

    def create(self) -> None:
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        command = [
            _program("initdb"),
            "-D",
            str(self.folder / "data"),
            "-U",
            "tester",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        subprocess.run([*command, "--locale=C"], check=True, timeout=60, **self._options())

    def start(self) -> None:
        command = [_program("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder)]
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=40", "-c", "shared_buffers=16MB"]
        self._process = subprocess.Popen([*command, *settings], **self._options())
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.conninfo, connect_timeout=2).close()
            except psycopg.OperationalError:
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """At once, as in a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None


@contextmanager
def server() -> Iterator[Server]:
    # Not below pytest's own folder, which only its user may enter.
    folder = Path(tempfile.mkdtemp(prefix="guardrails-postgres-"))
    try:
        running = Server(folder)
        running.create()
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
