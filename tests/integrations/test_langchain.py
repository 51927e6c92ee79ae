# ruff: noqa: ARG002 - stand-ins take what the contract gives them
"""Agents of LangChain: tools, streams of tool calls, checkpoints. The rest is in the conformance suite."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from guardrails import Guard, MaskPII, RateLimit, context
from guardrails.adapters.messages import Chunks
from guardrails.core.replies import own_reply
from guardrails.errors import Denied, RateLimited
from guardrails.integrations.langchain import GuardedChatModel, GuardMiddleware
from guardrails.integrations.langgraph import MaskingSerializer
from guardrails.pii import Vault
from tests.conftest import on_asyncio
from tests.integrations.conformance.models import PlayedModel

MINE, BOB, EVE = "me@example.com", "bob@example.com", "eve@example.com"
HIDDEN = "<EMAIL_ADDRESS>"
QUESTION: Any = {"messages": [{"role": "user", "content": f"I am {MINE}. Look for {BOB}."}]}
MODES = ["messages", "updates", "values", "debug"]


def call(**args: Any) -> dict[str, Any]:
    return {"name": "look", "args": args, "id": "call-1"}


class World:
    """A model that calls a tool once and then answers; and what reached both."""

    def __init__(self, *, cut: int = 3, answer: str = f"It is {EVE}. Bye.") -> None:
        self.answer = answer
        self.cut = cut
        self.wire: list[str] = []
        self.tool_args: list[str] = []
        self.result: Any = f"found {EVE}"

    def arrived(self, body: str) -> None:
        self.wire.append(body)

    async def hold(self) -> None: ...

    def pieces(self) -> list[str]:
        return [self.answer[at : at + self.cut] for at in range(0, len(self.answer), self.cut)]

    def agent_with(self, stack: list[Any]) -> Any:
        return self.agent(stack[0], more=stack[1:])

    def agent(self, middleware: Any, *, more: Sequence[Any] = (), **options: Any) -> Any:
        @tool
        def look(who: str) -> Any:
            """Look for somebody."""
            self.tool_args.append(who)
            return self.result

        @tool
        async def alook(who: str) -> Any:
            """Look for somebody."""
            self.tool_args.append(who)
            return self.result

        tools = [alook] if options.pop("is_async", False) else [look]
        script = [{**call(who=f"{BOB} now"), "name": tools[0].name}]
        return create_agent(PlayedModel(owner=self, script=script), tools, middleware=[middleware, *more], **options)


def masking(*controls: Any) -> Guard:
    return Guard(*controls, MaskPII(names="off"))


@pytest.mark.parametrize("mode", MODES)
def test_g3_g4_tool_calls_and_results_are_masked_in_every_mode(mode: str) -> None:
    world = World()
    seen = repr(list(world.agent(GuardMiddleware(masking())).stream(QUESTION, stream_mode=mode)))
    assert world.tool_args == [f"{HIDDEN} now"]
    assert all(EVE not in one and BOB not in one and MINE not in one for one in world.wire)
    assert EVE not in seen
    assert f"found {HIDDEN}" in seen


@pytest.mark.parametrize("mode", MODES)
def test_g3_g4_the_same_awaited(mode: str) -> None:
    world = World()

    async def main() -> str:
        agent = world.agent(GuardMiddleware(masking()), is_async=True)
        return repr([one async for one in agent.astream(QUESTION, stream_mode=mode)])

    seen = on_asyncio(main)
    assert world.tool_args == [f"{HIDDEN} now"]
    assert EVE not in seen


def test_g3_a_command_of_a_tool_updates_the_state_with_masked_text() -> None:
    world = World()
    message = ToolMessage(f"found {EVE}", tool_call_id="call-1", artifact={"note": [EVE]})
    world.result = Command(update={"messages": [message], "note": f"by {EVE}"})
    result = world.agent(GuardMiddleware(masking())).invoke(QUESTION)
    assert EVE not in repr(result)
    assert EVE in repr(message)


def test_g1_a_tool_that_is_refused_is_not_called_and_the_run_ends() -> None:
    world = World()
    agent = world.agent(GuardMiddleware(masking(), tools=masking(RateLimit("1/hour", per="conversation"))))
    config = {"configurable": {"thread_id": "t-1"}}
    agent.invoke(QUESTION, config)
    again = World()
    agent = again.agent(GuardMiddleware(masking(), tools=Guard(Refuse(), MaskPII(names="off"))))
    with pytest.raises(Denied):
        agent.invoke(QUESTION, config)
    assert (world.tool_args, again.tool_args) == ([f"{HIDDEN} now"], [])


class Refuse:
    async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
        raise Denied("no")


class Cheaper(AgentMiddleware):
    """Puts another model in place of the one that was asked for."""

    def __init__(self, model: Any, *, is_assigned: bool = False) -> None:
        super().__init__()
        self._model, self._is_assigned = model, is_assigned

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        if self._is_assigned:
            request.model = self._model
            return handler(request)
        return handler(request.override(model=self._model))


@pytest.mark.filterwarnings("ignore:Direct attribute assignment")
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("is_assigned", [True, False])
def test_g3_a_model_that_another_middleware_puts_in_place_is_guarded_too(is_first: bool, is_assigned: bool) -> None:  # noqa: FBT001
    asked, other = World(), World()
    stack = [
        GuardMiddleware(masking()),
        Cheaper(PlayedModel(owner=other, script=[call(who=BOB)]), is_assigned=is_assigned),
    ]
    result = asked.agent_with(stack if is_first else stack[::-1]).invoke(QUESTION)
    assert other.wire
    assert not any(text in "".join(other.wire) for text in (BOB, EVE, MINE))
    assert EVE not in repr(result)


def test_g3_what_a_middleware_makes_of_a_tool_s_error_is_masked_where_the_guard_stands_first() -> None:
    world = World()
    world.result = ToolMessage(f"found {EVE}", tool_call_id="call-1")

    class Failing(AgentMiddleware):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return ToolMessage(f"it failed for {EVE}", tool_call_id=request.tool_call["id"])

    result = world.agent_with([GuardMiddleware(masking()), Failing()]).invoke(QUESTION)
    assert EVE not in repr(result)


def test_tools_may_be_left_alone() -> None:
    world = World()
    world.agent(GuardMiddleware(masking(), tools=False)).invoke(QUESTION)
    assert world.tool_args == [f"{HIDDEN} now"]  # what the model said was masked already
    assert all(EVE not in one for one in world.wire)

    async def main() -> None:
        await World().agent(GuardMiddleware(masking(), tools=False), is_async=True).ainvoke(QUESTION)

    on_asyncio(main)


def test_g5_tokens_come_back_in_the_answer_and_not_in_what_a_tool_is_called_with() -> None:
    world = World(answer="")
    mask = MaskPII(names="off", vault=Vault(), operators={"DEFAULT": "pseudonym"})

    class Echo(PlayedModel):
        def answer(self, messages: Any) -> AIMessage:
            super().answer(messages)
            token = str(messages[0].content).split()[2].rstrip(".")
            return AIMessage("", tool_calls=[call(who=token)]) if len(messages) == 1 else AIMessage(f"hello {token}")

    @tool
    def look(who: str) -> str:
        """Look for somebody."""
        world.tool_args.append(who)
        return "nothing"

    guarded = GuardMiddleware(Guard(mask), reply="restore")
    agent: Any = create_agent(Echo(owner=world), [look], middleware=[guarded])
    with context(conversation="c-1"):
        result = agent.invoke(QUESTION)
    assert result["messages"][-1].content == f"hello {MINE}"
    assert MINE not in world.tool_args[0]


# -- checkpoints -------------------------------------------------------------------------------------------------------


def test_g3_a_checkpointer_with_the_serializer_keeps_no_personal_data_and_the_run_goes_on() -> None:
    world = World()
    plain, masked = InMemorySaver(), InMemorySaver(serde=MaskingSerializer(MaskPII(names="off").mask))
    config = {"configurable": {"thread_id": "t-1"}, "metadata": {"note": f"for {MINE}"}}
    world.agent(GuardMiddleware(masking()), checkpointer=plain).invoke(QUESTION, config)
    assert MINE in kept(plain)  # before any middleware: said in the docs
    agent = World().agent(GuardMiddleware(masking()), checkpointer=masked)
    agent.invoke(QUESTION, config)
    agent.invoke({"messages": [HumanMessage(f"and {BOB}?")]}, config)
    assert not any(text in kept(masked) for text in (MINE, BOB, EVE))
    history = agent.get_state(config).values["messages"]
    assert history[0].content == f"I am {HIDDEN}. Look for {HIDDEN}."
    assert len(history) == 6


def kept(saver: InMemorySaver) -> str:
    return repr((dict(saver.storage), dict(saver.writes), dict(saver.blobs)))


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    text: str
    number: int = 1


class Form(BaseModel):
    text: str
    notes: list[Note]


def test_g3_every_kind_of_state_is_masked_or_refused() -> None:
    serde = MaskingSerializer(MaskPII(names="off").mask, skip=["key"])
    state = {"form": Form(text=MINE, notes=[Note(BOB)]), "pair": (MINE, {EVE}), "key": MINE, "number": 1, "none": None}
    _, written = serde.dumps_typed(state)
    assert not any(text.encode() in written for text in (BOB, EVE))
    assert written.count(MINE.encode()) == 1
    people = {BOB: 1, EVE: [MINE], "branch:to:model": 2, "01234567-89ab-cdef-0123-456789abcdef": 3}
    assert serde.loads_typed(serde.dumps_typed(people)) == {
        "<EMAIL_ADDRESS>": 1,
        "<EMAIL_ADDRESS>'": [serde.loads_typed(serde.dumps_typed(MINE))],
        "branch:to:model": 2,
        "01234567-89ab-cdef-0123-456789abcdef": 3,
    }
    with pytest.raises(Denied, match="SimpleNamespace"):
        serde.dumps_typed(SimpleNamespace(text=MINE))
    deep: Any = MINE
    for _ in range(80):
        deep = [deep]
    with pytest.raises(Denied, match="nested deeper"):
        serde.dumps_typed(deep)


# -- the model by itself -----------------------------------------------------------------------------------------------


def test_g6_limits_and_a_model_that_is_not_charged_twice() -> None:
    model = GuardedChatModel(inner=PlayedModel(owner=World()), guard=masking(RateLimit("1/hour")))
    assert model.invoke("hello").content == f"It is {HIDDEN}. Bye."
    with pytest.raises(RateLimited):
        model.invoke("hello")
    with pytest.raises(NotImplementedError, match="response_format"):
        model.with_structured_output({})


def test_a_control_may_answer_instead_of_the_model() -> None:
    class Answer:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
            return "closed today"

    world = World()
    model = GuardedChatModel(inner=PlayedModel(owner=world), guard=Guard(Answer()))
    assert model.invoke("hello").content == "closed today"
    assert "".join(str(one.content) for one in model.stream("hello")) == "closed today"

    async def main() -> str:
        return "".join([str(one.content) async for one in model.astream("hello")])

    assert on_asyncio(main) == "closed today"
    assert world.wire == []


BLOCKS: list[Any] = [
    [{"type": "text", "text": "to ann@exa", "index": 0}],
    [{"type": "text", "text": "mple.com ok", "index": 0, "annotations": [{"title": f"by {EVE}"}]}],
    [{"type": "thinking", "thinking": "so bob@ex", "index": 1, "signature": "c2ln"}],
    [{"type": "thinking", "thinking": "ample.com", "index": 1}],
    [{"type": "tool_use", "id": "t", "name": "look", "input": {}, "index": 2}],
    [{"type": "input_json_delta", "partial_json": '{"to": "eve@ex', "index": 2}],
    [{"type": "input_json_delta", "partial_json": 'ample.com"}', "index": 2}],
]


def test_g4_blocks_of_a_stream_are_masked_each_across_its_chunks() -> None:
    chunks = [AIMessageChunk(content=content, id="m") for content in BLOCKS]
    chunks.append(AIMessageChunk(content="", additional_kwargs={"reasoning_content": f"I saw {EVE}"}, id="m"))

    def send(body: str) -> str:
        masked = Chunks(own_reply(), AIMessageChunk)
        out = [piece for chunk in chunks for piece in masked.feed(chunk)] + masked.flush()
        whole = out[0]
        for piece in out[1:]:
            whole += piece
        return json.dumps([whole.content, whole.additional_kwargs])

    content, more = json.loads(masking().wrap(send, recipient=None, reply="mask")("hello"))
    texts = {block["index"]: block for block in content if isinstance(block, dict)}
    assert texts[0]["text"] == f"to {HIDDEN} ok"
    assert texts[1]["thinking"] == f"so {HIDDEN}"
    assert texts[1]["signature"] == "c2ln"
    assert texts[2]["partial_json"] == f'{{"to": "{HIDDEN}"}}'
    assert more == {"reasoning_content": f"I saw {HIDDEN}"}
    assert EVE not in json.dumps(content)
