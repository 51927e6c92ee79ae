"""
Where one segment of a text ends and the next begins. Pure; standard library only.

Detection works on segments, and findings are defined per segment, so that a stream and a whole text give the same answer:

1. A boundary depends on the text alone, and only on a gap (a run of whitespace) and the two characters beside it.
2. A segment begins at the first character after a gap that holds a blank line, or that follows `.`, `!` or `?` and comes
   before a capital letter. A single newline is no boundary: it splits addresses.
3. A segment may be asked to have a least length: what would be shorter goes on with the next sentence.
4. A boundary is certain as soon as the first character of the new segment is there, never earlier.
"""

from __future__ import annotations

import re
from typing import Final, final

# Only gaps that can matter: after a sentence's end, or from their first line break on. Nothing here backtracks.
_GAP: Final = re.compile(r"(?<=[.!?])\s+|[\n\r]\s*")
_SPACES: Final = re.compile(r"\s*")
_STOPS: Final = frozenset(".!?")
_BLANK_LINE: Final = 2  # line breaks


@final
class Boundaries:
    """
    Finds segment starts in a text that arrives in chunks of any size.

    Args:
        shortest: Least length of a segment, in characters.

    >>> boundaries = Boundaries()
    >>> boundaries.feed("One. Two."), boundaries.feed(" "), boundaries.feed("Three")
    ([5], [], [10])
    """

    __slots__ = ("_after_stop", "_feeds", "_in_gap", "_last", "_returns", "_seen", "_shortest", "_start")

    def __init__(self, shortest: int = 0) -> None:
        self._shortest = shortest
        self._start = 0  # of the open segment
        self._seen = 0  # characters
        self._last = ""
        self._in_gap = False
        self._after_stop = False
        self._feeds = 0
        self._returns = 0

    def feed(self, chunk: str) -> list[int]:
        """
        The segment starts that are certain now.

        Returns:
            Positions in code points, counted from the start of the text; the text's own start is not among them.
        """
        if not chunk:
            return []
        starts: list[int] = []
        # One character of look-behind is kept, so that a sentence may end with one chunk and its gap come with the next.
        text = self._last + chunk
        position = len(self._last)
        offset = self._seen - position
        if self._in_gap:
            position = self._gap(text, position, offset, starts)
        for gap in _GAP.finditer(text, position):
            self._after_stop = gap.start() > 0 and text[gap.start() - 1] in _STOPS
            self._feeds = self._returns = 0
            self._gap(text, gap.start(), offset, starts)
        self._seen += len(chunk)
        self._last = chunk[-1]
        return starts

    def _gap(self, text: str, start: int, offset: int, starts: list[int]) -> int:
        """Read the gap (or its continuation) at *start*; the position after it."""
        match = _SPACES.match(text, start)
        end = start if match is None else match.end()
        self._feeds += text.count("\n", start, end)
        self._returns += text.count("\r", start, end)
        self._in_gap = end == len(text)
        if not self._in_gap:
            blank = max(self._feeds, self._returns) >= _BLANK_LINE  # "\r\n" is one line break, however it is cut
            if (blank or (self._after_stop and text[end].isupper())) and offset + end - self._start >= self._shortest:
                self._start = offset + end
                starts.append(self._start)
        return end
