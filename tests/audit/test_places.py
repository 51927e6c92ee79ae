"""Anchors out of reach: a witness over HTTP, syslog, a store with a lock; and logs that are long, many, or read side by side."""

from __future__ import annotations

import re
import socket
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from guardrails import ConfigError, Unavailable
from guardrails.audit import (
    AuditLog,
    DirectoryAnchor,
    Ed25519Signer,
    HttpAnchor,
    JsonlDirectory,
    ObjectAnchor,
    SyslogAnchor,
    verify_directory,
)
from guardrails.audit.sends import Sends, repeated
from tests.audit.sinks import KEYS, PHONE, eventually, guarded
from tests.audit.test_anchors import new_signer, trusted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets of this kind")


class Witness(BaseHTTPRequestHandler):
    """Takes each name once, and gives everything back."""

    notes: dict[str, bytes]

    def do_PUT(self) -> None:
        name = self.path.rpartition("/")[2]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Bearer secret":
            self._answer(403, b"")
        elif self.notes.setdefault(name, data) is data:
            self._answer(201, b"")
        else:
            self._answer(409, b"")

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if not name:
            self._answer(200, "\n".join([*sorted(self.notes), "../../etc/passwd"]).encode())
        else:
            self._answer(200, self.notes[name])

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write(folder: Path, anchor: Any, signer: Ed25519Signer | None = None) -> Path:
    """A signed log; its trust file."""
    signer = signer or new_signer(folder)
    log = AuditLog(folder / "log", keys=KEYS, signer=signer, anchors=[anchor], checkpoint_every=3)
    send = guarded(log)
    for number in range(5):
        send(PHONE, str(number))
    log.close()
    return trusted(folder, signer)


def test_g7_a_witness_keeps_checkpoints_and_gives_them_back(tmp_path: Path) -> None:
    handler: Any = type("Handler", (Witness,), {"notes": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}/notes"
    with served(server):
        trust = write(tmp_path, HttpAnchor(url, headers={"Authorization": "Bearer secret"}))
        report = verify_directory(tmp_path / "log", anchor=url, trust=trust)
        assert (report.exit_code, report.anchor_in_reach) == (0, False), report.lines()
        next((tmp_path / "log").iterdir()).write_bytes(b"")
        assert verify_directory(tmp_path / "log", anchor=url, trust=trust).exit_code == 1
        stranger = AuditLog(
            tmp_path / "other", keys=KEYS, signer=new_signer(tmp_path), anchors=[HttpAnchor(url)], deadline_seconds=1.0
        )
        with pytest.raises(Unavailable):
            guarded(stranger)(PHONE, "hello")
        stranger.close()
        name = next(iter(handler.notes))
        with pytest.raises(OSError, match="409"):
            HttpAnchor(url, headers={"Authorization": "Bearer secret"}).keep(name[:32], int(name[33:49]), b"another note")
    assert verify_directory(tmp_path / "log", anchor=url, trust=trust).exit_code == 2
    assert "secret" not in repr(HttpAnchor(url, headers={"Authorization": "Bearer secret"}))


def test_a_log_that_is_written_while_it_is_verified_lacks_nothing(tmp_path: Path) -> None:
    """What is anchored after the anchor was read is named by files that are read after it, and the other way round."""
    handler: Any = type("Handler", (Witness,), {"notes": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}/notes"
    anchor = HttpAnchor(url, headers={"Authorization": "Bearer secret"})
    signer = new_signer(tmp_path)
    asked: list[str] = []
    late: dict[str, bytes] = {}

    def answered(self: Any) -> None:
        asked.append(self.path)
        if len(asked) == 1:  # a process begins a stream, and one checkpoint of another one is not kept yet
            first = min(self.notes)[:32]
            write(tmp_path, anchor, signer)
            late.update({name: self.notes.pop(name) for name in [f"{first}-{5:016}.note"]})
        elif asked.count(self.path) == 2 and self.path.endswith("/"):
            self.notes.update(late)
        Witness.do_GET(self)

    with served(server):
        trust = write(tmp_path, anchor, signer)
        handler.do_GET = answered
        report = verify_directory(tmp_path / "log", anchor=url, trust=trust)
        assert late
        assert report.exit_code == 0, report.lines()
        assert len(report.streams) == 2
        handler.do_GET = Witness.do_GET
        for name in late:  # what the anchor really lost is missed
            del handler.notes[name]
        report = verify_directory(tmp_path / "log", anchor=url, trust=trust)
        assert {one.code for one in report.completeness} == {"note-missing"}


def test_a_witness_elsewhere_is_asked_over_https_only() -> None:
    for url in ("http://witness.example.com", "ftp://127.0.0.1", "witness.example.com"):
        with pytest.raises(ConfigError, match="https"):
            HttpAnchor(url)


class _Lines(socketserver.BaseRequestHandler):
    """Writes what comes to a file, as a syslog server does."""

    def handle(self) -> None:
        if isinstance(self.request, tuple):
            data = self.request[0]
        else:
            data = b""
            while more := self.request.recv(65_536):
                data += more
            length, _, data = data.partition(b" ")
            assert int(length) == len(data)
        with Path(self.server.out).open("ab") as file:  # type: ignore[attr-defined]  # set by the test
            file.write(data + b"\n")


@pytest.mark.parametrize("transport", ["tcp", "udp", "unix"])
def test_g7_syslog_keeps_checkpoints_and_its_files_verify_the_log(transport: Any, tmp_path: Path) -> None:
    kinds: dict[str, Any] = {
        "tcp": socketserver.TCPServer,
        "udp": socketserver.UDPServer,
        "unix": socketserver.UnixDatagramServer,
    }
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has to be short
        address: Any = f"{short}/log" if transport == "unix" else ("127.0.0.1", 0)
        server = kinds[transport](address, _Lines)
        server.out = tmp_path / "messages"
        (tmp_path / "messages").write_bytes(b"<13>1 - host app 1 - - something else\n")
        with served(server):
            trust = write(tmp_path, SyslogAnchor(server.server_address, transport=transport))

            def is_there() -> bool:  # a server of this kind answers nothing: it may still be reading
                return verify_directory(tmp_path / "log", anchor=tmp_path / "messages", trust=trust).exit_code == 0

            if transport != "udp":  # which may lose a line
                eventually(is_there)

    lines = (tmp_path / "messages").read_bytes().splitlines()
    assert all(re.match(rb"<109>1 - \S+ guardrails \d+ checkpoint - guardrails-checkpoint ", line) for line in lines[1:])
    (tmp_path / "messages").write_bytes(lines[1].replace(b"Z", b"Y") + b"\n" + lines[1][:-9] + b"\n")
    assert verify_directory(tmp_path / "log", anchor=tmp_path / "messages", trust=trust).exit_code == 1


def test_a_syslog_server_that_is_gone_refuses_sends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    anchor = SyslogAnchor(("127.0.0.1", port), transport="tcp")
    log = AuditLog(tmp_path / "log", keys=KEYS, signer=new_signer(tmp_path), anchors=[anchor], deadline_seconds=1.0)
    with pytest.raises(Unavailable):
        guarded(log)(PHONE, "hello")
    log.close()
    wrongs: tuple[dict[str, Any], ...] = (
        {"address": "/dev/log", "transport": "tcp"},
        {"address": ("h", 1)},
        {"transport": "smoke"},
    )
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            SyslogAnchor(**wrong)


def test_g7_a_store_with_a_lock_keeps_checkpoints(tmp_path: Path) -> None:
    class Bucket:
        def put_new(self, name: str, data: bytes, /) -> None:
            path = tmp_path / "bucket" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)

    trust = write(tmp_path, ObjectAnchor(Bucket(), prefix="audit/shop/"))
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "bucket" / "audit" / "shop", trust=trust)
    assert report.exit_code == 0, report.lines()
    assert repr(ObjectAnchor(Bucket())) == "ObjectAnchor(...)"


def test_an_anchor_that_the_writer_can_rewrite_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    anchor = DirectoryAnchor(tmp_path / "anchor")
    trust = write(tmp_path, anchor)
    report = verify_directory(tmp_path / "log", anchor=anchor.folder, trust=trust)
    assert caplog.text.count("can rewrite its anchor") == 1
    assert (anchor.in_reach, report.anchor_in_reach) == (True, True)
    assert any("accidents, not attacks" in line for line in report.lines())


# -- long and many


def test_streams_are_read_side_by_side_with_the_same_result(tmp_path: Path) -> None:
    for _ in range(3):
        log = AuditLog(JsonlDirectory(tmp_path / "log", rotate_bytes=6_000), keys=KEYS, durability="os")
        send = guarded(log)
        for number in range(20):
            send(PHONE, str(number))
        log.close()
    path = sorted((tmp_path / "log").iterdir())[2]
    path.write_bytes(path.read_bytes().replace(b'"sent"', b'"cut"', 1))

    alone, together = (verify_directory(tmp_path / "log", jobs=jobs) for jobs in (1, 2))
    assert alone.as_dict() == together.as_dict()
    assert "chain-broken" in [one.code for one in together.integrity]


def test_sends_of_a_log_that_is_too_long_for_memory_are_compared_in_files(tmp_path: Path) -> None:
    ids = [b"%032x" % (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128) for number in range(3_000)]
    parts = [Sends(tmp_path, f"file-{number}") for number in range(3)]
    for number, one in enumerate(ids):
        parts[number % 3].settled.append(one)
    assert repeated(parts, None) == set()
    parts[0].settled.append(ids[1])
    parts[1].flush(tmp_path)
    assert len(parts[1].settled) == 0
    assert len(repeated(parts, tmp_path)) == 1
    assert len(list(tmp_path.iterdir())) == 3 * 64
