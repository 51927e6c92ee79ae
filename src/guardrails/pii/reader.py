"""
Reads a text that arrives in chunks and says what is in it, and up to where that is settled.

1. What is said depends on the text alone, not on the chunks.
2. What is settled is never taken back: a window decides only about what it owns.
3. A finding that reaches the edge of its window goes on to the next whitespace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, final

from guardrails.pii.budget import Budget
from guardrails.pii.lists import Allowed
from guardrails.pii.memory import Memory
from guardrails.pii.spans import Piece, Span, View, speaks, tokens, union, within
from guardrails.pii.windows import STRIDE, WINDOW, Cutter, Window
from guardrails.pii.words import Words

_SPACE: Final = re.compile(r"\s")
MOST_LOOKS: Final = 8


@final
class Examiner:
    """
    Looks at one window, and again with what was found replaced, until nothing more is found.

    Without the second look, what stands between two findings could be found by whoever reads the masked text.

    Args:
        spans: Detection in one text, overlaps and all.
        again: The same for a further look.
        entities: Whose placeholders are left alone.
        looks_again: Whether to look again.
        allow: What lies inside of one of these is not found.
        shortest: Least length of a segment, in characters.
    """

    __slots__ = ("_again", "_allow", "_atoms", "_by_words", "_entities", "_spans", "looks_again", "shortest")

    def __init__(
        self,
        spans: Callable[[str], list[Span]],
        again: Callable[[str], list[Span]],
        entities: frozenset[str],
        *,
        looks_again: bool,
        allow: Allowed,
        shortest: int = 0,
    ) -> None:
        self._spans = spans
        self._again = again
        self._atoms: Callable[[str], list[Span]] | None = None
        self._entities = entities
        self._allow = allow
        self._by_words = False
        self.looks_again: bool = looks_again
        self.shortest: int = shortest

    def beside(
        self,
        *,
        also: Callable[[str], list[Span]] | None = None,
        atoms: Callable[[str], list[Span]] | None = None,
    ) -> Examiner:
        """
        One that finds more, or leaves more alone.

        Args:
            also: Finds what is found beside.
            atoms: Finds what is left alone.
        """
        spans = self._spans
        twin = Examiner(
            spans if also is None else lambda text: [*spans(text), *also(text)],
            self._again,
            self._entities,
            looks_again=self.looks_again,
            allow=self._allow,
            shortest=self.shortest,
        )
        twin._atoms, twin._by_words = atoms, self._by_words
        return twin

    def by_words(self, look: Callable[[str], list[Span]]) -> Examiner:
        """One that reads word by word, and finds what *look* finds."""
        twin = self.beside()
        twin._atoms, twin._spans, twin._by_words = self._atoms, look, True  # noqa: SLF001 - same class
        return twin

    def cutter(self) -> Cutter | Words:
        """What cuts a text for this one."""
        return Words() if self._by_words else Cutter(self.shortest)

    def remembering(self, memory: Memory, tenant: str | None) -> Examiner:
        """One that looks at what *tenant* has sent before no more than once."""
        twin = self.beside()
        twin._atoms, twin._spans = self._atoms, memory.remembering(self._spans, tenant)  # noqa: SLF001 - same class
        return twin

    def within(self, budget: Budget) -> Examiner:
        """One that looks with patterns only, or refuses, once *budget* is over."""
        twin = self.beside()
        twin._atoms, twin._spans = self._atoms, budget.bounded(self._spans, self._again)  # noqa: SLF001 - same class
        return twin

    def examine(self, text: str, known: Sequence[Span]) -> list[Span]:
        """Non-overlapping findings in *text*, in order, none of them in *known*."""
        atoms = [*known, *tokens(text, self._entities)]
        if self._atoms is not None:
            atoms += self._atoms(text)
        whole = Piece(0, len(text), "", "")
        pieces = [whole]
        if atoms:
            pieces = whole.without(atoms)
            view = View(text, pieces)
            fresh = view.back(self._spans(view.text))
        else:
            fresh = [(whole, span) for span in self._spans(text)]
        if not fresh:  # most texts
            return []
        allowed = self._allow.places(text)
        found: list[Span] = []
        for look in range(MOST_LOOKS):
            if look:
                view = View(text, pieces)
                fresh = view.back(self._again(view.text))
            if allowed:
                fresh = [(piece, span) for piece, span in fresh if not within(span, allowed)]
            if not fresh:
                break
            if look == MOST_LOOKS - 1:  # each look brings up something more: nothing of such a piece stays visible
                fresh = [(piece, span._replace(start=piece.start, end=piece.end)) for piece, span in fresh]
            new = union(span for _, span in fresh)
            found += new
            if not self.looks_again:
                break
            # Only what has a new neighbour can look different now.
            changed = dict.fromkeys(piece for piece, _ in fresh)
            pieces = [
                left for piece in sorted(changed) for left in piece.without(new) if speaks(text[left.start : left.end])
            ]
            if not pieces:
                break
        found.sort()
        return found


@final
class Reader:
    """
    Findings of one text after the other.

    Args:
        examiner: Looks at windows.
    """

    __slots__ = ("_cutter", "_examiner", "_open", "_pending", "_recent", "settled")

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner
        self.start_over()

    def start_over(self) -> None:
        """Forget the text; the next chunk begins another."""
        self._cutter = self._examiner.cutter()
        self._recent: list[Span] = []  # settled, and still in sight of the segment's next window
        self._pending: Span | None = None  # reaches beyond what its window owns
        self._open = False  # and perhaps beyond what its window shows
        self.settled: int = 0  # up to here, all findings are out

    def feed(self, chunk: str) -> list[Span]:
        """What is settled now that *chunk* has arrived, in order; also sets `settled`."""
        return [span for window in self._cutter.feed(chunk) for span in self._read(window)]

    def flush(self) -> list[Span]:
        """What was still unsure. The text ends here; call `start_over` before the next."""
        return [span for window in self._cutter.flush() for span in self._read(window)]

    def _read(self, window: Window) -> list[Span]:
        if window.last and window.start == window.owns_from:  # a short segment: most texts
            self.settled = window.owns_to
            return [span.moved(window.start) for span in self._examiner.examine(window.text, ())]
        spans = [] if self._pending is None else [self._extended(self._pending, window)]
        known = [span.moved(-window.start) for span in (*self._recent, *spans)] if self._examiner.looks_again else ()
        for relative in self._examiner.examine(window.text, known):
            span = relative.moved(window.start)
            begin = max(span.start, window.owns_from)
            if begin < span.end and begin < window.owns_to:
                spans.append(span._replace(start=begin))
        return self._settle(union(spans), window)

    def _extended(self, span: Span, window: Window) -> Span:
        """What reached the edge of the last window, up to the next whitespace."""
        if not self._open:
            return span
        space = _SPACE.search(window.text, span.end - window.start)
        return span._replace(end=window.end if space is None else window.start + space.start())

    def _settle(self, spans: list[Span], window: Window) -> list[Span]:
        self._pending = None
        self._open = False
        self.settled = window.owns_to
        if window.last:
            self._recent = []
            return spans
        if spans and spans[-1].end > window.owns_to:
            self._open = spans[-1].end == window.end
            self._pending = spans.pop()
            if self._pending.end - self._pending.start > WINDOW:  # bounded: one endless value becomes several
                spans.append(self._pending._replace(end=window.owns_to))
                self._pending = self._pending._replace(start=window.owns_to)
            self.settled = self._pending.start
        in_sight = window.start + STRIDE
        self._recent = [span for span in (*self._recent, *spans) if span.end > in_sight]
        return spans
