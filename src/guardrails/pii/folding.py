"""
Text as a reader sees it, with the way back: what only looks different is written the plain way. Standard library only.

1. Every character of the folded text knows which characters of the original it stands for.
2. Folding only shows detection another view; text outside of findings leaves unchanged.
3. Careful: circled and superscript digits stay (they number lists, and would make cards), and so does the ideographic space
   (it parts words, and would join numbers).

Source: Unicode 15 general categories and decimal values (UAX 44); look-alikes from UTS 39's confusables, those that are
letters of e-mail addresses, domains and hexadecimal numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

_LOOK_ALIKES: Final = str.maketrans(
    # Cyrillic, then Greek
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u0475\u04bb\u04cf\u0410\u0412\u0415\u041a"
    "\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u03bf\u03bd\u03c1\u03b1\u03b9\u03c5\u03ba\u0391"
    "\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "aeopcyxijsdqvhlABEKMHOPCTYXIJSovpaiukABEZHIKMNOPTYX",
)
_KEPT_WIDE: Final = frozenset("\u3000")
_DASHES: Final = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63")
_DOTS: Final = frozenset("\u2024\ufe52\uff61\u3002")
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0")
_MARKS: Final = frozenset(
    "\u2061\u2062\u2063\u2064"
)  # where a tag stood (`guardrails.core.markup`): behind a finding it stays
_ZERO_WIDTH: Final = ("Cf", "Me")
_MARKED: Final = frozenset("0123456789@.-")
_EMAIL_OR_WORD: Final = re.compile(r"[A-Za-z]")


class Folded(NamedTuple):
    """
    A view of a text.

    Args:
        text: What detection looks at.
        starts: For each character of it, where what it stands for begins in the original.
        ends: And where that ends.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a place in the view."""
        return self.starts[start], self.ends[end - 1]


def plain(text: str) -> Folded:
    """*text* as a view of itself."""
    return Folded(text, tuple(range(len(text))), tuple(range(1, len(text) + 1)))


@lru_cache(maxsize=4_096)
def _looks_like(character: str) -> str:
    """What *character* looks like: a character, or none."""
    if character.isascii() or character in _KEPT_WIDE:
        return character
    if character in _DASHES:
        return "-"
    if character in _DOTS:
        return "."
    category = unicodedata.category(character)
    if character in _FILLERS or category in _ZERO_WIDTH or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs":
        return " "
    if category in ("Lu", "Ll", "Po", "Ps", "Pe", "Sm", "Pd", "Pc"):
        other = unicodedata.normalize("NFKC", character)
        if len(other) == 1 and other.isascii():
            return other
    return character


def fold_characters(view: Folded) -> Folded:
    """*view* with characters that look like ASCII written in ASCII, and what has no width left out."""
    if view.text.isascii():
        return view
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for character, start, end in zip(*view, strict=True):
        other = _looks_like(character)
        if other and unicodedata.category(other) == "Mn" and letters and letters[-1] in _MARKED:
            other = ""  # a mark on a digit, a dot or an at sign: no language writes that
        if other:
            letters.append(other)
            starts.append(start)
            ends.append(end)
        elif ends and character not in _MARKS:
            ends[-1] = max(ends[-1], end)
    return Folded(_unmixed("".join(letters)), tuple(starts), tuple(ends))


_AROUND: Final = re.compile(r"[^\s<>\"',;]+")


def _unmixed(text: str) -> str:
    """*text* with look-alikes as Latin letters, in words of an address or with Latin letters in them; same length."""
    if text.isascii():
        return text

    def word(match: re.Match[str]) -> str:
        found = match.group()
        if "@" in found or "://" in found or _EMAIL_OR_WORD.search(found):
            return found.translate(_LOOK_ALIKES)
        return found

    return _AROUND.sub(word, text)


def replaced(view: Folded, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None]) -> Folded:
    """*view* with each match replaced; every character of a replacement stands for the whole match. None: left as it is."""
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for match, other in _replacements(view.text, pattern, by):
        start, end = match.span()
        letters.append(view.text[at:start] + other)
        starts += (*view.starts[at:start], *[view.starts[start]] * len(other))
        ends += (*view.ends[at:start], *[view.ends[end - 1]] * len(other))
        at = end
    if not letters:
        return view
    letters.append(view.text[at:])
    return Folded("".join(letters), (*starts, *view.starts[at:]), (*ends, *view.ends[at:]))


def _replacements(
    text: str, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None]
) -> Iterator[tuple[re.Match[str], str]]:
    for match in pattern.finditer(text):
        other = by(match)
        if other is not None and match.end() > match.start():
            yield match, other
