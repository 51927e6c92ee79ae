"""
A guard around every request of an `httpx2` client: `httpx2.Client(transport=GuardTransport(guard, routes="openai"))`.

Below the client's own retries and above its connections, so that nothing that the client logs or repeats escapes. Streams of
server-sent events are masked as they pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrails.adapters.hosts import host
from guardrails.adapters.http import Gate
from guardrails.adapters.routes import Route, routes_of
from guardrails.core.guard import Guard

host("httpx2", extra="httpx2", distribution="httpx2", least=(2, 12))

import httpx2  # noqa: E402 - said first what to install

__all__ = ["AsyncGuardTransport", "GuardTransport", "Route"]


class GuardTransport(httpx2.BaseTransport):
    """
    The guard around a transport.

    Args:
        guard: Goes around every request that a route matches.
        inner: The transport that sends; None for `httpx2.HTTPTransport()`.
        routes: `"openai"`, `"anthropic"`, `"llm"` (both), `"sinch"`, `"twilio"`, or `Route`s of your own.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control, else "pass".
        refusals: "raise" a `GuardrailsError`; or "respond" with 403, 429 or 503 and `x-should-retry: false`, which an
            SDK turns into its own error and does not try again.
        others: What becomes of a request with a body that no route matches: "refuse" or "pass".

    Raises:
        ConfigError: An argument is wrong.
    """

    def __init__(
        self,
        guard: Guard,
        inner: httpx2.BaseTransport | None = None,
        *,
        routes: str | Sequence[Route] = "llm",
        reply: str | None = None,
        refusals: str = "raise",
        others: str = "refuse",
    ) -> None:
        self._gate = Gate(httpx2, guard, routes=routes_of(routes), reply=reply, refusals=refusals, others=others)
        self._inner = inner if inner is not None else httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the guard."""
        return self._gate.handle(request, self._inner)  # type: ignore[no-any-return]  # of the module that was handed in

    def close(self) -> None:
        """Close the transport that sends; the guard stays open."""
        self._inner.close()


class AsyncGuardTransport(httpx2.AsyncBaseTransport):
    """As `GuardTransport`, for `httpx2.AsyncClient`."""

    def __init__(
        self,
        guard: Guard,
        inner: httpx2.AsyncBaseTransport | None = None,
        *,
        routes: str | Sequence[Route] = "llm",
        reply: str | None = None,
        refusals: str = "raise",
        others: str = "refuse",
    ) -> None:
        self._gate = Gate(httpx2, guard, routes=routes_of(routes), reply=reply, refusals=refusals, others=others)
        self._inner = inner if inner is not None else httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the guard."""
        return await self._gate.ahandle(request, self._inner)  # type: ignore[no-any-return]  # as above

    async def aclose(self) -> None:
        """Close the transport that sends; the guard stays open."""
        await self._inner.aclose()
