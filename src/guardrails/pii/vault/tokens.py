"""
How a token looks: `IDPHONE-bcdf-ghjk-lmnp-qrst`. Pure; standard library only.

1. A token is a label and a code. The code is 16 letters out of 20 consonants (69 bits); it alone says which token it is.
2. Only letters and hyphens: it fits GSM-7, HTML, SSML, JSON and URLs, and no number recognizer finds anything in it.
3. It is recognised in any case, and with up to three characters of spacing or markup in place of each hyphen.
4. It is recognised right beside other letters: the code has a fixed length, and the label of the issued token must stand
   before it. A label begins with a vowel, and holds no code: no text beside a token can take a part of it for its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

ALPHABET: Final = "bcdfghjklmnpqrstvwxz"
CODE_LETTERS: Final = 16
_GROUP: Final = 4
_KIND_LETTERS: Final = 16
_SHORT: Final = {
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC",
    "DATE_TIME": "DATE",
    "US_SSN": "SSN",
}
# No line break: a blank line ends a segment, and what masking sees must be what restoring sees.
_BETWEEN: Final = r"\-\\ \t*_`\u00a0\u00ad\u200b-\u200d\u2060\u2010-\u2015\u2212"
_LETTER: Final = f"[{ALPHABET}{ALPHABET.upper()}]"
_CODE: Final = re.compile(
    rf"(?<=[A-Za-z])[{_BETWEEN}]{{1,3}}({_LETTER}{{4}})"
    + rf"[{_BETWEEN}]{{0,3}}({_LETTER}{{4}})" * (CODE_LETTERS // _GROUP - 1)
)
# From where a text that goes on could still become a token.
_BEGUN: Final = re.compile(
    rf"[Ii](?:[Dd](?:[A-Za-z]{{0,{_KIND_LETTERS}}}(?:[{_BETWEEN}]{{1,3}}[{ALPHABET}{ALPHABET.upper()}{_BETWEEN}]{{0,24}})?)?)?\Z"
)
_LABEL: Final = re.compile(rf"[Ii][Dd][A-Za-z]{{1,{_KIND_LETTERS}}}\Z")
LONGEST: Final = 2 + _KIND_LETTERS + 4 * 3 + CODE_LETTERS  # characters


class Place(NamedTuple):
    """
    Where a code stands in a text.

    Args:
        start: First character after the label.
        end: One past the last character.
        code: The code in lower case, without separators.
    """

    start: int
    end: int
    code: str


def label_of(entity: str) -> str:
    """
    What stands before the code.

    >>> label_of("EMAIL_ADDRESS"), label_of("UK_NHS"), label_of("123")
    ('IDEMAIL', 'IDUKNHS', 'IDVALUE')
    """
    kind = _SHORT.get(entity) or "".join(one for one in entity.upper() if "A" <= one <= "Z")[:_KIND_LETTERS]
    return f"ID{kind or 'VALUE'}"


def code_from(digest: bytes) -> str:
    """
    The code of a digest; any two codes that differ have different digests.

    Args:
        digest: At least 16 bytes.
    """
    number = int.from_bytes(digest[:16], "big")
    letters = []
    for _ in range(CODE_LETTERS):
        number, letter = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[letter])
    return "".join(letters)


def token_of(entity: str, code: str) -> str:
    """
    The token as it is written.

    >>> token_of("PERSON", "bcdfghjklmnpqrst")
    'IDPERSON-bcdf-ghjk-lmnp-qrst'
    """
    return "-".join((label_of(entity), *(code[at : at + _GROUP] for at in range(0, CODE_LETTERS, _GROUP))))


def codes_in(text: str) -> Iterator[Place]:
    """Everything in *text* that could be a code, in order."""
    for match in _CODE.finditer(text):
        yield Place(match.start(), match.end(), "".join(match.groups()).lower())


def starts_at(text: str, place: Place, entity: str) -> int | None:
    """Where the token begins whose code is at *place*, if *entity*'s label stands there."""
    label = label_of(entity)
    start = max(0, place.start - len(label))
    before = text[start : place.start]
    # A letter that only its capital form makes one of a label does not begin one where a stream is cut.
    return start if before.isascii() and before.upper() == label else None


def labelled_at(text: str, place: Place) -> int | None:
    """Where the label begins that stands before *place*, if it looks like one of ours."""
    label = _LABEL.search(text, max(0, place.start - _KIND_LETTERS - 2), place.start)
    return None if label is None else label.start()


def begun_at(text: str) -> int:
    """From where on *text* could turn out to be a token when more text arrives; its length if nowhere."""
    tail = max(0, len(text) - LONGEST)
    begun = _BEGUN.search(text, tail)
    return len(text) if begun is None else begun.start()
