"""Planted values in a text, and whether they are still there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from guardrails.proof.plants import PLANTS, digits, email, phone

HARD: Final = ("EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE")  # what no mask control may miss, whatever it says about itself
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
        if self.type in ("PERSON", "LOCATION"):
            return self.value.split()[-1].casefold() in folded
        compact = _compact(self.value)
        return len(compact) >= _LEAST_NEEDLE and compact in _compact(text)


def plant(types: Collection[str]) -> list[Planted]:
    """One random value of each of *types* that can be planted, in a fixed order."""
    return [Planted(kind, make()) for kind, (_, make) in PLANTS.items() if kind in types]


def sentence(planted: Iterable[Planted]) -> str:
    """
    A text with all of *planted*, each in a sentence of its own that no other round has.

    What a mask found in a sentence it may remember: a name model that died would live on in sentences that it has seen.
    """
    said = (f"{PLANTS[one.type][0].format(one.value).removesuffix('.')} in test {digits(6)}." for one in planted)
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
        one = email() if channel == "email" else phone().replace(" ", "")
        if not any(each.is_in(one) for each in planted):
            return one


def _compact(text: str) -> str:
    return "".join(one for one in text if one.isalnum()).casefold()
