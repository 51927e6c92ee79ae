"""
A guard around the models and tools of LangChain: `create_agent(model, tools, middleware=[GuardMiddleware(guard)])`.

It stands around the model itself and not after it, so that streams are masked in every mode: what leaves a model in pieces is
masked before LangChain hands the pieces out. `GuardedChatModel(inner=model, guard=guard)` is the same for a chain or a node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from guardrails.adapters.hosts import host
from guardrails.adapters.leaves import Texts
from guardrails.adapters.messages import request_texts, result_texts
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message

host("langchain", extra="langchain", distribution="langchain", least=(1, 4), below=(2,))

from langchain.agents.middleware import AgentMiddleware, ModelRequest  # noqa: E402 - said first what to install

from guardrails.adapters.attempts import Attempts  # noqa: E402 - as above
from guardrails.adapters.chat_model import GuardedChatModel, thread_id  # noqa: E402 - as above

__all__ = ["GuardMiddleware", "GuardedChatModel"]


class GuardMiddleware(AgentMiddleware):
    """
    A guard around the model and the tools of an agent, in every mode of `invoke`, `stream` and their async twins.

    It may stand anywhere among other middleware; first, it also masks what they make of a tool's errors.

    What is refused raises, and the agent's run ends with it. The run's `thread_id` is the conversation, where
    `guardrails.context` names none. State and checkpoints keep what the user wrote as it was: see `MaskingSerializer` in
    `guardrails.integrations.langgraph`.

    Args:
        guard: Goes around every call of the model.
        tools: The guard of tools; None for the same one; False for tools whose arguments and results are not looked at.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.
    """

    def __init__(self, guard: Guard, *, tools: Guard | bool | None = None, reply: str | None = None) -> None:
        super().__init__()
        self._guard = guard
        self._tools = guard if tools is None or tools is True else tools
        self._reply = reply
        self._attempts = Attempts()
        self._request = _request_with(self._guarded)

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        """Call a guarded model."""
        return handler(self._request.of(request))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        """As `wrap_model_call`."""
        return await handler(self._request.of(request))

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        """Call a tool with masked arguments; its result leaves masked."""
        if not isinstance(self._tools, Guard):
            return handler(request)
        call = _ToolCall(request)
        answer: Any = self._tools.run(
            call.message, lambda sealed: call.read(handler(call.request(sealed))), reply=self._tool_reply(self._tools)
        )
        return call.result(answer)

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        """As `wrap_tool_call`."""
        if not isinstance(self._tools, Guard):
            return await handler(request)
        call = _ToolCall(request)

        async def tool_call(sealed: Message) -> dict[str, str]:
            return call.read(await handler(call.request(sealed)))

        answer: Any = await self._tools.arun(call.message, tool_call, reply=self._tool_reply(self._tools))
        return call.result(answer)

    def _tool_reply(self, guard: Guard) -> str:
        return self._reply or ("mask" if guard.masks else "pass")

    def _guarded(self, inner: Any, runtime: Any) -> GuardedChatModel:
        if isinstance(inner, GuardedChatModel) and inner.guard is self._guard:
            return inner
        model = GuardedChatModel(inner=inner, guard=self._guard, reply=self._reply)
        info = getattr(runtime, "execution_info", None)
        model.belong(self._attempts, getattr(info, "task_id", None))
        return model


def _request_with(guarded: Callable[[Any, Any], GuardedChatModel]) -> Any:
    """A class of requests whose model is guarded, also one that a later middleware puts there (a fallback, a cheaper one)."""

    class Request(ModelRequest[Any]):
        """A request for a guarded model."""

        def __init__(self, *, model: Any, runtime: Any = None, **more: Any) -> None:
            super().__init__(model=guarded(model, runtime), runtime=runtime, **more)

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, guarded(value, self.runtime) if name == "model" else value)

        @classmethod
        def of(cls, request: Any) -> ModelRequest[Any]:
            """The same request, for a guarded model."""
            return cls(**{field.name: getattr(request, field.name) for field in fields(ModelRequest)})

    return Request


class _ToolCall:
    """One call of a tool."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._texts = request_texts(dict(request.tool_call["args"]))
        self._replied: Texts | None = None
        ids = current.get()
        self.message: Message = Message(
            self._texts.parts or {"arguments": ""},
            channel="tool",
            conversation=ids.conversation or thread_id(),
            tenant=ids.tenant,
            actor=ids.actor,
            metadata=self._texts.metadata,
        )

    def request(self, sealed: Message) -> Any:
        """The request with masked arguments."""
        args = self._texts.put(sealed.parts)
        return self._request.override(tool_call={**self._request.tool_call, "args": args})

    def read(self, result: Any) -> dict[str, str]:
        """The texts of a result, for the guard to mask."""
        self._replied = result_texts(result)
        return dict(self._replied.parts)

    def result(self, answer: Any) -> Any:
        """The result with the guard's texts in it."""
        return answer if self._replied is None else self._replied.put(answer)
