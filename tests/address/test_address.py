"""Every spelling of one recipient is one recipient, and no text makes normalisation fail."""

from __future__ import annotations

import dataclasses
import os
import pickle
import socket
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guardrails.address import Address, normalise

ANN = Address("email", "ann@example.com", parsed=True)
NUMBER = Address("phone", "+12125550173", parsed=True)

NUMBER_SPELLINGS = [
    "+12125550173",
    "  +1 212 555 0173\n",
    "+1 (212) 555-0173",
    "+1.212.555.0173",
    "+1\u2011212\u2013555\u20140173",  # dashes of typesetters
    "whatsapp:+12125550173",
    "WhatsApp: +1 212 555 0173",
    "sms:+12125550173?body=hi",
    "tel:+1-212-555-0173;ext=9",
    "tel://+12125550173",
    "tel:%2B12125550173",
    "SMS:whatsapp:+12125550173",
    "+1212555\u200b0173",  # zero width space
    "\u202a+12125550173\u202c",  # direction marks, as copied from a contact list
    "\u2066+1\u00a0212\u00a0555\u202f0173\u2069",
    "\uff0b\uff11\uff12\uff11\uff12\uff15\uff15\uff15\uff10\uff11\uff17\uff13",  # full width
    "+\u0661\u0662\u0661\u0662\u0665\u0665\u0665\u0660\u0661\u0667\u0663",  # Arabic-Indic
    "+\u0967\u0968\u0967\u0968\u096b\u096b\u096b\u0966\u0967\u096d\u0969",  # Devanagari
    "Ann Example <+12125550173>",
]

EMAIL_SPELLINGS = [
    "ann@example.com",
    " Ann@Example.COM ",
    "mailto:ann@example.com",
    "MAILTO:Ann%40example.com?subject=hello",
    "Ann Example <ann@example.com>",
    '"Example, Ann" <ann@example.com>',
    "<ann@example.com>",
    "email:ann@example.com",
    '"ann"@example.com',
    "ann(work)@example.com",
    "ann@example.com.",
    "a\u200dnn@exam\u00adple.com",  # zero width joiner, soft hyphen
    "\uff41nn\uff20example\uff0ecom",  # full width
]


@pytest.mark.parametrize("spelling", NUMBER_SPELLINGS)
def test_every_spelling_of_a_number_is_one_number(spelling: str) -> None:
    assert normalise(spelling) == NUMBER


@pytest.mark.parametrize("spelling", EMAIL_SPELLINGS)
def test_every_spelling_of_an_email_address_is_one_address(spelling: str) -> None:
    assert normalise(spelling) == ANN


def test_a_national_number_needs_its_region() -> None:
    assert normalise("(212) 555-0173", region="us") == NUMBER
    assert normalise("0044 7700 900123", region="DE").value == "+447700900123"
    assert normalise("+44 (0)7700 900123").value == "+447700900123"


def test_spellings_of_a_number_that_has_no_country_are_still_one() -> None:
    spellings = ["(212) 555-0173", "212.555.0173", "sms:212 555 0173"]

    assert {normalise(one) for one in spellings} == {Address("phone", "2125550173", parsed=False)}


def test_international_domains_are_one_with_their_ascii_form() -> None:
    assert normalise("ann@B\u00dcCHER.example") == normalise("ann@xn--bcher-kva.example")
    assert normalise("ann@b\u00fccher.example").value == "ann@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "given_text", ["U0123ABC", "client:bob", "-1001234567", "a@x.example, b@y.example", "", "sms:", "ann@", "@x"]
)
def test_what_is_not_understood_is_used_as_given(given_text: str) -> None:
    assert normalise(given_text) == Address("other", given_text, parsed=False)


def test_a_long_text_is_folded_and_nothing_else() -> None:
    assert normalise(" " + "+1" * 5_000) == Address("other", "+1" * 5_000, parsed=False)


def test_an_unknown_region_is_no_error() -> None:
    assert normalise("2125550173", region="XX").parsed is False
    assert normalise("+12125550173", region="XX") == NUMBER


def test_a_str_that_lies_about_itself_is_read_as_the_text_it_holds() -> None:
    class Sly(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return hash("ann@example.com")

        def __eq__(self, other: object) -> bool:
            return True

        def strip(self, *_: object) -> str:
            return "ann@example.com"

    assert normalise(Sly("+12125550173")) == NUMBER


def test_the_repr_hides_the_value_and_the_value_is_frozen() -> None:
    address = normalise("+12125550173")

    assert "555" not in repr(address)
    assert repr(address) == "Address(kind='phone', parsed=True)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        address.value = "x"  # type: ignore[misc]  # that it is refused is the point
    assert pickle.loads(pickle.dumps(address)) == address  # noqa: S301 - our own bytes


def test_g8_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)

    assert normalise("Fresh <fresh@b\u00fccher2.example>").parsed
    assert normalise("+44 7700 900555").parsed


PIECES = st.sampled_from(
    [
        *(
            "+",
            "1",
            "212",
            "5550173",
            "00",
            "(0)",
            " ",
            "-",
            ".",
            "/",
            "<",
            ">",
            "@",
            '"',
            "(",
            ")",
            ",",
            ";ext=",
            "x",
            "?",
        ),
        *("%40", "%2B", "%ff", "sms:", "whatsapp:", "mailto:", "tel://", "ann", "example", ".com", "xn--"),
        *("\u00fc", "\u00df", "\u0130", "\u200b", "\u202e", "\uff11", "\u0661", "\u0345", "\u3164", "\ud800", "\u00ad"),
        *("e\u0301", "\u034f", "\ufb01", "\u1e9e", "\u2460", "\u00bd"),
    ]
)
SPELLINGS = st.one_of(
    st.text(max_size=40), st.text(alphabet=st.characters(), max_size=40), st.lists(PIECES, max_size=12).map("".join)
)


@given(SPELLINGS, st.sampled_from([None, "US", "de", "GB", "XX", ""]))
@example("+1 212\x00", None)
@example("0/1", "de")
@settings(max_examples=1_500, deadline=None)
def test_no_text_fails_and_normalising_twice_changes_nothing(text: str, region: str | None) -> None:
    once = normalise(text, region=region)

    assert normalise(once.value, region=region) == once


@given(
    st.integers(min_value=0, max_value=99).map(lambda last: f"2125550{100 + last}"),
    st.lists(st.sampled_from(["", " ", "-", ".", "\u200b", "\u00a0", "\u2060", ") ", "/"]), min_size=10, max_size=10),
    st.sampled_from(["", "whatsapp:", "SMS:", "tel:", " "]),
)
@settings(max_examples=300, deadline=None)
def test_separators_never_make_another_number(digits: str, gaps: list[str], prefix: str) -> None:
    spelled = prefix + "+1" + "".join(gap + digit for gap, digit in zip(gaps, digits, strict=True))

    assert normalise(spelled) == Address("phone", f"+1{digits}", parsed=True)


def test_a_number_whose_separators_hid_it_is_what_its_digits_are() -> None:
    assert normalise("0/1", region="de") == normalise("01", region="de")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_child_forked_while_a_region_loads_does_not_hang() -> None:
    code = """
import os, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from guardrails import address
from phonenumbers import PhoneMetadata

address.load()
loading = threading.Event()

def load_a_region():
    with PhoneMetadata._metadata_lock:
        loading.set()
        time.sleep(0.2)

thread = threading.Thread(target=load_a_region)
thread.start()
loading.wait()
child = os.fork()
if not child:
    os._exit(0 if address.normalise("+41 44 668 18 00").parsed else 1)
assert os.waitpid(child, 0)[1] == 0
thread.join()
assert address.normalise("+41 44 668 18 00").parsed
"""
    env = {key: value for key, value in os.environ.items() if not key.startswith("COV")}  # its locks are not fork-safe
    subprocess.run([sys.executable, "-c", code], timeout=15, check=True, env=env)
