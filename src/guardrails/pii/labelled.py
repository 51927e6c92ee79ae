"""
Numbers of people by the words in front of them: medical records, passports, licences, tax numbers, accounts, phones.

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


def _behind(label: str, between: str, number: str, score: float) -> tuple[Pattern, ...]:
    """What finds *number* behind *label*, with *between* between them; all of them regular expressions, in any case."""
    return (TimedPattern("Behind its label", rf"(?i)(?<={label}{between}){number}", score),)


class MedicalRecordNumber(OwnPatterns):
    """
    Numbers of medical records, behind the words that say so ("MRN 00123456"); without those words any number would be one.

    Source: HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(H); there is no common format.
    """

    ENTITY: ClassVar[str] = "MEDICAL_RECORD_NUMBER"
    GATE = re.compile(r"(?i)mrn|medical rec|patient|chart|health rec")
    PATTERNS: ClassVar[Sequence[Pattern]] = _behind(
        r"\b(?:MRN|(?:medical|health) record(?: (?:number|no\.?|num|id))?|(?:patient|chart) (?:id|number|no\.?))",
        r"(?: is|s)?[ :#=.\-]{1,4}",
        r"(?=[A-Z\-]*\d)[A-Z]{0,4}-?\d(?:-?[A-Z0-9]){4,14}\b",
        0.6,
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
    PATTERNS: ClassVar[Sequence[Pattern]] = _behind(
        rf"(?<![A-Z0-9]){_LABEL}",
        rf"(?:{_FILL}{{0,3}}s?{_MORE}){{0,3}}{_FILL}{{1,6}}",
        r"(?=(?:[A-Z .\-/]{0,12}\d){5})"
        rf"(?-i:[A-Z]{{1,2}} )?{_WITH_DIGIT}(?:[ .\-/](?:{_WITH_DIGIT}|(?-i:[A-Z])(?![A-Z0-9]))){{0,5}}(?![A-Z0-9])",
        0.39,
    )


_WHOSE: Final = "my|his|her|our|their|new|mi|su|mon|son|meine?|ihre|il mio|il suo|o meu|meu|mijn|zijn|haar|contact"
_PHONES: Final = (
    r"(?:tele)?phone|tel|mobile|cell|fax|whats\s?app|landline|handset",
    r"tel[e\u00e9]fono|m[o\u00f3]vil|celular|t[e\u00e9]l(?:[e\u00e9]phone)?|portable|telefon|handy|mobil|rufnummer|festnetz",
    r"telefono|cellulare|telefone|telem[o\u00f3]vel|fone|zap|telefoon|mobiel",
    rf"(?:{_WHOSE}) (?:new |nuevo |nouveau |neue )?(?:number|nr|no|num|n[u\u00fa]mero|num\u00e9ro|nummer)",
)
_CALLS: Final = (
    r"(?:call|ring|dial|text|txt|sms)(?: (?:me|us|him|her|them|back))*",
    r"ll[a\u00e1]m[ae](?:me|nos)?|llame(?: al)?|appelez(?:-(?:moi|nous))?|chiama(?:mi|ci)?|liga(?:-me)?|bel(?: me| ons)?",
)
_SAYS_MORE: Final = (
    rf"(?:{_FILL}{{0,3}}(?:nummer|nr|no|num|numbers?|n[u\u00fa]mero|num\u00e9ro|is|now|es|est|ist|\u00e8|\u00e9|at|on|al|au|c))"
    rf"{{0,3}}{_FILL}{{1,6}}"
)
_GAP: Final = r"[ .\-/()\u00a0]"
_DATE_OR_AMOUNT: Final = (
    r"\d{1,2}[./\-]\d{1,2}[./\-]\d{2,4}(?!\d)|\d{4}[./\-]\d{1,2}[./\-]\d{1,2}(?!\d)"
    r"|[1-9]\d?(?:[ .]\d{3}){2,3}(?![ .]?\d)"
)
_HOURS_NOT: Final = rf"\(?\d{{0,2}}{_GAP}{{0,3}}\d{{3}}|(?:\d\d{_GAP}{{1,2}}){{4}}\d\d"


def _phone(labels: Sequence[str], least: int) -> tuple[Pattern, ...]:
    return _behind(
        rf"(?<![^\W_])(?:{'|'.join(labels)})",
        _SAYS_MORE,
        rf"(?!{_DATE_OR_AMOUNT})(?={_HOURS_NOT})\(?\d(?:{_GAP}{{0,2}}\d){{{least - 1},12}}(?![^\W_]|[.,:/-]\d)",
        0.4,
    )


class LabelledPhone(OwnPatterns):
    """
    Phone numbers of any country, behind the words that say so: "mi tel\u00e9fono es 612 34 56 78".

    Presidio knows how numbers are written in eight regions. Dates, hours and millions behind such a word are none, nor are seven
    digits behind "call": those of North America are `LocalPhone`'s.

    Source: ITU-T E.164: 15 digits at most.
    """

    ENTITY: ClassVar[str] = "PHONE_NUMBER"
    GATE = re.compile(rf"\d(?:{_GAP}{{0,2}}\d){{6}}")
    PATTERNS: ClassVar[Sequence[Pattern]] = (*_phone(_PHONES, 7), *_phone(_CALLS, 8))
