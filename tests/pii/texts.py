"""Texts for properties: rich in personal data, sentence ends, long runs and awkward characters. Reserved examples only."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

EXAMPLES = {
    "PHONE_NUMBER": ("+1 212 555 0173", "212-555-0173", "(212) 555-0173", "+44 20 7946 0958"),
    "EMAIL_ADDRESS": ("ann@example.com", "bob.smith+news@mail.example.org"),
    "CREDIT_CARD": ("4242 4242 4242 4242", "4242424242424242", "378282246310005"),
    "IBAN_CODE": ("GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"),
    "US_SSN": ("078-05-1120", "219-09-9999"),
    "IP_ADDRESS": ("192.0.2.17", "2001:db8::17"),
    "URL": ("https://example.com/a?b=c", "www.example.org", "example.net", "example.museum/ann"),
    "MAC_ADDRESS": ("00:00:5E:00:53:AF", "00-00-5e-00-53-af"),
}
VALUES = st.sampled_from([value for values in EXAMPLES.values() for value in values])
GLUE = st.sampled_from(
    [
        " ",
        "  ",
        ". ",
        "! ",
        "? A",
        ".\n",
        "\r\n\r\n",
        "\n\n",
        "\n",
        ", ",
        ": ",
        "-",
        ".",
        "@",
        "/",
        "<",
        ">",
        '"',
        "'",
        "_",
        "x",
    ]
)
WORDS = st.sampled_from(
    [
        "call",
        "Ann",
        "my card is",
        "It",
        "ok..th",
        "me.ne",
        "<URL>",
        "<PHONE_NUMBER>",
        "&lt;",
        "é",
        "\u0301",
        "\ud83d",
        "👍",
        "\uff11\uff12",
        "\u0663",
    ]
)
DIGITS = st.text("0123456789-. +()/@:", max_size=24)
RUNS = st.sampled_from(
    ["word " * 450, "x" * 2_100, "ann@example.com " * 140, "+1 212 555 0173, " * 130, "https://example.com/" + "a" * 2_400]
)
SHORT = st.lists(st.one_of(VALUES, GLUE, WORDS, DIGITS, st.text(max_size=3)), max_size=14).map("".join)
LONG = st.lists(st.one_of(VALUES, GLUE, WORDS, DIGITS, RUNS), max_size=10).map("".join)
CUTS = st.lists(st.integers(0, 12_000), max_size=10)


def cut(text: str, positions: list[int]) -> list[str]:
    """*text* in pieces; equal positions make empty ones."""
    edges = [0, *sorted(min(position, len(text)) for position in positions), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]
