"""
A guard below Twilio's client: `Client(sid, token, http_client=guard_http_client(TwilioHttpClient(), guard))`.

Every SMS and WhatsApp message that the client creates goes through it, whichever method was called. For a single method,
`guard.wrap(client.messages.create, preset="twilio")` is enough.
"""

from __future__ import annotations

from typing import Any, Final

from guardrails.adapters.hosts import host
from guardrails.adapters.leaves import texts_of
from guardrails.adapters.llm import words
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.payload import Item, Place
from guardrails.errors import Denied

host("twilio", extra="twilio", distribution="twilio", least=(9, 0), below=(10,))

from twilio.http import AsyncHttpClient, HttpClient  # noqa: E402 - said first what to install

__all__ = ["guard_http_client"]

_SKIP: Final = words(
    "StatusCallback ApplicationSid MessagingServiceSid ContentSid MediaUrl ScheduleType SendAt From Attempt "
    "MaxPrice ValidityPeriod ForceDelivery ContentRetention AddressRetention SmartEncoded PersistentAction"
)
_TO: Final[Place] = (Item("To"),)
_CALLS: Final = words("Twiml Say")


class _Sent:
    """One request that creates a message."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.texts = texts_of(data, skip=_SKIP, places=[_TO])
        to = data.get("To")
        self.message = Message(
            self.texts.parts,
            channel="whatsapp" if str(to).startswith("whatsapp:") else "sms",
            recipients=to if isinstance(to, str) else (),
            sender=data.get("From") if isinstance(data.get("From"), str) else None,
        )


def _message_of(method: str, uri: str, data: object) -> _Sent | None:
    path = uri.partition("?")[0]
    if method.upper() != "POST" or not isinstance(data, dict):
        return None
    if path.endswith("/Messages.json"):
        return _Sent(data)
    if _CALLS & data.keys():
        raise Denied("a call with words to say: guard the text before it becomes TwiML", control="twilio", sent=False)
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
        found = _message_of(method, uri, data)
        if found is None:
            return self._inner.request(method, uri, params, data, headers, auth, timeout, allow_redirects)

        def create_message(sealed: Message) -> Any:
            form: Any = found.texts.put(sealed.parts)
            return self._inner.request(method, uri, params, form, headers, auth, timeout, allow_redirects)

        return self._guard.run(found.message, create_message, reply="pass")


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
        found = _message_of(method, uri, data)
        if found is None:
            return await self._inner.request(method, uri, params, data, headers, auth, timeout, allow_redirects)

        async def create_message(sealed: Message) -> Any:
            form: Any = found.texts.put(sealed.parts)
            return await self._inner.request(method, uri, params, form, headers, auth, timeout, allow_redirects)

        return await self._guard.arun(found.message, create_message, reply="pass")


def guard_http_client(inner: HttpClient, guard: Guard) -> HttpClient:
    """
    Twilio's HTTP client with a guard around messages.

    Args:
        inner: `TwilioHttpClient()`, or `AsyncTwilioHttpClient()` for `create_async`.
        guard: Body and content variables are its message.
    """
    return _GuardedAsyncClient(inner, guard) if isinstance(inner, AsyncHttpClient) else _GuardedClient(inner, guard)
