"""One request and its answer: texts of the body and of the address, and the answer with the guard's texts in it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from guardrails.adapters.answers import ERROR, ProviderError
from guardrails.adapters.chunks import is_text
from guardrails.adapters.leaves import Texts, texts_of, with_keys, without_tokens
from guardrails.adapters.routes import Route
from guardrails.adapters.sse import Events, events_of
from guardrails.core.codecs import decode, encode
from guardrails.core.message import Message
from guardrails.core.payload import Place, placed
from guardrails.core.replies import OwnReply, own_reply
from guardrails.core.selectors import Selector, parse_selector
from guardrails.errors import ConfigError, ControlError

if TYPE_CHECKING:
    from guardrails.adapters.http import Gate


@dataclass(frozen=True, slots=True)
class Roles:
    """A route's selectors, parsed."""

    recipient: tuple[Selector, ...]
    sender: tuple[Selector, ...]
    conversation: tuple[Selector, ...]

    @classmethod
    def of(cls, route: Route) -> Roles:
        """
        Those of *route*.

        Raises:
            ConfigError: A selector is wrong.
        """

        def parsed(*sources: str | None) -> tuple[Selector, ...]:
            selectors = tuple(parse_selector(source) for source in sources if source is not None)
            for selector in selectors:
                if selector.root != "body":
                    raise ConfigError(f'selector {selector.source!r}: in a Route every selector starts with "body"')
            return selectors

        return cls(parsed(*route.recipient), parsed(route.sender), parsed(route.conversation))


class Exchange:
    """
    One request and its answer.

    Args:
        gate: Whose it is.
        request: Of the module that was handed in.
        body: Its bytes.
        route: What in it is whose.
        roles: The route's selectors, parsed.

    Raises:
        Denied: The body is not what the route says.
    """

    def __init__(self, gate: Gate, request: Any, body: bytes, route: Route, roles: Roles) -> None:
        self._gate = gate
        self._module = gate.module
        self._request = request
        self._body = body
        self._route = route
        self._response: Any = None
        self._replied: Texts | None = None
        self._is_shortened = False
        self._is_json = False
        data = decode(body, route.codec) if body or route.method == "POST" else None
        people, taken = _strings(data, roles.recipient)
        senders, their = _strings(data, roles.sender)
        threads, ids = _strings(data, roles.conversation)
        self._texts = texts_of(data, skip=route.skip, places=[*taken, *their, *ids])
        # What the address says besides goes out too; a route's path is the provider's.
        self._query: list[tuple[str, str]] = list(request.url.params.multi_items())
        asked = {f"query[{number}].{name}": value for number, (name, value) in enumerate(self._query)}
        self.message: Message = Message(
            {**self._texts.parts, **asked} or {"request": ""},
            channel=route.channel,
            recipients=people,
            sender=senders[0] if senders else None,
            conversation=threads[0] if threads else None,
            metadata=self._texts.metadata,
        )
        self._digest = hashlib.blake2b(body, digest_size=16, key=_PROCESS_KEY).digest()
        self.attempt: AbstractContextManager[None] = gate.attempts(request, self._digest, self.message)

    # -- sending -------------------------------------------------------------------------------------------------------

    def sender(self, inner: Any) -> Callable[[Message], Any]:
        """The send that the guard calls with the sealed message."""

        def http_request(sealed: Message) -> Any:
            self._gate.charge(self._digest)
            own = own_reply()
            response = inner.handle_request(self._sealed(sealed))
            if (events := self._stream(own, response)) is not None:
                return self._events(events, own, response)
            response.read()
            return self._read(own, response)

        return http_request

    def asender(self, inner: Any) -> Callable[[Message], Any]:
        """As `sender`, for async clients."""

        async def http_request(sealed: Message) -> Any:
            self._gate.charge(self._digest)
            own = own_reply()
            response = await inner.handle_async_request(self._sealed(sealed))
            if (events := self._stream(own, response)) is not None:
                return self._aevents(events, own, response)
            await response.aread()
            if response.status_code >= ERROR:
                return await own.ask(lambda: self._read(own, response), len(response.content))
            return self._read(own, response)

        return http_request

    def _sealed(self, sealed: Message) -> Any:
        request, data, parts = self._request, self._texts.put(sealed.parts), sealed.parts
        asked = [(name, parts.get(f"query[{number}].{name}", value)) for number, (name, value) in enumerate(self._query)]
        if data is self._texts.value and asked == self._query:
            return request
        url = request.url if asked == self._query else request.url.copy_with(params=asked)
        content: Any = self._body if data is self._texts.value else encode(data, self._route.codec, like=self._body)
        headers = [(name, value) for name, value in request.headers.multi_items() if name not in _LENGTHS]
        return self._module.Request(request.method, url, headers=headers, content=content, extensions=request.extensions)

    # -- answers -------------------------------------------------------------------------------------------------------

    def _read(self, own: OwnReply, response: Any) -> Any:
        """The texts of an answer, for the guard to mask; an error's are masked here, and the error goes on the record."""
        self._response = response
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        data: object = None
        if not kind or "json" in kind:  # where nothing is said, it may be anything
            data, self._is_json = _json(response)
        elif is_text(kind):
            data = response.text
        kept = with_keys(without_tokens(data), own.whole) if self._gate.masks else data
        self._is_shortened = kept is not data
        self._replied = texts_of(kept, skip=self._route.reply_skip)
        if response.status_code >= ERROR:
            masked = {path: own.whole(text, path) for path, text in self._replied.parts.items()}
            raise ProviderError(self.answered(masked), response.status_code)
        return dict(self._replied.parts)

    def answered(self, reply: Any) -> Any:
        """The response with the guard's texts in it."""
        return self._answered(reply, _Stream)

    def aanswered(self, reply: Any) -> Any:
        """As `answered`, for async clients."""
        return self._answered(reply, _AsyncStream)

    def _answered(self, reply: Any, stream: Any) -> Any:
        response = self._response
        if response is None:  # a control answered instead of the send
            content = reply if isinstance(reply, str) else json.dumps(reply)
            return self._module.Response(200, content=content, request=self._request)
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in _LENGTHS]
        extensions = response.extensions
        if self._replied is None:
            body = stream(self._module, reply, response)
            return self._module.Response(response.status_code, headers=headers, stream=body, extensions=extensions)
        data = self._replied.put(reply)
        if data is self._replied.value and not self._is_shortened:
            written: bytes = response.content
        elif self._is_json:
            written = json.dumps(data, ensure_ascii=False).encode()
        else:
            written = str(data).encode(response.encoding or "utf-8", "replace")
        body = self._module.ByteStream(written)  # not read yet: a client may want it raw
        return self._module.Response(response.status_code, headers=headers, stream=body, extensions=extensions)

    def _stream(self, own: OwnReply, response: Any) -> Events | None:
        """What reads an answer as it passes, if it is a stream of events."""
        kind = None if response.status_code >= ERROR else events_of(response.headers.get("content-type", ""))
        if kind is None:
            return None
        self._response = response
        return kind(own, self._route.events, self._route.reply_skip)

    def _events(self, events: Events, own: OwnReply, response: Any) -> Iterator[bytes]:
        try:
            for data in response.iter_bytes():
                out = events.feed(data)
                if events.is_done:
                    own.ended()
                if out:
                    yield out
            if out := events.flush():
                yield out
        finally:
            response.close()

    async def _aevents(self, events: Events, own: OwnReply, response: Any) -> AsyncIterator[bytes]:
        try:
            async for data in response.aiter_bytes():
                out = await own.ask(lambda data=data: events.feed(data), len(data))  # type: ignore[misc]  # bound now
                if events.is_done:
                    own.ended()
                if out:
                    yield out
            if out := await own.ask(events.flush, 1):
                yield out
        finally:
            await response.aclose()


_LENGTHS: Final = frozenset({"content-length", "content-encoding", "transfer-encoding"})
_PROCESS_KEY: Final = secrets.token_bytes(32)


def _json(response: Any) -> tuple[object, bool]:
    """What a response says in JSON, or its text; and whether it was JSON."""
    try:
        return json.loads(response.content), True
    except (ValueError, RecursionError):
        return response.text, False


def _strings(data: object, selectors: Sequence[Selector]) -> tuple[list[str], list[Place]]:
    texts: list[str] = []
    places: list[Place] = []
    for selector in selectors:
        for place, value in placed(data, selector.steps):
            if isinstance(value, str):
                texts.append(value)
                places.append(place)
            elif isinstance(value, list):
                if not all(isinstance(one, str) for one in value):
                    raise ControlError(f"{selector.source!r} must be a str or a list of str", control="binding")
                texts += value
                places.append(place)
    return texts, places


def _Stream(module: Any, reply: Any, response: Any) -> Any:  # noqa: N802 - makes an object of the module's class
    class Stream(module.SyncByteStream):  # type: ignore[misc]  # the module is handed in
        """The guarded events, as a body."""

        def __iter__(self) -> Iterator[bytes]:
            yield from ((reply.encode(),) if isinstance(reply, str) else reply)

        def close(self) -> None:
            if hasattr(reply, "close"):
                reply.close()
            response.close()

    return Stream()


def _AsyncStream(module: Any, reply: Any, response: Any) -> Any:  # noqa: N802 - makes an object of the module's class
    class Stream(module.AsyncByteStream):  # type: ignore[misc]  # the module is handed in
        """The guarded events, as a body."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if isinstance(reply, str):
                yield reply.encode()
                return
            async for data in reply:
                yield data

        async def aclose(self) -> None:
            if hasattr(reply, "aclose"):
                await reply.aclose()
            await response.aclose()

    return Stream()
