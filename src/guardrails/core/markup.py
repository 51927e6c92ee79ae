"""
The texts of an HTML document: what a person reads, with the markup left exactly as it was written.

Source of the tokens: Python's `html.parser`, which follows WHATWG HTML where mail clients do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape, unescape
from html.parser import HTMLParser
from itertools import pairwise
from typing import Final

# Attributes that are shown or read aloud, or that carry addresses.
_READ: Final = frozenset(
    {"alt", "aria-label", "content", "href", "label", "placeholder", "src", "summary", "title", "value"}
)
_ATTRIBUTE: Final = re.compile(r"""([^\s"'<>/=]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+)""")


@dataclass(frozen=True, slots=True)
class Span:
    """
    One text of a document.

    Args:
        start: Where it begins in the source.
        end: Where it ends.
        text: What it says, unescaped.
        is_markup: Whether its replacement must be escaped.
        is_attribute: Whether it is the value of an attribute.
    """

    start: int
    end: int
    text: str
    is_markup: bool
    is_attribute: bool = False


def spans(source: str) -> list[Span]:
    """The texts of *source*, in order."""
    reader = _Reader(source)
    reader.feed(source)
    reader.close()
    return reader.spans()


def rewritten(source: str, news: Sequence[tuple[Span, str]]) -> str:
    """*source* with other texts; everything else stays as it was written."""
    out, at = [], 0
    for span, text in news:
        out += [source[at : span.start], escape(text, quote=True) if span.is_markup else text]
        at = span.end
    return "".join(out) + source[at:]


def blocks(source: str) -> list[str]:
    """
    The texts of *source*, those that only inline tags and line breaks divide as one: `ann@<b>example.com</b>` is one address.

    Where a tag stood there is an invisible mark; `with_blocks` needs it to put what is left of the text back in its place.

    >>> blocks("<p>write to ann@<b>example.com</b></p>")[0].encode("ascii", "ignore")
    b'write to ann@example.com'
    """
    return [_joined(source, group) for group in _groups(source)]


def with_blocks(source: str, news: Sequence[str]) -> str:
    """
    *source* with other texts, in the order of `blocks`.

    What stands between two marks goes where it came from. A text whose marks are gone goes where the first of it came from.
    """
    changes: list[tuple[Span, str]] = []
    for group, new in zip(_groups(source), news, strict=True):
        if new != _joined(source, group):
            parted = _parted(new, len(group))
            changes += [one for one in zip(group, parted, strict=True) if one[0].text != one[1]]
    return rewritten(source, sorted(changes, key=lambda one: one[0].start))


_OPENS, _ZERO, _ONE, _GAP = "\u2063", "\u2061", "\u2062", "\u2064"
_MARK: Final = re.compile(rf"{_OPENS}([{_ZERO}{_ONE}]+){_OPENS}(?:{_GAP}\s)?")
_BREAK: Final = re.compile(r"<br\b", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_INLINE: Final = re.compile(
    r"(?:\s|</?(?:a|abbr|b|bdi|bdo|big|cite|code|em|font|i|kbd|label|mark|q|s|samp|small|span|strong|sub|sup|tt|u|var|wbr|br)\b[^<>]*>)+",
    re.IGNORECASE,
)


def _groups(source: str) -> list[list[Span]]:
    groups: list[list[Span]] = []
    last: list[Span] | None = None  # of texts that a reader sees on one line
    for span in spans(source):
        if span.is_attribute or not span.is_markup:
            groups.append([span])
        elif (
            last is not None
            and _INLINE.fullmatch(source, last[-1].end, span.start)
            and not any(mark in span.text for mark in (_OPENS, _ZERO, _ONE, _GAP))
        ):
            last.append(span)
        else:
            last = [span]
            groups.append(last)
    return groups


def _joined(source: str, group: Sequence[Span]) -> str:
    """The texts of *group*, each but the first behind its mark and what a reader sees there: nothing, a blank, a new line."""
    out = [group[0].text]
    for number, (before, span) in enumerate(pairwise(group), 1):
        between = source[before.end : span.start]
        around = before.text[len(before.text.rstrip()) :] + span.text[: -len(span.text.lstrip()) or None]
        # Two line breaks would end a paragraph: `<br>` mostly stands at the end of a line.
        gap = "\n" if _BREAK.search(between) and "\n" not in around else " " if _TAG.sub("", between) else ""
        out += [_OPENS, f"{number:b}".replace("0", _ZERO).replace("1", _ONE), _OPENS, gap and _GAP + gap, span.text]
    return "".join(out)


def _parted(text: str, count: int) -> list[str]:
    """*text* by its marks; marks that are gone, or out of order, leave their text to the one before."""
    parts = [""] * count
    if count == 1:
        return [text]
    at = 0
    pieces = _MARK.split(text)
    parts[0] = pieces[0]
    for bits, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        number = int(bits.replace(_ZERO, "0").replace(_ONE, "1"), 2)
        at = number if at < number < count else at
        parts[at] += piece
    return parts


class _Reader(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self._lines = [0]
        for line in source.split("\n"):  # what the parser counts as a line
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._source = source
        self._marks: list[tuple[int, int, bool, bool]] = []  # start, end, markup, whole by itself

    def spans(self) -> list[Span]:
        """Neighbours are one text: `&amp;` in the middle of a word does not end it."""
        found: list[list[int | bool]] = []
        for start, end, is_markup, alone in self._marks:
            if found and not alone and not found[-1][3] and found[-1][1] == start:
                found[-1][1] = end
            else:
                found.append([start, end, is_markup, alone])
        return [
            Span(int(start), int(end), unescape(raw) if is_markup else raw, bool(is_markup), bool(is_markup and alone))
            for start, end, is_markup, alone in found
            if (raw := self._source[int(start) : int(end)]).strip()
        ]

    def _here(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def _text(self, length: int) -> None:
        start = self._here()
        self._marks.append((start, start + length, self.cdata_elem is None, self.cdata_elem is not None))

    def handle_data(self, data: str) -> None:
        self._text(len(data))

    def handle_entityref(self, name: str) -> None:
        start = self._here()
        self._text(len(name) + 1 + (self._source[start + len(name) + 1 : start + len(name) + 2] == ";"))

    def handle_charref(self, name: str) -> None:
        start = self._here()
        self._text(len(name) + 2 + (self._source[start + len(name) + 2 : start + len(name) + 3] == ";"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs
        start, written = self._here(), self.get_starttag_text() or ""
        for found in _ATTRIBUTE.finditer(written):
            if found[1].lower() in _READ:
                quoted = found[2][:1] in ("'", '"')
                self._marks.append((start + found.start(2) + quoted, start + found.end(2) - quoted, True, True))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_comment(self, data: str) -> None:
        start = self._here() + len("<!--")  # what some mail clients show under a condition
        self._marks.append((start, start + len(data), False, True))
