"""An OpenAI API on loopback that keeps what it was asked and answers with an address, whole or cut in its middle."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

asked: list[str] = []
ANSWER = "Sure, I wrote to bob@example.com."
MASKED = "Sure, I wrote to <EMAIL_ADDRESS>."
SECRETS = ("ann@example.com", "4242 4242 4242 4242")
PROMPT = f"I am {SECRETS[0]}, my card is {SECRETS[1]}."


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked.append(body)
        if json.loads(body).get("stream"):
            pieces: list[Any] = [{"delta": {"role": "assistant", "content": part}} for part in (ANSWER[:22], ANSWER[22:])]
            chunks = [*pieces, {"delta": {}, "finish_reason": "stop"}]
            events = [json.dumps(_said("chat.completion.chunk", chunk)) for chunk in chunks]
            self._answer("text/event-stream", "".join(f"data: {event}\n\n" for event in (*events, "[DONE]")))
        else:
            choice = {"message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
            self._answer("application/json", json.dumps(_said("chat.completion", choice)))

    def _answer(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


def _said(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {
        "id": "1",
        "object": kind,
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": None, **choice}],
        "usage": usage,
    }


def start() -> str:
    """The address of the API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


def check(*, calls: int) -> None:
    """So many requests have arrived, and none of them shows anything."""
    assert len(asked) == calls, f"{len(asked)} requests instead of {calls}"
    shown = [secret for secret in SECRETS for one in asked if secret in one]
    assert not shown, f"{len(shown)} secrets went out"
