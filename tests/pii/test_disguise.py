"""Personal data in disguise is found at its place, and what is no personal data is not dressed up as such."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.pii import MaskPII
from guardrails.pii.folding import fold_characters, plain
from tests.pii.texts import CUTS, EXAMPLES, SHORT, cut

CARD, EMAIL = "4242424242424242", "ann@example.com"


def wide(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def digits(text: str, zero: int) -> str:
    return "".join(chr(zero + int(one)) if one.isdigit() else one for one in text)


@pytest.mark.parametrize(
    ("disguised", "entity"),
    [
        (wide(EMAIL), "EMAIL_ADDRESS"),
        (wide(CARD), "CREDIT_CARD"),
        ("an\u200bn@exam\u200bple.com", "EMAIL_ADDRESS"),
        ("4242\u200b4242\u200b4242\u200b4242", "CREDIT_CARD"),
        ("4242\u00ad42424242\u20604242", "CREDIT_CARD"),
        ("4242\u00a04242\u20094242\u202f4242", "CREDIT_CARD"),
        ("4242\u20134242\u20114242\u22124242", "CREDIT_CARD"),
        (CARD[:6] + "\u202e" + CARD[6:], "CREDIT_CARD"),
        (digits(CARD, 0x0660), "CREDIT_CARD"),
        (digits(CARD, 0x0966), "CREDIT_CARD"),
        (digits(CARD, 0x1D7CE), "CREDIT_CARD"),
        ("\u0430nn@\u0435x\u0430mple.com", "EMAIL_ADDRESS"),
        ("ann@ex\u03b1mple.com", "EMAIL_ADDRESS"),
        ("ann\uff20example\uff0ecom", "EMAIL_ADDRESS"),
        ("4\ufe0f\u20e32\ufe0f\u20e342" + CARD[4:], "CREDIT_CARD"),
        ("4\u03362\u03364\u03362" + CARD[4:], "CREDIT_CARD"),
        ("ann%40example.com", "EMAIL_ADDRESS"),
        ("ann%2540example%252Ecom", "EMAIL_ADDRESS"),
        (quote(wide(EMAIL)), "EMAIL_ADDRESS"),
        ("ann&#64;example.com", "EMAIL_ADDRESS"),
        ("ann&commat;example&period;com", "EMAIL_ADDRESS"),
        ("ann&amp;#x40;example.com", "EMAIL_ADDRESS"),
        ("ann\\u0040example.com", "EMAIL_ADDRESS"),
        ("ann (at) example (dot) com", "EMAIL_ADDRESS"),
        ("ann[at]example[.]com", "EMAIL_ADDRESS"),
        ("ann at example dot com", "EMAIL_ADDRESS"),
        (" ".join(CARD), "CREDIT_CARD"),
        ("-".join(CARD), "CREDIT_CARD"),
        (".".join(CARD), "CREDIT_CARD"),
        (base64.b64encode(b"card " + CARD.encode()).decode(), "CREDIT_CARD"),
        (base64.urlsafe_b64encode(EMAIL.encode()).decode(), "EMAIL_ADDRESS"),
        (EMAIL.encode().hex(), "EMAIL_ADDRESS"),
        (base64.b64encode(base64.b64encode(CARD.encode())).decode(), "CREDIT_CARD"),
        ("ann&#64example.com", "EMAIL_ADDRESS"),
        ("ann\\u{40}example.com", "EMAIL_ADDRESS"),
        ("192[.]0[.]2[.]44", "IP_ADDRESS"),
        ("4242  4242  4242  4242", "CREDIT_CARD"),
        ("4242 - 4242 - 4242 - 4242", "CREDIT_CARD"),
        ("4242/4242/4242/4242", "CREDIT_CARD"),
        ("4242_4242_4242_4242", "CREDIT_CARD"),
        ("O7700 9OO123", "PHONE_NUMBER"),
        ("+1-212-555-OI73", "PHONE_NUMBER"),
    ],
)
def test_what_is_disguised_is_found_and_what_is_around_stays(mask_pii: MaskPII, disguised: str, entity: str) -> None:
    masked, findings = mask_pii.mask(f"\u201cH\u00e9\u201d it is: {disguised}, \uff4f\uff4b?")
    assert masked == f"\u201cH\u00e9\u201d it is: <{entity}>, \uff4f\uff4b?"
    assert [finding.type for finding in findings] == [entity]


@pytest.mark.parametrize(
    "text",
    [
        "".join(chr(0x2460 + int(one) - 1) for one in CARD),  # circled digits number things
        "\u3000".join((CARD[:4], CARD[4:8], CARD[8:12], CARD[12:])),  # ideographic spaces part columns
        "\u2074\u00b2\u2074\u00b2" * 4,  # superscripts
        "\u041c\u043e\u0441\u043a\u0432\u0430 \u043f\u0440\u0438\u0432\u0435\u0442",
        "meet me at noon, dot the i",
        "1 2 3 4 5 6 7 8 9 10 11 12 13",
        "100%25 sure &amp; done &copy;",
        base64.b64encode(b"nothing to see here, move along").decode(),
        "deadbeefdeadbeefdeadbeef",
        "a\\u00e9b",
        "caf\u00e9 \u2014 na\u00efve",
        "snake_case_12345 and v1_2_3",
        "I10 to O2, 2O or 3l of it",
        "\\u{ffffffff} is none",
    ],
)
def test_what_is_not_personal_stays(mask_pii: MaskPII, text: str) -> None:
    assert mask_pii.mask(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_4242 4242 4242 4242_", "_<CREDIT_CARD>_"),
        ("card_4242424242424242", "card_<CREDIT_CARD>"),
        ("__192.0.2.44__ is it", "__<IP_ADDRESS>__ is it"),
        ("the *iban* _GB29NWBK60161331926819_", "the *iban* _<IBAN_CODE>_"),
    ],
)
def test_emphasis_hides_nothing_and_stays(mask_pii: MaskPII, text: str, expected: str) -> None:
    assert mask_pii.mask(text)[0] == expected


@settings(deadline=None, max_examples=80)
@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_every_place_of_a_view_leads_to_a_place_of_the_text(text: str) -> None:
    view = fold_characters(plain(text))
    assert len(view.text) == len(view.starts) == len(view.ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(view.starts, view.ends, strict=True))
    assert list(view.starts) == sorted(view.starts)


DRESSES = (wide, quote, html.escape, lambda text: json.dumps(wide(text)), "\u200b".join)


@settings(deadline=None, max_examples=60)
@given(value=st.sampled_from([EMAIL, CARD, *EXAMPLES["IBAN_CODE"]]), dress=st.sampled_from(DRESSES))
def test_no_dress_hides_a_value(value: str, dress: object) -> None:
    dressed = dress(value)  # type: ignore[operator]  # one of DRESSES
    assert dressed not in _MASK.mask(f"take {dressed} and go")[0]


@settings(deadline=None, max_examples=60)
@given(text=SHORT, positions=CUTS, dress=st.sampled_from(DRESSES))
def test_g4_a_disguise_may_be_cut_anywhere(text: str, positions: list[int], dress: object) -> None:
    try:
        dressed = dress(text)  # type: ignore[operator]  # one of DRESSES
    except UnicodeEncodeError:  # half a surrogate pair
        return
    masking = _MASK.filter()
    assert "".join(map(masking.feed, cut(dressed, positions))) + masking.flush() == _MASK.mask(dressed)[0]


_MASK = MaskPII(names="off")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SSN219-09-9999", "SSN<US_SSN>"),
        ("ssn:219099999dob:01011980", "ssn:<US_SSN>dob:01011980"),
        ("phone2125550173", "phone<PHONE_NUMBER>"),
        ("Tel:+442079460958Fax:+442079460959", "Tel:<PHONE_NUMBER>Fax:<PHONE_NUMBER>"),
        ("IBANGB82WEST12345698765432", "IBAN<IBAN_CODE>"),
        ("IBAN:GB82WEST12345698765432BIC:WESTGB2L", "IBAN:<IBAN_CODE>BIC:WESTGB2L"),
        ("ip192.0.2.44", "ip<IP_ADDRESS>"),
        ("addr:2001:db8::8a2e:370:7334", "addr:<IP_ADDRESS>"),
        ("IBAN: DE89 3704 0044\n0532 0130 00", "IBAN: <IBAN_CODE>"),
        ("> call me on +1 646 555\n> 0123?", "> call me on <PHONE_NUMBER>?"),
        ("version2.14.0.1 at:10:30:22 from:12:44:10", "version2.14.0.1 at:10:30:22 from:12:44:10"),
        ("> 12 apples\n> 13 pears", "> 12 apples\n> 13 pears"),
    ],
)
def test_a_value_is_found_with_its_label_glued_to_it_and_over_a_line_of_quoted_mail(
    mask_pii: MaskPII, text: str, expected: str
) -> None:
    assert mask_pii.mask(text)[0] == expected
