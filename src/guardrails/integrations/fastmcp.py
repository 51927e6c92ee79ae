"""A guard around a FastMCP server: `FastMCP("shop", middleware=[GuardMiddleware(guard)])`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guardrails.adapters.hosts import host
from guardrails.adapters.tools import META, ToolFailed, called
from guardrails.core.guard import Guard
from guardrails.errors import GuardrailsError

host("fastmcp", extra="fastmcp", distribution="fastmcp", least=(4, 1), below=(5,))

from fastmcp.exceptions import PromptError, ResourceError, ToolError  # noqa: E402 - said first what to install
from fastmcp.server.middleware import Middleware  # noqa: E402 - as above
from fastmcp.tools import ToolResult  # noqa: E402 - as above

__all__ = ["GuardMiddleware"]


class GuardMiddleware(Middleware):
    """
    Arguments of tools and prompts reach them masked; what they and resources say leaves masked, structured content too.

    A refusal is a `ToolError` (`PromptError`, `ResourceError`): the model is told, and the tool is not called. The request's
    `_meta["guardrails/conversation"]` names the conversation.

    Args:
        guard: Goes around every call of a tool, and every prompt and resource that is read.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.
    """

    def __init__(self, guard: Guard, *, reply: str | None = None) -> None:
        self._guard = guard
        self._reply = reply

    async def on_call_tool(self, context: Any, call_next: Any) -> Any:
        """One call of a tool."""
        return await self._asked(context, call_next, ToolError, lambda result: bool(result.get("is_error")))

    async def on_get_prompt(self, context: Any, call_next: Any) -> Any:
        """One prompt."""
        return await self._asked(context, call_next, PromptError)

    async def on_read_resource(self, context: Any, call_next: Any) -> Any:
        """One resource; bytes pass."""
        return await self._asked(context, call_next, ResourceError)

    async def _asked(
        self,
        context: Any,
        call_next: Any,
        error: type[Exception],
        is_error: Callable[[Any], bool] = lambda _result: False,
    ) -> Any:
        arguments = getattr(context.message, "arguments", None)
        results: list[Any] = []

        async def call(masked: dict[str, Any]) -> Any:
            message = context.message if arguments is None else context.message.model_copy(update={"arguments": masked})
            result = await call_next(context.copy(message=message))
            results.append(result)
            return _shown(result)

        try:
            answer = await called(
                self._guard, arguments, call, conversation=_conversation(context), reply=self._reply, is_error=is_error
            )
        except ToolFailed as failed:
            told = failed.result
        except GuardrailsError as refused:
            told = str(refused)
        else:
            # A control may have answered instead of the tool.
            return _rebuilt(results[0], answer) if results else ToolResult(content=answer)
        if isinstance(told, str):
            raise error(told)
        return _rebuilt(results[0], told)


def _shown(result: Any) -> Any:
    """A result as JSON values; `bytes` of a resource stay what they are, and are no text."""
    if hasattr(result, "structured_content"):
        content = [block.model_dump(mode="json") for block in result.content]
        return {"content": content, "structured": result.structured_content, "is_error": getattr(result, "is_error", False)}
    if hasattr(result, "messages"):
        return {"messages": [one.model_dump(mode="json") for one in result.messages], "about": result.description}
    return {"said": [one.content for one in result.contents]}


def _rebuilt(result: Any, answer: Any) -> Any:
    """A result like *result*, with other texts."""
    if hasattr(result, "structured_content"):
        content = [type(old).model_validate(new) for old, new in zip(result.content, answer["content"], strict=True)]
        return result.model_copy(update={"content": content, "structured_content": answer["structured"]})
    if hasattr(result, "messages"):
        said = [
            old.model_copy(update={"content": type(old.content).model_validate(new["content"])})
            for old, new in zip(result.messages, answer["messages"], strict=True)
        ]
        return result.model_copy(update={"messages": said, "description": answer["about"]})
    read = [old.model_copy(update={"content": new}) for old, new in zip(result.contents, answer["said"], strict=True)]
    return result.model_copy(update={"contents": read})


def _conversation(context: Any) -> Any:
    """What the request's `_meta` names; FastMCP keeps it with the request, not in the message."""
    request = getattr(context.fastmcp_context, "request_context", None)
    return (getattr(request, "meta", None) or {}).get(META)
