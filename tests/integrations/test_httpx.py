# ruff: noqa: ARG002, ARG005 - stand-ins take what the contract gives them
"""Guarded transports of httpx and httpx2, by themselves and under the OpenAI SDK, against a provider in this process."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import AuditLog, Guard, Limit, MaskPII, Message, RateLimit, check
from guardrails.errors import Blocked, ConfigError, ControlError, Denied, RateLimited
from guardrails.integrations import httpx as over_httpx
from guardrails.integrations import httpx2 as over_httpx2
from tests.conftest import on_asyncio, on_trio

EMAIL = "ann@example.com"
HIDDEN = "<EMAIL_ADDRESS>"
FULL = f"Write to {EMAIL} or call +1 212 555 0173 now."
MASKED = f"Write to {HIDDEN} or call <PHONE_NUMBER> now."
BOTH = pytest.mark.parametrize(("module", "ours"), [(httpx, over_httpx), (httpx2, over_httpx2)], ids=["httpx", "httpx2"])


def mask() -> MaskPII:
    return MaskPII(names="off")


def chat(text: str = FULL) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }


def sse(events: list[Any]) -> bytes:
    return "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events).encode()


def chat_events(pieces: list[str]) -> bytes:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    return sse([*[chunk({"content": piece}) for piece in pieces], chunk({}, "stop"), "[DONE]"])


def response_events(pieces: list[str]) -> bytes:
    full = "".join(pieces)
    named = {"item_id": "i", "output_index": 0, "content_index": 0, "logprobs": []}
    part = {"type": "output_text", "text": full, "annotations": []}
    item = {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [part]}
    whole = {"id": "r", "object": "response", "output": [item]}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "r", "object": "response", "output": []}}
    ]
    empty = {**item, "status": "in_progress", "content": []}
    events += [
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", "part": {**part, "text": ""}, **named},
    ]
    events += [{"type": "response.output_text.delta", "delta": piece, **named} for piece in pieces]
    events += [
        {"type": "response.output_text.done", "text": full, **named},
        {"type": "response.content_part.done", "part": part, **named},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return sse([{**event, "sequence_number": number} for number, event in enumerate(events)])


class Provider:
    """Answers like a provider, and keeps what reached it."""

    def __init__(self, module: ModuleType, answer: Callable[[dict[str, Any]], tuple[int, Any]] | None = None) -> None:
        self.module: Any = module
        self.bodies: list[dict[str, Any]] = []
        self.requests: list[Any] = []
        self.answer = answer or (lambda body: (200, chat()))

    @property
    def wire(self) -> str:
        return json.dumps(self.bodies)

    def __call__(self, request: Any) -> Any:
        self.requests.append(request)
        self.bodies.append(json.loads(request.content or b"{}"))
        status, answer = self.answer(self.bodies[-1])
        if isinstance(answer, bytes):
            return self.module.Response(status, headers={"content-type": "text/event-stream"}, stream=Body(answer))
        return self.module.Response(status, json=answer)

    def transport(self) -> Any:
        return self.module.MockTransport(self)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Bytes that arrive a few at a time."""

    def __init__(self, data: bytes, cut: int = 7) -> None:
        self._pieces = [data[at : at + cut] for at in range(0, len(data), cut)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl")) for line in path.read_text().splitlines()]


def ask(client: Any, text: str = FULL, **more: Any) -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    return client.post("https://llm.example.com/v1/chat/completions", json=body)


@BOTH
def test_g3_request_and_answer_are_masked_and_the_callers_objects_are_not_touched(module: Any, ours: Any) -> None:
    provider = Provider(module)
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": FULL}]}]}
    with module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport())) as client:
        answer = client.post("https://llm.example.com/v1/chat/completions", json=body)
    assert provider.bodies == [
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": MASKED}]}]}
    ]
    assert answer.json()["choices"][0]["message"]["content"] == MASKED
    assert answer.json()["model"] == "m"
    assert body["messages"][0]["content"][0]["text"] == FULL  # type: ignore[index]


@BOTH
@pytest.mark.parametrize("run", [on_asyncio, on_trio])
def test_g3_the_same_awaited(module: Any, ours: Any, run: Any) -> None:
    provider = Provider(module, lambda body: (200, chat_events([FULL]) if body.get("stream") else chat()))

    async def main() -> None:
        transport = ours.AsyncGuardTransport(Guard(mask()), provider.transport())
        async with module.AsyncClient(transport=transport) as client:
            answer = await ask(client)
            assert answer.json()["choices"][0]["message"]["content"] == MASKED
            streamed = await ask(client, stream=True)
            assert EMAIL not in streamed.text
            assert HIDDEN in streamed.text

    run(main)
    assert EMAIL not in provider.wire


@BOTH
def test_g4_a_stream_of_events_is_masked_however_it_is_cut(module: Any, ours: Any) -> None:
    provider = Provider(module, lambda body: (200, chat_events(list(FULL))))
    with (
        module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport())) as client,
        client.stream(
            "POST", "https://llm.example.com/v1/chat/completions", json={"messages": ["hi"], "stream": True}
        ) as answer,
    ):
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == MASKED


@given(cuts=st.lists(st.integers(1, len(FULL)), max_size=8), size=st.integers(1, 64))
def test_g4_the_texts_of_a_response_stream_are_the_masked_text_in_every_event(cuts: list[int], size: int) -> None:
    edges = sorted({0, len(FULL), *cuts})
    pieces = [FULL[a:b] for a, b in itertools.pairwise(edges)]

    def provider(request: Any) -> Any:
        stream = Body(response_events(pieces), size)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)

    transport = over_httpx2.GuardTransport(Guard(MASK), httpx2.MockTransport(provider))
    with httpx2.Client(transport=transport) as client:
        text = client.post("https://llm.example.com/v1/responses", json={"input": "hi", "stream": True}).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == MASKED
    assert [event["text"] for event in events if event["type"] == "response.output_text.done"] == [MASKED]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == MASKED
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(numbers)))
    assert EMAIL not in text


MASK = mask()


@BOTH
def test_g1_a_refusal_and_a_crash_send_nothing(module: Any, ours: Any) -> None:
    class Crash:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
            raise ValueError(EMAIL)

    provider = Provider(module)
    for guard in (Guard(RateLimit(Limit("1/hour")), mask()), Guard(Crash(), mask())):
        with module.Client(transport=ours.GuardTransport(guard, provider.transport())) as client:
            provider.bodies.clear()
            for _ in range(3):
                with contextlib.suppress(RateLimited, ControlError):
                    ask(client)
            assert len(provider.bodies) <= 1
    assert provider.bodies == []


@BOTH
def test_g1_a_request_that_no_route_knows_is_refused_unless_it_may_pass(module: Any, ours: Any) -> None:
    provider = Provider(module)
    with module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport())) as client:
        with pytest.raises(Denied, match="no route"):
            client.post("https://llm.example.com/v1/other", json={"text": FULL})
        assert client.get("https://llm.example.com/v1/models").status_code == 200
    with module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport(), others="pass")) as client:
        client.post("https://llm.example.com/v1/other", json={"text": "hello"})
    assert provider.bodies == [{}, {"text": "hello"}]


@BOTH
def test_a_body_that_is_no_json_is_refused(module: Any, ours: Any) -> None:
    provider = Provider(module)
    client = module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport()))
    with client, pytest.raises(Denied, match=r"\|json"):
        client.post("https://llm.example.com/v1/chat/completions", content=f"no json {EMAIL}")
    assert provider.bodies == []


@BOTH
def test_g3_what_an_application_names_itself_is_text_whatever_it_is_called(module: Any, ours: Any) -> None:
    own = {"name": EMAIL, "id": "4111 1111 1111 1111", "type": EMAIL}
    answer = {**chat("hello"), "metadata": own, "content": [{"type": "tool_use", "name": "look", "input": own}]}
    provider = Provider(module, lambda body: (200, answer))
    tools = [{"type": "tool_use", "id": "t-1", "name": "look", "input": own}]
    body = {"messages": [{"role": "assistant", "content": tools}], "metadata": own, "prompt": {"id": "p", "variables": own}}
    with module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport(), routes="openai")) as client:
        told = client.post("https://llm.example.com/v1/chat/completions", json=body).text
    hidden = {"name": HIDDEN, "id": "<CREDIT_CARD>", "type": HIDDEN}
    assert provider.bodies == [
        {
            "messages": [{"role": "assistant", "content": [{**tools[0], "input": hidden}]}],
            "metadata": hidden,
            "prompt": {"id": "p", "variables": hidden},
        }
    ]
    assert json.loads(told)["metadata"] == hidden
    assert json.loads(told)["content"][0]["input"] == hidden


@BOTH
def test_g3_an_id_that_shows_somebodys_address_is_refused(module: Any, ours: Any) -> None:
    provider = Provider(module)
    with module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport(), routes="openai")) as client:
        for name in ("shopper-7", EMAIL):
            message = {"role": "user", "name": name, "content": "hello"}
            with pytest.raises(Blocked) if name == EMAIL else contextlib.nullcontext():
                client.post("https://llm.example.com/v1/chat/completions", json={"messages": [message]})
    assert [body["messages"][0]["name"] for body in provider.bodies] == ["shopper-7"]


@BOTH
def test_g3_a_key_that_shows_somebodys_address_is_refused(module: Any, ours: Any) -> None:
    provider = Provider(module)
    with module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport())) as client:
        with pytest.raises(Blocked):
            ask(client, metadata={EMAIL: "1"})
        ask(client, logit_bias={"50256": -100})
    assert EMAIL not in provider.wire


@BOTH
def test_an_answer_can_be_read_raw_and_in_the_characters_that_it_came_in(module: Any, ours: Any) -> None:
    def provider(request: Any) -> Any:
        kind = {"content-type": "text/plain; charset=utf-16"}
        return module.Response(200, headers=kind, content=f"h\u00e9 {EMAIL}".encode("utf-16"))

    with (
        module.Client(transport=ours.GuardTransport(Guard(mask()), module.MockTransport(provider))) as client,
        client.stream("POST", "https://llm.example.com/v1/chat/completions", json={"messages": ["hi"]}) as answer,
    ):
        assert b"".join(answer.iter_raw()).decode("utf-16") == f"h\u00e9 {HIDDEN}"


def test_g9_a_control_that_shows_what_it_is_told_shows_no_id() -> None:
    told: list[str] = []

    @check
    def curious(message: Message) -> None:
        told.append(f"{message!r} {dict(message.metadata)!r} {message.parts!r}")

    provider = Provider(httpx2)
    transport = over_httpx2.GuardTransport(Guard(mask()).extend(curious), provider.transport(), routes="openai")
    with httpx2.Client(transport=transport) as client:
        client.post(
            "https://llm.example.com/v1/chat/completions",
            json={"messages": [{"role": "user", "name": "shopper-7", "content": "hello"}]},
        )
    assert len(told) == 1
    assert "shopper-7" not in told[0]


@BOTH
def test_g3_what_the_address_asks_is_masked_too(module: Any, ours: Any) -> None:
    provider = Provider(module)
    address = (
        "https://llm.example.com/v1/chat/completions?api-version=2026-01-01&note=Call%20%2B1%20212%20555%200173&note=b"
    )
    with module.Client(transport=ours.GuardTransport(Guard(mask()), provider.transport(), routes="openai")) as client:
        client.post(address, json={"messages": [{"role": "user", "content": "hello"}]})
    [request] = provider.requests
    assert request.url.params.multi_items() == [
        ("api-version", "2026-01-01"),
        ("note", "Call <PHONE_NUMBER>"),
        ("note", "b"),
    ]
    assert request.url.path == "/v1/chat/completions"
    assert provider.bodies[0]["messages"][0]["content"] == "hello"


@BOTH
@pytest.mark.parametrize(
    "kind", [None, "application/json; charset=utf-8", "application/xml", "image/svg+xml", "text/plain"]
)
def test_g3_an_answer_is_masked_whatever_it_says_that_it_is(module: Any, ours: Any, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    inner = module.MockTransport(lambda request: module.Response(200, headers=headers, content=f'"{EMAIL}"'.encode()))
    with module.Client(transport=ours.GuardTransport(Guard(mask()), inner, routes="openai")) as client:
        answer = client.post("https://llm.example.com/v1/chat/completions", json={"messages": []})
    assert answer.text == f'"{HIDDEN}"'


@BOTH
def test_routes_of_ones_own_name_recipient_and_conversation(module: Any, ours: Any, tmp_path: Path) -> None:
    provider = Provider(module, lambda body: (201, {"id": "b1"}))
    route = ours.Route(
        path=r"/xms/v1/[^/]+/batches$",
        channel="sms",
        skip=frozenset({"client_reference"}),
        recipient=("body.to",),
        sender='body["from"]',
        conversation="body.thread",
    )
    guard = Guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour", per="recipient"), mask())
    with module.Client(transport=ours.GuardTransport(guard, provider.transport(), routes=[route])) as client:
        body = {"to": ["+12125550173"], "from": "shop", "body": FULL, "thread": "t-1", "client_reference": "example.com"}
        assert client.post("https://sms.example.com/xms/v1/plan/batches", json=body).json() == {"id": "b1"}
        with pytest.raises(RateLimited):
            client.post("https://sms.example.com/xms/v1/plan/batches", json=body)
        with pytest.raises(Blocked, match="EMAIL_ADDRESS"):
            client.post(
                "https://sms.example.com/xms/v1/plan/batches",
                json={**body, "to": ["+12125550174"], "client_reference": EMAIL},
            )
    guard.close()
    assert provider.bodies == [{**body, "body": MASKED}]
    intent = next(record for record in records(tmp_path) if record["stage"] == "intent")
    assert intent["channel"] == "sms"
    assert intent["conversation"] == "t-1"
    assert "5550173" not in json.dumps(records(tmp_path))


def test_wrong_routes_and_options_say_what_to_write() -> None:
    with pytest.raises(ConfigError, match='must be "POST" or "GET"'):
        over_httpx.GuardTransport(Guard(mask()), routes=[over_httpx.Route(path="x", method="PUT")])
    with pytest.raises(ConfigError, match="there are anthropic, llm, openai"):
        over_httpx.GuardTransport(Guard(), routes="opnai")
    with pytest.raises(ConfigError, match='"raise" or "respond"'):
        over_httpx.GuardTransport(Guard(), refusals="explode")
    with pytest.raises(ConfigError, match='"refuse" or "pass"'):
        over_httpx.GuardTransport(Guard(), others="maybe")
    with pytest.raises(ConfigError, match='starts with "body"'):
        over_httpx.GuardTransport(Guard(), routes=[over_httpx.Route(path="x", recipient=("to",))])
    with pytest.raises(ConfigError, match="Route\\(path="):
        over_httpx.GuardTransport(Guard(), routes=[over_httpx.Route(path="(")])
    with pytest.raises(ConfigError, match='"json" or "form"'):
        over_httpx.GuardTransport(Guard(), routes=[over_httpx.Route(path="x", codec="xml")])


# -- OpenAI SDK --------------------------------------------------------------------------------------------------------


def openai_client(guard: Guard, provider: Provider, **options: Any) -> openai.OpenAI:
    transport = over_httpx2.GuardTransport(guard, provider.transport(), routes="openai", refusals="respond", **options)
    return openai.OpenAI(api_key="k", http_client=openai.DefaultHttpxClient(transport=transport))


def test_the_openai_sdk_chats_streams_and_responds(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        pieces = [FULL[:12], FULL[12:20], FULL[20:]]
        if not body.get("stream"):
            return 200, chat()
        return 200, response_events(pieces) if "input" in body else chat_events(pieces)

    provider = Provider(httpx2, answer)
    guard = Guard(AuditLog(tmp_path, durability="os"), mask(), channel="llm")
    client = openai_client(guard, provider)
    said: list[Any] = [{"role": "user", "content": FULL}]
    whole = client.chat.completions.create(model="m", messages=said)
    assert whole.choices[0].message.content == MASKED
    chunks = client.chat.completions.create(model="m", messages=said, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == MASKED
    final = None
    with client.with_options(timeout=5).responses.stream(model="m", input=FULL) as stream:
        for event in stream:
            final = event
    assert final is not None
    assert EMAIL not in repr(final)
    guard.close()
    assert EMAIL not in provider.wire
    assert [record["result"] for record in records(tmp_path) if record["stage"] == "outcome"] == ["sent"] * 3
    assert EMAIL not in json.dumps(records(tmp_path))


@pytest.mark.parametrize("path", ["responses/r", "chat/completions/c", "conversations/c/items", "responses/r/input_items"])
def test_g3_an_answer_that_is_fetched_later_is_masked_recorded_and_not_counted(path: str, tmp_path: Path) -> None:
    provider = Provider(httpx2, lambda body: (200, response_events(list(FULL))))
    guard = Guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour"), mask())
    transport = over_httpx2.GuardTransport(guard, provider.transport(), routes="openai")
    with httpx2.Client(transport=transport, base_url="https://llm.example.com/v1") as client:
        for _ in range(3):
            assert EMAIL not in client.get(f"/{path}", params={"stream": "true"}).text
        provider.answer = lambda body: (200, {"output": [{"content": [{"text": FULL}]}]})
        assert MASKED in client.get(f"/{path}").text
        assert client.post("/responses", json={"input": FULL}).status_code == 200
    guard.close()
    assert [record["stage"] for record in records(tmp_path)].count("intent") == 5
    assert EMAIL not in json.dumps(records(tmp_path))


def test_a_refusal_is_the_sdks_own_error_and_is_not_tried_again() -> None:
    provider = Provider(httpx2)
    client = openai_client(Guard(RateLimit("1/hour"), mask()), provider)
    said: list[Any] = [{"role": "user", "content": "hello"}]
    client.chat.completions.create(model="m", messages=said)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="m", messages=said)
    assert int(caught.value.response.headers["retry-after"]) > 3000
    assert len(provider.bodies) == 1


def test_g6_the_sdks_retries_are_charged_once_and_recorded_each(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        return (500, {"error": {"message": f"bad input {EMAIL}"}}) if len(provider.bodies) < 3 else (200, chat())

    provider = Provider(httpx2, answer)
    guard = Guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour"), mask())
    client = openai_client(guard, provider)
    done = client.chat.completions.create(model="m", messages=[{"role": "user", "content": FULL}])
    assert done.choices[0].message.content == MASKED
    guard.close()
    outcomes = [record for record in records(tmp_path) if record["stage"] == "outcome"]
    assert [(one["result"], one.get("error_code")) for one in outcomes] == [("failed", "500")] * 2 + [("sent", None)]
    assert EMAIL not in json.dumps(records(tmp_path))


def test_g6_a_retry_count_that_was_made_up_is_charged() -> None:
    provider = Provider(httpx2)
    client = openai_client(Guard(RateLimit("2/hour"), mask()), provider)
    free = {"x-stainless-retry-count": "1"}
    for text in ("one", "two"):
        client.with_options(default_headers=free).chat.completions.create(
            model="m", messages=[{"role": "user", "content": text}]
        )
    with pytest.raises(openai.RateLimitError):
        client.with_options(default_headers=free, max_retries=0).chat.completions.create(
            model="m", messages=[{"role": "user", "content": "three"}]
        )


def test_g3_nothing_personal_is_in_the_sdks_errors_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    provider = Provider(httpx2, lambda body: (400, {"error": {"message": f"bad input {EMAIL}"}}))
    client = openai_client(Guard(mask()), provider)
    with caplog.at_level(logging.DEBUG, logger="httpx2"), pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    assert EMAIL not in str(caught.value)
    assert EMAIL not in caplog.text


def test_a_reader_that_leaves_a_stream_half_way_leaves_an_outcome(tmp_path: Path) -> None:
    provider = Provider(httpx2, lambda body: (200, chat_events([word + " " for word in FULL.split()] * 50)))
    guard = Guard(AuditLog(tmp_path, durability="os"), mask())
    stream = openai_client(guard, provider).chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    next(iter(stream))
    stream.close()
    guard.close()
    assert [record["result"] for record in records(tmp_path) if record["stage"] == "outcome"] == ["cut"]
