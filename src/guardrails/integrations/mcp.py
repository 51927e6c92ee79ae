"""A guard around a server of the MCP SDK: `MCPServer("shop", middleware=[GuardMiddleware(guard)])`."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from guardrails.adapters.hosts import host
from guardrails.adapters.tools import META, ToolFailed, called
from guardrails.core.guard import Guard
from guardrails.errors import GuardrailsError

host("mcp", extra="mcp", distribution="mcp", least=(2, 0), below=(3,))

from mcp.shared.exceptions import MCPError  # noqa: E402 - said first what to install
from mcp.types import INTERNAL_ERROR, CallToolResult, TextContent  # noqa: E402 - as above
from pydantic import BaseModel  # noqa: E402 - as above

__all__ = ["GuardMiddleware"]

_METHODS: Final = ("tools/call", "prompts/get", "resources/read")


class GuardMiddleware:
    """
    Arguments of tools and prompts reach them masked; what they and resources say leaves masked, structured content too.

    A refused tool is a result with `isError`: the model is told, and the tool is not called. A refused prompt or resource is an
    error of the protocol. The request's `_meta["guardrails/conversation"]` names the conversation.

    Args:
        guard: Goes around every call of a tool, and every prompt and resource that is read.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.
    """

    def __init__(self, guard: Guard, *, reply: str | None = None) -> None:
        self._guard = guard
        self._reply = reply

    async def __call__(self, ctx: Any, call_next: Any) -> Any:
        """One request; lists and notifications pass."""
        if ctx.method not in _METHODS:
            return await call_next(ctx)
        params = dict(ctx.params or {})
        arguments = params.get("arguments")

        async def call(masked: dict[str, Any]) -> Any:
            given = params if arguments is None else {**params, "arguments": masked}
            result = await call_next(dataclasses.replace(ctx, params=given))
            if isinstance(result, BaseModel):
                return result.model_dump(mode="json", by_alias=True, exclude_none=True)
            return result

        meta = params.get("_meta")
        conversation = meta.get(META) if isinstance(meta, dict) else None
        try:
            return await called(
                self._guard, arguments, call, conversation=conversation, reply=self._reply, is_error=_is_error
            )
        except ToolFailed as failed:
            told = failed.result
        except GuardrailsError as error:
            told = str(error)
        if not isinstance(told, str):
            return told
        if ctx.method != "tools/call":
            raise MCPError(code=INTERNAL_ERROR, message=told)
        return CallToolResult(content=[TextContent(type="text", text=told)], is_error=True)


def _is_error(result: Any) -> bool:
    return isinstance(result, dict) and bool(result.get("isError"))
