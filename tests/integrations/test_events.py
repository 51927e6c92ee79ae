"""Events of providers, and the corners in which a text could pass a filter."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from guardrails import Guard, MaskPII, context
from guardrails.core.markup import spans
from guardrails.integrations.httpx2 import GuardTransport
from guardrails.pii import Vault

EMAIL = "ann@example.com"
OTHER = "eve@example.com"


def asked(body: bytes | dict[str, Any]) -> str:
    """What a consumer gets of an answer."""

    def provider(_request: httpx2.Request) -> httpx2.Response:
        if isinstance(body, dict):
            return httpx2.Response(200, json=body)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    transport = GuardTransport(Guard(MaskPII(names="off")), httpx2.MockTransport(provider), routes="openai")
    with httpx2.Client(transport=transport) as client:
        question = {"messages": [{"role": "user", "content": "hello"}]}
        return client.post("https://llm.example.com/chat/completions", json=question).text


def event(delta: dict[str, Any], **more: Any) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, **more}]}, ensure_ascii=False)}\n\n"


def test_g3_what_is_left_of_one_text_does_not_repeat_its_neighbours() -> None:
    answer = asked(event({"content": "I see ann@exa", "reasoning_content": f"write to {OTHER} now"}).encode())
    assert "@example.com" not in answer
    assert answer.count("write to <EMAIL_ADDRESS> now") == 1
    assert answer.count("I see ann@exa") == 1


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b"])
def test_g3_only_line_ends_of_the_format_end_a_line(separator: str) -> None:
    written = event({"content": f"hello {separator} {EMAIL} x"})
    assert EMAIL not in asked(written.encode())


def test_g3_lines_that_the_format_does_not_know_are_left_out() -> None:
    assert asked(f"{EMAIL}\nnote: {EMAIL}\nid: 7\n\n{event({'content': 'hi'})}".encode()).count("@") == 0


def test_g3_a_text_that_is_repeated_token_by_token_is_left_out() -> None:
    tokens = {"content": [{"token": piece, "bytes": list(piece.encode())} for piece in ("ann", "@", "example", ".com")]}
    whole = {"choices": [{"index": 0, "message": {"content": "hello"}, "logprobs": tokens}]}
    for answer in (asked(event({"content": "hello"}, logprobs=tokens).encode()), asked(whole)):
        assert '"token"' not in answer
        assert "hello" in answer


def test_events_that_are_numbered_stay_so_where_several_texts_are_held_back() -> None:
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {}}]
    for place in range(3):
        named = {"item_id": f"i{place}", "output_index": place, "content_index": 0}
        events += [
            {"type": "response.output_text.delta", "delta": piece, **named} for piece in ("mail ann@exa", "mple.com")
        ]
        events.append({"type": "response.output_text.done", "text": f"mail {EMAIL}", **named})
    stream = "".join(f"data: {json.dumps({**one, 'sequence_number': at})}\n\n" for at, one in enumerate(events))
    told = [json.loads(line[6:]) for line in asked(stream.encode()).splitlines() if line.startswith("data: ")]
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    assert "".join(one.get("delta", "") for one in told) == "mail <EMAIL_ADDRESS>" * 3


def test_g3_places_in_html_are_counted_as_its_parser_counts() -> None:
    for source in ("a\x0bb\n<p>{}</p>", "a\rb\n<p>{}</p>", "\u2028\n<p>{}</p>", "\x1c\n\x1d\n<p>{}</p>"):
        assert EMAIL in [span.text for span in spans(source.format(EMAIL))]


def tool_call(arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "look", "arguments": arguments}}]}


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("granted", [True, False])
def test_g5_tokens_come_back_in_words_and_not_in_what_a_tool_is_called_with(is_stream: bool, granted: bool) -> None:  # noqa: FBT001
    mask = MaskPII(
        names="off",
        vault=Vault(),
        operators={"DEFAULT": "pseudonym"},
        restore_into=["tools"] if granted else [],
    )
    seen: list[str] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        token = json.loads(request.content)["messages"][0]["content"]
        seen.append(token)
        said = {"content": f"to {token}", **tool_call(json.dumps({"to": token}))}
        if not is_stream:
            return httpx2.Response(200, json={"choices": [{"index": 0, "message": said}]})
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=event(said).encode())

    transport = GuardTransport(Guard(mask), httpx2.MockTransport(provider), routes="openai", reply="restore")
    with httpx2.Client(transport=transport) as client, context(conversation="c-1"):
        question = {"messages": [{"role": "user", "content": EMAIL}]}
        answer = client.post("https://llm.example.com/chat/completions", json=question).text
    assert EMAIL not in seen[0]
    assert f"to {EMAIL}" in answer
    assert (seen[0] in answer) is not granted
