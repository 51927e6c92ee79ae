"""
A guard around the models and tools of LangChain: `create_agent(model, tools, middleware=[GuardMiddleware(guard)])`.

It stands around the model itself and not after it, so that streams are masked in every mode: what leaves a model in pieces is
masked before LangChain hands the pieces out. `GuardedChatModel(inner=model, guard=guard)` is the same for a chain or a node.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, closing, nullcontext
from typing import Any, ClassVar, Final

from guardrails.adapters.hosts import host
from guardrails.adapters.leaves import Texts
from guardrails.adapters.messages import Chunks, reply_texts, request_texts, result_texts
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.repeats import repeats
from guardrails.core.replies import own_reply

host("langchain", extra="langchain", distribution="langchain", least=(1, 4), below=(2,))

from langchain.agents.middleware import AgentMiddleware  # noqa: E402 - said first what to install
from langchain_core.language_models import BaseChatModel  # noqa: E402 - as above
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage  # noqa: E402 - as above
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult  # noqa: E402 - as above
from langchain_core.runnables.config import ensure_config  # noqa: E402 - as above
from pydantic import ConfigDict, Field, PrivateAttr  # noqa: E402 - as above

__all__ = ["GuardMiddleware", "GuardedChatModel"]

_QUIET: Final[Any] = {"callbacks": []}  # the inner model's own pieces are nobody's
_KEY: Final = secrets.token_bytes(32)
_MOST_REPEATS: Final = 10  # of one charged message
_REMEMBERED: Final = 1_024  # failed attempts


class _Attempts:
    """Which model calls were charged and failed: LangChain and LangGraph try the same call of the same task again."""

    def __init__(self) -> None:
        self._failed: OrderedDict[bytes, int] = OrderedDict()

    def attempt(self, key: bytes, message: Message) -> AbstractContextManager[None]:
        """A context in which another attempt is charged no more."""
        left = self._failed.pop(key, 0)
        if left <= 0:
            return nullcontext()
        self._failed[key] = left - 1
        return repeats(message)

    def failed(self, key: bytes) -> None:
        """The provider failed after the message was charged."""
        if key not in self._failed:
            self._failed[key] = _MOST_REPEATS
            if len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)


class GuardedChatModel(BaseChatModel):
    """
    A model behind a guard: every message reaches it masked, every answer leaves masked, whole or in pieces.

    Args:
        inner: The model, also with tools bound to it.
        guard: Goes around every call of the model.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    inner: Any
    guard: Any = Field(exclude=True, repr=False)
    reply: str | None = None
    cache: Any = False  # a cache of this model would be keyed by raw prompts; the inner model keeps its own
    _attempts: _Attempts = PrivateAttr(default_factory=_Attempts)
    _task: str | None = PrivateAttr(default=None)

    def __init__(self, *, inner: Any, guard: Guard, reply: str | None = None, **more: Any) -> None:
        kept = {"profile": getattr(inner, "profile", None), "disable_streaming": getattr(inner, "disable_streaming", False)}
        super().__init__(inner=inner, guard=guard, reply=reply, **{**kept, **more})  # type: ignore[call-arg]  # pydantic's

    @property
    def model_name(self) -> str | None:
        """The inner model's, by which LangChain knows what it can do."""
        named = (getattr(self.inner, name, None) for name in ("model_name", "model", "model_id"))
        return next((name for name in named if isinstance(name, str)), None)

    @property
    def _llm_type(self) -> str:
        return f"guarded-{getattr(self.inner, '_llm_type', 'model')}"

    def _get_ls_params(self, stop: Any = None, **more: Any) -> Any:
        of_inner = getattr(self.inner, "_get_ls_params", None)  # whose model it is, for traces
        return super()._get_ls_params(stop, **more) if of_inner is None else of_inner(stop, **more)

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        """As the inner model's."""
        return self._with(self.inner.bind_tools(tools, **options))

    def with_structured_output(self, schema: Any, **options: Any) -> Any:
        """
        Not from here: what comes out of it would not be masked.

        Raises:
            NotImplementedError: Always; `create_agent(response_format=...)` works through the guard.
        """
        raise NotImplementedError("put the guarded model into create_agent(response_format=...), or parse what it says")

    def _with(self, inner: Any) -> GuardedChatModel:
        twin = GuardedChatModel(inner=inner, guard=self.guard, reply=self.reply, profile=self.profile)
        twin._attempts, twin._task = self._attempts, self._task
        return twin

    # -- whole answers -------------------------------------------------------------------------------------------------

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any) -> ChatResult:
        del run_manager
        ask = _Asked(self, messages)

        def model_call(sealed: Message) -> dict[str, str]:
            with ask.charged():
                return ask.read(self.inner.invoke(ask.texts.put(sealed.parts), config=_QUIET, stop=stop, **more))

        with ask.attempt():
            return ask.result(self.guard.run(ask.message, model_call, reply=ask.reply))

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> ChatResult:
        del run_manager
        ask = _Asked(self, messages)

        async def model_call(sealed: Message) -> dict[str, str]:
            with ask.charged():
                return ask.read(await self.inner.ainvoke(ask.texts.put(sealed.parts), config=_QUIET, stop=stop, **more))

        with ask.attempt():
            return ask.result(await self.guard.arun(ask.message, model_call, reply=ask.reply))

    # -- streams -------------------------------------------------------------------------------------------------------

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> Iterator[ChatGenerationChunk]:
        del run_manager
        ask = _Asked(self, messages)

        def model_call(sealed: Message) -> Iterator[AIMessageChunk]:
            source = self.inner.stream(ask.texts.put(sealed.parts), config=_QUIET, stop=stop, **more)
            return _pieces(ask, Chunks(own_reply(), AIMessageChunk), source)

        with ask.attempt():
            reply = self.guard.run(ask.message, model_call, reply=ask.reply)
        if isinstance(reply, str):  # a control answered instead of the model
            yield ChatGenerationChunk(message=AIMessageChunk(content=reply))
            return
        with closing(reply):
            for chunk in reply:
                yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        del run_manager
        ask = _Asked(self, messages)

        async def model_call(sealed: Message) -> AsyncIterator[AIMessageChunk]:
            source = self.inner.astream(ask.texts.put(sealed.parts), config=_QUIET, stop=stop, **more)
            return _apieces(ask, Chunks(own_reply(), AIMessageChunk), source)

        with ask.attempt():
            reply = await self.guard.arun(ask.message, model_call, reply=ask.reply)
        if isinstance(reply, str):
            yield ChatGenerationChunk(message=AIMessageChunk(content=reply))
            return
        async with aclosing(reply):
            async for chunk in reply:
                yield ChatGenerationChunk(message=chunk)


class _Asked:
    """One call of a model."""

    def __init__(self, model: GuardedChatModel, messages: Sequence[BaseMessage]) -> None:
        self._model = model
        self.texts: Texts = request_texts(list(messages))
        self._replied: Texts | None = None
        self.reply: str = model.reply or ("mask" if model.guard.masks else "pass")
        ids = current.get()
        self.message: Message = Message(
            self.texts.parts or {"messages": ""},
            channel="llm",
            conversation=ids.conversation or _thread(),
            tenant=ids.tenant,
            actor=ids.actor,
        )
        digest = hashlib.blake2b(digest_size=16, key=_KEY)
        for one in (model._task or "", *self.texts.parts, *self.texts.parts.values()):  # noqa: SLF001 - same module
            digest.update(f"{len(one)}:{one}".encode("utf-8", "surrogatepass"))
        self._key = digest.digest()

    def attempt(self) -> AbstractContextManager[None]:
        """Outside any task nobody says what is a repeat, so that every call is charged."""
        attempts = self._model._attempts  # noqa: SLF001 - same module
        return attempts.attempt(self._key, self.message) if self._model._task else nullcontext()  # noqa: SLF001 - same module

    def charged(self) -> _Charged:
        """Around the call of the provider."""
        return _Charged(lambda: self._model._attempts.failed(self._key))  # noqa: SLF001 - same module

    def read(self, answer: Any) -> dict[str, str]:
        """The texts of an answer, for the guard to mask."""
        self._replied = reply_texts(answer)
        return dict(self._replied.parts)

    def result(self, reply: Any) -> ChatResult:
        """The answer with the guard's texts in it."""
        message = AIMessage(content=reply) if self._replied is None else self._replied.put(reply)
        return ChatResult(generations=[ChatGeneration(message=message)])  # type: ignore[arg-type]  # what the model said


class _Charged:
    """Says so when the provider fails."""

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._failed()


def _pieces(ask: _Asked, chunks: Chunks, source: Any) -> Iterator[AIMessageChunk]:
    with ask.charged(), closing(source):
        for chunk in source:
            yield from chunks.feed(chunk)
    yield from chunks.flush()


async def _apieces(ask: _Asked, chunks: Chunks, source: Any) -> AsyncIterator[AIMessageChunk]:
    with ask.charged():
        async with aclosing(source):
            async for chunk in source:
                for piece in await chunks.own.ask(lambda chunk=chunk: chunks.feed(chunk), len(chunk.text)):  # type: ignore[misc]  # bound now
                    yield piece
    for piece in await chunks.own.ask(chunks.flush, 1):
        yield piece


class GuardMiddleware(AgentMiddleware):
    """
    A guard around the model and the tools of an agent, in every mode of `invoke`, `stream` and their async twins.

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
        self._attempts = _Attempts()

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        """Call a guarded model."""
        return handler(request.override(model=self._guarded(request)))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        """As `wrap_model_call`."""
        return await handler(request.override(model=self._guarded(request)))

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

    def _guarded(self, request: Any) -> GuardedChatModel:
        model = GuardedChatModel(inner=request.model, guard=self._guard, reply=self._reply)
        info = getattr(request.runtime, "execution_info", None)
        model._attempts, model._task = self._attempts, getattr(info, "task_id", None)  # noqa: SLF001 - same module
        return model


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
            conversation=ids.conversation or _thread(),
            tenant=ids.tenant,
            actor=ids.actor,
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


def _thread() -> str | None:
    thread = (ensure_config().get("configurable") or {}).get("thread_id")
    return thread if isinstance(thread, str) and thread else None
