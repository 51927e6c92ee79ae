"""
Planted values: random, and nobody's.

Telephone numbers 555-01xx, addresses in example.com, networks for documentation, cards and IBANs with right check digits and
made-up accounts.

Sources: NANPA 555 line numbers; RFC 2606; RFC 5737; ISO/IEC 7812 (Luhn); ISO 13616 (mod-97).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_AREA_CODES: Final = ("201", "206", "212", "214", "303", "305", "312", "404", "415", "503", "617", "702")
_GIVEN: Final = ("Laura", "Michael", "Susan", "David", "Karen", "Robert", "Emily", "Daniel", "Rachel", "Thomas")
_FAMILY: Final = ("Bennett", "Harrison", "Collins", "Mitchell", "Sanders", "Peterson", "Coleman", "Jenkins", "Reynolds")
HARD: Final = ("EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE")  # what no mask control may miss, whatever it says about itself
SENTENCES: Final[Mapping[str, str]] = {
    "PHONE_NUMBER": "Please call {} today.",
    "EMAIL_ADDRESS": "Write to {} instead.",
    "CREDIT_CARD": "The card is {}.",
    "IBAN_CODE": "The IBAN is {}.",
    "IP_ADDRESS": "It came from {}.",
    "PERSON": "My name is {}.",
}
_LEAST_NEEDLE: Final = 6  # characters


@dataclass(frozen=True, slots=True)
class Planted:
    """
    One planted value.

    Args:
        type: Presidio's entity name.
        value: As it stands in the text.
    """

    type: str
    value: str

    def __repr__(self) -> str:
        return f"Planted({self.type})"

    def is_in(self, text: str) -> bool:
        """Whether the value, in one of its spellings, is still in *text*."""
        folded = text.casefold()
        if self.value.casefold() in folded:
            return True
        if self.type == "PERSON":
            return self.value.split()[-1].casefold() in folded
        compact = _compact(self.value)
        return len(compact) >= _LEAST_NEEDLE and compact in _compact(text)


def plant(types: Collection[str]) -> list[Planted]:
    """One random value of each of *types* that can be planted, in a fixed order."""
    return [Planted(kind, _MAKERS[kind]()) for kind in SENTENCES if kind in types]


def sentence(planted: Iterable[Planted]) -> str:
    """
    A text with all of *planted*, each in a sentence of its own that no other round has.

    What a mask found in a sentence it may remember: a name model that died would live on in sentences that it has seen.
    """
    said = (f"{SENTENCES[one.type].format(one.value).removesuffix('.')} in test {_digits(6)}." for one in planted)
    return " ".join(["This is a test of the guardrails.", *said])


def strings_in(value: Any, depth: int = 0) -> Iterable[str]:
    """Every string in the arguments of a call: in containers, bytes, and attributes of objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield bytes(value).decode("utf-8", "replace")
    elif depth < _DEPTH:
        yield from _inside(value, depth + 1)


_DEPTH: Final = 24


def _inside(value: Any, depth: int) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from strings_in(key, depth)
            yield from strings_in(one, depth)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from strings_in(one, depth)
    elif hasattr(value, "parts") and hasattr(value, "recipients"):  # a Message: who receives it is no text
        yield from value.parts.values()
    elif hasattr(value, "__dict__"):
        yield from strings_in(vars(value), depth)


def recipient(channel: str, planted: Sequence[Planted] = ()) -> str:
    """Somebody to whom nothing could be sent, and whose address is none of *planted*: it arrives, as it should."""
    while True:
        one = _email() if channel == "email" else _phone().replace(" ", "")
        if not any(each.is_in(one) for each in planted):
            return one


def _compact(text: str) -> str:
    return "".join(one for one in text if one.isalnum()).casefold()


def _digits(count: int) -> str:
    return "".join(str(secrets.randbelow(10)) for _ in range(count))


def _phone() -> str:
    return f"+1 {secrets.choice(_AREA_CODES)} 555 01{_digits(2)}"


def _email() -> str:
    return f"canary.{secrets.token_hex(5)}@example.com"


def _card() -> str:
    body = f"411111{_digits(9)}"
    doubled = [2 * int(digit) if place % 2 == 0 else int(digit) for place, digit in enumerate(body)]
    total = sum(digit - 9 if digit > 9 else digit for digit in doubled)  # noqa: PLR2004 - Luhn
    number = f"{body}{-total % 10}"
    return " ".join(number[at : at + 4] for at in range(0, 16, 4))


def _iban() -> str:
    account = f"50010517{_digits(10)}"
    check = 98 - int(f"{account}131400") % 97  # D is 13, E is 14
    return f"DE{check:02}{account}"


def _person() -> str:
    return f"{secrets.choice(_GIVEN)} {secrets.choice(_FAMILY)}"


_MAKERS: Final = {
    "PHONE_NUMBER": _phone,
    "EMAIL_ADDRESS": _email,
    "CREDIT_CARD": _card,
    "IBAN_CODE": _iban,
    "IP_ADDRESS": lambda: f"203.0.113.{1 + secrets.randbelow(254)}",
    "PERSON": _person,
}
