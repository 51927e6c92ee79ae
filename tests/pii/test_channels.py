"""Speech is masked word by word, however it is cut; a text message that grows is on the record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Guard, MaskPII
from guardrails.errors import Blocked, Unavailable
from guardrails.keys import Keys
from guardrails.pii import Hash, Vault
from guardrails.pii.channels import SPEECH_SECONDS, in_time_for_speech
from guardrails.pii.stream import Masking
from guardrails.pii.windows import WINDOW
from guardrails.pii.words import Words
from guardrails.testing import RecordingSend
from tests.core.doubles import Record

TO, EMAIL = "+12125550199", "ann@example.com"
WORDS = st.sampled_from(
    ["call ", "Ann ", "at ", "example ", "dot ", "com", " +1 212 ", "555 ", "0173 ", "now, ", "GB82 ", "WEST ",
     "1234 5698 7654 32 ", "a", "\n", "  ", "ann@example.com", "(at) ", "d", "don't ", "4242 4242 4242 4242",
     "x" * 50, "<EMAIL_ADDRESS> "]
)  # fmt: skip
TEXTS = st.one_of(st.lists(WORDS, max_size=12).map("".join), st.text(max_size=40))
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def chunks(text: str, cuts: list[int]) -> Iterator[str]:
    at = number = 0
    while at < len(text):
        size = cuts[number % len(cuts)]
        yield text[at : at + size]
        at, number = at + size, number + 1


@given(text=TEXTS, cuts=CUTS)
def test_g4_words_are_the_same_however_speech_is_cut(text: str, cuts: list[int]) -> None:
    whole, cut = Words(), Words()
    windows = [*whole.feed(text), *whole.flush()]
    assert [one for chunk in chunks(text, cuts) for one in cut.feed(chunk)] + cut.flush() == windows
    assert "".join(text[one.owns_from : one.owns_to] for one in windows) == text
    assert all(one.text == text[one.start : one.end] for one in windows)


@given(text=TEXTS, cuts=CUTS)
@settings(deadline=None)
def test_g4_the_masked_speech_is_the_mask_of_the_whole_speech(text: str, cuts: list[int]) -> None:
    mask = MASK

    def say(prompt: str) -> Iterator[str]:
        yield from chunks(prompt, cuts)

    whole = Masking(mask._examiners.speech, mask._operators)
    expected = whole.feed(text) + whole.flush()
    assert "".join(Guard(mask, channel="voice").wrap(lambda prompt: chunks(prompt + text, cuts))("")) == expected


MASK = MaskPII(names="off")


def held_back(text: str) -> list[str]:
    """What has been said after each character."""
    spoken = MASK._for(_message(), dry=False, budget=None).filter()
    said, out = "", []
    for one in text:
        said += spoken.feed(one)
        out.append(said)
    return [*out, said + spoken.flush()]


def _message() -> Any:
    from guardrails import Message  # noqa: PLC0415 - one test's helper

    return Message("", channel="voice")


def test_plain_words_leave_as_soon_as_the_next_one_has_begun() -> None:
    said = held_back("Please read it now")
    assert said[len("Please r") - 1] == "Please "
    assert said[-1] == "Please read it now"


def test_a_number_and_a_spelled_address_are_held_until_they_end() -> None:
    said = held_back("Call +1 212 555 0173 today or write to ann at example dot com now ")
    assert not any("212" in one or "0173" in one or "ann" in one or "example" in one for one in said)
    assert said[-1] == "Call <PHONE_NUMBER> today or write to <EMAIL_ADDRESS> now "


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("It is GB82 WEST 1234 5698 7654 32 today", "It is <IBAN_CODE> today"),
        ("MRN 1234567 is mine", "MRN <MEDICAL_RECORD_NUMBER> is mine"),
        ("pay with 4242 4242 4242 4242.", "pay with <CREDIT_CARD>."),
    ],
)
def test_what_words_say_together_is_understood(text: str, masked: str) -> None:
    assert held_back(text)[-1] == masked


def test_digits_in_words_are_held_until_they_end() -> None:
    said = held_back("Call two one two, five five five, zero one seven three today, one of us is there")
    assert not any(digit in one for one in said for digit in ("two", "five", "seven"))
    assert said[-1] == "Call <PHONE_NUMBER> today, one of us is there"


def test_an_endless_word_is_bounded() -> None:
    words = Words()
    windows = words.feed("x" * 10_000)
    assert max(one.owns_to - one.owns_from for one in windows) == WINDOW
    assert 10_000 - windows[-1].owns_to <= 2 * WINDOW


def test_a_vaults_tokens_are_spoken_and_restored_word_by_word() -> None:
    vault = Vault(keys=Keys(b"v" * 32))
    guard = Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}), channel="voice")

    def say(body: str, to: str) -> Iterator[str]:
        yield from chunks(f"You said {body} and", [3])

    assert "".join(guard.wrap(say, reply="restore")(f"I am {EMAIL}", TO)) == f"You said I am {EMAIL} and"


def test_g10_speech_that_takes_too_long_ends() -> None:
    now = 0.0

    def slow(text: str, /) -> list[Any]:
        nonlocal now
        now += len(text)
        return []

    look = in_time_for_speech(slow, lambda: now * SPEECH_SECONDS / 5)
    assert look("four") == []
    with pytest.raises(Unavailable, match="150 ms"):
        look("longer")


def test_a_blocked_entity_ends_the_speech_before_it() -> None:
    guard = Guard(MaskPII(names="off", operators={"EMAIL_ADDRESS": "block"}), channel="voice")
    said: list[str] = []
    with pytest.raises(Blocked):
        said.extend(guard.wrap(lambda prompt: chunks(f"{prompt} is {EMAIL} now", [4]))("It"))
    assert "".join(said) == "It is "


@pytest.mark.parametrize(
    ("channel", "text", "detail"),
    [
        ("sms", f"{'x' * 140} {EMAIL}", {"segments_before": 1, "segments_after": 2}),
        ("sms", f"to {EMAIL}", None),
        ("email", f"{'x' * 140} {EMAIL}", None),
    ],
)
def test_a_text_message_that_grows_is_recorded_before_and_after(channel: str, text: str, detail: Any) -> None:
    record = Record()
    mask = MaskPII(names="off", operators={"DEFAULT": Hash(Keys(b"h" * 32))})
    Guard(record, mask, channel=channel)(RecordingSend())(TO, text)
    details = [dict(note.detail) for note in record.sealed[0].verdicts if note.detail]
    assert details == ([] if detail is None else [detail])


def test_what_stands_in_a_tag_behind_a_finding_stays_there(mask_pii: MaskPII) -> None:
    sent: list[str] = []

    def keep(html: str) -> None:
        sent.append(html)

    send = Guard(mask_pii, channel="email").wrap(keep, text="html|html")
    send("<b>+1 212 555 0173</b> <a href='/x'>now</a><br><i>4242</i> <i>4242</i> <i>4242</i> <i>4242</i>")
    assert sent == [
        "<b>&lt;PHONE_NUMBER&gt;</b> <a href='/x'>now</a><br><i>&lt;CREDIT_CARD&gt;</i> <i></i> <i></i> <i></i>"
    ]
