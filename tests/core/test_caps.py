# ruff: noqa: ARG002, ARG005 - controls, steps and stand-ins take what the contract gives them
"""G11: each bound, tried at the bound and one over."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from guardrails import Deny, Guard, MaskPII, Message, check, context
from guardrails.core.call import Call
from guardrails.core.caps import Caps
from guardrails.errors import ConfigError, ControlError, Denied, GuardrailsError
from tests.core.doubles import Answer, Hide, Intent, Look, Record

DEFAULTS = {
    "text_characters": 262_144,
    "parts": 1_000,
    "depth": 32,
    "values": 10_000,
    "recipients": 1_000,
    "argument_characters": 16_777_216,
    "argument_stream_characters": 65_536,
    "id_characters": 1_024,
    "notes": 256,
    "steps": 256,
}


def test_g11_the_defaults_are_what_the_documentation_says() -> None:
    assert dataclasses.asdict(Caps()) == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, None, "5", True, float("inf")])
def test_g11_a_cap_is_an_int_of_at_least_one(name: Any, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Caps(**{name: value})
    assert name in str(caught.value)


@pytest.mark.parametrize("name", DEFAULTS)
def test_g11_a_cap_of_one_is_a_cap(name: Any) -> None:
    caps = Caps(**{name: 1})
    assert getattr(caps, name) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(caps, name, 2)


def test_g11_caps_take_names_only() -> None:
    positional: Any = Caps
    with pytest.raises(TypeError):
        positional(5)


def nested(depth: int) -> Any:
    """Text under *depth* lists."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


class Sends:
    def __init__(self) -> None:
        self.entered = 0

    def send(self, to: Any, body: Any, thread_id: Any = None, key: Any = None) -> str:
        self.entered += 1
        return "done"


# cap, value that fits, value that is one over: as (to, body, thread_id, key)
BOUNDS: list[tuple[str, dict[str, Any], tuple[Any, ...], tuple[Any, ...]]] = [
    ("one text", {"text_characters": 10}, ("a", "x" * 10), ("a", "x" * 11)),
    ("several texts", {"text_characters": 10}, ("a", ["x" * 5, "x" * 5]), ("a", ["x" * 5, "x" * 6])),
    (
        "text of a subclass",
        {"text_characters": 10},
        ("a", type("S", (str,), {})("x" * 10)),
        ("a", type("S", (str,), {})("x" * 11)),
    ),
    ("characters, not bytes", {"text_characters": 3}, ("a", "\U0001f600" * 3), ("a", "\U0001f600" * 4)),
    ("parts", {"parts": 3}, ("a", ["x"] * 3), ("a", ["x"] * 4)),
    ("empty parts count", {"parts": 3}, ("a", [""] * 3), ("a", [""] * 4)),
    ("depth of lists", {"depth": 3}, ("a", nested(3)), ("a", nested(4))),
    ("depth of dicts", {"depth": 1}, ("a", {"k": "x"}), ("a", {"k": {"k": "x"}})),
    ("values", {"values": 4}, ("a", ["x", 1, None]), ("a", ["x", 1, None, b"x"])),
    ("recipients", {"recipients": 2}, (["a", "b"], "x"), (["a", "b", "c"], "x")),
    ("conversation", {"id_characters": 4}, ("a", "x", "c" * 4), ("a", "x", "c" * 5)),
    ("message key", {"id_characters": 4}, ("a", "x", None, "k" * 4), ("a", "x", None, "k" * 5)),
]


@pytest.mark.parametrize(("caps", "fits", "over"), [row[1:] for row in BOUNDS], ids=[row[0] for row in BOUNDS])
def test_g11_at_the_bound_it_is_sent_and_one_over_it_is_denied(caps: Any, fits: Any, over: Any) -> None:
    sends, record = Sends(), Record()
    send = Guard(record, Look(), caps=Caps(**caps))(message_key="key")(sends.send)
    assert send(*fits) == "done"
    with pytest.raises(Denied) as caught:
        send(*over)
    assert caught.value.control == "caps"
    assert caught.value.sent is False
    assert str(next(iter(caps.values()))) in caught.value.reason
    assert sends.entered == 1
    assert [type(refusal) for refusal in record.refusals] == [Denied]


def test_g11_a_codec_counts_as_depth() -> None:
    send = Guard(caps=Caps(depth=3)).wrap(lambda body: body, text="body|json")
    send(json.dumps(nested(2)))
    with pytest.raises(Denied):
        send(json.dumps(nested(3)))


def test_g11_values_under_a_selector_count_also_when_none_is_text() -> None:
    send = Guard(caps=Caps(values=10))(lambda body: "done")
    assert send([1] * 9) == "done"
    with pytest.raises(Denied):
        send([1] * 10)


def test_g11_a_payload_that_doubles_at_each_level_is_denied_quickly() -> None:
    value: Any = "x"
    for _ in range(30):
        value = [value, value]
    with pytest.raises(Denied):
        Guard()(lambda body: "done")(value)


def test_g11_a_selector_with_many_ways_is_denied_too() -> None:
    value: Any = "x"
    for _ in range(12):
        value = [value] * 2
    with pytest.raises(Denied):
        Guard(caps=Caps(values=100)).wrap(lambda body: "done", text="body" + "[*]" * 12)(value)


@pytest.mark.parametrize("role", ["conversation", "tenant", "actor"])
def test_g11_ids_of_the_context_are_bound_too(role: Any) -> None:
    guard = Guard(caps=Caps(id_characters=4))
    options: dict[str, Any] = {role: "i" * 4}
    with context(**options):
        assert guard(lambda body: "done")("x") == "done"
    options[role] += "i"
    with context(**options), pytest.raises(Denied):
        guard(lambda body: "done")("x")


@pytest.mark.parametrize(
    ("caps", "fits", "over"),
    [
        ({"text_characters": 4}, {"parts": "abcd"}, {"parts": "abcde"}),
        ({"parts": 2}, {"parts": {"a": "", "b": ""}}, {"parts": {"a": "", "b": "", "c": ""}}),
        ({"recipients": 2}, {"recipients": "ab"}, {"recipients": ["a", "b", "c"]}),
        ({"id_characters": 2}, {"tenant": "tt"}, {"tenant": "ttt"}),
        ({"id_characters": 2}, {"conversation": "cc"}, {"conversation": "ccc"}),
        ({"id_characters": 2}, {"actor": "aa"}, {"actor": "aaa"}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_g11_a_message_given_to_run_keeps_the_caps(caps: Any, fits: Any, over: Any) -> None:
    guard = Guard(caps=Caps(**caps))

    def message(fields: dict[str, Any]) -> Message:
        given = {"parts": "", **fields}
        return Message(given.pop("parts"), channel="sms", **given)

    assert guard.run(message(fits), lambda sealed: "done") == "done"
    assert guard.preview(message(fits)).allowed
    with pytest.raises(Denied):
        guard.run(message(over), lambda sealed: "done")
    assert not guard.preview(message(over)).allowed


class Notes:
    def __init__(self, number: int) -> None:
        self.number = number

    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        for _ in range(self.number):
            call.note("allow")
        return await forward(call)


class Steps(Record):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        for _ in range(self.number):
            call.at_door(Intent(self))
        return await forward(call)


@pytest.mark.parametrize(("control", "name"), [(Notes, "notes"), (Steps, "steps")])
def test_g11_what_controls_leave_about_one_message_is_bounded(control: Any, name: Any) -> None:
    sends = Sends()
    caps = Caps(**{name: 3})
    assert Guard(control(3), caps=caps)(sends.send)("a", "x") == "done"
    with pytest.raises(GuardrailsError) as caught:
        Guard(control(4), caps=caps)(sends.send)("a", "x")
    assert caught.value.sent is False
    assert sends.entered == 1


@pytest.mark.parametrize("text", ["x" * 5, ["x" * 5]])
def test_g11_what_a_control_writes_is_bounded_as_what_a_caller_writes(text: Any) -> None:
    class Grows:
        async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
            return await forward(call.with_text(dict.fromkeys(call.message.parts, "y" * 11)))

    sends = Sends()
    with pytest.raises((Denied, ControlError)) as caught:
        Guard(Grows(), caps=Caps(text_characters=10))(sends.send)("a", text)
    assert caught.value.sent is False
    assert sends.entered == 0


@pytest.mark.parametrize("reply", ["x" * 11, ["x" * 6, "x" * 5], nested(4), ["x"] * 4], ids=["one", "sum", "deep", "many"])
def test_g11_a_reply_that_is_masked_is_bounded_and_withheld(reply: Any) -> None:
    caps = Caps(text_characters=10, depth=3, parts=3)
    send = Guard(Hide(), caps=caps)(reply="mask")(lambda body: reply)
    with pytest.raises(GuardrailsError) as caught:
        send("x")
    assert caught.value.sent is True


def test_g11_a_control_may_answer_within_the_caps() -> None:
    assert Guard(Answer("x" * 10), Hide(), caps=Caps(text_characters=10))(reply="mask")(lambda body: None)("x") == "x" * 10


def test_g11_a_stream_that_never_pauses_holds_back_a_bounded_text() -> None:
    held: list[int] = []

    def send(body: str) -> Iterator[str]:
        for _ in range(100):
            yield "x" * 1_000

    released = 0
    for number, chunk in enumerate(Guard(MaskPII(names="off"))(send)("x"), start=1):
        released += len(chunk)
        held.append(number * 1_000 - released)
    assert released == 100_000


def test_g11_a_flood_of_different_reasons_and_ids_is_forgotten() -> None:
    numbers = iter(range(10_000))

    @check
    def never(message: Any) -> Any:
        return Deny(f"reason {next(numbers)}")

    guard = Guard(never, Hide())
    send = guard(lambda body: None)
    for _ in range(4_200):
        with pytest.raises(Denied):
            send("x")
    assert len(guard._stack._reasons) <= 4_096
