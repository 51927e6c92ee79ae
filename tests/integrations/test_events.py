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


def asked(body: bytes | dict[str, Any], *, kind: str = "text/event-stream", route: str = "chat/completions") -> str:
    """What a consumer gets of an answer."""

    def provider(_request: httpx2.Request) -> httpx2.Response:
        if isinstance(body, dict):
            return httpx2.Response(200, json=body)
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    transport = GuardTransport(Guard(MaskPII(names="off")), httpx2.MockTransport(provider))
    with httpx2.Client(transport=transport) as client:
        question = {"messages": [{"role": "user", "content": "hello"}]}
        return client.post(f"https://llm.example.com/{route}", json=question).text


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


FULL = "card 4111 1111 1111 1111, write to ann@example.com now"
HIDDEN = "card <CREDIT_CARD>, write to <EMAIL_ADDRESS> now"


def filled(shape: Any, text: str) -> Any:
    if isinstance(shape, dict):
        return {key: filled(child, text) for key, child in shape.items()}
    if isinstance(shape, list):
        return [filled(child, text) for child in shape]
    return text if shape == "TEXT" else shape


def told(shape: Any, answer: Any) -> str:
    """What stands in *answer* where *shape* has its text."""
    if isinstance(shape, dict) and isinstance(answer, dict):
        return "".join(told(child, answer.get(key)) for key, child in shape.items())
    if isinstance(shape, list) and isinstance(answer, list):
        return "".join(told(*pair) for pair in zip(shape, answer, strict=False))
    return answer if shape == "TEXT" and isinstance(answer, str) else ""


def of_choice(choice: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": 0, **choice}]}


@pytest.mark.parametrize(
    "shape",
    [
        of_choice({"text": "TEXT"}),
        of_choice({"delta": {"refusal": "TEXT"}}),
        of_choice({"delta": {"audio": {"id": "a", "transcript": "TEXT"}}}),
        of_choice({"delta": {"function_call": {"name": "look", "arguments": "TEXT"}}}),
        of_choice({"delta": {"tool_calls": [{"index": 3, "type": "custom", "custom": {"input": "TEXT"}}]}}),
        of_choice({"delta": {"reasoning_details": [{"type": "reasoning.text", "text": "TEXT", "index": 0}]}}),
        of_choice({"delta": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "TEXT"}]}]}}),
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "TEXT"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "TEXT"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "of_tomorrow", "words": "TEXT"}},
        {"type": "response.custom_tool_call_input.delta", "item_id": "i", "output_index": 0, "delta": "TEXT"},
        {"type": "response.audio.transcript.delta", "response_id": "r", "delta": "TEXT"},
    ],
    ids=repr,
)
def test_g4_every_text_of_a_delta_is_masked_across_events(shape: dict[str, Any]) -> None:
    for size in (1, 7, 17):
        pieces = [FULL[at : at + size] for at in range(0, len(FULL), size)]
        stream = "".join(f"data: {json.dumps(filled(shape, piece))}\n\n" for piece in pieces)
        answer = asked(stream.encode(), route="completions")
        events = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith("data: ")]
        assert "".join(told(shape, one) for one in events) == HIDDEN


def test_g4_two_tools_that_are_called_at_once_are_told_apart() -> None:
    calls = [(0, "write to ann@"), (1, "card 4111 1111 "), (0, "example.com now"), (1, "1111 1111 ok")]
    stream = "".join(event({"tool_calls": [{"index": at, "function": {"arguments": said}}]}) for at, said in calls)
    answer = asked((stream + event({}, finish_reason="tool_calls")).encode())
    events = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith("data: ")]
    said = {0: "", 1: ""}
    for one in events:
        for call in one["choices"][0]["delta"].get("tool_calls", []):
            said[call["index"]] += call["function"]["arguments"]
    assert said == {0: "write to <EMAIL_ADDRESS> now", 1: "card <CREDIT_CARD> ok"}


def test_a_citation_stands_for_itself() -> None:
    cited = {"annotations": [{"type": "url_citation", "url_citation": {"title": "Call 212"}}]}
    answer = asked((event(cited) + event({"content": "555"})).encode())
    assert json.loads(answer.splitlines()[0][6:])["choices"][0]["delta"] == cited


def test_g4_lines_of_json_that_a_provider_streams_are_masked_across_lines() -> None:
    pieces = ["card 4111 1111 ", "1111 1111, write to ann@", "example.com now"]
    stream = "".join(json.dumps({"message": {"content": piece}}) + "\n" for piece in pieces).encode()
    answer = asked(stream, kind="application/x-ndjson; charset=utf-8")
    assert "".join(json.loads(line)["message"]["content"] for line in answer.splitlines()) == HIDDEN


def test_g3_keys_of_an_answer_that_are_no_names_of_fields_are_masked() -> None:
    people = {EMAIL: 1, OTHER: {"gpt-4o": 2}, "en-US": 3}
    hidden = {"<EMAIL_ADDRESS>": 1, "<EMAIL_ADDRESS>'": {"gpt-4o": 2}, "en-US": 3}
    assert json.loads(asked({"people": people})) == {"people": hidden}
    assert json.loads(asked(f"data: {json.dumps({'people': people})}\n\n".encode())[6:]) == {"people": hidden}
