"""A limit is read strictly: what could be misread is refused, and the refusal says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from guardrails.core.message import Message
from guardrails.errors import ConfigError
from guardrails.ratelimit import Limit, RateLimit

READ = [
    ("5/minute", 5, 60),
    ("1/second", 1, 1),
    ("100 per 10 seconds", 100, 10),
    ("7/2hours", 7, 7_200),
    (" 3 / Day ", 3, 86_400),
    ("2 per week", 2, 604_800),
    ("10/30 days", 10, 2_592_000),
]
REFUSED = [
    ("1/second; 5/minute", "several limits"),
    ("1/second, 5/minute", "several limits"),
    ("1/second|5/minute", "several limits"),
    ("1/second\n5/minute", "several limits"),
    ("0/second", "never let anything pass"),
    ("10/0 minute", "0 minutes"),
    ("-5/minute", "whole positive"),
    ("1.5/minute", "whole positive"),
    ("5/1.5 minutes", "whole positive"),
    ("5", "5/minute"),
    ("", "5/minute"),
    ("five/minute", "whole positive"),
    ("5/minute extra", "not a rate"),
    ("5perminute", "not a rate"),
    ("5/min", "write minute"),
    ("5/mins", "write minute"),
    ("5/s", "write second"),
    ("5/fortnight", "unknown unit"),
    ("5/month", "30 days"),
    ("5/years", "30 days"),
    ("\u0665/minute", "whole positive"),
    ("5/367 days", "366 days"),
    ("9999999999/minute", "at most"),
    ("100001/minute", "sliding-window-counter"),
]


@pytest.mark.parametrize(("rate", "amount", "seconds"), READ)
def test_a_rate_is_an_amount_and_a_window(rate: str, amount: int, seconds: int) -> None:
    limit = Limit(rate)

    assert (limit.amount, limit.window_seconds) == (amount, seconds)


@pytest.mark.parametrize(("rate", "says"), REFUSED)
def test_a_rate_that_could_be_misread_is_refused_with_what_to_write(rate: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Limit(rate)


@pytest.mark.parametrize("rate", [None, 5, b"5/minute", ["5/minute"]])
def test_a_rate_of_another_type_is_refused(rate: Any) -> None:
    with pytest.raises(ConfigError, match="5/minute"):
        Limit(rate)


@pytest.mark.parametrize("cost", [0, -1, True, 1.0, "1", None])
def test_a_cost_is_an_int_of_at_least_one(cost: Any) -> None:
    with pytest.raises(ConfigError, match="cost"):
        Limit("5/minute", cost=cost)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"per": "recipients"}, "roles are"),
        ({"per": ("recipient", "recipient")}, "twice"),
        ({"per": ()}, "per must be"),
        ({"per": ["recipient"]}, "per must be"),
        ({"per": 5}, "per must be"),
        ({"strategy": "leaky-bucket"}, "moving-window"),
        ({"scope": "planet"}, "global"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 5}, "name"),
    ],
)
def test_a_wrong_argument_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Limit("5/minute", **more)


def _campaign(message: Message) -> str:
    return message.channel


@pytest.mark.parametrize(
    ("limit", "name", "counted"),
    [
        (Limit("5/minute"), "all/minute", "all"),
        (Limit("5/minute", per="recipient"), "recipient/minute", "recipient"),
        (Limit("5/10 minutes", per=("tenant", "channel")), "tenant+channel/10-minutes", "tenant+channel"),
        (Limit("5/minute", per=_campaign), "_campaign/minute", "_campaign"),
        (Limit("5/minute", per=lambda message: message.channel), "custom/minute", "custom"),
        (Limit("5/minute", name="burst"), "burst", "all"),
    ],
)
def test_a_limit_has_a_name_of_its_own(limit: Limit, name: str, counted: str) -> None:
    assert (limit.name, limit.counted) == (name, counted)


def test_limits_that_would_share_counters_are_refused() -> None:
    with pytest.raises(ConfigError, match="recipient/minute"):
        RateLimit(Limit("5/minute", per="recipient"), Limit("9/minute", per="recipient"))

    RateLimit(Limit("5/minute", per="recipient"), Limit("9/minute", per="recipient", name="other"))


@pytest.mark.parametrize("storage", ["redis://:s3cret@limits.example", "async+redis://x", "", "memory://x", "nonsense", 5])
def test_another_storage_is_refused_without_showing_its_password(storage: Any) -> None:
    with pytest.raises(ConfigError, match=r"memory://|host is not this machine") as refused:
        RateLimit("5/minute", storage=storage)

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("limits", "more", "says"),
    [
        ((), {}, "at least one"),
        (([Limit("5/minute")],), {}, "argument of its own"),
        ((5,), {}, "argument of its own"),
        ((Limit("5/minute"),), {"per": "recipient"}, "per= of its own"),
        (("5/minute",), {"name": ""}, "name"),
        (("5/minute",), {"clock": 5}, "clock"),
        (("5/minute",), {"max_keys": 0}, "max_keys"),
        (("5/minute",), {"max_keys": True}, "max_keys"),
    ],
)
def test_a_rate_limit_that_is_set_up_wrongly_is_refused(limits: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        RateLimit(*limits, **more)


def test_a_rate_limit_says_what_a_call_must_have() -> None:
    assert RateLimit("5/minute").needs == ()
    assert RateLimit("5/minute", "9/hour", per="recipient").needs == ("recipient",)
    assert RateLimit(Limit("1/second", per=("channel", "sender")), Limit("1/hour", per="tenant")).needs == (
        "tenant",
        "sender",
    )
    assert repr(RateLimit("5/minute", per="recipient")) == "RateLimit(recipient/minute)"
