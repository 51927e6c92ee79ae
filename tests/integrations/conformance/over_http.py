"""httpx and httpx2 by themselves, and the OpenAI SDK above httpx2."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any, ClassVar

import httpx
import httpx2
import openai

from guardrails.adapters.llm import REPLY_SKIP, chat_events
from guardrails.adapters.routes import Route
from guardrails.errors import GuardrailsError
from guardrails.integrations import httpx as over_httpx
from guardrails.integrations import httpx2 as over_httpx2
from tests.integrations.conformance.contract import PHONE, SECRET, Host

_ROUTE = Route(
    path="/send$",
    channel="chat",
    skip=frozenset({"stream"}),
    reply_skip=REPLY_SKIP,
    recipient=("body.to",),
    conversation="body.thread",
    events=chat_events,
)


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def sse(events: list[Any]) -> bytes:
    return "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events).encode()


class Body(httpx.SyncByteStream, httpx.AsyncByteStream, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Bytes that arrive a few at a time."""

    def __init__(self, data: bytes, cut: int) -> None:
        self._pieces = [data[at : at + cut] for at in range(0, len(data), cut)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


class _Http(Host):
    modes = ("sync", "async", "stream", "async stream")
    streams = frozenset({"stream", "async stream"})
    refusal = (GuardrailsError,)
    error = (ConnectionError,)
    without: ClassVar[Any] = {7: "the client has no retries of its own"}
    module: ClassVar[ModuleType]
    ours: ClassVar[Any]

    def respond(self, request: Any) -> Any:
        module: Any = self.module
        body = json.loads(request.content)
        if self.arrived(request.content.decode(), body["to"]):
            raise ConnectionError(SECRET)
        if body.get("stream"):
            events = sse([*[chunk({"content": piece}) for piece in self.pieces()], chunk({}, "stop"), "[DONE]"])
            return module.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(events, self.cut))
        return module.Response(200, json={"said": self.answer})

    def body(self, text: str) -> dict[str, Any]:
        body = {"to": PHONE, "note": {"text": [text]}, "stream": self.mode in self.streams}
        self.given = [body]
        return body if self.conversation is None else {**body, "thread": self.conversation}

    def send_now(self, text: str) -> str:
        module: Any = self.module
        transport = self.ours.GuardTransport(self.guard, module.MockTransport(self.respond), routes=[_ROUTE])
        with module.Client(transport=transport) as client:
            if self.mode == "sync":
                return str(client.post("https://api.example.com/send", json=self.body(text)).text)
            with client.stream("POST", "https://api.example.com/send", json=self.body(text)) as response:
                return said(list(response.iter_lines()))

    async def asend(self, text: str) -> str:
        module: Any = self.module

        async def respond(request: Any) -> Any:
            response = self.respond(request)
            await self.hold()
            return response

        transport = self.ours.AsyncGuardTransport(self.guard, module.MockTransport(respond), routes=[_ROUTE])
        async with module.AsyncClient(transport=transport) as client:
            if self.mode == "async":
                return str((await client.post("https://api.example.com/send", json=self.body(text))).text)
            async with client.stream("POST", "https://api.example.com/send", json=self.body(text)) as response:
                return said([line async for line in response.aiter_lines()])


def said(lines: list[str]) -> str:
    """The text of the events of a chat."""
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)


class OverHttpx(_Http):
    name = "httpx"
    package = "httpx"
    module: ClassVar[ModuleType] = httpx
    ours: ClassVar[Any] = over_httpx


class OverHttpx2(_Http):
    name = "httpx2"
    package = "httpx2"
    module: ClassVar[ModuleType] = httpx2
    ours: ClassVar[Any] = over_httpx2


class OpenAI(Host):
    name = "openai"
    package = "openai"
    modes = (
        "chat",
        "async chat",
        "chat stream",
        "async chat stream",
        "responses",
        "async responses",
        "responses stream",
        "async responses stream",
    )
    streams = frozenset(mode for mode in modes if mode.endswith("stream"))
    without: ClassVar[Any] = {2: "a model has no recipient"}
    needs_filter = True
    refusal = (openai.APIStatusError,)
    error = (openai.APIStatusError,)

    def start(self) -> None:
        self.more: dict[str, str] = {}

    def respond(self, request: Any) -> Any:
        body = json.loads(request.content)
        fault = self.arrived(request.content.decode())
        if fault:
            status = 429 if fault == "busy" else 400
            headers = {"retry-after-ms": "1", "x-should-retry": "true" if fault == "busy" else "false"}
            return httpx2.Response(status, headers=headers, json={"error": {"message": f"no {SECRET}"}})
        is_chat = "messages" in body
        if not body.get("stream"):
            return httpx2.Response(200, json=self.chat() if is_chat else self.response("completed"))
        events = self.chat_stream() if is_chat else self.response_stream()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(sse(events), self.cut))

    def chat(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.answer}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}

    def chat_stream(self) -> list[Any]:
        return [*[chunk({"content": piece}) for piece in self.pieces()], chunk({}, "stop"), "[DONE]"]

    def response(self, status: str) -> dict[str, Any]:
        part = {"type": "output_text", "text": self.answer, "annotations": []}
        item = {"type": "message", "id": "i", "role": "assistant", "status": status, "content": [part]}
        fixed = {"model": "m", "created_at": 1, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        return {"id": "r", "object": "response", "output": [item], **fixed}

    def response_stream(self) -> list[Any]:
        named = {"item_id": "i", "output_index": 0, "content_index": 0, "logprobs": []}
        whole = self.response("completed")
        item = whole["output"][0]
        part = item["content"][0]
        begun = {**item, "status": "in_progress", "content": []}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": {**whole, "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": begun},
            {"type": "response.content_part.added", "part": {**part, "text": ""}, **named},
            *[{"type": "response.output_text.delta", "delta": piece, **named} for piece in self.pieces()],
            {"type": "response.output_text.done", "text": self.answer, **named},
            {"type": "response.content_part.done", "part": part, **named},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": whole},
        ]
        return [{**event, "sequence_number": number} for number, event in enumerate(events)]

    def asked(self, text: str) -> dict[str, Any]:
        if "chat" in self.mode:
            asked: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
        else:
            asked = {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}
        self.given = [asked]
        return {"model": "m", **asked, "stream": self.mode in self.streams}

    def send_now(self, text: str) -> str:
        transport = over_httpx2.GuardTransport(
            self.guard, httpx2.MockTransport(self.respond), routes="openai", refusals="respond"
        )
        with openai.OpenAI(
            api_key="k", max_retries=1, http_client=openai.DefaultHttpxClient(transport=transport)
        ) as client:
            answer: Any = self.create(client)(**self.asked(text))
            return self.shown(list(answer) if self.mode in self.streams else [answer])

    async def asend(self, text: str) -> str:
        async def respond(request: Any) -> Any:
            response = self.respond(request)
            await self.hold()
            return response

        transport = over_httpx2.AsyncGuardTransport(
            self.guard, httpx2.MockTransport(respond), routes="openai", refusals="respond"
        )
        async with openai.AsyncOpenAI(
            api_key="k", max_retries=1, http_client=openai.DefaultAsyncHttpxClient(transport=transport)
        ) as client:
            answer: Any = await self.create(client)(**self.asked(text))
            return self.shown([one async for one in answer] if self.mode in self.streams else [answer])

    def create(self, client: Any) -> Any:
        return client.chat.completions.create if "chat" in self.mode else client.responses.create

    def shown(self, answers: list[Any]) -> str:
        """The joined text; whatever else an answer repeats stands behind it."""
        if self.mode not in self.streams:
            return str(answers[0].model_dump_json())
        if "chat" in self.mode:
            return "".join(one.choices[0].delta.content or "" for one in answers)
        joined = "".join(one.delta for one in answers if one.type == "response.output_text.delta")
        repeated = [one.model_dump_json() for one in answers if one.type != "response.output_text.delta"]
        return "\n".join([joined, *repeated])


HOSTS = (OverHttpx, OverHttpx2, OpenAI)
