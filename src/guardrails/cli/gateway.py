"""
A message gateway on loopback: a small real HTTP server in a process of its own that remembers what it received.

    POST /          JSON {"channel", "to", "body"} and perhaps an "id"; anything else is 400 with a reason.
                    Replies JSON; on the channel "llm" it streams an answer in small pieces of text instead.
    GET /messages   everything received so far, as a JSON list

It is the other side of the demo, not a part of the guard: it sees exactly what left the guarded sends.
Nothing that it says or logs repeats a message, and it ends when its standard input does, so it cannot outlive its parent.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

MAX_BODY_BYTES: Final = 1_048_576
MAX_MESSAGES: Final = 100_000
MAX_TOTAL_BYTES: Final = 268_435_456
READ_TIMEOUT_SECONDS: Final = 10.0
START_SECONDS: Final = 15.0

FIELDS: Final = ("channel", "to", "body")
STREAMED_CHANNEL: Final = "llm"

# What the pretended model answers: reserved examples, there to be masked on the way back.
ANSWER_PERSONAL: Final = ("billing.desk@example.net", "+1 212 555 0188", "4000 0566 5566 5556")
ANSWER: Final = (
    f"Thank you. Please write to {ANSWER_PERSONAL[0]} or call {ANSWER_PERSONAL[1]} about the refund; "
    f"we still have the card {ANSWER_PERSONAL[2]} on file."
)
PIECE_CHARACTERS: Final = 7


class Gateway(ThreadingHTTPServer):
    """The server and its memory, bounded in messages and bytes."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Exchange)
        self._lock = threading.Lock()
        self._messages: list[dict[str, Any]] = []
        self._bytes = 0

    def remember(self, message: dict[str, Any], size_bytes: int) -> int | None:
        """Keep *message* and return its number from 1; None when the memory is full."""
        with self._lock:
            if len(self._messages) >= MAX_MESSAGES or self._bytes + size_bytes > MAX_TOTAL_BYTES:
                return None
            self._messages.append(message)
            self._bytes += size_bytes
            return len(self._messages)

    def received(self) -> list[dict[str, Any]]:
        """Everything so far, oldest first."""
        with self._lock:
            return list(self._messages)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event here, and a traceback on stderr could show what it sent."""


class Exchange(BaseHTTPRequestHandler):
    """One request and its reply."""

    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float | None] = READ_TIMEOUT_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Gateway

    def do_GET(self) -> None:
        """`/messages` lists what was received."""
        if self.path != "/messages":
            self._reply(HTTPStatus.NOT_FOUND, {"error": "only GET /messages and POST /"})
            return
        self._reply(HTTPStatus.OK, self.server.received())

    def do_POST(self) -> None:
        """`/` takes one message."""
        if self.path != "/":
            self._refuse(HTTPStatus.NOT_FOUND, "only GET /messages and POST /")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length")
            return
        if len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {MAX_BODY_BYTES} bytes")
            return
        raw = self.rfile.read(int(length))
        message, problem = parse(raw)
        if message is None:
            self._refuse(HTTPStatus.BAD_REQUEST, problem)
            return
        number = self.server.remember(message, len(raw))
        if number is None:
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, "the gateway's memory is full")
            return
        if message["channel"] == STREAMED_CHANNEL:
            self._stream(ANSWER)
        else:
            self._reply(HTTPStatus.OK, {"accepted": number})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class named it
        """Nothing: a request line is nobody's business."""

    def _refuse(self, status: HTTPStatus, problem: str) -> None:
        # The rest of the body was not read, so the connection cannot be used again.
        self.close_connection = True
        self._reply(status, {"error": problem})

    def _reply(self, status: HTTPStatus, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, text: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(text), PIECE_CHARACTERS):
            piece = text[start : start + PIECE_CHARACTERS].encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def parse(raw: bytes) -> tuple[dict[str, Any] | None, str]:
    """The message in *raw*, or None and what is wrong with it; the reason never repeats what was sent."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None, "the body must be JSON in UTF-8"
    if not isinstance(value, dict):
        return None, "the body must be a JSON object"
    for name in FIELDS:
        if not isinstance(value.get(name), str):
            return None, f"the field {name!r} must be a string"
    if not isinstance(value.get("id", ""), str):
        return None, "the field 'id' must be a string"
    return {name: value[name] for name in ("id", *FIELDS) if name in value}, ""


def serve() -> None:
    """Serve until standard input ends; the first line of output is the port."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; the end of its pipe is for us
    server = Gateway()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    server.shutdown()
    server.server_close()


@contextmanager
def separate_process() -> Iterator[str]:
    """
    The URL of a gateway in a process of its own, which ends with the block.

    Raises:
        OSError: It did not start in time.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "guardrails.cli.gateway"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if process.stdin is None or process.stdout is None:  # pragma: no cover - both were asked for
        raise OSError("the message gateway has no pipes")
    late = threading.Timer(START_SECONDS, process.kill)
    late.start()
    try:
        port = process.stdout.readline().strip()
        late.cancel()
        if not port.isdigit():
            raise OSError("the message gateway did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        late.cancel()
        process.stdin.close()
        try:
            process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    serve()
