"""
A guard below Twilio's client: `Client(sid, token, http_client=guard_http_client(TwilioHttpClient(), guard))`.

Every message that the client creates goes through it (SMS, WhatsApp, conversations), whichever method was called, masked before
the client logs it. For a single method, `guard.wrap(client.messages.create, preset="twilio")` is enough.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from guardrails.adapters.answers import Answer, ProviderError, parsed
from guardrails.adapters.hosts import host
from guardrails.adapters.kept import refuse_exposed
from guardrails.adapters.leaves import texts_of
from guardrails.adapters.llm import words
from guardrails.adapters.routes import TWILIO
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.payload import Item, Place
from guardrails.core.replies import own_reply
from guardrails.errors import Denied

host("twilio", extra="twilio", distribution="twilio", least=(9, 0), below=(10,))

from twilio.http import AsyncHttpClient, HttpClient  # noqa: E402 - said first what to install
from twilio.http.response import Response  # noqa: E402 - as above

__all__ = ["guard_http_client"]

_SKIP: Final = words(
    "StatusCallback ApplicationSid MessagingServiceSid ContentSid MediaUrl ScheduleType SendAt From Attempt "
    "MaxPrice ValidityPeriod ForceDelivery ContentRetention AddressRetention SmartEncoded PersistentAction "
    "DateCreated DateUpdated MediaSid XTwilioWebhookEnabled"
)
_REPLY_SKIP: Final = TWILIO[0].reply_skip | words("code more_info url links messaging_binding participant_sid index")
_TO: Final[Place] = (Item("To"),)
_MESSAGES: Final = re.compile(r"/Messages\.json$|/Conversations/(?P<conversation>[^/]+)/Messages$")
# Fields that carry words to a person; a request with one of them that is not routed is refused.
_SAYS: Final = words(
    "Body Twiml Say Message ContentVariables Parameters CustomFriendlyName CustomMessage TemplateCustomSubstitutions"
)
# Fields that are kept and shown, of conversations, people, documents, tasks and templates; addresses of TwiML tell words, too.
_KEPT: Final = words(
    "FriendlyName UniqueName Attributes Data Content Channel Routing Url FallbackUrl AnnounceUrl "
    "friendly_name variables types"
)


class _Sent:
    """One request that creates a message, and its answer."""

    def __init__(self, data: dict[str, Any], conversation: str | None, *, masks: bool) -> None:
        self.texts = texts_of(data, skip=_SKIP, places=[_TO])
        self.answer = Answer(_REPLY_SKIP, masks=masks)
        to = data.get("To")
        self.message = Message(
            self.texts.parts,
            channel="whatsapp" if str(to).startswith("whatsapp:") else "chat" if conversation else "sms",
            recipients=to if isinstance(to, str) else (),
            sender=data.get("From") if isinstance(data.get("From"), str) else None,
            conversation=conversation,
            metadata=self.texts.metadata,
        )

    def form(self, sealed: Message) -> Any:
        """What is posted."""
        return self.texts.put(sealed.parts)

    def read(self, response: Response) -> dict[str, str]:
        """The answer's texts."""

        def rebuilt(data: Any) -> Response:
            return Response(response.status_code, data if isinstance(data, str) else json.dumps(data), response.headers)

        data = parsed(response.text)
        return self.answer.read(response, data, response.status_code, own_reply().whole, rebuilt)


def _message_of(method: str, uri: str, data: object, guard: Guard) -> _Sent | None:
    if method.upper() != "POST" or not isinstance(data, dict):
        return None
    found = _MESSAGES.search(uri.partition("?")[0])
    if found is not None:
        return _Sent(data, found["conversation"], masks=guard.masks)
    if any(data.get(field) for field in _SAYS & data.keys()):
        raise Denied("words that no route knows, such as TwiML: guard them before", control="twilio", sent=False)
    refuse_exposed(data, _KEPT, guard, control="twilio")
    return None


class _GuardedClient(HttpClient):  # type: ignore[misc]  # twilio has no types
    def __init__(self, inner: HttpClient, guard: Guard) -> None:
        super().__init__(inner.logger, is_async=False, timeout=inner.timeout)
        self._inner, self._guard = inner, guard

    def request(
        self,
        method: str,
        uri: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - twilio's signature
    ) -> Any:
        """Make a request; one that creates a message goes through the guard."""
        more = (headers, auth, timeout, allow_redirects)  # by position: some inner clients name them differently
        found = _message_of(method, uri, data, self._guard)
        if found is None:
            return self._inner.request(method, uri, params, data, *more)

        def create_message(sealed: Message) -> dict[str, str]:
            return found.read(self._inner.request(method, uri, params, found.form(sealed), *more))

        try:
            reply = self._guard.run(found.message, create_message, reply=_reply(self._guard))
        except ProviderError as failed:
            return failed.response
        return found.answer.with_texts(reply)


class _GuardedAsyncClient(AsyncHttpClient):  # type: ignore[misc]  # twilio has no types
    def __init__(self, inner: AsyncHttpClient, guard: Guard) -> None:
        super().__init__(inner.logger, is_async=True, timeout=inner.timeout)
        self._inner, self._guard = inner, guard

    async def request(
        self,
        method: str,
        uri: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: Any = None,  # noqa: ASYNC109 - twilio's signature
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - twilio's signature
    ) -> Any:
        """As the sync client's."""
        more = (headers, auth, timeout, allow_redirects)  # by position: some inner clients name them differently
        found = _message_of(method, uri, data, self._guard)
        if found is None:
            return await self._inner.request(method, uri, params, data, *more)

        async def create_message(sealed: Message) -> dict[str, str]:
            return found.read(await self._inner.request(method, uri, params, found.form(sealed), *more))

        try:
            reply = await self._guard.arun(found.message, create_message, reply=_reply(self._guard))
        except ProviderError as failed:
            return failed.response
        return found.answer.with_texts(reply)


def _reply(guard: Guard) -> str:
    return "mask" if guard.masks else "pass"


def guard_http_client(inner: HttpClient, guard: Guard) -> HttpClient:
    """
    Twilio's HTTP client with a guard around messages.

    Args:
        inner: `TwilioHttpClient()`, or `AsyncTwilioHttpClient()` for `create_async`.
        guard: Body and content variables are its message; what the answer repeats is masked too.
    """
    return _GuardedAsyncClient(inner, guard) if isinstance(inner, AsyncHttpClient) else _GuardedClient(inner, guard)
