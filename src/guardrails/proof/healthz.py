"""`healthz(guard)`: an ASGI application for a load balancer and a scraper. Pure ASGI; answers say nothing of a message."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from guardrails.errors import ConfigError
from guardrails.telemetry.prometheus import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.telemetry.metrics import Metrics

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
_JSON: Final = "application/json"


def healthz(*guards: Guard, metrics: Metrics | None = None) -> Application:
    """
    An application that answers `GET /healthz` (and `/metrics`, where *metrics* are given), wherever it is mounted.

    200 when every guard is well, else 503, with the health of each guard as JSON. Put it where only your own machines reach
    it: it names controls and their problems.

    Args:
        guards: Whose health; at least one.
        metrics: Installed metrics.

    Raises:
        ConfigError: No guard was given.
    """
    if not guards:
        raise ConfigError("healthz(guard, ...) needs a guard")

    async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ConfigError(f"healthz answers HTTP, not {scope['type']}")
        path = scope["path"].rstrip("/")
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, _JSON, b'{"error": "GET only"}')
        elif path.endswith("/metrics") and metrics is not None:
            await _answer(send, 200, CONTENT_TYPE, exposition(metrics).encode())
        elif path.endswith("/healthz"):
            health = [{"owner": guard.owner, "where": guard.where, **guard.health().as_dict()} for guard in guards]
            well = all(one["well"] for one in health)
            await _answer(send, 200 if well else 503, _JSON, json.dumps({"well": well, "guards": health}).encode())
        else:
            await _answer(send, 404, _JSON, b'{"error": "there are /healthz and /metrics"}')

    return application


async def _live(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
