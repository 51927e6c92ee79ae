"""A guard around the tools of a FastMCP server: `FastMCP("shop", middleware=[GuardMiddleware(guard)])`."""

from __future__ import annotations

from typing import Any

from guardrails.adapters.hosts import host
from guardrails.adapters.tools import META, called
from guardrails.core.guard import Guard
from guardrails.errors import GuardrailsError

host("fastmcp", extra="fastmcp", distribution="fastmcp", least=(4, 1), below=(5,))

from fastmcp.exceptions import ToolError  # noqa: E402 - said first what to install
from fastmcp.server.middleware import Middleware  # noqa: E402 - as above
from fastmcp.tools import ToolResult  # noqa: E402 - as above

__all__ = ["GuardMiddleware"]


class GuardMiddleware(Middleware):
    """
    Arguments reach the tool masked; text and structured content leave masked alike.

    A refusal is a `ToolError`: the model is told, and the tool is not called. The request's `_meta["guardrails/conversation"]`
    names the conversation.

    Args:
        guard: Goes around every call of a tool.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.
    """

    def __init__(self, guard: Guard, *, reply: str | None = None) -> None:
        self._guard = guard
        self._reply = reply

    async def on_call_tool(self, context: Any, call_next: Any) -> Any:
        """One call of a tool."""
        results: list[ToolResult] = []

        async def call(arguments: dict[str, Any]) -> dict[str, Any]:
            message = context.message.model_copy(update={"arguments": arguments})
            result = await call_next(context.copy(message=message))
            results.append(result)
            content = [block.model_dump(mode="json") for block in result.content]
            return {"content": content, "structured": result.structured_content}

        refused: str
        try:
            answer = await called(
                self._guard, context.message.arguments, call, conversation=_conversation(context), reply=self._reply
            )
        except GuardrailsError as error:
            refused = str(error)
        else:
            return self._result(results, answer)
        raise ToolError(refused)

    @staticmethod
    def _result(results: list[ToolResult], answer: Any) -> Any:
        if not results:  # a control answered instead of the tool
            return ToolResult(content=answer)
        (result,) = results
        content = [type(block).model_validate(new) for block, new in zip(result.content, answer["content"], strict=True)]
        return result.model_copy(update={"content": content, "structured_content": answer["structured"]})


def _conversation(context: Any) -> Any:
    """What the request's `_meta` names; FastMCP keeps it with the request, not in the message."""
    request = getattr(context.fastmcp_context, "request_context", None)
    return (getattr(request, "meta", None) or {}).get(META)
