"""What people say instead of writing it is found; ordinary sentences with the same words are not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.pii import MaskPII
from tests.pii.texts import CUTS, cut

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def said(number: str, between: str = " ") -> str:
    return between.join(DIGITS[int(one)] for one in number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"call {said('2125550173')} now", "call <PHONE_NUMBER> now"),
        (f"call {said('212')} 555 {said('0173')} now", "call <PHONE_NUMBER> now"),
        (f"call {said('212')} 555 0188 now", "call <PHONE_NUMBER> now"),
        (f"it is plus {said('12125550173', ', ')}.", "it is <PHONE_NUMBER>."),
        ("call two one two triple five oh one seven three now", "call <PHONE_NUMBER> now"),
        (f"the card is {said('4242424242424242')}, thanks", "the card is <CREDIT_CARD>, thanks"),
        (f"Card {said('4242', '-')} {said('4242', '-')} {said('4242', '-')} {said('4242', '-')}", "Card <CREDIT_CARD>"),
        ("llama al dos uno dos cinco cinco cinco cero uno siete tres", "llama al <PHONE_NUMBER>"),
        ("ruf an: null drei null zwei drei eins zwei f\u00fcnf null eins vier", "ruf an: <PHONE_NUMBER>"),
        ("write to ann dot smith at example dot com", "write to <EMAIL_ADDRESS>"),
        ("write to ann underscore smith at example dot com", "write to <EMAIL_ADDRESS>"),
        ("ann dash smith plus news at example dot com", "<EMAIL_ADDRESS>"),
        ("it's ann AT example DOT com", "it's <EMAIL_ADDRESS>"),
        ("ann at gmail.com", "<EMAIL_ADDRESS>"),
        ("ann@gmail", "<EMAIL_ADDRESS>"),
        ("ann @ example . com", "<EMAIL_ADDRESS>"),
        ("ann@example,com", "<EMAIL_ADDRESS>"),
        ("ann-at-example-dot-com", "<EMAIL_ADDRESS>"),
        ("ann<at>example<dot>com", "<EMAIL_ADDRESS>"),
        ("it's a n n at example dot com", "it's <EMAIL_ADDRESS>"),
        ("call me back at five five five oh one four seven", "call me back at <PHONE_NUMBER>"),
        ("c'est le z\u00e9ro six douze trente-quatre cinquante et un quatre-vingt-dix-neuf", "c'est le <PHONE_NUMBER>"),
    ],
)
def test_what_is_spelled_out_is_masked(mask_pii: MaskPII, text: str, expected: str) -> None:
    assert mask_pii.mask(text)[0] == expected


@pytest.mark.parametrize("number", ["078051120", "2125550173", "123456789012"])
def test_digits_in_words_are_what_they_are_in_digits(mask_pii: MaskPII, number: str) -> None:
    words, digits = (mask_pii.find(f"my ssn is {written}") for written in (said(number), number))
    assert [found.type for found in words] == [found.type for found in digits]


@pytest.mark.parametrize(
    "text",
    [
        "one two three, testing",
        "two or three of the six, or seven of nine",
        "one, two, three, four, five, six",
        "one day at a time, two at most, dot dot dot",
        "look at the red dot on the map",
        "meet me @ noon. it was fun",
        "lunch @ the office, com",
        "see us at the fair",
        "double the size, triple the fun",
        "un deux trois, nous irons au bois",
    ],
)
def test_other_sentences_with_such_words_stay(mask_pii: MaskPII, text: str) -> None:
    assert mask_pii.mask(text) == (text, [])


@settings(deadline=None, max_examples=60)
@given(
    number=st.sampled_from(["2125550173", "4242424242424242", "0000000", "12"]),
    between=st.sampled_from([" ", ", ", "-", "  "]),
    positions=CUTS,
)
def test_g4_what_is_spelled_may_be_cut_anywhere(number: str, between: str, positions: list[int]) -> None:
    text = f"so it is {said(number, between)}, right? Ann dot b at example dot com."
    masking = _MASK.filter()
    assert "".join(map(masking.feed, cut(text, positions))) + masking.flush() == _MASK.mask(text)[0]


_MASK = MaskPII(names="off")
