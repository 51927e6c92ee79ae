"""
What Presidio has no recognizer for: international phone numbers and e-mail addresses as people write them, medical records.

Each serves a plain `AnalyzerEngine` too: `registry.add_recognizer(InternationalPhone())`.
"""

from __future__ import annotations

import re
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from presidio_analyzer import Pattern, PatternRecognizer

from guardrails.pii.offline import bundled_suffixes
from guardrails.pii.patterns import TimedPattern
from guardrails.pii.recognizers import Gated

_CODES: Final = "|".join(sorted(map(str, COUNTRY_CODE_TO_REGION_CODE), key=lambda code: (-len(code), code)))
_DOMAIN: Final = r"(?:[a-z0-9][a-z0-9-]{0,62}\.){1,8}"  # and the suffix after it
_GAP: Final = r"[ .\-/\u00a0]{0,2}"


class InternationalPhone(Gated, PatternRecognizer):
    """
    Phone numbers from the plus sign on.

    Also with the "(0)" that is dialled inside the country only, and where no such area exists: no "+1 " stays visible.
    The sign, a country code that is assigned, and 7 to 12 digits; no check of the numbering plan.

    Source: ITU-T E.164 (15 digits at most) and E.123 (how numbers are written); country codes from phonenumbers.
    """

    GATE = re.compile(r"\+\d")
    PATTERNS: list[Pattern] = [  # noqa: RUF012 - presidio's own attribute
        TimedPattern(
            "International",
            rf"(?<![\w+])\+(?:{_CODES}){_GAP}(?:\(0\){_GAP})?\(?[1-9](?:\)?{_GAP}\(?\d){{6,11}}(?![\w+]|[.,:]\d)",
            0.4,
        ),
    ]

    def __init__(
        self,
        patterns: list[Pattern] | None = None,
        context: list[str] | None = None,
        supported_language: str = "en",
        supported_entity: str = "PHONE_NUMBER",
        name: str = "InternationalPhone",
    ) -> None:
        super().__init__(
            supported_entity=supported_entity,
            patterns=patterns or self.PATTERNS,
            context=context or [],
            supported_language=supported_language,
            name=name,
        )


class GluedEmail(Gated, PatternRecognizer):
    """
    E-mail addresses that something is glued to: a digit, an underscore or the beginning of a web address (`ann@example.com_y`).

    To Presidio the suffix of that one is `com_y`, which does not exist, and the whole address stays. So does one behind a slash
    (`/users/ann@example.com`), where it takes the slash for a part of the address, and one with a label that no registry would
    accept (`ann@my_example.com`, `ann@example-.com`), which people write all the same.
    """

    GATE = re.compile("@")
    PATTERNS: list[Pattern] = [  # noqa: RUF012 - presidio's own attribute
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
    ]

    def __init__(
        self,
        patterns: list[Pattern] | None = None,
        context: list[str] | None = None,
        supported_language: str = "en",
        supported_entity: str = "EMAIL_ADDRESS",
        name: str = "GluedEmail",
    ) -> None:
        super().__init__(
            supported_entity=supported_entity,
            patterns=patterns or self.PATTERNS,
            context=context or [],
            supported_language=supported_language,
            name=name,
        )

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the domain is under a public suffix."""
        return bundled_suffixes()(pattern_text.rpartition("@")[2]).fqdn != ""


class MedicalRecordNumber(Gated, PatternRecognizer):
    """
    Numbers of medical records, behind the words that say so ("MRN 00123456"); without those words any number would be one.

    Source: HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(H); there is no common format.
    """

    GATE = re.compile(r"(?i)mrn|medical rec|patient|chart|health rec")
    PATTERNS: list[Pattern] = [  # noqa: RUF012 - presidio's own attribute
        TimedPattern(
            "Behind its label",
            r"(?i)(?<=\b(?:MRN|(?:medical|health) record(?: (?:number|no\.?|num|id))?|(?:patient|chart) (?:id|number|no\.?))"
            r"(?: is|s)?[ :#=.\-]{1,4})(?=[A-Z\-]*\d)[A-Z]{0,4}-?\d(?:-?[A-Z0-9]){4,14}\b",
            0.6,
        ),
    ]

    def __init__(
        self,
        patterns: list[Pattern] | None = None,
        context: list[str] | None = None,
        supported_language: str = "en",
        supported_entity: str = "MEDICAL_RECORD_NUMBER",
        name: str = "MedicalRecordNumber",
    ) -> None:
        super().__init__(
            supported_entity=supported_entity,
            patterns=patterns or self.PATTERNS,
            context=context or [],
            supported_language=supported_language,
            name=name,
        )
