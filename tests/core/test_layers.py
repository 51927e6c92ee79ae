# ruff: noqa: ARG002 - controls take what the contract gives them
"""G9: no team control that uses the public contract can remove, reorder, weaken or read behind the platform's controls."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from guardrails.core.call import Call
from guardrails.core.checks import check, monitor
from guardrails.core.control import Forward, Io
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.stream import Stream
from guardrails.errors import ConfigError, ControlError, Denied, GuardrailsError, RateLimited
from guardrails.pii import MaskPII
from guardrails.ratelimit import RateLimit
from guardrails.testing import RecordingSend, assert_never_sent
from tests.core.doubles import SECRET, Answer, Change, Hide, Look, Raise, Record, Words
from tests.core.ways import TO, WAYS, Way

FUNCTIONS = [way for way in WAYS if way.kind == "function"]


class Named(Look):
    """A control of some kind."""

    def __init__(self, name: str, kind: str | None = None) -> None:
        super().__init__()
        self.name = name
        self.kind = kind

    def mask(self, text: str, /) -> tuple[str, list[Any]]:
        return text, []

    def filter(self) -> Words:
        return Words()


@pytest.mark.parametrize(
    ("kinds", "fix"),
    [
        ([("limit", "limit"), ("log", "record")], "put log first"),
        ([("own", None), ("log", "record")], "put log first"),
        ([("log", "record"), ("other", "record")], "at most one audit log"),
        ([("hide", "mask"), ("hide2", "mask")], "at most one mask"),
        ([("hide", "mask"), ("limit", "limit")], "put limits right after the audit log, before hide"),
        ([("own", None), ("limit", "limit")], "before own"),
        ([("log", "record"), ("hide", "mask"), ("own", None), ("limit", "limit")], "before hide"),
    ],
)
def test_g9_a_wrong_order_is_a_config_error_that_says_what_to_write(kinds: list[tuple[str, str | None]], fix: str) -> None:
    with pytest.raises(ConfigError, match=fix):
        Guard(*(Named(name, kind) for name, kind in kinds), channel="sms")


@pytest.mark.parametrize(
    "kinds",
    [
        [],
        [("log", "record")],
        [("limit", "limit")],
        [("hide", "mask")],
        [("own", None)],
        [("log", "record"), ("limit", "limit"), ("limit2", "limit"), ("raw", None), ("hide", "mask"), ("own", None)],
        [("limit", "limit"), ("hide", "mask")],
        [("log", "record"), ("own", None), ("hide", "mask")],
    ],
)
def test_any_subset_in_order_is_a_guard(kinds: list[tuple[str, str | None]]) -> None:
    send = RecordingSend()
    assert Guard(*(Named(name, kind) for name, kind in kinds), channel="sms")(send)(TO, "x") == "sent"
    assert len(send.calls) == 1


def test_g9_a_team_has_no_record_and_no_mask_of_its_own_and_no_control_twice() -> None:
    look = Look()
    platform = Guard(Record(), look, channel="sms")
    for control in (Record(), Hide(), monitor(Hide())):
        with pytest.raises(ConfigError, match="belongs to the platform layer"):
            platform.extend(control)
    with pytest.raises(ConfigError, match="twice"):
        platform.extend(look)
    with pytest.raises(ConfigError, match="twice"):
        platform.extend(twice := Look(), twice)
    with pytest.raises(ConfigError, match="twice"):
        platform.extend(one := Look()).extend(one)


def test_a_team_may_have_limits_anywhere() -> None:
    send = RecordingSend()
    team = Guard(Record(), channel="sms").extend(Look(), RateLimit("1/hour"))(send)
    assert team(TO, "x") == "sent"
    with pytest.raises(RateLimited):
        team(TO, "x")


@pytest.mark.parametrize(
    "wrong",
    [None, 7, "control", Look, print, object()],
    ids=["None", "int", "str", "class", "function", "object"],
)
def test_what_is_no_control_is_a_config_error(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="is not a control"):
        Guard(wrong, channel="sms")
    with pytest.raises(ConfigError, match="is not a control"):
        Guard(channel="sms").extend(wrong)


def test_a_plain_guard_method_is_a_config_error() -> None:
    class Plain:
        def guard(self, call: Call, forward: Forward, io: Io, /) -> Any:
            return forward(call)

    with pytest.raises(ConfigError, match="async def"):
        Guard(Plain(), channel="sms")


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g9_a_team_sees_masked_text_only(way: Way) -> None:
    team, send = Look(), way.send()
    guard = Guard(Record(), Hide(), channel="sms").extend(team)
    way.deliver(guard, send, body="my secret")
    assert team.last.text == f"my {SECRET}"
    assert "secret" not in repr(team.last)
    assert send.calls == [(TO, f"my {SECRET}")]


class Reads:
    """Tries to find raw text in what it is given."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.reply: object = None

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        sealed = call.so_far()
        self.seen += [repr(call), call.message.text, *call.message.parts.values(), sealed.message.text, repr(sealed)]
        self.reply = reply = await forward(call)
        if isinstance(reply, Stream):
            self.seen.append(repr(reply))
            reply.add_filter(self)
        elif isinstance(reply, str):
            self.seen.append(reply)
        self.seen.append(call.so_far().message.text)
        return reply

    def feed(self, chunk: str, /) -> str:
        self.seen.append(chunk)
        return chunk

    def flush(self) -> str:
        return ""


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g9_a_team_cannot_read_behind_the_mask_neither_text_nor_reply(way: Way) -> None:
    reads, send = Reads(), way.send(reply="a secret reply")
    guard = Guard(Record(), Hide(), channel="llm").extend(reads)
    assert way.deliver(guard, send, body="my secret") == f"a {SECRET} reply"
    assert reads.seen
    assert all("secret" not in text for text in reads.seen)


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g9_what_a_team_writes_is_masked_by_the_seal(way: Way) -> None:
    record, send = Record(), way.send()
    guard = Guard(record, Hide(), channel="sms").extend(Change(lambda text: text + " and a secret"))
    way.deliver(guard, send, body="my secret")
    assert send.calls == [(TO, f"my {SECRET} and a {SECRET}")]
    assert record.intents == [f"my {SECRET} and a {SECRET}"]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g9_what_a_team_makes_of_a_reply_is_masked_again(way: Way) -> None:
    class Adds:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            reply = await forward(call)
            if isinstance(reply, Stream):
                reply.add_filter(Echo())
                return reply
            return f"{reply} secretly"

    class Echo:
        def feed(self, chunk: str, /) -> str:
            return chunk

        def flush(self) -> str:
            return " secretly"

    guard = Guard(Record(), Hide(), channel="llm").extend(Adds())
    assert way.deliver(guard, way.send()) == f"sent {SECRET}"
    assert way.deliver(Guard(Hide(), channel="llm").extend(Answer("a secret")), way.send()) == f"a {SECRET}"


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize(
    "control",
    [Raise(ValueError("x")), Raise(Denied("x")), Answer("mine"), Answer(None)],
    ids=["crashes", "denies", "replies", "nothing"],
)
def test_g9_a_team_cannot_take_the_platforms_refusal_back(way: Way, control: Any) -> None:
    record, send = Record(), way.send()
    guard = Guard(record, Raise(Denied("platform")), channel="sms").extend(control)
    with pytest.raises(Denied) as caught:
        way.deliver(guard, send)
    assert caught.value.reason == "platform"
    assert_never_sent(send)


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g9_a_refusal_of_the_seal_is_final(way: Way) -> None:
    class Blocks(Hide):
        def mask(self, text: str, /) -> Any:
            if "forbidden" in text:
                raise Denied("no operator lets it through")
            return super().mask(text)

    class Insists:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            with contextlib.suppress(GuardrailsError):
                await forward(call.with_text("forbidden"))
            return "sent"

    record, send = Record(), way.send()
    with pytest.raises(Denied) as caught:
        way.deliver(Guard(record, Blocks(), channel="sms").extend(Insists()), send)
    assert caught.value.control == "hide"
    assert_never_sent(send)
    assert record.intents == []
    assert len(record.refusals) == 1


def test_g9_the_layer_is_told_and_cannot_be_changed() -> None:
    layers: list[str] = []

    class Asks:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            layers.append(call.layer)
            with contextlib.suppress(AttributeError):
                call.layer = "platform"
            layers.append(call.layer)
            return await forward(call)

    Guard(Asks(), channel="sms").extend(Asks()).extend(Asks())(RecordingSend())(TO, "x")
    assert layers == ["platform"] * 2 + ["team"] * 4


def test_g9_a_layer_that_changes_a_shared_list_changes_nothing() -> None:
    controls: list[Any] = [Raise(Denied("no"))]
    guard = Guard(*controls, channel="sms")
    controls.clear()
    send = RecordingSend()
    with pytest.raises(Denied):
        guard(send)(TO, "x")
    assert_never_sent(send)


def test_g9_metadata_and_parts_are_read_only_for_a_team() -> None:
    class Writes:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            call.message.parts["body"] = "raw"  # type: ignore[index]  # what is tested
            return await forward(call)

    send = RecordingSend()
    with pytest.raises(ControlError, match="TypeError"):
        Guard(channel="sms").extend(Writes())(send)(TO, "x")
    assert_never_sent(send)


def test_g9_with_text_refuses_what_is_not_a_part_of_the_message() -> None:
    class Renames:
        def __init__(self, new: Any) -> None:
            self.new = new

        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            return await forward(call.with_text(self.new))

    for new in ({"to": "+1"}, {"body": 7}, {"body": None}):
        send = RecordingSend()
        with pytest.raises(ControlError):
            Guard(channel="sms").extend(Renames(new))(send)(TO, "x")
        assert_never_sent(send)


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g9_the_real_mask_before_a_team(way: Way) -> None:
    record, look, send = Record(), Look(), way.send()
    guard = Guard(record, MaskPII(names="off"), channel="sms").extend(
        look, Change(lambda text: text + " or ann@example.com")
    )
    way.deliver(guard, send, body="write to bob@example.com")
    assert look.last.text == "write to <EMAIL_ADDRESS>"
    assert [sent.body for sent in send.calls] == ["write to <EMAIL_ADDRESS> or <EMAIL_ADDRESS>"]
    assert record.intents == ["write to <EMAIL_ADDRESS> or <EMAIL_ADDRESS>"]


def test_extend_can_be_repeated_and_teams_do_not_see_each_other() -> None:
    @check
    def red(message: Message) -> str:
        return message.text + " red"

    @check
    def blue(message: Message) -> str:
        return message.text + " blue"

    platform, send = Guard(Record(), channel="sms"), RecordingSend()
    platform.extend(red)(send)(TO, "x")
    platform.extend(blue)(send)(TO, "x")
    platform.extend(red).extend(blue)(send)(TO, "x")
    platform(send)(TO, "x")
    assert [sent.body for sent in send.calls] == ["x red", "x blue", "x red blue", "x"]


def test_g6_teams_share_the_platforms_limit() -> None:
    platform, send = Guard(RateLimit("2/hour"), channel="sms"), RecordingSend()
    assert platform.extend(Look())(send)(TO, "x") == "sent"
    assert platform.extend(Look())(send)(TO, "x") == "sent"
    with pytest.raises(RateLimited):
        platform(send)(TO, "x")


@pytest.mark.parametrize("way", [way for way in WAYS if not way.awaits], ids=str)
def test_a_control_that_needs_a_loop_is_a_config_error_on_any_sync_send(way: Way) -> None:
    class Needs(Look):
        async_only = True

    send = way.send()
    with pytest.raises(ConfigError, match="Needs needs an event loop"):
        way.deliver(Guard(Needs(), channel="sms"), send)
    with pytest.raises(ConfigError, match="Needs needs an event loop"):
        way.deliver(Guard(channel="sms").extend(Needs()), send)
    assert_never_sent(send)
