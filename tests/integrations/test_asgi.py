# ruff: noqa: ARG002 - handlers take what a request gives them
"""A guarded Starlette application, asked through its own test client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from guardrails import AuditLog, Guard, MaskPII, RateLimit, context
from guardrails.integrations.asgi import GuardASGI

TEXT = "Write to ann@example.com"
MASKED = "Write to <EMAIL_ADDRESS>"


class Shop:
    """An application, and what reached it."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        routes = [
            Route("/echo", self.echo, methods=["POST"]),
            Route("/events", self.events),
            Route("/text", self.text),
            Route("/bytes", self.octets),
            Route("/crash", self.crash),
        ]
        self.app = Starlette(routes=routes)

    async def echo(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        return JSONResponse({"id": "ann@example.com", "heard": self.bodies[-1], "own": TEXT})

    async def events(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            for piece in ("data: Write to an", "n@example.com\n", "\ndata: bye\n\n"):
                yield piece

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def text(self, request: Request) -> Response:
        return PlainTextResponse(TEXT)

    async def octets(self, request: Request) -> Response:
        return Response(TEXT.encode(), media_type="application/octet-stream")

    async def crash(self, request: Request) -> Response:
        raise RuntimeError("own")


def client(shop: Shop, guard: Guard, **options: Any) -> TestClient:
    return TestClient(GuardASGI(shop.app, guard, **options))


def test_g3_json_bodies_arrive_and_leave_masked() -> None:
    shop = Shop()
    answer = client(shop, Guard(MaskPII(names="off")), skip=["id"]).post(
        "/echo", json={"id": "ann@example.com", "note": TEXT}
    )
    assert shop.bodies == [{"id": "ann@example.com", "note": MASKED}]
    assert answer.json() == {"id": "ann@example.com", "heard": {"id": "ann@example.com", "note": MASKED}, "own": MASKED}
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_g4_texts_and_events_leave_masked_and_other_things_pass() -> None:
    asked = client(Shop(), Guard(MaskPII(names="off")))
    assert asked.get("/text").text == MASKED
    assert asked.get("/events").text == f"data: {MASKED}\n\ndata: bye\n\n"
    assert asked.get("/bytes").text == TEXT
    assert asked.get("/none").status_code == 404


def test_g1_refusals_reach_nobody(tmp_path: Path) -> None:
    shop = Shop()
    guard = Guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour", per="conversation"), MaskPII(names="off"))
    asked = client(shop, guard)
    with context(conversation="c-1"):
        assert asked.post("/echo", json=[TEXT]).status_code == 200
        answer = asked.post("/echo", json=[TEXT])
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 3000
    with context(conversation="c-2"):
        assert (
            asked.post("/echo", content=f"no json {TEXT}", headers={"content-type": "application/json"}).status_code == 403
        )
    guard.close()
    assert len(shop.bodies) == 1
    written = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert "ann@example.com" not in written
    assert [json.loads(line)["stage"] for line in written.splitlines()].count("intent") == 1


def test_g11_long_bodies_are_refused() -> None:
    shop = Shop()
    asked = client(shop, Guard(MaskPII(names="off")), most_bytes=100)
    assert asked.post("/echo", json=["x" * 200]).status_code == 413
    assert asked.post("/echo", json=["x" * 40]).status_code == 500  # its answer is longer
    assert len(shop.bodies) == 1


def test_an_application_s_own_error_is_its_own() -> None:
    with pytest.raises(RuntimeError, match="own"):
        client(Shop(), Guard(MaskPII(names="off"))).get("/crash")


def test_other_paths_and_a_guard_without_a_mask_change_nothing() -> None:
    shop = Shop()
    assert client(shop, Guard(MaskPII(names="off")), paths=["/api/"]).get("/text").text == TEXT
    assert client(shop, Guard()).get("/text").text == TEXT
