"""
Values to plant: random where a range is left free for it, else a published specimen. They are nobody's.

Of an entity that has neither (most national numbers are all handed out) nothing is planted, and a canary's report says so.

Sources: NANPA 555 line numbers; RFC 2606 (names); RFC 5737 (addresses); RFC 9542 (hardware addresses); ISO/IEC 7812 (Luhn);
ISO 13616 (mod-97); SSA POMS RM 10201.030 and IRS: 9xx with a group below 50 is neither a number of social security nor of a
taxpayer; NHS data dictionary: 999 is for tests; ICAO Doc 9303 part 4, the specimen of Utopia; CMS: the specimen of a Medicare
card; RFC 9562 (UUID).
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

_AREA_CODES: Final = ("201", "206", "212", "214", "303", "305", "312", "404", "415", "503", "617", "702")
_GIVEN: Final = ("Laura", "Michael", "Susan", "David", "Karen", "Robert", "Emily", "Daniel", "Rachel", "Thomas")
_FAMILY: Final = ("Bennett", "Harrison", "Collins", "Mitchell", "Sanders", "Peterson", "Coleman", "Jenkins", "Reynolds")
_STREETS: Final = ("Oak Street", "Maple Avenue", "Elm Street", "Cedar Road", "Park Lane")
_PLACES: Final = (
    "Ashmere",
    "Brackenford",
    "Dunmarsh",
    "Elderport",
    "Foxholme",
    "Greywick",
    "Mossdale",
    "Ravensby",
    "Saltmarsh",
)
_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def digits(count: int) -> str:
    """Random ones."""
    return "".join(str(secrets.randbelow(10)) for _ in range(count))


def phone() -> str:
    """555-01xx in some area."""
    return f"+1 {secrets.choice(_AREA_CODES)} 555 01{digits(2)}"


def email() -> str:
    """In example.com."""
    return f"canary.{secrets.token_hex(5)}@example.com"


def _card() -> str:
    body = f"411111{digits(9)}"
    doubled = [2 * int(digit) if place % 2 == 0 else int(digit) for place, digit in enumerate(body)]
    total = sum(digit - 9 if digit > 9 else digit for digit in doubled)  # noqa: PLR2004 - Luhn
    number = f"{body}{-total % 10}"
    return " ".join(number[at : at + 4] for at in range(0, 16, 4))


def _iban() -> str:
    account = f"50010517{digits(10)}"
    check = 98 - int(f"{account}131400") % 97  # D is 13, E is 14
    return f"DE{check:02}{account}"


def _nhs() -> str:
    while True:
        body = f"999{digits(6)}"
        check = -sum((10 - place) * int(digit) for place, digit in enumerate(body)) % 11
        if check < 10:  # noqa: PLR2004 - with ten there is no number
            return f"{body[:3]} {body[3:6]} {body[6:]}{check}"


def _coin_address() -> str:
    """Of a key that nobody has: the digest in it is random."""
    body = b"\0" + secrets.token_bytes(20)
    body += sha256(sha256(body).digest()).digest()[:4]
    number, found = int.from_bytes(body, "big"), ""
    while number:
        number, place = divmod(number, 58)
        found = _BASE58[place] + found
    return "1" * (len(body) - len(body.lstrip(b"\0"))) + found


def _between(least: int, most: int) -> int:
    return least + secrets.randbelow(most - least + 1)


# Entity to a sentence, and what stands in it.
PLANTS: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "PHONE_NUMBER": ("Please call {} today.", phone),
    "EMAIL_ADDRESS": ("Write to {} instead.", email),
    "CREDIT_CARD": ("The card is {}.", _card),
    "IBAN_CODE": ("The IBAN is {}.", _iban),
    "IP_ADDRESS": ("It came from {}.", lambda: f"203.0.113.{_between(1, 254)}"),
    "PERSON": ("My name is {}.", lambda: f"{secrets.choice(_GIVEN)} {secrets.choice(_FAMILY)}"),
    "LOCATION": (
        "I live at {}.",
        lambda: f"{_between(1, 900)} {secrets.choice(_STREETS)}, {secrets.choice(_PLACES)}",
    ),
    "ID": ("My passport number is {}.", lambda: "L898902C3"),
    "US_SSN": ("The SSN is {}.", lambda: f"9{digits(2)}-{_between(1, 49):02}-{_between(1, 9_999):04}"),
    "MAC_ADDRESS": ("The device is {}.", lambda: f"00:00:5E:00:53:{secrets.randbelow(256):02X}"),
    "URL": ("Look at {} first.", lambda: f"https://example.com/{secrets.token_hex(6)}"),
    "SECRET": ("The key is {}.", lambda: f"AKIA{''.join(secrets.choice(_BASE32) for _ in range(9))}EXAMPLE"),
    "MEDICAL_RECORD_NUMBER": ("The record is MRN {}.", lambda: f"0000{digits(4)}"),
    "CRYPTO": ("Pay to {}.", _coin_address),
    "DATE_TIME": ("It is due on {}.", lambda: f"{_between(2040, 2090)}-{_between(1, 12):02}-{_between(1, 28):02}"),
    "UUID": ("The case is {}.", lambda: str(uuid.uuid4())),
    "UK_NHS": ("The NHS number is {}.", _nhs),
    "US_MBI": ("The Medicare number is {}.", lambda: "1EG4-TE5-MK73"),
}
