"""What is asked from outside: an ASGI application, and the tools of MCP servers. Their provider is the code behind them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import fastmcp
import httpx2
import mcp
from fastmcp.exceptions import ToolError
from mcp.server import MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from guardrails.integrations.asgi import GuardASGI
from guardrails.integrations.fastmcp import GuardMiddleware as ForFastMCP
from guardrails.integrations.mcp import GuardMiddleware as ForMCP
from tests.integrations.conformance.contract import SECRET, AsyncOnly

_NOBODY = "a request has no recipient"


class AsgiError(Exception):
    """The status that a client got."""


class Asgi(AsyncOnly):
    name = "asgi"
    package = "starlette"
    modes = ("json", "text stream", "events", "json lines")
    streams = frozenset({"text stream", "events", "json lines"})
    refusal = (AsgiError,)
    error = (RuntimeError,)
    without: ClassVar[Any] = {
        2: _NOBODY,
        7: "a server does not repeat requests",
        11: "ASGI is async",
    }

    def start(self) -> None:
        self.app = GuardASGI(Starlette(routes=[Route("/ask", self.ask, methods=["POST"])]), self.guard)

    async def ask(self, request: Request) -> Response:
        if self.arrived((await request.body()).decode()):
            raise RuntimeError(SECRET)
        await self.hold()
        if self.mode == "json":
            return JSONResponse({"answer": [self.answer]})
        kinds = {"events": "text/event-stream", "text stream": None, "json lines": "application/x-ndjson"}
        return StreamingResponse(self.cut_pieces(), media_type=kinds[self.mode])

    async def cut_pieces(self) -> AsyncIterator[bytes]:
        written = {
            "events": "".join(f"data: {json.dumps({'kind': 'a', 'text': one})}\n\n" for one in self.pieces()),
            "text stream": self.answer,
            "json lines": "".join(json.dumps({"kind": "a", "text": one}) + "\n" for one in self.pieces()),
        }[self.mode].encode()
        for at in range(0, len(written), self.cut):
            yield written[at : at + self.cut]

    async def asend(self, text: str) -> str:
        self.given = [{"question": {"text": [text]}}]
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app)) as client:
            answer = await client.post("https://shop.example.com/ask", json=self.given[0])
        if answer.status_code >= 400:
            raise AsgiError(answer.status_code, answer.text)
        if self.mode in ("json", "text stream"):
            return answer.text
        return "".join(json.loads(line.removeprefix("data: "))["text"] for line in answer.text.splitlines() if line)


class _Tools(AsyncOnly):
    modes = ("async",)
    refusal = (ToolError,)
    error = (ToolError,)
    needs_filter = True
    without: ClassVar[Any] = {
        2: "a tool has no recipient",
        7: "the client does not repeat calls",
        11: "the server is async",
    }

    async def look(self, question: str) -> dict[str, list[str]]:
        """Answers a question."""
        if self.arrived(question):
            raise ValueError(SECRET)
        await self.hold()
        return {"answer": [self.answer]}

    def meta(self) -> Any:
        return {} if self.conversation is None else {"guardrails/conversation": self.conversation}


class FastMCP(_Tools):
    name = "fastmcp"
    package = "fastmcp"

    def start(self) -> None:
        self.server: Any = fastmcp.FastMCP("shop", middleware=[ForFastMCP(self.guard)])
        self.server.tool(self.look)

    async def asend(self, text: str) -> str:
        self.given = [{"question": text}]
        async with fastmcp.Client(self.server) as client:
            return repr(await client.call_tool("look", self.given[0], meta=self.meta()))


class MCP(_Tools):
    name = "mcp"
    package = "mcp"

    def start(self) -> None:
        self.server = MCPServer("shop", middleware=[ForMCP(self.guard)])
        self.server.tool()(self.look)

    async def asend(self, text: str) -> str:
        self.given = [{"question": text}]
        async with mcp.Client(self.server) as client:
            result = await client.call_tool("look", self.given[0], meta=self.meta())
        if result.is_error:
            raise ToolError(repr(result.content))
        return repr(result)


HOSTS = (Asgi, FastMCP, MCP)
