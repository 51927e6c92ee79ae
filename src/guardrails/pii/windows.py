"""
What detection gets to see: each segment as one window, or, beyond 2,000 characters, as overlapping windows.

Window `k` of a segment begins `k * STRIDE` characters after the segment's start, so its place depends on the text alone.
Neighbours overlap by 500 characters. Each window *owns* the part between the middle of its left overlap and the middle of
its right one: what begins there is decided by this window, with at least `MARGIN` characters of context on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, final

from guardrails.pii.sentences import Boundaries

WINDOW: Final = 2_000  # characters
STRIDE: Final = 1_500  # characters
MARGIN: Final = (WINDOW - STRIDE) // 2  # characters


@dataclass(frozen=True, slots=True)
class Window:
    """
    A piece of text to look at, and the part of it to decide about.

    Args:
        start: Where it begins; all positions are code points from the start of the whole text.
        text: What to look at.
        owns_from: First position that this window decides about.
        owns_to: One past the last position that it decides about.
        last: Whether the segment ends with this window.
    """

    start: int
    text: str = field(repr=False)
    owns_from: int
    owns_to: int
    last: bool

    @property
    def end(self) -> int:
        """One past the last character."""
        return self.start + len(self.text)


@final
class Cutter:
    """
    Cuts a text that arrives in chunks into windows; holds back at most one window and what is unsure about its end.

    For every text, the windows are the same however it is cut into chunks.

    Args:
        shortest: Least length of a segment, in characters.
    """

    __slots__ = ("_boundaries", "_buffer", "_buffer_start", "_index", "_segment", "_shortest")

    def __init__(self, shortest: int = 0) -> None:
        self._shortest = shortest
        self._start_over()

    def _start_over(self) -> None:
        self._boundaries = Boundaries(self._shortest)
        self._buffer = ""
        self._buffer_start = 0
        self._segment = 0
        self._index = 0

    def feed(self, chunk: str) -> list[Window]:
        """The windows that are complete now, in order."""
        starts = self._boundaries.feed(chunk)
        self._buffer += chunk
        windows: list[Window] = []
        for start in starts:
            self._close(start, windows)
        self._advance(self._buffer_start + len(self._buffer), windows)
        keep_from = self._segment + self._index * STRIDE
        self._buffer = self._buffer[keep_from - self._buffer_start :]
        self._buffer_start = keep_from
        return windows

    def flush(self) -> list[Window]:
        """The windows that were waiting for more text. The cutter is ready for the next text."""
        windows: list[Window] = []
        end = self._buffer_start + len(self._buffer)
        if end > self._segment:
            self._close(end, windows)
        self._start_over()
        return windows

    def _advance(self, end: int, windows: list[Window]) -> None:
        """Every window of the open segment that ends before *end*: one more character proves that the segment goes on."""
        while end - (start := self._segment + self._index * STRIDE) > WINDOW:
            windows.append(self._window(start, start + WINDOW, start + STRIDE + MARGIN, last=False))
            self._index += 1

    def _close(self, end: int, windows: list[Window]) -> None:
        self._advance(end, windows)
        windows.append(self._window(self._segment + self._index * STRIDE, end, end, last=True))
        self._segment = end
        self._index = 0

    def _window(self, start: int, end: int, owns_to: int, *, last: bool) -> Window:
        text = self._buffer[start - self._buffer_start : end - self._buffer_start]
        owns_from = start if self._index == 0 else start + MARGIN
        return Window(start=start, text=text, owns_from=owns_from, owns_to=owns_to, last=last)
