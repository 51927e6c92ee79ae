"""A chat model of LangChain behind a guard: masked before LangChain hands its pieces out, in every way of asking it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, closing, nullcontext
from typing import Any, ClassVar, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables.config import ensure_config
from pydantic import ConfigDict, Field, PrivateAttr

from guardrails.adapters.attempts import Attempts, Charged
from guardrails.adapters.leaves import Texts
from guardrails.adapters.messages import Chunks, reply_texts, request_texts
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.replies import own_reply

_QUIET: Final[Any] = {"callbacks": []}  # the inner model's own pieces are nobody's
_KEY: Final = secrets.token_bytes(32)


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
    _attempts: Attempts = PrivateAttr(default_factory=Attempts)
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

    def belong(self, attempts: Attempts, task: str | None) -> None:
        """To a task of a graph, whose failed calls are told from new ones by its id."""
        self._attempts, self._task = attempts, task

    def _with(self, inner: Any) -> GuardedChatModel:
        twin = GuardedChatModel(inner=inner, guard=self.guard, reply=self.reply, profile=self.profile)
        twin.belong(self._attempts, self._task)
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
            conversation=ids.conversation or thread_id(),
            tenant=ids.tenant,
            actor=ids.actor,
            metadata=self.texts.metadata,
        )
        digest = hashlib.blake2b(digest_size=16, key=_KEY)
        for one in (model._task or "", *self.texts.parts, *self.texts.parts.values()):  # noqa: SLF001 - same module
            digest.update(f"{len(one)}:{one}".encode("utf-8", "surrogatepass"))
        self._key = digest.digest()

    def attempt(self) -> AbstractContextManager[None]:
        """Outside any task nobody says what is a repeat, so that every call is charged."""
        attempts = self._model._attempts  # noqa: SLF001 - same module
        return attempts.attempt(self._key, self.message) if self._model._task else nullcontext()  # noqa: SLF001 - same module

    def charged(self) -> Charged:
        """Around the call of the provider."""
        return Charged(lambda: self._model._attempts.failed(self._key))  # noqa: SLF001 - same module

    def read(self, answer: Any) -> dict[str, str]:
        """The texts of an answer, for the guard to mask."""
        self._replied = reply_texts(answer)
        return dict(self._replied.parts)

    def result(self, reply: Any) -> ChatResult:
        """The answer with the guard's texts in it."""
        message = AIMessage(content=reply) if self._replied is None else self._replied.put(reply)
        return ChatResult(generations=[ChatGeneration(message=message)])  # type: ignore[arg-type]  # what the model said


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


def thread_id() -> str | None:
    """Of the run that is going on, which names its conversation."""
    thread = (ensure_config().get("configurable") or {}).get("thread_id")
    return thread if isinstance(thread, str) and thread else None
