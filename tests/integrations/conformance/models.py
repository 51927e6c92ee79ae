# ruff: noqa: ARG002 - stand-ins take what the contract gives them
"""An agent of LangChain above a model that is played in this process."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from guardrails.errors import GuardrailsError
from guardrails.integrations.langchain import GuardedChatModel, GuardMiddleware
from tests.integrations.conformance.contract import SECRET, Host


class PlayedModel(BaseChatModel):
    """
    Answers what its owner says.

    Args:
        owner: Has `answer`, `cut`, `faults` and `wire`, as a `Host`.
        script: Tool calls of the next answers.
    """

    owner: Any
    script: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "played"

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind(tools=[one.name for one in tools])

    def answer(self, messages: list[BaseMessage]) -> AIMessage:
        fault = self.owner.arrived(repr([(one.content, getattr(one, "tool_calls", None)) for one in messages]))
        if fault:
            raise TimeoutError(SECRET) if fault == "busy" else ConnectionError(SECRET)
        if self.script:
            return AIMessage("", tool_calls=[self.script.pop(0)])
        return AIMessage(self.owner.answer, response_metadata={"finish_reason": "stop"})

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.answer(messages))])

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any) -> ChatResult:
        result = self._generate(messages)
        await self.owner.hold()
        return result

    def chunks(self, messages: Any) -> Iterator[ChatGenerationChunk]:
        answer = self.answer(messages)
        for number, call in enumerate(answer.tool_calls):
            written = json.dumps(call["args"])
            pieces = [written[at : at + self.owner.cut] for at in range(0, len(written), self.owner.cut)]
            for first, piece in enumerate(pieces):
                named = {"name": None if first else call["name"], "id": None if first else call["id"], "index": number}
                part: Any = {**named, "args": piece}
                chunk = AIMessageChunk(content="", tool_call_chunks=[part])
                yield ChatGenerationChunk(message=chunk)
        for piece in self.owner.pieces() if answer.content else ():
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        yield ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"))

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any
    ) -> Iterator[ChatGenerationChunk]:
        yield from self.chunks(messages)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self.chunks(messages):
            yield chunk
            await self.owner.hold()


class Agent(Host):
    name = "langchain agent"
    package = "langchain"
    modes = (
        "invoke",
        "ainvoke",
        "stream messages",
        "stream updates",
        "stream values",
        "stream events",
        "astream messages",
        "astream updates",
        "astream values",
        "astream events",
        "astream events v3",
    )
    streams = frozenset({*modes} - {"invoke", "ainvoke"})
    without: ClassVar[Any] = {2: "a model has no recipient"}
    refusal = (GuardrailsError,)
    error = (ConnectionError,)

    def start(self) -> None:
        warnings.filterwarnings("ignore", message="The v3 streaming protocol")  # it is in beta; pytest restores the filters

    def agent(self) -> Any:
        retried: Any = ModelRetryMiddleware(max_retries=1, retry_on=(TimeoutError,), initial_delay=0, on_failure="error")
        return create_agent(
            PlayedModel(owner=self),
            [],
            middleware=[retried, GuardMiddleware(self.guard)],
            checkpointer=InMemorySaver(),
        )

    def ids(self) -> Any:  # the thread's id is the conversation's
        return contextlib.nullcontext()

    def asked(self, text: str) -> tuple[Any, Any]:
        asked = {"messages": [{"role": "user", "content": text}]}
        self.given = [asked]
        return asked, {"configurable": {"thread_id": self.conversation or "thread-1"}}

    def send_now(self, text: str) -> str:
        asked, config = self.asked(text)
        agent = self.agent()
        if self.mode == "invoke":
            return str(agent.invoke(asked, config)["messages"][-1].content)
        if self.mode == "stream events":
            return v3(list(agent.stream_events(asked, config, version="v3")))
        mode = self.mode.removeprefix("stream ")
        return self.said(mode, list(agent.stream(asked, config, stream_mode=mode)))

    async def asend(self, text: str) -> str:
        asked, config = self.asked(text)
        agent = self.agent()
        if self.mode == "ainvoke":
            return str((await agent.ainvoke(asked, config))["messages"][-1].content)
        if self.mode == "astream events v3":
            return v3([one async for one in await agent.astream_events(asked, config, version="v3")])
        if self.mode == "astream events":
            events = [one async for one in agent.astream_events(asked, config, version="v2")]
            of_model = [one for one in events if one["event"].startswith("on_chat_model")]
            pieces = [one["data"]["chunk"].content for one in of_model if one["event"] == "on_chat_model_stream"]
            ends = [one["data"]["output"] for one in of_model if one["event"] == "on_chat_model_end"]
            return "\n".join(["".join(pieces), repr(ends)])
        mode = self.mode.removeprefix("astream ")
        return self.said(mode, [one async for one in agent.astream(asked, config, stream_mode=mode)])

    def said(self, mode: str, found: list[Any]) -> str:
        """The answer, joined; what repeats it stands behind it."""
        if mode == "messages":
            return "".join(str(chunk.content) for chunk, _ in found)
        if mode == "updates":
            return "\n".join(str(one["model"]["messages"][-1].content) for one in found if "model" in one)
        return str(found[-1]["messages"][-1].content)


def v3(events: list[Any]) -> str:
    """The text of a protocol stream, and behind it what repeats it."""
    said = [event["params"]["data"][0] for event in events if event["method"] == "messages"]
    joined = "".join(one["delta"]["text"] for one in said if one["event"] == "content-block-delta")
    repeated = [repr(one) for one in said if one["event"] != "content-block-delta"]
    last = next(event["params"]["data"] for event in reversed(events) if event["method"] == "values")
    return "\n".join([joined, *repeated, repr(last["messages"][-1])])


class Chain(Host):
    name = "langchain model"
    package = "langchain"
    modes = ("invoke", "ainvoke", "stream", "astream")
    streams = frozenset({"stream", "astream"})
    without: ClassVar[Any] = {2: "a model has no recipient", 7: "a chain says nothing of what it tries again"}
    refusal = (GuardrailsError,)
    error = (ConnectionError,)

    def model(self) -> Any:
        return GuardedChatModel(inner=PlayedModel(owner=self), guard=self.guard)

    def send_now(self, text: str) -> str:
        self.given = [[("user", text)]]
        if self.mode == "invoke":
            return str(self.model().invoke(self.given[0]).content)
        return "".join(str(one.content) for one in self.model().stream(self.given[0]))

    async def asend(self, text: str) -> str:
        self.given = [[("user", text)]]
        if self.mode == "ainvoke":
            return str((await self.model().ainvoke(self.given[0])).content)
        return "".join([str(one.content) async for one in self.model().astream(self.given[0])])


HOSTS = (Agent, Chain)
