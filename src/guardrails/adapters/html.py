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
    """

    start: int
    end: int
    text: str
    is_markup: bool


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
            Span(int(start), int(end), unescape(raw) if is_markup else raw, bool(is_markup))
            for start, end, is_markup, _ in found
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
