"""Tools of MCP servers, called by real clients in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastmcp
import mcp
import pytest
from fastmcp.exceptions import ToolError
from mcp.server import MCPServer

from guardrails import AuditLog, Guard, MaskPII, RateLimit
from guardrails.integrations.fastmcp import GuardMiddleware as ForFastMCP
from guardrails.integrations.mcp import GuardMiddleware as ForMCP
from tests.conftest import on_asyncio

QUESTION = "who is bob@example.com"


def guard(*controls: Any) -> Guard:
    return Guard(*controls, MaskPII(names="off"))


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]


def test_fastmcp_masks_arguments_text_and_structured_content(tmp_path: Path) -> None:
    guarded = guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour"))
    server: Any = fastmcp.FastMCP("shop", middleware=[ForFastMCP(guarded)])
    asked: list[str] = []

    @server.tool
    def look(question: str) -> dict[str, str]:
        asked.append(question)
        return {"mail": "ann@example.com"}

    async def main() -> None:
        async with fastmcp.Client(server) as client:
            result = await client.call_tool("look", {"question": QUESTION}, meta={"guardrails/conversation": "c-1"})
            assert result.structured_content == {"mail": "<EMAIL_ADDRESS>"}
            assert "ann@example.com" not in repr(result)
            with pytest.raises(ToolError, match="used up"):
                await client.call_tool("look", {"question": QUESTION})

    on_asyncio(main)
    guarded.close()
    assert asked == ["who is <EMAIL_ADDRESS>"]
    intent = next(record for record in records(tmp_path) if record["stage"] == "intent")
    assert intent["conversation"] == "c-1"
    assert "@example.com" not in json.dumps(records(tmp_path))


@pytest.mark.parametrize("host", ["fastmcp", "mcp"])
def test_g3_keys_of_arguments_are_refused_and_those_of_results_masked_but_for_the_protocol_s_own(host: str) -> None:
    server: Any
    if host == "mcp":
        server = MCPServer("shop", middleware=[ForMCP(guard())])
    else:
        server = fastmcp.FastMCP("shop", middleware=[ForFastMCP(guard())])
    asked: list[Any] = []

    @server.tool()
    def look(people: dict[str, int]) -> dict[str, int]:
        asked.append(people)
        return {"ann@example.com": 1, "a.example/b": 2}

    async def main() -> None:
        async with mcp.Client(server) if host == "mcp" else fastmcp.Client(server) as client:
            result: Any = await client.call_tool("look", {"people": {"io.example/x": 1}})
            assert result.structured_content == {"<EMAIL_ADDRESS>": 1, "a.example/b": 2}
            assert "<" not in repr(result.meta)
            refused = "EMAIL_ADDRESS in 'metadata'"
            if host == "mcp":
                assert refused in repr(await client.call_tool("look", {"people": {"ann@example.com": 1}}))
            else:
                with pytest.raises(ToolError, match=refused):
                    await client.call_tool("look", {"people": {"ann@example.com": 1}})

    on_asyncio(main)
    assert asked == [{"io.example/x": 1}]


def test_mcp_masks_arguments_text_and_structured_content(tmp_path: Path) -> None:
    guarded = guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour"))
    server = MCPServer("shop", middleware=[ForMCP(guarded)])
    asked: list[str] = []

    @server.tool()
    def look(question: str) -> dict[str, str]:
        asked.append(question)
        return {"mail": "ann@example.com"}

    async def main() -> None:
        meta: Any = {"guardrails/conversation": "c-1"}
        async with mcp.Client(server) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["look"]
            result = await client.call_tool("look", {"question": QUESTION}, meta=meta)
            assert result.structured_content == {"mail": "<EMAIL_ADDRESS>"}
            assert "ann@example.com" not in repr(result)
            again = await client.call_tool("look", {"question": QUESTION})
            assert again.is_error
            assert "used up" in repr(again.content)

    on_asyncio(main)
    guarded.close()
    assert asked == ["who is <EMAIL_ADDRESS>"]
    intent = next(record for record in records(tmp_path) if record["stage"] == "intent")
    assert intent["conversation"] == "c-1"
