"""
Personal data in disguise: looked at as a reader, a browser or a program would read it.

1. What the text itself shows is found first; a disguise only adds findings, at the places of the original.
2. Percent-encoding, HTML entities, backslash escapes and dots in brackets are undone (three times at most), look-alikes and
   what has no width are folded (`guardrails.pii.folding`), what is spelled out is written with signs and digits
   (`guardrails.pii.spelled`), and cards written digit by digit are joined. Base64 and hexadecimal runs that decode to text
   (twice at most) are masked whole if anything is found in them.
3. A text without any of these costs one look (`guardrails.pii.fast.gate`), and one with long runs only, no view.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import sys
from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Final
from urllib.parse import unquote_to_bytes

from guardrails.pii import spelled
from guardrails.pii.fast.gate import Gate
from guardrails.pii.folding import Folded, fold_characters, plain, replaced
from guardrails.pii.spans import Span

Look = Callable[[str], list[Span]]

_MOST_LAYERS: Final = 3
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
# Browsers read a number without its semicolon, too.
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]{1,6})\})")
_DEFANGED: Final = re.compile(r"(?<=\w)(?:\[\.\]|\(\.\)|\[dot\])(?=\w)", re.IGNORECASE)
# Emphasis of Markdown, and the underscore in "card_4242424242424242": both are letters of a word to patterns.
_UNDERSCORE: Final = re.compile(
    r"(?<![^\W_])_+(?=[^\W_])|(?<=[^\W_])_+(?![^\W_])|(?<=[A-Za-z])_(?=\d)|(?<=\d)_(?=[A-Za-z])"
)
# Letters that stand for digits in a number.
_ALMOST: Final = re.compile(r"(?<![A-Za-z0-9])(?=[OolI]{0,2}\d)(?:[OolI]{0,3}[\d +().-]){5,24}[\dOolI](?![A-Za-z0-9])")
_MEANT: Final = str.maketrans("OolI", "0011")
_ONE_BY_ONE: Final = re.compile(r"(?<![\w.,])\d(?:([ ._*/|-])\d(?:\1\d){11,17})(?!\w|[.,]\d|\1\d)")
# What is glued to the word that says what it is: "ssn219-09-9999", "addr:2001:db8::1", "...432BIC:".
_SAYS: Final = (
    r"ssn|social|iban|ip(?:v[46])?|addr(?:ess)?|cc|cards?|visa|acct|tel(?:efono|efon)?|tlf|(?:tele)?phone|mobile?|cell|handy|fax|"
    r"whatsapp|nr|num"
)
_ENDS: Final = r"bic|swift|exp(?:iry|ires)?|cvv2?|cvc2?|dob|tel|fax|phone|mobile|cell|e?mail|name|iban|ssn"
_LABEL: Final = re.compile(
    rf"(?i)(?<![^\W_])(?:{_SAYS})(?=[+(]?\d|[A-Z]{{2}}\d\d[A-Z0-9])|(?<=\d)(?:{_ENDS})(?![A-Z])"
    r"|(?<![\w:])(?=[A-Z0-9_]{0,19}[G-Z_])[A-Z0-9_]{2,20}:(?=[A-F0-9]{1,4}:[A-F0-9:])"
)
_QUOTED: Final = re.compile(r"(?<=\d)[ \t]{0,3}\r?\n>[> \t]{0,8}(?=\d)")
_BROKEN: Final = re.compile(r"(?<=[ -][A-Z0-9]{4})[ \t]{0,3}\r?\n[> \t]{0,8}(?=[A-Z0-9]{1,4}(?![^\W_]))")
_BASE64: Final = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{12,}={0,2}(?![\w+/=-])")
_HEX: Final = re.compile(r"(?<!\w)(?:0x)?((?:[0-9A-Fa-f]{2}){6,})(?!\w)")
_SIGNS: Final = re.compile(
    r"%[0-9A-Fa-f]{2}|&#?\w{1,32}|\\[ux][{0-9A-Fa-f]|[(\[{<]\s*(?:[aA][tT]|[dD][oO][tT]|\.|@)\s*[)\]}>]"
    r"|\s(?:[dD][oO][tT]\s|@|[aA][tT]\s+[\w-]{2,32}\.[a-z])|@(?:\s|[a-z]{4,7}(?![\w.-])|[\w-]+(?:,[a-z]|\s\.))|[-_](?:at|dot)[-_]"
    r"|\d(?:([ ._*/|-])\d\1\d\1\d\1\d|[OolI][\d\s-]|_)|[OI]\d|_(?:\d|[A-Z]{2}\d\d)"
)
# What a text holds in which one of the last three finds anything, in short.
_GLUED: Final = re.compile(
    rf"(?i)(?:{_SAYS})(?:[+(]?\d[\d() .-]{{5}}|[A-Z]{{2}}\d\d[A-Z0-9])|\d{{4}}(?:{_ENDS})"
    r"|[G-Z_][A-F]{0,4}\d?:[A-F0-9]{1,4}:[A-F0-9:]"
)
_FOLDED_LINES: Final = re.compile(
    r"\d[ \t]{0,3}\r?\n>[> \t]{0,8}\d|[A-Z]{2}\d\d[ -][A-Z0-9]{4}[A-Z0-9 -]{0,40}\r?\n[> \t]{0,8}[A-Z0-9]"
)
_DISGUISED: Final = (_SIGNS, spelled.IN_A_ROW, _GLUED, _FOLDED_LINES)
_EVERY: Final = range(len(_DISGUISED))
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{12}")
_WORDS: Final = re.compile(r"\w+")
_BLANKS: Final = frozenset("\t\n\r")
_CHECKED: Final = frozenset({"CREDIT_CARD", "IBAN_CODE"})
_SHAPED: Final = _CHECKED | {"US_SSN", "IP_ADDRESS", "MAC_ADDRESS"}
_NUMBERS: Final = _CHECKED | {"US_SSN", "PHONE_NUMBER"}
_LEAST_DIGITS: Final = 6  # beside letters that stand for some


def disguises(look: Look, patterns: Look) -> Look:
    """
    *look*, and what is found in the other ways to read a text.

    Args:
        look: Detection of everything; also asked for a view with other words than the text.
        patterns: Detection of what has a pattern; asked for the other views.
    """
    gate = _gate()

    def spans(text: str, /) -> list[Span]:
        found = look(text)
        if not text.isascii():
            return found + _behind(text, look, patterns, _EVERY)
        passing = gate.passing(text)
        if not passing:  # most texts
            return found
        kinds = [number for number, one in enumerate(_DISGUISED) if number in passing and one.search(text) is not None]
        if kinds:
            return found + _behind(text, look, patterns, kinds)
        if _RUN.search(text) is not None:
            return found + list(_in_runs(text, patterns))
        return found

    return spans


@cache
def _gate() -> Gate:
    return Gate([(one.pattern, one.flags) for one in (*_DISGUISED, _RUN)])


def _behind(text: str, look: Look, patterns: Look, kinds: Collection[int]) -> list[Span]:
    """What only another view of *text* shows, where it may hold *kinds* of disguises: places in `_DISGUISED`."""
    found: list[Span] = []
    view = _decoded(plain(text))
    if view.text != text:
        kinds = _EVERY
        other_words = _WORDS.findall(view.text) != _WORDS.findall(text)
        found += _back(view, (look if other_words else patterns)(view.text))
    for other, spans in (spelled.addresses(view, patterns), spelled.numbers(view, patterns)):
        found += _back(other, spans)
    for kind, pattern, by, types in _RECKONED:
        if kind not in kinds:
            continue
        other = replaced(view, pattern, by)
        if other is not view:
            found += [span for span in _back(other, patterns(other.text)) if span.type in types]
    return found + _back(view, list(_in_runs(view.text, patterns)))


def readings(value: str) -> Iterator[str]:
    """*value*, and what it says without its disguise, each once."""
    if value.isascii() and not _gate().passing(value):  # most values
        yield value
        return
    view = _decoded(plain(value))
    said, _ = spelled.numbers(view, lambda _: [])
    written, _ = spelled.addresses(view, lambda _: [])
    one_by_one = replaced(view, _ONE_BY_ONE, _joined)
    texts = [value, view.text, said.text, written.text, one_by_one.text]
    runs = [decode(match) for pattern, decode in _RUNS for match in pattern.finditer(view.text)]
    yield from dict.fromkeys(text for text in (*texts, *runs) if text)


def _back(view: Folded, spans: list[Span]) -> list[Span]:
    return [Span(*view.back(span.start, span.end), span.type, span.score) for span in spans if span.start < span.end]


def _decoded(view: Folded) -> Folded:
    for _ in range(_MOST_LAYERS):
        before = view.text
        view = replaced(view, _PERCENT, _percent)
        view = replaced(view, _ENTITY, _entity)
        view = replaced(view, _ESCAPE, _escaped)
        view = replaced(view, _DEFANGED, lambda _: ".")
        view = fold_characters(view)
        if view.text == before:
            break
    return view


def _percent(match: re.Match[str]) -> str | None:
    try:
        return unquote_to_bytes(match.group()).decode()
    except UnicodeDecodeError:
        return None


def _entity(match: re.Match[str]) -> str | None:
    character = html.unescape(match.group())
    return None if character == match.group() else character


def _almost(match: re.Match[str]) -> str | None:
    number = match.group()
    meant = number.translate(_MEANT)
    return None if meant == number or sum(map(str.isdigit, number)) < _LEAST_DIGITS else meant


def _joined(match: re.Match[str]) -> str:
    return match.group().replace(match[1], "")


def _apart(match: re.Match[str]) -> str:
    return f" {match.group().rstrip(':')} "


# How else digits may be read: the kind of disguise, what is read as what, and what counts of what is found then.
_RECKONED: Final[tuple[tuple[int, re.Pattern[str], Callable[[re.Match[str]], str | None], frozenset[str]], ...]] = (
    (0, _ONE_BY_ONE, _joined, _CHECKED),
    (0, _UNDERSCORE, lambda match: " " * len(match.group()), _SHAPED),
    (0, _ALMOST, _almost, _NUMBERS),
    (2, _LABEL, _apart, _SHAPED | _NUMBERS),
    (3, _QUOTED, lambda _: " ", _NUMBERS),
    (3, _BROKEN, lambda _: " ", _CHECKED),
)


def _escaped(match: re.Match[str]) -> str | None:
    code = int(match[1] or match[2] or match[3], 16)
    return chr(code) if code <= sys.maxunicode else None


def _in_runs(text: str, look: Look, layers: int = 2) -> Iterator[Span]:
    """Runs of base64 or hexadecimal digits in *text* whose own text holds something."""
    for pattern, decode in _RUNS:
        for match in pattern.finditer(text):
            inside = decode(match)
            hits = look(inside) if inside else []
            if inside and not hits and layers > 1:
                hits = list(_in_runs(inside, look, layers - 1))
            if hits:
                best = max(hits, key=lambda span: span.score)
                yield Span(*match.span(), best.type, best.score)


def _readable(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return ""
    return text if all(character.isprintable() or character in _BLANKS for character in text) else ""


def _from_hex(match: re.Match[str]) -> str:
    return _readable(bytes.fromhex(match[1]))


def _from_base64(match: re.Match[str]) -> str:
    run = match.group().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(run + "=" * (-len(run) % 4)))
    except (ValueError, binascii.Error):
        return ""


_RUNS: Final = ((_HEX, _from_hex), (_BASE64, _from_base64))
