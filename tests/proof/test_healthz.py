"""`/healthz` and `/metrics`: what a load balancer and a scraper get."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from guardrails import Call, ConfigError, Guard, Unavailable
from guardrails.proof.healthz import healthz
from guardrails.telemetry.metrics import Metrics


class Store:
    name = "store"
    broken = False

    async def guard(self, call: Call, forward: Any, _io: Any, /) -> object:
        if self.broken:
            raise Unavailable("the store does not answer")
        return await forward(call)


async def asked(application: Any, path: str, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path)


@pytest.mark.anyio
async def test_healthz_is_200_while_all_is_well_and_503_while_a_control_cannot_decide() -> None:
    store = Store()
    guard = Guard(store, channel="sms", owner="platform")
    send = guard(lambda to, body: to + body)
    application = healthz(guard)
    send("+12125550173", "hello")
    well = await asked(application, "/healthz")
    assert (well.status_code, well.json()["well"]) == (200, True)
    assert well.json()["guards"][0]["owner"] == "platform"
    store.broken = True
    with pytest.raises(Unavailable):
        send("+12125550173", "hello")
    unwell = await asked(application, "/internal/healthz/")
    assert unwell.status_code == 503
    (control,) = unwell.json()["guards"][0]["controls"]
    assert (control["name"], control["well"], control["error_rate"]) == ("store", False, 0.5)
    assert control["degraded_since"] is not None
    assert "hello" not in unwell.text
    assert unwell.headers["cache-control"] == "no-store"


@pytest.mark.anyio
async def test_metrics_are_given_where_there_are_some() -> None:
    metrics = Metrics().install()
    guard = Guard(channel="sms")
    try:
        guard(lambda to, body: to + body)("+12125550173", "hello")
    finally:
        metrics.uninstall()
    told = await asked(healthz(guard, metrics=metrics), "/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "guardrails_sends_total{" in told.text
    assert (await asked(healthz(guard), "/metrics")).status_code == 404


@pytest.mark.anyio
async def test_other_paths_and_methods_are_refused() -> None:
    application = healthz(Guard())
    assert (await asked(application, "/elsewhere")).status_code == 404
    assert (await asked(application, "/healthz", "POST")).status_code == 405


@pytest.mark.anyio
async def test_a_server_may_start_and_stop_it_and_other_protocols_are_refused() -> None:
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said: list[Any] = []

    async def receive() -> Any:
        return next(events)

    async def send(event: Any) -> None:
        said.append(event["type"])

    await healthz(Guard())({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ConfigError, match="websocket"):
        await healthz(Guard())({"type": "websocket"}, receive, send)


def test_healthz_needs_a_guard() -> None:
    with pytest.raises(ConfigError, match="needs a guard"):
        healthz()
