"""What an ASGI application answers: JSON whole; text, events and lines of JSON as they pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from guardrails.adapters.chunks import TextChunks, charset_of, is_text
from guardrails.adapters.leaves import texts_of, with_keys
from guardrails.adapters.sse import Reader, events_of
from guardrails.core.codecs import decode, encode
from guardrails.core.replies import OwnReply
from guardrails.errors import Denied

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_RANGES: Final = "multipart/byteranges"
_PARTIAL: Final = 206
_BODILESS: Final = frozenset({204, 304})
# They tell of a body that leaves with other texts: its length, its digests, and that parts of it can be had.
_OF_OLD: Final = frozenset(
    {b"content-length", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"accept-ranges"}
)
# With these a server sends a file by itself, past everybody's `send`.
_PAST_US: Final = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
_JSON: Final = ("/json", "/x-json", "+json")


class Answer:
    """
    What the application sends, masked on its way.

    Args:
        send: The server's.
        reader: What the events of a stream say about their texts.
        skip: Keys of JSON that are no text.
        most: Bytes of the longest JSON.
        method: What the application was asked with.
        passes: Whether everything leaves as it is.
    """

    def __init__(
        self, send: Send, reader: Reader, skip: frozenset[str], most: int, *, method: str, passes: bool = False
    ) -> None:
        self.own: OwnReply | None = None
        self.has_started: bool = False
        self._send = send
        self._reader = reader
        self._skip = skip
        self._most = most
        self._passes = passes
        self._is_head = method == "HEAD"
        self._is_bodiless = False
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
        self._kind = kind = header(start, b"content-type")
        is_read = is_json(kind) or events_of(kind) is not None or _is_text(kind)
        if self._passes:
            is_read = False
        elif start["status"] == _PARTIAL and (is_read or kind.lower().startswith(_RANGES)):
            raise Denied("a part of an answer, whose texts may be cut anywhere", control="range", sent=True)
        if not is_read:
            await self._started(start)
            return
        if self._is_head or start["status"] in _BODILESS:
            self._is_bodiless = True
            await self._started(_of_new(start))
            return
        if header(start, b"content-encoding") not in ("", "identity"):
            raise Denied("an answer that is compressed inside the guard; compress outside it", control="binding", sent=True)
        if is_json(kind):
            return  # masked whole
        events = events_of(kind)
        if events is not None:
            self._stream = events(own, self._reader, self._skip)
        else:
            self._stream = TextChunks(own, charset_of(kind))

    async def _started(self, start: MutableMapping[str, Any]) -> None:
        self.has_started = True
        await self._send(start)

    async def _body(self, own: OwnReply, event: MutableMapping[str, Any]) -> None:
        data, more = event.get("body", b""), bool(event.get("more_body"))
        if self._stream is None and self.has_started:
            await self._send({**event, "body": b""} if self._is_bodiless else event)
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
            start = _of_new(self._start)
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
        start = _of_new(self._start)
        start["headers"].append((b"content-length", str(len(body)).encode()))
        await self._started(start)
        await self._send({"type": "http.response.body", "body": body})

    def _masked(self, own: OwnReply) -> bytes:
        body = self._held
        if not body:
            return body
        texts = texts_of(with_keys(decode(body, "json"), own.whole), skip=self._skip)
        news = {path: own.whole(text, path) for path, text in texts.parts.items()}
        changed: Any = encode(texts.put(news), "json", like=body)
        return bytes(changed)


def header(scope: Scope, wanted: bytes) -> str:
    """A header of a request or of the start of an answer; empty where it is not there."""
    return next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name.lower() == wanted), "")


def _of_new(start: MutableMapping[str, Any]) -> dict[str, Any]:
    """The start of an answer without what it says of a body with other texts."""
    return {**start, "headers": [(n, v) for n, v in start.get("headers", ()) if n.lower() not in _OF_OLD]}


def held(scope: Scope) -> Scope:
    """A request whose answer passes `send` whole; the same object where that is so already."""
    offered = scope.get("extensions") or {}
    if _PAST_US.isdisjoint(offered):
        return scope
    return {**scope, "extensions": {name: value for name, value in offered.items() if name not in _PAST_US}}


def is_json(kind: str) -> bool:
    """Whether a content type is JSON."""
    return kind.partition(";")[0].strip().lower().endswith(_JSON)


def _is_text(kind: str) -> bool:
    """Also an answer that does not say what it is: frameworks leave it out for streams of text."""
    return kind == "" or is_text(kind)
