"""
E-mail addresses and numbers as people say them: "ann dot smith at example dot com", "two one two, five five five ...".

1. What is spelled is written with signs and digits again, for detection only; whether it is anything, patterns decide.
2. Digits count from seven in a row on, at least three of them as words, in any of the languages that the name model reads.
   French numbers are said in pairs ("douze trente-quatre").

Pure; standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from guardrails.pii.folding import Folded, replaced
from guardrails.pii.spans import Span

_DIGITS: Final = {
    word: str(digit)
    for digit, words in enumerate(
        (
            "zero oh nought cero z\u00e9ro null nul",
            "one uno un eins um een \u00e9\u00e9n",
            "two dos deux zwei zwo due dois twee",
            "three tres trois drei tre tr\u00eas drie",
            "four cuatro quatre vier quattro quatro",
            "five cinco cinq f\u00fcnf cinque vijf",
            "six seis sechs sei zes",
            "seven siete sept sieben sette sete zeven",
            "eight ocho huit acht otto oito",
            "nine nueve neuf neun nove negen",
        )
    )
    for word in words.split()
}


_FRENCH_ONES: Final = ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf")
_FRENCH_TEENS: Final = (
    *("dix", "onze", "douze", "treize", "quatorze", "quinze", "seize"),
    *("dix-sept", "dix-huit", "dix-neuf"),
)
_FRENCH_TENS: Final = {20: "vingt", 30: "trente", 40: "quarante", 50: "cinquante", 60: "soixante", 80: "quatre-vingt"}


def _french_pairs() -> Iterator[tuple[str, str]]:
    yield from ((word, str(number)) for number, word in enumerate(_FRENCH_TEENS, 10))
    for tens, word in _FRENCH_TENS.items():
        yield from ((form, str(tens)) for form in (word, f"{word}s"))
        goes_on = tens + 10 not in _FRENCH_TENS  # soixante-dix, quatre-vingt-dix
        for number, behind in enumerate((*_FRENCH_ONES, *(_FRENCH_TEENS if goes_on else ())), tens + 1):
            yield f"{word}-{behind}", str(number)
            yield f"{word}-et-{behind}", str(number)


_PAIRS: Final = dict(_french_pairs())
_TIMES: Final = {"double": 2, "triple": 3, "treble": 3}
DIGIT_WORDS: Final = frozenset((*_DIGITS, *_TIMES, *(part for pair in _PAIRS for part in pair.split("-")))) - {"et"}
_LEAST: Final = 7  # digits of a number
_LEAST_WORDS: Final = 3  # of them as words
_SAYING: Final = sorted((*_DIGITS, *_TIMES, *_PAIRS), key=len, reverse=True)
_WORD: Final = f"(?:{'|'.join(_SAYING).replace('-', '[- ]')})"
_ONE: Final = rf"(?:{_WORD}|\d{{1,4}})(?!\w)"
_SAID: Final = re.compile(rf"(?<!\w)(?:plus\s+)?{_ONE}(?:[\s,.-]{{1,3}}{_ONE}){{3,32}}", re.IGNORECASE)
_WORDS: Final = re.compile(rf"(?<!\w)(?:plus|{_ONE})", re.IGNORECASE)
_OF_NUMBERS: Final = frozenset({"CREDIT_CARD", "PHONE_NUMBER", "US_SSN", "IBAN_CODE", "ID", "MEDICAL_RECORD_NUMBER"})
# What a text holds in which there is such a number.
IN_A_ROW: Final = re.compile(
    rf"(?<!\w){_WORD}(?:[\s,.-]{{1,3}}(?:\d{{1,4}}[\s,.-]{{1,3}})?{_WORD}){{2}}(?!\w)", re.IGNORECASE
)

_GLUED: Final = re.compile(r"(?<=\w)([-_])(at|dot)\1(?=\w)", re.IGNORECASE)
_AT: Final = r"\s*[(\[{<]\s*(?:at|@)\s*[)\]}>]\s*"
_DOT: Final = r"\s*[(\[{<]\s*(?:dot|\.)\s*[)\]}>]\s*"
_SIGNS: Final = {"at": "@", "dot": ".", "underscore": "_", "dash": "-", "hyphen": "-", "minus": "-", "plus": "+"}
_SIGN: Final = r"\s+(?:dot|underscore|dash|hyphen|minus|plus)\s+"
_LETTERS: Final = r"(?<!['\u2019])[^\W_](?: [^\W_]){2,40}(?= at )"  # "j o h n"
_LOCAL: Final = rf"(?:{_LETTERS}|[\w.+-]{{1,128}})(?:(?:{_DOT}|{_SIGN})[\w.+-]{{1,64}}){{0,4}}"
_DOTS: Final = rf"(?:{_DOT}|\s+dot\s+|\.)"
_PROVIDERS: Final = "gmail|googlemail|yahoo|ymail|hotmail|outlook|icloud|aol|gmx|proton|protonmail|web|live|msn"
_PROVIDER: Final = rf"(?:{_PROVIDERS})\.(?:com|net|de|fr|es|it|me|co\.uk)"
_BARE: Final = r"(?:gmail|hotmail|yahoo|outlook|icloud)"  # of which everybody knows how they go on
_END: Final = r"(?:com|net|org|edu|gov|co\.uk|fr|nl|eu)(?!\w)"
_ADDRESS: Final = re.compile(
    rf"(?<![\w.+-]){_LOCAL}(?:(?:{_AT}|@)[\w-]{{1,63}}(?:{_DOTS}[\w-]{{1,63}}){{1,6}}"
    rf"|\s+at\s+(?:{_PROVIDER}\b|[\w-]{{1,63}}(?:{_DOTS}[\w-]{{1,63}}){{0,5}}(?:{_DOT}|\s+dot\s+)[\w-]{{1,63}})"
    rf"|\s?@\s?[^\W_]{{1,63}}(?:\s?[.,]\s?[^\W_]{{1,63}}){{0,4}}\s?[.,]\s?{_END}"
    rf"|@{_BARE}(?![\w.-]))",
    re.IGNORECASE,
)
_SPELLED_AT: Final = re.compile(rf"{_AT}|\s+at\s+|\s?@\s?", re.IGNORECASE)
_SPELLED_SIGN: Final = re.compile(rf"{_DOT}|{_SIGN}|\s?[.,]\s?", re.IGNORECASE)
_ENDLESS: Final = re.compile(rf"@{_BARE}\Z", re.IGNORECASE)


def numbers(view: Folded, patterns: Callable[[str], list[Span]]) -> tuple[Folded, list[Span]]:
    """*view* with spelled digits as digits, and what *patterns* find in it; nothing where no digits are spelled."""
    said = replaced(view, _SAID, _number)
    return said, [] if said is view else [span for span in patterns(said.text) if span.type in _OF_NUMBERS]


def _number(match: re.Match[str]) -> str | None:
    written: list[str] = []
    words, times = 0, 1
    spoken: list[str] = _WORDS.findall(match.group().lower())
    for said in spoken:
        word = said.replace(" ", "-")
        if word in _TIMES:
            times = _TIMES[word]
            continue
        words += not word.isdecimal() and word != "plus"
        written.append("+" if word == "plus" else (_DIGITS.get(word) or _PAIRS.get(word, word)) * times)
        times = 1
    number = "".join(written)
    if words < _LEAST_WORDS or len(number) < _LEAST:
        return None
    return f"{number[:3]}-{number[3:]}" if len(number) == _LEAST else number  # as those of North America are written


def addresses(view: Folded, patterns: Callable[[str], list[Span]]) -> tuple[Folded, list[Span]]:
    """*view* with spelled e-mail addresses written with their signs, and those that *patterns* find in it."""
    spelled = replaced(replaced(view, _GLUED, lambda match: _SIGNS[match[2].lower()]), _ADDRESS, _address)
    return spelled, [] if spelled is view else [span for span in patterns(spelled.text) if span.type == "EMAIL_ADDRESS"]


def _address(match: re.Match[str]) -> str | None:
    spelled = match.group()
    other = _SPELLED_SIGN.sub(_sign, _SPELLED_AT.sub("@", spelled))
    local, _, domain = other.partition("@")
    other = f"{local.replace(' ', '')}@{domain}"
    if _ENDLESS.search(other):
        other += ".com"
    return None if other == spelled else other


def _sign(match: re.Match[str]) -> str:
    return _SIGNS.get(match.group().strip().lower(), ".")
