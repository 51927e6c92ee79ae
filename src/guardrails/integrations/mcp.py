"""A guard around the tools of a server of the MCP SDK: `MCPServer("shop", middleware=[GuardMiddleware(guard)])`."""

from __future__ import annotations

import dataclasses
from typing import Any

from guardrails.adapters.hosts import host
from guardrails.adapters.tools import META, called
from guardrails.core.guard import Guard
from guardrails.errors import GuardrailsError

host("mcp", extra="mcp", distribution="mcp", least=(2, 0), below=(3,))

from mcp.types import CallToolResult, TextContent  # noqa: E402 - said first what to install
from pydantic import BaseModel  # noqa: E402 - as above

__all__ = ["GuardMiddleware"]


class GuardMiddleware:
    """
    Arguments reach the tool masked; text and structured content leave masked alike.

    A refusal is a result with `isError`: the model is told, and the tool is not called. The request's
    `_meta["guardrails/conversation"]` names the conversation.

    Args:
        guard: Goes around every call of a tool.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.
    """

    def __init__(self, guard: Guard, *, reply: str | None = None) -> None:
        self._guard = guard
        self._reply = reply

    async def __call__(self, ctx: Any, call_next: Any) -> Any:
        """One request; everything but a call of a tool passes."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        params = dict(ctx.params or {})

        async def call(arguments: dict[str, Any]) -> Any:
            result = await call_next(dataclasses.replace(ctx, params={**params, "arguments": arguments}))
            if isinstance(result, BaseModel):
                return result.model_dump(mode="json", by_alias=True, exclude_none=True)
            return result

        meta = params.get("_meta")
        conversation = meta.get(META) if isinstance(meta, dict) else None
        try:
            return await called(self._guard, params.get("arguments"), call, conversation=conversation, reply=self._reply)
        except GuardrailsError as error:
            refused = str(error)
        return CallToolResult(content=[TextContent(type="text", text=refused)], is_error=True)
