"""
An operator that invents: a value of the same kind that belongs to nobody.

Every number and address is from a range that is reserved for examples or published for tests; a name is put together from two
lists. Which one is chosen by a keyed digest: equal values get equal stand-ins, and nobody without the key can try values out.
What is invented looks real, so masking a text twice replaces it once more.

Sources: NANPA (555-0100 to 555-0199), RFC 2606 (names), RFC 5737 and RFC 3849 (addresses), RFC 7042 (MAC), SSA POMS
RM 10201.030 (666 is never issued), the SWIFT IBAN registry's examples, test cards published by payment services.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from guardrails.address import normalise
from guardrails.keys import Keys
from guardrails.pii.operators_keyed import check_keyed
from guardrails.pii.spans import placeholder

_PURPOSE: Final = "pii/synthetic"
_ADDRESSES: Final = frozenset({"PHONE_NUMBER", "EMAIL_ADDRESS"})
_GIVEN: Final = (
    "Alex", "Amina", "Andrea", "Bo", "Casey", "Chen", "Dana", "Eden", "Ezra", "Fen", "Gale", "Hana", "Indra", "Jamie", "Jo",
    "Kai", "Kim", "Lee", "Luca", "Maya", "Mika", "Nico", "Noa", "Ori", "Quinn", "Remy", "Robin", "Sasha", "Sky", "Taylor",
    "Toni", "Yuki",
)  # fmt: skip
_FAMILY: Final = (
    "Aldermoor", "Ashgrove", "Birchall", "Brookfen", "Calloway", "Copperhill", "Dalegarth", "Eastmere", "Elmsworth",
    "Fairmarsh", "Fernsby", "Glenrowe", "Greyling", "Hazelby", "Hollowell", "Ivesdale", "Kestrelby", "Larkmoor", "Linden",
    "Marlowby", "Millbeck", "Northolt", "Oakhurst", "Pembley", "Quillby", "Rowanby", "Sandford", "Thornbury", "Underhay",
    "Westerby", "Windmere", "Yarrowby",
)  # fmt: skip
_PLACES: Final = (
    "Ashmere", "Brackenford", "Coldwater Bay", "Dunmarsh", "Elderport", "Foxholme", "Greywick", "Harrowgate Cross", "Ivybridge",
    "Kingsmoor", "Lower Thistle", "Mossdale", "Northwick", "Old Pinford", "Ravensby", "Saltmarsh",
)  # fmt: skip
_CARDS: Final = (
    "4242 4242 4242 4242", "4000 0566 5566 5556", "5555 5555 5555 4444", "2223 0031 2200 3222", "5200 8282 8282 8210",
    "5105 1051 0510 5100", "3782 822463 10005", "3714 496353 98431", "6011 1111 1111 1117", "6011 0009 9013 9424",
    "3566 0020 2036 0505", "6200 0000 0000 0005",
)  # fmt: skip
_ACCOUNTS: Final = (
    "GB29 NWBK 6016 1331 9268 19", "DE89 3704 0044 0532 0130 00", "NL91 ABNA 0417 1643 00", "AT61 1904 3002 3457 3201",
    "BE68 5390 0754 7034", "CH93 0076 2011 6238 5295 7", "ES91 2100 0418 4502 0005 1332", "IE29 AIBK 9311 5212 3456 78",
)  # fmt: skip
_AREAS: Final = (201, 202, 205, 212, 213, 303, 305, 312, 404, 415, 503, 512, 602, 617, 702, 713, 801, 808, 907, 919)
_NETS: Final = ("192.0.2", "198.51.100", "203.0.113")


class _Draw:
    """Choices from the bytes of a digest, the same ones every time."""

    def __init__(self, digest: bytes) -> None:
        self._number = int.from_bytes(digest, "big")

    def below(self, bound: int) -> int:
        """A number from 0 on."""
        self._number, chosen = divmod(self._number, bound)
        return chosen

    def of(self, several: tuple[str, ...]) -> str:
        """One of *several*."""
        return several[self.below(len(several))]


def _phone(draw: _Draw, _value: str) -> str:
    return f"+1 {_AREAS[draw.below(len(_AREAS))]} 555 01{draw.below(100):02d}"


def _email(draw: _Draw, _value: str) -> str:
    name = f"{draw.of(_GIVEN)}.{draw.of(_FAMILY)}".lower()
    return f"{name}{draw.below(1_000)}@example.{draw.of(('com', 'net', 'org'))}"


def _network(draw: _Draw, value: str) -> str:
    if ":" in value:
        return f"2001:db8::{draw.below(65_536):x}:{draw.below(65_536):x}"
    return f"{draw.of(_NETS)}.{draw.below(254) + 1}"


_KINDS: Final[Mapping[str, Callable[[_Draw, str], str]]] = MappingProxyType(
    {
        "PERSON": lambda draw, _: f"{draw.of(_GIVEN)} {draw.of(_FAMILY)}",
        "LOCATION": lambda draw, _: draw.of(_PLACES),
        "PHONE_NUMBER": _phone,
        "EMAIL_ADDRESS": _email,
        "CREDIT_CARD": lambda draw, _: draw.of(_CARDS),
        "IBAN_CODE": lambda draw, _: draw.of(_ACCOUNTS),
        "US_SSN": lambda draw, _: f"666-{draw.below(99) + 1:02d}-{draw.below(9_999) + 1:04d}",
        "IP_ADDRESS": _network,
        "MAC_ADDRESS": lambda draw, _: f"00:00:5E:00:53:{draw.below(256):02X}",
        "URL": lambda draw, _: f"https://example.com/{draw.below(100_000):05d}",
    }
)


@dataclass(frozen=True, slots=True)
class Synthetic:
    """
    Replaces the value by an invented one of the same kind; a kind that nothing is invented for, by `<ENTITY_NAME>`.

    Args:
        keys: The master key; None for the key of this machine (`Keys.default()`).
        tenant: Separates tenants: equal values of two tenants have stand-ins that differ.

    >>> stand_in = Synthetic(Keys.ephemeral()).apply("EMAIL_ADDRESS", "ann@example.com")
    >>> stand_in.partition("@")[2].partition(".")[0]
    'example'
    """

    keys: Keys = field(default_factory=Keys.default, repr=False)
    tenant: str | None = None

    def __post_init__(self) -> None:
        check_keyed("Synthetic", self.keys, self.tenant)

    def apply(self, entity: str, value: str, /) -> str:
        """What is invented for *value*."""
        invent = _KINDS.get(entity)
        if invent is None:
            return placeholder(entity)
        same = normalise(value).value if entity in _ADDRESSES else " ".join(value.casefold().split())
        return invent(_Draw(self.keys.digester(_PURPOSE, self.tenant).digest(f"{entity}\0{same}")), value)
