"""
A guard below Sinch's client: `guard_client(SinchClient(...), guard)`.

SMS batches and the Conversation API (one contact, every channel) go through it, whichever method was called, and masked
before the client logs them. Ids of `guardrails.context` travel in the conversation's metadata; `carried` reads them back.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final
from urllib.parse import urlsplit

from guardrails.adapters.answers import Answer, ProviderError
from guardrails.adapters.hosts import host
from guardrails.adapters.ids import IDS, is_opaque, opaque
from guardrails.adapters.leaves import texts_of
from guardrails.adapters.routes import SINCH, Route
from guardrails.core.codecs import decode, encode
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.payload import Place, placed
from guardrails.core.repeats import repeats
from guardrails.core.replies import own_reply
from guardrails.core.selectors import parse_selector
from guardrails.errors import Denied

host("sinch", extra="sinch", distribution="sinch", least=(2, 1), below=(3,))

from sinch.core.models.http_response import HTTPResponse  # noqa: E402 - said first what to install
from sinch.core.ports.http_transport import HTTPTransport  # noqa: E402 - as above

__all__ = ["carried", "guard_client"]

METADATA: Final = "conversation_metadata"

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
        data: Any = decode(body, "json")
        people, places = _people(data, route)
        texts = texts_of(data, skip=route.skip | {"from"}, places=places)
        sender = data.get("from") if isinstance(data, dict) else None
        message = Message(
            texts.parts,
            channel=_channel(data) or route.channel,
            recipients=tuple(people),
            sender=sender if isinstance(sender, str) else None,
            conversation=current.get().conversation,
            metadata=texts.metadata,
        )
        answer = Answer(route.reply_skip, masks=self._guard.masks)

        def sinch_request(sealed: Message) -> dict[str, str]:
            sent = copy.copy(request_data)
            sent.request_body = _carrying(encode(texts.put(sealed.parts), "json", like=body), sealed, route)
            response = self._inner.send_request(sent)

            def rebuilt(new: Any) -> Any:
                return HTTPResponse(status_code=response.status_code, headers=response.headers, body=new)

            return answer.read(response, response.body, response.status_code, own_reply().whole, rebuilt)

        attempt = repeats(message) if _was_charged(request_data) else nullcontext()
        request_data.guardrails_charged = _digest(body)
        with attempt:
            try:
                reply = self._guard.run(message, sinch_request, reply="mask" if self._guard.masks else "pass")
            except ProviderError as failed:
                return failed.response
        return answer.with_texts(reply)


def carried(event: Mapping[str, Any]) -> dict[str, str]:
    """
    The ids that a message of ours carried, for `guardrails.context(**carried(event))` around the handler of its event.

    Args:
        event: A parsed webhook of the Conversation API, which repeats a conversation's metadata.
    """
    held = [event, *(child for child in event.values() if isinstance(child, Mapping))]
    found: Any = next((one[METADATA] for one in held if isinstance(one.get(METADATA), Mapping)), {})
    ids = {name: found.get(f"guardrails_{name}") for name in IDS}
    return {name: value for name, value in ids.items() if isinstance(value, str) and is_opaque(value)}


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
    return any(word in path for word in ("/batches", "messages", "callouts", ":inject-message", ":inject-event"))


def _channel(data: Any) -> str | None:
    try:
        return str(data["recipient"]["identified_by"]["channel_identities"][0]["channel"]).lower()
    except (KeyError, IndexError, TypeError):
        return None


def _people(data: Any, route: Route) -> tuple[list[str], list[Place]]:
    people: list[str] = []
    places: list[Place] = []
    for source in route.recipient:
        for place, value in placed(data, parse_selector(source).steps):
            people += [str(one) for one in value] if isinstance(value, list) else [str(value)]
            places.append(place)
    return people, places


def _carrying(body: Any, sealed: Message, route: Route) -> Any:
    """The Conversation API keeps metadata with a conversation: ids of ours travel there, if they are opaque."""
    ids = opaque(tenant=sealed.tenant, conversation=sealed.conversation, actor=sealed.actor)
    if route.channel != "chat" or not ids:
        return body
    data: Any = decode(body, "json")
    held = data.get(METADATA)
    data[METADATA] = {**(held if isinstance(held, dict) else {}), **{f"guardrails_{name}": ids[name] for name in ids}}
    written = json.dumps(data)
    return written.encode() if isinstance(body, bytes) else written


def _digest(body: str | bytes) -> bytes:
    return hashlib.blake2b(body.encode() if isinstance(body, str) else body, digest_size=16, key=_KEY).digest()


def _was_charged(request: Any) -> bool:
    """The client's retries hand over the same object with the same body: it was charged at the first."""
    return getattr(request, "guardrails_charged", None) == _digest(request.request_body)
