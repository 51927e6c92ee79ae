"""
A guard around an ASGI application (Starlette, FastAPI, Django, FastMCP over HTTP): `GuardASGI(app, guard)`.

Bodies in JSON, forms and text arrive masked; answers leave masked: JSON whole, and text, events and lines of JSON as they pass.
Pure ASGI, so that context variables and background tasks work as before.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final, TypeAlias

from guardrails.adapters.chunks import TextChunks, charset_of
from guardrails.adapters.leaves import Texts, texts_of
from guardrails.adapters.llm import PIECES, events_with
from guardrails.adapters.sse import Events, JsonLines, Reader
from guardrails.core.codecs import decode, encode
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.replies import OwnReply, own_reply
from guardrails.errors import Denied, GuardrailsError, RateLimited
from guardrails.ratelimit.fields import rate_limit_fields

__all__ = ["GuardASGI"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES: Final = 1_048_576
_JSON: Final = ("/json", "+json")
_LINES: Final = frozenset({"application/x-ndjson", "application/jsonl", "application/jsonlines", "application/x-jsonlines"})


class GuardASGI:
    """
    The guard around an application.

    Args:
        app: The application.
        guard: Its messages are the texts of a request's body; answers are masked where it has a mask control.
        paths: Prefixes of the paths that are guarded.
        skip: Keys of JSON bodies that are no text, such as ids.
        pieces: Keys under which a stream of events sends a text in pieces, so that it is masked across them; `()` when
            every event stands for itself. OpenAI's and Anthropic's events are known, and events of plain text always go on.
        reply: "mask", "restore" or "pass".
        most_bytes: Longer bodies of requests are refused with 413, longer JSON answers with 500.
    """

    def __init__(
        self,
        app: Application,
        guard: Guard,
        *,
        paths: Collection[str] = ("/",),
        skip: Collection[str] = (),
        pieces: Collection[str] = PIECES,
        reply: str | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._app = app
        self._guard = guard
        self._paths = tuple(paths)
        self._skip = frozenset(skip)
        self._reader = events_with(pieces)
        self._reply = reply or ("mask" if guard.masks else "pass")
        self._most = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; other things than HTTP pass."""
        if scope["type"] != "http" or not scope["path"].startswith(self._paths):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, self._reader, self._skip, self._most)
        refused: GuardrailsError
        try:
            await self._guarded(scope, receive, answer)
        except GuardrailsError as error:
            refused = error
        else:
            return
        if answer.has_started:
            raise refused  # too late for a status: the server cuts the connection
        await _refuse(send, refused)

    async def _guarded(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        codec = _codec(_header(scope, b"content-type"))
        body = None if codec is None else await self._body(receive)
        data = decode(body, codec) if body and codec is not None else None
        texts = texts_of(data, skip=self._skip) if data is not None else Texts(None)
        ids = current.get()
        message = Message(
            texts.parts or {"request": ""},
            channel="http",
            direction="inbound",
            conversation=ids.conversation,
            tenant=ids.tenant,
            actor=ids.actor,
        )

        async def serve(sealed: Message) -> None:
            answer.own = own_reply()
            if body is None:
                await self._app(scope, receive, answer.send)
                return
            changed: Any = body if data is None else encode(texts.put(sealed.parts), str(codec), like=body)
            headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
            headers.append((b"content-length", str(len(changed)).encode()))
            await self._app({**scope, "headers": headers}, _replayed(changed, receive), answer.send)

        await self._guard.arun(message, serve, reply=self._reply)

    async def _body(self, receive: Receive) -> bytes:
        out = b""
        while True:
            event: Any = await receive()
            out += event.get("body", b"")
            if len(out) > self._most:
                raise Denied(f"a body of more than {self._most} bytes", control="caps", sent=False)
            if not event.get("more_body"):
                return bytes(out)


class _Answer:
    """What the application sends, masked on its way."""

    def __init__(self, send: Send, reader: Reader, skip: frozenset[str], most: int) -> None:
        self.own: OwnReply | None = None
        self.has_started: bool = False
        self._send = send
        self._reader = reader
        self._skip = skip
        self._most = most
        self._start: MutableMapping[str, Any] = {}
        self._kind = ""
        self._held = b""
        self._stream: Any = None

    async def send(self, event: MutableMapping[str, Any]) -> None:
        """The application's `send`."""
        own = self.own
        assert own is not None  # noqa: S101 - set before the application is called
        if event["type"] == "http.response.start":
            await self._begin(own, event)
        elif event["type"] != "http.response.body":
            await self._send(event)
        else:
            await self._body(own, event)

    async def _begin(self, own: OwnReply, start: MutableMapping[str, Any]) -> None:
        self._start = start
        self._kind = kind = _header(start, b"content-type")
        if not (_is_json(kind) or _is_lines(kind) or _is_text(kind)):
            await self._started(start)
            return
        if _header(start, b"content-encoding") not in ("", "identity"):
            raise Denied("an answer that is compressed inside the guard; compress outside it", control="binding", sent=True)
        if _is_json(kind):
            return  # masked whole
        if kind.startswith("text/event-stream"):
            self._stream = Events(own, self._reader, self._skip)
        elif _is_lines(kind):
            self._stream = JsonLines(own, self._reader, self._skip)
        else:
            self._stream = TextChunks(own, charset_of(kind))

    async def _started(self, start: MutableMapping[str, Any]) -> None:
        self.has_started = True
        await self._send(start)

    async def _body(self, own: OwnReply, event: MutableMapping[str, Any]) -> None:
        data, more = event.get("body", b""), bool(event.get("more_body"))
        if self._stream is None and self.has_started:
            await self._send(event)
            return
        if self._stream is None:
            await self._hold(own, data, more=more)
            return
        stream = self._stream

        def masked() -> bytes:
            out: bytes = stream.feed(data)
            return out if more else out + stream.flush()

        out = await own.ask(masked, len(data))
        if not self.has_started:
            start = _without_length(self._start)
            if not more:
                start["headers"].append((b"content-length", str(len(out)).encode()))
            await self._started(start)
        if out or not more:
            await self._send({"type": "http.response.body", "body": out, "more_body": more})

    async def _hold(self, own: OwnReply, data: bytes, *, more: bool) -> None:
        """JSON is short, and can be read at its end only."""
        self._held += data
        if len(self._held) > self._most:
            raise Denied(f"an answer of more than {self._most} bytes", control="caps", sent=True)
        if more:
            return
        body = await own.ask(lambda: self._masked(own), len(self._held))
        start = _without_length(self._start)
        start["headers"].append((b"content-length", str(len(body)).encode()))
        await self._started(start)
        await self._send({"type": "http.response.body", "body": body})

    def _masked(self, own: OwnReply) -> bytes:
        body = self._held
        if not body:
            return body
        texts = texts_of(decode(body, "json"), skip=self._skip)
        news = {path: own.whole(text, path) for path, text in texts.parts.items()}
        changed: Any = encode(texts.put(news), "json", like=body)
        return bytes(changed)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send, error: GuardrailsError) -> None:
    status = 429 if isinstance(error, RateLimited) else 403 if isinstance(error, Denied) else 503
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, RateLimited):
        headers += [(name.lower().encode(), value.encode()) for name, value in rate_limit_fields(error).items()]
    if isinstance(error, Denied) and error.sent is not False:
        status = 500  # the application has answered, and its answer is withheld
    elif isinstance(error, Denied) and error.control == "caps":
        status = 413
    body = json.dumps({"error": type(error).__name__, "message": str(error)}).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: MutableMapping[str, Any], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name.lower() == wanted), "")


def _without_length(start: MutableMapping[str, Any]) -> dict[str, Any]:
    return {**start, "headers": [(n, v) for n, v in start.get("headers", ()) if n.lower() != b"content-length"]}


def _is_json(kind: str) -> bool:
    return kind.partition(";")[0].strip().lower().endswith(_JSON)


def _is_lines(kind: str) -> bool:
    return kind.partition(";")[0].strip().lower() in _LINES


def _is_text(kind: str) -> bool:
    """Also an answer that does not say what it is: frameworks leave it out for streams of text."""
    return kind == "" or kind.lower().startswith("text/")


def _codec(kind: str) -> str | None:
    """How a request's body is read; None for one that passes."""
    if _is_json(kind):
        return "json"
    if kind.lower().startswith("application/x-www-form-urlencoded"):
        return "form"
    return "utf8" if kind.lower().startswith("text/") else None
