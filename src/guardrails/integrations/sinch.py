"""
A guard below Sinch's client: `guard_client(SinchClient(...), guard)`.

SMS batches and the Conversation API (one contact, every channel) go through it, whichever method was called, and masked
before the client logs them. A contact's id is the conversation that `guardrails.context` carries on.
"""

from __future__ import annotations

import copy
import hashlib
import re
import secrets
from typing import Any, Final
from urllib.parse import urlsplit

from guardrails.adapters.hosts import host
from guardrails.adapters.leaves import texts_of
from guardrails.adapters.routes import SINCH, Route
from guardrails.core.codecs import decode, encode
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.payload import placed
from guardrails.core.repeats import repeats
from guardrails.core.selectors import parse_selector
from guardrails.errors import Denied

host("sinch", extra="sinch", distribution="sinch", least=(2, 1), below=(3,))

from sinch.core.ports.http_transport import HTTPTransport  # noqa: E402 - said first what to install

__all__ = ["guard_client"]

_READS: Final = re.compile(r"/(dry_run|delivery_feedback)$|/oauth2/|/contacts|/webhooks|/numbers?:")
_KEY: Final = secrets.token_bytes(32)


class _GuardedTransport(HTTPTransport):  # type: ignore[misc]  # sinch has no types
    def __init__(self, sinch: Any, inner: HTTPTransport, guard: Guard) -> None:
        super().__init__(sinch)
        self._inner, self._guard = inner, guard

    def send_request(self, request_data: Any) -> Any:
        """One attempt; the client's own further ones are charged no more."""
        route = _route(request_data)
        if route is None:
            return self._inner.send_request(request_data)
        body: str | bytes = request_data.request_body
        data = decode(body, "json")
        found = [
            (place, value) for source in route.recipient for place, value in placed(data, parse_selector(source).steps)
        ]
        people: list[str] = []
        for _, value in found:
            people += [str(one) for one in value] if isinstance(value, list) else [str(value)]
        sender = data.get("from") if isinstance(data, dict) else None
        places = [place for place, _ in found]
        texts = texts_of(data, skip=route.skip | {"from"}, places=places)
        channel = _channel(data) or route.channel
        message = Message(
            texts.parts,
            channel=channel,
            recipients=tuple(people),
            sender=sender if isinstance(sender, str) else None,
            conversation=current.get().conversation,
        )

        def sinch_request(sealed: Message) -> Any:
            sent = copy.copy(request_data)
            sent.request_body = encode(texts.put(sealed.parts), "json", like=body)
            return self._inner.send_request(sent)

        if _attempts(request_data):
            with repeats(message):
                return self._guard.run(message, sinch_request, reply="pass")
        request_data.guardrails_charged = _digest(body)
        return self._guard.run(message, sinch_request, reply="pass")


def guard_client(client: Any, guard: Guard) -> Any:
    """
    Put *guard* around everything that *client* sends; returns the client.

    Args:
        client: A `SinchClient`; its transport is replaced.
        guard: Bodies, parameters and every text of a message are its message.
    """
    configuration = client.configuration
    configuration.transport = _GuardedTransport(client, configuration.transport, guard)
    return client


def _route(request: Any) -> Route | None:
    path = urlsplit(request.url).path
    if request.http_method.upper() not in ("POST", "PUT", "PATCH") or not isinstance(request.request_body, str | bytes):
        return None
    for route in SINCH:
        if re.search(route.path, path):
            return route
    if _READS.search(path) or not _sends(path):
        return None
    raise Denied("no route for this request to Sinch; nothing was sent", control="sinch", sent=False)


def _sends(path: str) -> bool:
    return "/batches" in path or "messages" in path or "callouts" in path


def _channel(data: Any) -> str | None:
    try:
        return str(data["recipient"]["identified_by"]["channel_identities"][0]["channel"]).lower()
    except (KeyError, IndexError, TypeError):
        return None


def _digest(body: str | bytes) -> bytes:
    return hashlib.blake2b(body.encode() if isinstance(body, str) else body, digest_size=16, key=_KEY).digest()


def _attempts(request: Any) -> bool:
    """The client's retries hand over the same object with the same body: it was charged at the first."""
    return getattr(request, "guardrails_charged", None) == _digest(request.request_body)
