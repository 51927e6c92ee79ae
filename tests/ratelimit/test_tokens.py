"""`cost="tokens"`: estimated or exact on the way out, and settled up when the answer is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from guardrails import Guard, RateLimited
from guardrails.errors import ConfigError, ControlError
from guardrails.ratelimit import Limit, RateLimit
from guardrails.ratelimit.cost import Heard
from tests.ratelimit.conftest import KEYS
from tests.servers import Server

ANN = "+12125550173"


def words(text: str) -> list[str]:
    return text.split()


class Encoder:
    """As tiktoken and tokenizers: an object with `encode`."""

    def __init__(self, *, ids: bool) -> None:
        self.ids = ids

    def encode(self, text: str) -> Any:
        return SimpleNamespace(ids=text.split()) if self.ids else text.split()


class Plain(Encoder):
    """As tiktoken, whose `encode` refuses texts with special tokens."""

    def __init__(self) -> None:
        super().__init__(ids=False)

    def encode(self, text: str) -> Any:
        raise ValueError(text)

    def encode_ordinary(self, text: str) -> list[str]:
        return text.split()


def left(limit: RateLimit) -> int:
    """Units that are left, by a preview of one token."""
    note = Guard(limit, channel="llm").preview("x", recipient=ANN).verdicts[-1]
    remaining = note.detail["remaining"]
    assert isinstance(remaining, int)
    return remaining + 1


@pytest.mark.parametrize(
    "tokenizer", [words, lambda text: len(text.split()), Encoder(ids=False), Encoder(ids=True), Plain()]
)
def test_an_exact_count_is_that_of_the_tokenizer(tokenizer: Any) -> None:
    limit = RateLimit(Limit("10/hour", cost="tokens", tokenizer=tokenizer))
    Guard(limit, channel="llm").wrap(nothing)(ANN, "one two three")

    assert left(limit) == 7


def nothing(to: str, body: str) -> None:
    """An answer that says nothing."""


USAGES = [
    {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
    {"usage": {"input_tokens": 3, "output_tokens": 4}},
    {"usage": {"input_tokens": 1, "output_tokens": 4, "cache_read_input_tokens": 2, "cache_creation_input_tokens": None}},
    SimpleNamespace(usage=SimpleNamespace(total_tokens=7)),
    SimpleNamespace(usage=SimpleNamespace(input_tokens=3, output_tokens=4)),
    "four more words here",
]


@pytest.mark.parametrize("answer", USAGES)
def test_an_answer_is_charged_when_it_is_there(answer: Any) -> None:
    limit = RateLimit(Limit("10/hour", cost="tokens", tokenizer=words))

    @Guard(limit, channel="llm")
    def ask(to: str, body: str) -> Any:
        return answer

    ask(ANN, "one two three")
    assert left(limit) == 3


@pytest.mark.parametrize(
    "answer", [None, 5, {"usage": None}, {"usage": {"total_tokens": "7"}}, {"usage": {"input_tokens": 1}}]
)
def test_an_answer_that_reports_nothing_changes_nothing(answer: Any) -> None:
    limit = RateLimit(Limit("10/hour", cost="tokens", tokenizer=words))
    Guard(limit, channel="llm").wrap(lambda to, body: answer)(ANN, "one two three")  # noqa: ARG005

    assert left(limit) == 7


def test_an_answer_that_streams_is_charged_at_its_end() -> None:
    limit = RateLimit(Limit("10/hour", cost="tokens", tokenizer=words))

    @Guard(limit, channel="llm")
    def ask(to: str, body: str) -> Iterator[str]:
        yield "four more "
        yield "words here"

    answer = ask(ANN, "one two three")
    next(answer)
    assert left(limit) == 7
    list(answer)
    assert left(limit) == 3


def test_what_was_estimated_too_high_is_given_back_and_a_debt_is_paid_by_waiting() -> None:
    limit = RateLimit(Limit("20/hour", cost="tokens"))
    answers = iter([{"usage": {"total_tokens": 2}}, {"usage": {"total_tokens": 500}}])

    @Guard(limit, channel="llm")
    def ask(to: str, body: str) -> Any:
        return next(answers)

    ask(ANN, "x" * 40)
    assert left(limit) == 18
    ask(ANN, "x" * 40)
    with pytest.raises(RateLimited) as refused:
        ask(ANN, "x")
    assert refused.value.retry_after == pytest.approx(3_600, abs=5)


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_a_store_is_told_what_the_answer_cost(server: Server, strategy: str) -> None:
    limit = RateLimit(Limit("20/hour", cost="tokens", strategy=strategy, tokenizer=words), storage=server.url, keys=KEYS)
    answers = iter([{"usage": {"total_tokens": 12}}, {"usage": {"total_tokens": 1}}])

    @Guard(limit, channel="llm")
    def ask(to: str, body: str) -> Any:
        return next(answers)

    for expected in (8, 7):
        ask(ANN, "one two three")
        until = time.monotonic() + 5
        while left(limit) != expected:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_g11_what_is_remembered_of_a_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrails.ratelimit.cost.MAX_HEARD", 10)
    heard = Heard()
    for _ in range(10):
        assert heard.feed("123456") == "123456"
    assert heard.flush() == ""
    assert len(heard.text) == 12


@pytest.mark.parametrize("tokenizer", [lambda _: None, lambda _: -1, lambda _: 1.5])
def test_g10_a_tokenizer_that_counts_nothing_refuses(tokenizer: Any) -> None:
    limit = RateLimit(Limit("10/hour", cost="tokens", tokenizer=tokenizer))
    with pytest.raises(ControlError, match="tokenizer"):
        Guard(limit, channel="llm").wrap(nothing)(ANN, "hello")


@pytest.mark.parametrize(
    ("more", "says"), [({"tokenizer": words}, "goes with"), ({"tokenizer": 5, "cost": "tokens"}, "function of a text")]
)
def test_a_tokenizer_that_cannot_be_is_a_config_error(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Limit("10/hour", **more)
