"""
What Presidio has no recognizer for: phone numbers and e-mail addresses as people write them.

Each serves a plain `AnalyzerEngine` too: `registry.add_recognizer(InternationalPhone())`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from presidio_analyzer import Pattern

from guardrails.pii.labelled import MedicalRecordNumber
from guardrails.pii.offline import bundled_suffixes
from guardrails.pii.patterns import TimedPattern
from guardrails.pii.recognizers import OwnPatterns

__all__ = ["GluedEmail", "InternationalPhone", "LocalPhone", "MedicalRecordNumber"]  # the last one used to be here

_CODES: Final = "|".join(sorted(map(str, COUNTRY_CODE_TO_REGION_CODE), key=lambda code: (-len(code), code)))
_DOMAIN: Final = r"(?:[a-z0-9][a-z0-9-]{0,62}\.){1,8}"  # and the suffix after it
_GAP: Final = r"[ .\-/\u00a0]{0,2}"


class InternationalPhone(OwnPatterns):
    """
    Phone numbers from the plus sign on.

    Also with the "(0)" that is dialled inside the country only, and where no such area exists: no "+1 " stays visible.
    The sign, a country code that is assigned, and 7 to 12 digits; no check of the numbering plan.

    Source: ITU-T E.164 (15 digits at most) and E.123 (how numbers are written); country codes from phonenumbers.
    """

    ENTITY: ClassVar[str] = "PHONE_NUMBER"
    GATE = re.compile(r"\+\d")
    PATTERNS: ClassVar[Sequence[Pattern]] = (
        TimedPattern(
            "International",
            rf"(?<![\w+])\+(?:{_CODES}){_GAP}(?:\(0\){_GAP})?\(?[1-9](?:\)?{_GAP}\(?\d){{6,11}}(?![\w+]|[.,:]\d)",
            0.4,
        ),
    )


class GluedEmail(OwnPatterns):
    """
    E-mail addresses that something is glued to: a digit, an underscore or the beginning of a web address (`ann@example.com_y`).

    To Presidio the suffix of that one is `com_y`, which does not exist, and the whole address stays. So does one behind a slash
    (`/users/ann@example.com`), where it takes the slash for a part of the address, and one with a label that no registry would
    accept (`ann@my_example.com`, `ann@example-.com`), which people write all the same.
    """

    ENTITY: ClassVar[str] = "EMAIL_ADDRESS"
    GATE = re.compile("@")
    PATTERNS: ClassVar[Sequence[Pattern]] = (
        TimedPattern(
            "Before what is no suffix",
            rf"(?i)(?<![\w.+%-])[\w.+%-]{{1,64}}@{_DOMAIN}[a-z]{{2,24}}?(?=[\d_]|www\d{{0,3}}\.|https?:)",
            0.5,
        ),
        TimedPattern(
            "Behind what is no part of it",
            rf"(?i)(?<=[/?=&#|])[\w.+%-]{{1,64}}@{_DOMAIN}[a-z]{{2,24}}(?![\w-]|\.\w)",
            0.5,
        ),
        TimedPattern(
            "With a label that is none",
            r"(?i)(?<![\w.+%-])[\w.+%-]{1,64}@(?=[\w.-]{0,200}?(?:-\.|_))(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24}(?![\w-]|\.\w)",
            0.5,
        ),
    )

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the domain is under a public suffix."""
        return bundled_suffixes()(pattern_text.rpartition("@")[2]).fqdn != ""


class LocalPhone(OwnPatterns):
    """
    Seven digits behind a word that says that they are a phone number: "call 555-0147".

    Source: North American Numbering Plan: a central office code begins with 2 to 9.
    """

    ENTITY: ClassVar[str] = "PHONE_NUMBER"
    CONTEXT: ClassVar[Sequence[str]] = (
        "call",
        "called",
        "cell",
        "dial",
        "fax",
        "mobile",
        "phone",
        "ring",
        "tel",
        "telephone",
        "text",
        "whatsapp",
    )
    GATE = re.compile(r"\d{3}[-. ]\d{4}")
    PATTERNS: ClassVar[Sequence[Pattern]] = (
        TimedPattern("Seven digits", r"(?<![\w+./-]|[\d)] )[2-9]\d{2}[-. ]\d{4}(?![\w/-]|[.,]\d| \d)", 0.2),
    )
