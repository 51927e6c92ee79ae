# ruff: noqa: ARG002 - controls take what the contract gives them
"""The door's own detector: what every detection missed, and what no selector named, does not go out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard, monitor
from guardrails.core.call import Call
from guardrails.core.caps import Caps
from guardrails.core.control import Forward, Io
from guardrails.core.exposure import exposures
from guardrails.core.message import Message
from guardrails.core.verdict import Finding
from guardrails.errors import Blocked, Denied
from guardrails.testing import RecordingSend, assert_never_sent
from tests.core.doubles import Change, Hide, Record, Words

TO = "ann@example.com"
HITS = {
    "CREDIT_CARD": [
        "4242 4242 4242 4242",
        "378282246310005",
        "5555-5555-5555-4444",
        "2223003122003222",
        "4242\u200b424242424242",
        "4242.4242.4242.4242",
    ],
    "IBAN_CODE": ["GB82 WEST 1234 5698 7654 32", "de89370400440532013000"],
    "EMAIL_ADDRESS": ["bob@example.com", "<Bob@mail.example.org>", "b.o-b+x@b\u00fccher.de"],
    "US_SSN": ["219-09-9999", "219 09 9999"],
}
MISSES = [
    "",
    "4242 4242 4242 4243",
    "x4242424242424242",
    "GB83 WEST 1234 5698 7654 32",
    "XX82 WEST 1234 5698 7654 32",
    "a @ b.com",
    "***@example.com",
    "@example.com",
    "a@b",
    "ann@host.local",
    "ann@example.comann",
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "219-00-9999",
    "219-09-0000",
    "+1-219-09-9999",
    "GUID 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "2026-11-24 10:30:15.123",
    "+1 212 555 0173",
]  # fmt: skip


class Blind:
    """A mask control that finds nothing, and may put something of its own there."""

    kind = "mask"

    def __init__(self, *, puts: str = "", lets: Sequence[str] = ()) -> None:
        self.puts = puts
        self.lets = lets

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        if not self.puts or "X" not in text:
            return text, []
        at = text.index("X")
        return text.replace("X", self.puts, 1), [Finding("PERSON", at, at + 1, 1.0, (at, at + len(self.puts)))]

    def allows(self, entity: str, value: str, /) -> bool:
        return value in self.lets

    def filter(self) -> Words:
        return Words()

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        return await forward(await call.masked(self, io))


@pytest.mark.parametrize(("entity", "text"), [(entity, text) for entity, texts in HITS.items() for text in texts])
def test_g2_what_detection_missed_is_blocked_at_the_door(entity: str, text: str) -> None:
    send, record = RecordingSend(), Record()
    with pytest.raises(Blocked) as raised:
        Guard(record, Blind())(send)(TO, f"It is {text}, thank you")
    assert_never_sent(send)
    assert (raised.value.findings, raised.value.control, raised.value.sent) == ({entity: 1}, "Blind", False)
    assert text not in str(raised.value)
    assert record.intents == []


@pytest.mark.parametrize("text", MISSES)
def test_what_only_looks_similar_goes_out(text: str) -> None:
    send = RecordingSend()
    Guard(Blind())(send)(TO, f"It is {text}, thank you")
    assert len(send.calls) == 1


@given(text=st.text(alphabet="4 2-.@aA9x\u0664\u200bDE8GB", max_size=60))
def test_the_detector_answers_for_every_text_and_is_blind_to_case(text: str) -> None:
    assert {one.type for one in exposures(text.upper())} == {one.type for one in exposures(text.lower())}


@dataclass
class Order:
    note: str
    tags: list[str] = field(default_factory=list)


def ignore(to: str, body: str, extra: Any = None) -> None:
    """A send that does nothing."""


EXTRAS: list[Any] = [
    "bob@example.com", ["x", "bob@example.com"], {"cc": ("bob@example.com",)}, {"bob@example.com": 1}, {"bob@example.com"},
    Order("bob@example.com"), Order("x", ["bob@example.com"]), '{"cc": "bob@example.com"}',
]  # fmt: skip


@pytest.mark.parametrize("extra", EXTRAS, ids=repr)
def test_g2_arguments_that_no_selector_names_are_looked_at(extra: Any) -> None:
    sent: list[object] = []

    def send(to: str, body: str, extra: Any = None) -> None:
        sent.append((to, body, extra))

    guarded = Guard(Hide()).wrap(send, text="body")
    with pytest.raises(Blocked, match="'extra' is no recipient= or sender="):
        guarded(TO, "hello", extra)
    guarded(TO, "hello", {"count": 3, "when": None, "raw": b"bob@example.com", "who": TO})
    assert len(sent) == 1


def test_who_a_message_is_for_and_from_is_no_leak_but_in_its_text() -> None:
    sent: list[str] = []

    def send(to: list[str], body: str, sender: str, reply_to: str, thread_id: str, raw: str) -> None:
        sent.append(body)

    guarded = Guard(Blind()).wrap(send, text="body", sender=["sender", "reply_to"], recipient="to")
    people = [TO, "Bob <bob@example.com>"]
    rest = ("desk@example.com", "help@example.com", "c@example.com", "To: bob@example.com, from desk@example.com")
    guarded(people, "hello", *rest)
    with pytest.raises(Blocked):
        guarded(people, "write to bob@example.com", *rest)
    assert sent == ["hello"]


def test_what_the_mask_control_puts_there_or_allows_goes_out() -> None:
    send = RecordingSend()
    for control in (Blind(puts="zoe@example.net"), Blind(puts="zoe"), Blind(lets=["x@example.com"])):
        Guard(control)(send)(TO, "write to X@example.com")
    assert [call.body for call in send.calls] == [
        "write to zoe@example.net@example.com",
        "write to zoe@example.com",
        "write to X@example.com",
    ]
    with pytest.raises(Blocked):
        Guard(Blind(puts="zoe@example.net"))(send)(TO, "write to X and y@example.com")


def test_what_a_later_control_writes_is_looked_at_too() -> None:
    send = RecordingSend()
    with pytest.raises(Blocked):
        Guard(Blind()).extend(Change(lambda text: f"{text} bob@example.com"))(send)(TO, "hello")
    Guard(Blind(puts="zoe@example.net")).extend(Change(lambda text: f">> {text}"))(send)(TO, "write to X")
    assert [call.body for call in send.calls] == [">> write to zoe@example.net"]


def test_without_a_mask_control_nobody_looks() -> None:
    send = RecordingSend()
    Guard(Record())(send)(TO, "bob@example.com")
    assert len(send.calls) == 1


def test_under_monitor_it_only_records() -> None:
    sent: list[object] = []
    record = Record()

    def send(to: str, body: str, cc: str) -> None:
        sent.append((body, cc))

    Guard(record, monitor(Hide())).wrap(send, text="body")(TO, "secret", "bob@example.com")
    assert sent == [("secret", "bob@example.com")]
    notes = record.sealed[0].verdicts
    assert [(note.verdict, note.counts()) for note in notes] == [
        ("mask", {"SECRET": 1}),
        ("shadow_deny", {"EMAIL_ADDRESS": 1}),
    ]


def test_under_monitor_what_would_have_been_masked_is_no_hit() -> None:
    record = Record()
    send = Guard(record, monitor(Hide())).wrap(ignore, text="body|json.note")
    send(TO, '{"note": "secretbob@example.com"}')
    assert [note.verdict for note in record.sealed[0].verdicts] == ["mask"]


def test_messages_async_sends_and_previews_are_looked_at() -> None:
    guard = Guard(Blind())
    for message in (
        Message("bob@example.com", channel="sms"),
        Message("x", channel="sms", metadata={"note": "bob@example.com"}),
    ):
        with pytest.raises(Blocked):
            guard.run(message, lambda _: None)
    assert not guard.preview("bob@example.com").allowed
    send = RecordingSend(shape="async")
    for text in ("bob@example.com", "x " * 20_000 + "bob@example.com"):
        with asyncio.Runner() as runner, pytest.raises(Blocked):
            runner.run(guard(send)(TO, text))
    assert_never_sent(send)


def test_a_methods_own_object_is_no_payload() -> None:
    @dataclass
    class Mailer:
        address: str = "desk@example.com"

        @Guard(Blind())
        def send(self, to: str, body: str) -> str:
            return body

    assert Mailer().send(TO, "hello") == "hello"


@pytest.mark.parametrize(
    ("caps", "extra"),
    [
        (Caps(argument_characters=10), ["x" * 5, "x" * 6]),
        (Caps(values=10), [str(number) for number in range(11)]),
        (Caps(depth=3), [[[["x"]]]]),
    ],
)
def test_g11_other_arguments_are_bounded(caps: Caps, extra: Any) -> None:
    send = Guard(Blind(), caps=caps).wrap(ignore, text="body")
    with pytest.raises(Denied, match="argument"):
        send(TO, "hi", extra)
    circle: list[Any] = [1] * 100
    circle.append(circle)
    send(TO, "hi", circle)


def test_g3_no_frame_of_ours_leads_to_what_was_shown() -> None:
    planted = "planted@example.com"
    with pytest.raises(Blocked) as raised:
        Guard(Blind()).wrap(ignore, text="body")(TO, "hello", {"x": [planted]})
    frames = [entry for entry in raised.traceback if "guardrails/core" in str(entry.path)]
    assert frames
    assert not any(planted in repr(value) for entry in frames for value in entry.frame.f_locals.values())
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
