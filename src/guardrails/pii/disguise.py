"""
Personal data in disguise: looked at as a reader, a browser or a program would read it.

1. What the text itself shows is found first; a disguise only adds findings, at the places of the original.
2. Percent-encoding, HTML entities and backslash escapes are undone (three times at most), look-alikes and what has no width
   are folded (`guardrails.pii.folding`), "ann (at) example (dot) com" is spelled back, and cards written digit by digit are
   joined. Base64 and hexadecimal runs that decode to text are masked whole if anything is found in them.
3. A text without any of these costs two regular expressions, and one with long runs only, no view.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from guardrails.pii.folding import Folded, fold_characters, plain, replaced
from guardrails.pii.spans import Span

Look = Callable[[str], list[Span]]

_MOST_LAYERS: Final = 3
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")
_AT: Final = r"\s*[(\[{]\s*at\s*[)\]}]\s*"
_DOT: Final = r"\s*[(\[{]\s*(?:dot|\.)\s*[)\]}]\s*"
_SPELLED: Final = re.compile(
    rf"\b[\w.+-]{{1,64}}(?:(?:{_AT}|@)[\w-]{{1,63}}(?:(?:{_DOT}|\s+dot\s+|\.)[\w-]{{1,63}}){{1,6}}"
    rf"|\s+at\s+[\w-]{{1,63}}(?:(?:{_DOT}|\s+dot\s+|\.)[\w-]{{1,63}}){{0,5}}(?:{_DOT}|\s+dot\s+)[\w-]{{1,63}})",
    re.IGNORECASE,
)
_SPELLED_AT: Final = re.compile(rf"{_AT}|\s+at\s+", re.IGNORECASE)
_SPELLED_DOT: Final = re.compile(rf"{_DOT}|\s+dot\s+", re.IGNORECASE)
_ONE_BY_ONE: Final = re.compile(r"(?<![\w.,])\d(?:([ ._*/|-])\d(?:\1\d){11,17})(?!\w|[.,]\d|\1\d)")
_BASE64: Final = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{12,}={0,2}(?![\w+/=-])")
_HEX: Final = re.compile(r"(?<!\w)(?:0x)?((?:[0-9A-Fa-f]{2}){6,})(?!\w)")
_DISGUISED: Final = re.compile(
    r"%[0-9A-Fa-f]{2}|&#?\w{1,32};|\\[ux][0-9A-Fa-f]{2}|(?i:[(\[{]\s*(?:at|dot|\.)\s*[)\]}]|\sdot\s)"
    r"|\d([ ._*/|-])\d\1\d\1\d\1\d"
)
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{12}")
_WORDS: Final = re.compile(r"\w+")
_BLANKS: Final = frozenset("\t\n\r")
_CHECKED: Final = frozenset({"CREDIT_CARD", "IBAN_CODE"})


def disguises(look: Look, patterns: Look) -> Look:
    """
    *look*, and what is found in the other ways to read a text.

    Args:
        look: Detection of everything; also asked for a view with other words than the text.
        patterns: Detection of what has a pattern; asked for the other views.
    """

    def spans(text: str, /) -> list[Span]:
        found = look(text)
        if not text.isascii() or _DISGUISED.search(text) is not None:
            return found + _behind(text, look, patterns)
        if _RUN.search(text) is not None:
            return found + list(_in_runs(text, patterns))
        return found

    return spans


def _behind(text: str, look: Look, patterns: Look) -> list[Span]:
    """What only another view of *text* shows."""
    found: list[Span] = []
    view = _decoded(plain(text))
    if view.text != text:
        other_words = _WORDS.findall(view.text) != _WORDS.findall(text)
        found += _back(view, (look if other_words else patterns)(view.text))
    spelled = replaced(view, _SPELLED, _respelled)
    if spelled is not view:
        found += [span for span in _back(spelled, patterns(spelled.text)) if span.type == "EMAIL_ADDRESS"]
    joined = replaced(view, _ONE_BY_ONE, lambda match: match.group().replace(match[1], ""))
    if joined is not view:
        found += [span for span in _back(joined, patterns(joined.text)) if span.type in _CHECKED]
    return found + _back(view, list(_in_runs(view.text, patterns)))


def _back(view: Folded, spans: list[Span]) -> list[Span]:
    return [Span(*view.back(span.start, span.end), span.type, span.score) for span in spans if span.start < span.end]


def _decoded(view: Folded) -> Folded:
    for _ in range(_MOST_LAYERS):
        before = view.text
        view = replaced(view, _PERCENT, _percent)
        view = replaced(view, _ENTITY, _entity)
        view = replaced(view, _ESCAPE, lambda match: chr(int(match[1] or match[2], 16)))
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


def _respelled(match: re.Match[str]) -> str | None:
    spelled = match.group()
    other = _SPELLED_DOT.sub(".", _SPELLED_AT.sub("@", spelled))
    return None if other == spelled else other


def _in_runs(text: str, look: Look) -> Iterator[Span]:
    """Runs of base64 or hexadecimal digits in *text* whose own text holds something."""
    for pattern, decode in ((_HEX, _from_hex), (_BASE64, _from_base64)):
        for match in pattern.finditer(text):
            inside = decode(match)
            hits = look(inside) if inside else ()
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
