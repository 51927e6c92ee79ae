"""
A guard below Twilio's client: `Client(sid, token, http_client=guard_http_client(TwilioHttpClient(), guard))`.

Every message that the client creates goes through it (SMS, WhatsApp, conversations), whichever method was called, masked before
the client logs it. For a single method, `guard.wrap(client.messages.create, preset="twilio")` is enough.
"""

from __future__ import annotations

from typing import Any

from guardrails.adapters.answers import ProviderError
from guardrails.adapters.hosts import host
from guardrails.adapters.twilio_forms import posted
from guardrails.core.guard import Guard
from guardrails.core.message import Message

host("twilio", extra="twilio", distribution="twilio", least=(9, 0), below=(10,))

from twilio.http import AsyncHttpClient, HttpClient  # noqa: E402 - said first what to install

__all__ = ["guard_http_client"]


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
        found = posted(method, uri, params, data, self._guard)
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
        found = posted(method, uri, params, data, self._guard)
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
