"""
Numbers of people by the words in front of them: medical records, passports, licences, tax and insurance numbers, accounts.

Of such numbers few have a shape that other numbers have not; what says what they are is the label ("passport no. X1234567",
`"national_id": "..."`). A number without one is not found here.

Each serves a plain `AnalyzerEngine` too: `registry.add_recognizer(LabelledNumber())`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from presidio_analyzer import Pattern

from guardrails.pii.patterns import TimedPattern
from guardrails.pii.recognizers import OwnPatterns


class MedicalRecordNumber(OwnPatterns):
    """
    Numbers of medical records, behind the words that say so ("MRN 00123456"); without those words any number would be one.

    Source: HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(H); there is no common format.
    """

    ENTITY: ClassVar[str] = "MEDICAL_RECORD_NUMBER"
    GATE = re.compile(r"(?i)mrn|medical rec|patient|chart|health rec")
    PATTERNS: ClassVar[Sequence[Pattern]] = (
        TimedPattern(
            "Behind its label",
            r"(?i)(?<=\b(?:MRN|(?:medical|health) record(?: (?:number|no\.?|num|id))?|(?:patient|chart) (?:id|number|no\.?))"
            r"(?: is|s)?[ :#=.\-]{1,4})(?=[A-Z\-]*\d)[A-Z]{0,4}-?\d(?:-?[A-Z0-9]){4,14}\b",
            0.6,
        ),
    )


# As people and programs write them, in the languages that the name model reads; capitals where small letters are another word.
_LABELS: Final = (
    # passports, identity cards, licences to drive
    r"passport|passeport|pasaporte|passaporto|passaporte|paspoort|reisepass",
    r"(?:national|identity|voter|resident|government)[ _-]?(?:id|identity|card|identification)(?: card)?|id[ _-]?card",
    r"carte d['\u2019]identit\u00e9|personalausweis|documento de identidad|identiteitskaart|dni|cni|nric|(?-i:NIE|NIF)",
    r"driv(?:er|ing)['\u2019]?s?[ _-]?licen[cs]e|permis de conduire|carnet de conducir|f\u00fchrerschein|rijbewijs|(?-i:DL)",
    # social security, health and tax
    r"social[ _-](?:security|insurance)|national[ _-]insurance|nhs|medicare|aadhaa?r|(?-i:NINO|NI|SIN|PAN)",
    r"s\u00e9curit\u00e9 sociale|seguridad social|(?:sozial|renten|kranken)versicherung|burgerservicenummer|bsn",
    r"tax(?:payer)?[ _-]?(?:id|identification|file|reference)|codice fiscale|cpf|curp|pesel|personnummer|steuer-?id",
    r"steuernummer|itin|(?-i:TIN|TFN|UTR)",
    # accounts and memberships
    r"(?:bank[ _-]?)?acc(?:oun)?t|a/c|sort[ _-]?code|routing|konto|cuenta|compte|rekening|(?-i:ABA)",
    r"(?:member(?:ship)?|subscriber|insurance|policy|beneficiary|student|employee)[ _-]?(?:id|number|no|nr)",
)
_LABEL: Final = rf"(?:{'|'.join(_LABELS)})"
_FILL: Final = r"[ \t:#=._\\\"'\-]"
_MORE: Final = (
    r"(?:numbers?|num|no|nr|nummer|n[u\u00fa]mero|num\u00e9ro|n[\u00b0\u00ba]|id|code|is|was|es|est|ist|\u00e8|\u00e9)"
)
_WITH_DIGIT: Final = r"[A-Z0-9]*\d[A-Z0-9]*"


class LabelledNumber(OwnPatterns):
    """
    Numbers of people that no check digit gives away: five digits or more, behind what says whose they are.

    Its score lies below what a recognizer made for the very number gives (0.4 with a context word): that one names it.

    Source: HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i), and NIST SP 800-122, 2.2, for the kinds.
    """

    ENTITY: ClassVar[str] = "ID"
    GATE = re.compile(rf"(?i){_LABEL}")
    PATTERNS: ClassVar[Sequence[Pattern]] = (
        TimedPattern(
            "Behind its label",
            rf"(?i)(?<=(?<![A-Z0-9]){_LABEL}(?:{_FILL}{{0,3}}s?{_MORE}){{0,3}}{_FILL}{{1,6}})"
            r"(?=(?:[A-Z .\-/]{0,12}\d){5})"
            rf"(?-i:[A-Z]{{1,2}} )?{_WITH_DIGIT}(?:[ .\-/](?:{_WITH_DIGIT}|(?-i:[A-Z])(?![A-Z0-9]))){{0,5}}(?![A-Z0-9])",
            0.39,
        ),
    )
