"""What a request's body says to an ASGI application: JSON, a form or text, and the same with other texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final

from guardrails.adapters.asgi import Receive, is_json
from guardrails.adapters.chunks import is_text
from guardrails.adapters.leaves import odd_keys, texts_of, with_keys
from guardrails.adapters.multipart import Multipart
from guardrails.adapters.sse import events_of
from guardrails.core.codecs import decode, encode
from guardrails.errors import Denied

_MULTIPART: Final = "multipart/form-data"
_BETWEEN: Final = "\n;\n"  # nothing that is found goes across it


class Asked:
    """
    What a request's body says.

    Args:
        kind: Its content type.
        body: Its bytes; None where a body of that kind passes.
        skip: Keys of JSON bodies, and fields of forms, that are no text.

    Raises:
        Denied: It is not what it says that it is.
    """

    def __init__(self, kind: str, body: bytes | None, skip: frozenset[str]) -> None:
        kind = _said(kind)
        self._body = body
        self._put: Callable[[Mapping[str, str]], bytes] | None = None
        self.parts: Mapping[str, str] = {"request": ""}
        if not body:
            return
        if kind.lower().startswith(_MULTIPART):
            form = Multipart(body, kind, skip)
            texts, self._put = form.texts, form.put
        elif (codec := _codec(kind, body)) is not None:
            data = decode(body, codec)
            found = texts_of(data, skip=skip)
            odd = list(dict.fromkeys(odd_keys(data))) if codec == "json" else []
            keys = {"keys'": _BETWEEN.join(odd)} if odd else {}
            texts = {**found.parts, **keys}

            def put(news: Mapping[str, str]) -> bytes:
                new = news["keys'"].split(_BETWEEN) if odd else []
                if len(new) != len(odd):
                    raise Denied("keys that cannot be told apart any more", control="binding", sent=False)
                renamed = dict(zip(odd, new, strict=True))
                changed: Any = encode(with_keys(found.put(news), renamed.__getitem__), codec, like=body)
                return bytes(changed)

            self._put = put
        else:
            return
        self.parts = texts or self.parts

    def put(self, news: Mapping[str, str]) -> bytes:
        """The body with other texts."""
        return self._body or b"" if self._put is None else self._put(news)


def is_read(kind: str) -> bool:
    """Whether bodies of requests of this content type are looked into; one that does not say what it is may be anything."""
    kind = _said(kind)
    return not kind or is_json(kind) or events_of(kind) is not None or is_text(kind) or kind.lower().startswith(_MULTIPART)


def _said(kind: str) -> str:
    """A content type; what is none says nothing, and applications read its body all the same."""
    return kind if "/" in kind else ""


def _codec(kind: str, body: bytes) -> str | None:
    """How a body is read; None for bytes that do not say what they are and are no text."""
    if is_json(kind):
        return "json"
    if kind.lower().startswith("application/x-www-form-urlencoded"):
        return "form"
    if kind:
        return "utf8"
    for codec in ("json", "utf8"):
        with suppress(Denied):
            decode(body, codec)
            return codec
    return None


async def read_body(receive: Receive, most: int) -> bytes | None:
    """
    The bytes of a request's body; None when the client has gone in the middle of it.

    Raises:
        Denied: They are more than *most*.
    """
    out = b""
    while True:
        event: Any = await receive()
        if event["type"] == "http.disconnect":
            return None
        out += event.get("body", b"")
        if len(out) > most:
            raise Denied(f"a body of more than {most} bytes", control="caps", sent=False)
        if not event.get("more_body"):
            return bytes(out)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives *body*, and then what the server gives."""
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
