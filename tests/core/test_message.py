"""`Message`: frozen, compared by value, and silent about its text."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from guardrails import Message
from guardrails.errors import ConfigError

FULL = {
    "channel": "email",
    "direction": "inbound",
    "recipients": ["a", "b"],
    "sender": "s",
    "conversation": "c",
    "tenant": "t",
    "actor": "x",
    "metadata": {"k": [1]},
}


def full() -> Message:
    return Message({"subject": "one", "body": "two"}, **FULL)  # type: ignore[arg-type]  # a dict of all fields


def test_what_it_is_made_of_is_what_it_says() -> None:
    message = full()
    assert message.text == "one\ntwo"
    assert dict(message.parts) == {"subject": "one", "body": "two"}
    assert (message.channel, message.direction) == ("email", "inbound")
    assert (message.recipients, message.recipient) == (("a", "b"), "a")
    assert (message.sender, message.conversation, message.tenant, message.actor) == ("s", "c", "t", "x")
    assert message.metadata == {"k": [1]}


def test_a_str_is_the_part_text_and_the_defaults_are_empty() -> None:
    message = Message("hello", channel="sms")
    assert dict(message.parts) == {"text": "hello"}
    assert message.direction == "outbound"
    assert (message.recipients, message.recipient, message.sender, message.conversation) == ((), None, None, None)
    assert (message.tenant, message.actor, dict(message.metadata)) == (None, None, {})


def test_one_str_is_one_recipient() -> None:
    assert Message("x", channel="sms", recipients="+12125550173").recipients == ("+12125550173",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": 5},
        {"parts": None},
        {"parts": ["x"]},
        {"parts": {"a": 5}},
        {"parts": {5: "a"}},
        {"parts": b"x"},
        {"channel": ""},
        {"channel": None},
        {"channel": 5},
        {"direction": "sideways"},
        {"direction": None},
        {"direction": []},
        {"recipients": [5]},
        {"recipients": b"x"},
        {"recipients": 5},
        {"recipients": None},
        {"sender": 5},
        {"conversation": 5},
        {"tenant": b"t"},
        {"actor": object()},
        {"metadata": 5},
        {"metadata": None},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}-{type(next(iter(wrong.values()))).__name__}",
)
def test_a_field_of_the_wrong_type_is_a_config_error(wrong: Any) -> None:
    fields: dict[str, Any] = {"parts": "x", "channel": "sms", **wrong}
    parts = fields.pop("parts")
    with pytest.raises(ConfigError):
        Message(parts, **fields)


@pytest.mark.parametrize("name", ["parts", "text", "channel", "recipients", "tenant", "metadata", "_envelope", "new"])
def test_it_is_frozen(name: Any) -> None:
    message = full()
    with pytest.raises(AttributeError):
        setattr(message, name, "y")
    with pytest.raises(AttributeError):
        delattr(message, name)
    assert message == full()


def test_its_mappings_are_read_only_and_its_own() -> None:
    parts, metadata = {"a": "x"}, {"k": "v"}
    message = Message(parts, channel="sms", metadata=metadata)
    parts["a"] = metadata["k"] = "changed"
    assert (message.parts["a"], message.metadata["k"]) == ("x", "v")
    for mapping in (message.parts, message.metadata):
        with pytest.raises(TypeError):
            mapping["a"] = "y"  # type: ignore[index]  # that is the point


def test_it_has_no_dict() -> None:
    assert not hasattr(full(), "__dict__")


def test_it_cannot_be_subclassed_by_type_checkers_and_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(full())


def test_it_is_compared_by_value() -> None:
    assert full() == full()
    assert full() != Message("x", channel="sms")
    assert full() != "x"
    for name, value in {
        **FULL,
        "channel": "sms",
        "direction": "outbound",
        "recipients": "a",
        "sender": None,
        "conversation": None,
        "tenant": None,
        "actor": None,
        "metadata": {},
    }.items():
        fields: dict[str, Any] = {**FULL, name: value}
        assert Message({"subject": "one", "body": "two"}, **fields) != full()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_pickles(protocol: Any) -> None:
    assert pickle.loads(pickle.dumps(full(), protocol)) == full()  # noqa: S301 - our own


def test_it_copies() -> None:
    assert copy.copy(full()) == copy.deepcopy(full()) == full()


def test_g3_its_repr_shows_sizes_and_never_text() -> None:
    message = Message(
        {"body": "call +1 212 555 0173", "subject": "ann@example.com"},
        channel="sms",
        recipients="+12125550173",
        sender="ann@example.com",
        conversation="ann@example.com",
        tenant="ann@example.com",
        actor="ann@example.com",
        metadata={"ann@example.com": "4242 4242 4242 4242"},
    )
    shown = f"{message!r} {message} {message:}"
    assert "body" in shown
    assert "20 chars" in shown
    for canary in ("555", "ann@", "4242"):
        assert canary not in shown


def test_a_subclass_of_str_becomes_a_plain_str() -> None:
    class Two(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "harmless"

    message = Message({Two("p"): Two("secret")}, channel="sms", recipients=[Two("+1")])
    assert {type(key) for key in message.parts} | {type(value) for value in message.parts.values()} == {str}
    assert dict(message.parts) == {"p": "secret"}
    assert [type(one) for one in message.recipients] == [str]


def test_g3_a_part_that_is_named_by_a_caller_does_not_show() -> None:
    assert "ann@" not in repr(Message({"ann@example.com": "x"}, channel="sms"))
