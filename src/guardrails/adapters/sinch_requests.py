"""Requests to Sinch: which of them send, what in them is whose, and the ids that travel in a conversation's metadata."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final
from urllib.parse import urlsplit

from guardrails.adapters.answers import Answer
from guardrails.adapters.ids import IDS, is_opaque, opaque
from guardrails.adapters.leaves import texts_of
from guardrails.adapters.routes import SINCH, Route
from guardrails.core.codecs import decode, encode
from guardrails.core.context import current
from guardrails.core.message import Message
from guardrails.core.payload import Place, placed
from guardrails.core.repeats import repeats
from guardrails.core.replies import own_reply
from guardrails.core.selectors import parse_selector
from guardrails.errors import Denied

METADATA: Final = "conversation_metadata"

_REHEARSES: Final = "/dry_run"  # sent to nobody, and yet to Sinch
_READS: Final = re.compile(r"/delivery_feedback$|/oauth2/|/contacts|/webhooks|/numbers?:")
_SENDS: Final = ("/batches", "messages", "callouts", ":inject-message", ":inject-event")
_KEY: Final = secrets.token_bytes(32)


class Posted:
    """
    One attempt to send, and its answer.

    Args:
        request: The client's; it hands over the same object again when it tries again.
        route: What in it is whose.
        masks: Whether the answer is masked.

    Raises:
        Denied: Its body is no JSON.
    """

    def __init__(self, request: Any, route: Route, *, masks: bool) -> None:
        self._request = request
        self._route = route
        body: str | bytes = request.request_body
        data: Any = decode(body, "json")
        people, places = _people(data, route)
        self._texts = texts_of(data, skip=route.skip | {"from"}, places=places)
        self.answer: Answer = Answer(route.reply_skip, masks=masks)
        sender = data.get("from") if isinstance(data, dict) else None
        self.message: Message = Message(
            self._texts.parts,
            channel=_channel(data) or route.channel,
            recipients=tuple(people),
            sender=sender if isinstance(sender, str) else None,
            conversation=current.get().conversation,
            metadata=self._texts.metadata,
        )

    def attempt(self) -> AbstractContextManager[None]:
        """A context in which what was charged at the first attempt is charged no more, and a rehearsal never."""
        was_charged = getattr(self._request, "guardrails_charged", None) == _digest(self._request.request_body)
        is_free = was_charged or urlsplit(self._request.url).path.endswith(_REHEARSES)
        return repeats(self.message) if is_free else nullcontext()

    def body(self, sealed: Message) -> str | bytes:
        """What is posted, now that it is charged; opaque ids of ours travel where Sinch keeps metadata with a conversation."""
        old: str | bytes = self._request.request_body
        self._request.guardrails_charged = _digest(old)
        body: Any = encode(self._texts.put(sealed.parts), "json", like=old)
        ids = opaque(tenant=sealed.tenant, conversation=sealed.conversation, actor=sealed.actor)
        if self._route.channel != "chat" or not ids:
            return body  # type: ignore[no-any-return]  # of the kind that *old* is
        data: Any = decode(body, "json")
        held = data.get(METADATA)
        data[METADATA] = {**(held if isinstance(held, dict) else {}), **{f"guardrails_{name}": ids[name] for name in ids}}
        written = json.dumps(data)
        return written.encode() if isinstance(old, bytes) else written

    def read(self, response: Any) -> dict[str, str]:
        """The texts of an answer, for the guard to mask."""

        def rebuilt(new: Any) -> Any:
            return type(response)(status_code=response.status_code, headers=response.headers, body=new)

        return self.answer.read(response, response.body, response.status_code, own_reply().whole, rebuilt)


def posted(request: Any, *, masks: bool) -> Posted | None:
    """
    What is posted, if it is sent to somebody.

    Raises:
        Denied: It sends, and how is not known.
    """
    path = urlsplit(request.url).path
    if request.http_method.upper() not in ("POST", "PUT", "PATCH") or not isinstance(request.request_body, str | bytes):
        return None
    for route in SINCH:
        if re.search(route.path, path.removesuffix(_REHEARSES)):
            return Posted(request, route, masks=masks)
    if _READS.search(path) or not any(word in path for word in _SENDS):
        return None
    raise Denied("no route for this request to Sinch; nothing was sent", control="sinch", sent=False)


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


def _digest(body: str | bytes) -> bytes:
    return hashlib.blake2b(body.encode() if isinstance(body, str) else body, digest_size=16, key=_KEY).digest()
