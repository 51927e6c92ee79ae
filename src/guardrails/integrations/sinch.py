"""
A guard below Sinch's client: `guard_client(SinchClient(...), guard)`.

SMS batches and the Conversation API (one contact, every channel) go through it, whichever method was called, and masked
before the client logs them. Ids of `guardrails.context` travel in the conversation's metadata; `carried` reads them back.
"""

from __future__ import annotations

import copy
from typing import Any

from guardrails.adapters.answers import ProviderError
from guardrails.adapters.hosts import host
from guardrails.adapters.sinch_requests import carried, posted
from guardrails.core.guard import Guard
from guardrails.core.message import Message

host("sinch", extra="sinch", distribution="sinch", least=(2, 1), below=(3,))

from sinch.core.ports.http_transport import HTTPTransport  # noqa: E402 - said first what to install

__all__ = ["carried", "guard_client"]


class _GuardedTransport(HTTPTransport):  # type: ignore[misc]  # sinch has no types
    def __init__(self, sinch: Any, inner: HTTPTransport, guard: Guard) -> None:
        super().__init__(sinch)
        self._inner, self._guard = inner, guard

    def send_request(self, request_data: Any) -> Any:
        """One attempt; the client's own further ones are charged no more."""
        found = posted(request_data, masks=self._guard.masks)
        if found is None:
            return self._inner.send_request(request_data)

        def sinch_request(sealed: Message) -> dict[str, str]:
            sent = copy.copy(request_data)
            sent.request_body = found.body(sealed)
            return found.read(self._inner.send_request(sent))

        with found.attempt():
            try:
                reply = self._guard.run(found.message, sinch_request, reply="mask" if self._guard.masks else "pass")
            except ProviderError as failed:
                return failed.response
        return found.answer.with_texts(reply)


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
