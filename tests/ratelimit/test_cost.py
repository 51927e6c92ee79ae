"""Costs that depend on the text: counted as networks count, charged for what is really sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard, MaskPII
from guardrails.core.message import Message
from guardrails.errors import ConfigError, ControlError, RateLimited
from guardrails.ratelimit import Limit, RateLimit
from guardrails.segments import segments
from tests.ratelimit.conftest import KEYS
from tests.servers import Server


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("x" * 152 + "€" + "x" * 152, 3),  # the two septets of the euro sign stay together
        ("ż" * 70, 1),
        ("ż" * 71, 2),
        ("\N{GRINNING FACE}" * 35, 1),
        ("\N{GRINNING FACE}" * 36, 2),
        ("\N{GRINNING FACE}" * 67, 3),  # 33 pairs to a segment: a pair is never cut
        ("`", 1),
        ("x" * 160 + "`", 3),
    ],
)
def test_segments_are_counted_as_networks_do(text: str, count: int) -> None:
    assert segments(text) == count


@given(st.text(max_size=400), st.characters())
def test_a_longer_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert segments(text) <= segments(text + more)


def sends(limit: RateLimit, *more: Any) -> Any:
    @Guard(limit, *more, channel="sms")
    def send(to: str, body: str) -> str:
        return body

    return send


def test_g6_segments_are_charged_for_the_text_that_is_sent() -> None:
    send = sends(RateLimit(Limit("3/hour", cost="segments")), MaskPII(names="off"))
    address = f"{'a' * 150}@example.com"
    assert segments(address) == 2

    assert send("+12125550173", address) == "<EMAIL_ADDRESS>"  # one, not two
    send("+12125550173", "x" * 161)
    with pytest.raises(RateLimited, match="used up"):
        send("+12125550173", "x")


def test_a_message_that_never_fits_says_so_and_costs_nothing() -> None:
    send = sends(RateLimit(Limit("3/hour", cost="segments")))
    with pytest.raises(RateLimited, match="never fit") as refused:
        send("+12125550173", "x" * 500)
    assert refused.value.retry_after is None
    send("+12125550173", "x" * 400)


def test_tokens_are_estimated_and_functions_are_asked_with_the_masked_message(server: Server) -> None:
    seen: list[str] = []

    def cost(message: Message) -> int:
        seen.append(message.text)
        return 2

    limit = RateLimit(
        Limit("6/hour", cost="tokens", name="t"), Limit("5/hour", cost=cost, name="c"), storage=server.url, keys=KEYS
    )
    send = sends(limit, MaskPII())
    send("+12125550173", "ann@example.com")
    with pytest.raises(RateLimited) as refused:
        send("+12125550173", "12345678901")

    assert refused.value.limit == "t"
    assert seen[0] == "<EMAIL_ADDRESS>"
    assert all("ann@" not in text for text in seen)


@pytest.mark.parametrize("returned", [0, -1, True, 1.5, "1", None])
def test_g10_a_cost_that_is_no_amount_refuses(returned: Any) -> None:
    send = sends(RateLimit(Limit("6/hour", cost=lambda _: returned)))
    with pytest.raises(ControlError, match="int of at least 1"):
        send("+12125550173", "hello")


@pytest.mark.parametrize("cost", [0, -1, True, "words", None, 1.5])
def test_a_cost_that_cannot_be_is_a_config_error(cost: Any) -> None:
    with pytest.raises(ConfigError, match="cost must be"):
        Limit("6/hour", cost=cost)


def test_a_preview_says_what_the_text_would_cost() -> None:
    guard = Guard(RateLimit(Limit("2/hour", cost="segments")), channel="sms")

    assert guard.preview("x" * 306, recipient="+12125550173").allowed
    assert not guard.preview("x" * 307, recipient="+12125550173").allowed
