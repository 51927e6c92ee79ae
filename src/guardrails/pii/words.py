"""
What detection gets to see of speech: word by word, so that hardly anything is held back. Pure; standard library only.

A voice agent cannot wait for the end of a sentence. So the text is cut between words that belong to no pattern together:

1. A word is plain if it is letters and punctuation only, and none that spells a sign ("at", "dot", "plus") or a digit. There is
   a cut between two plain words, and between a plain word and one that is not; a plain word ends what is not plain unless it is
   short and in capitals, as in "GB82 WEST 1234".
2. A word is held until it is whole, and until the next one cannot spell a sign. What is not plain is held until it ends.
3. Each piece is shown with what stood before it, so that "MRN 1234567" is understood; only the piece itself is decided about.
4. All this depends on the text alone, not on the chunks.
"""

from __future__ import annotations

import re
from typing import Final, final

from guardrails.pii.spelled import DIGIT_WORDS
from guardrails.pii.windows import WINDOW, Window

CONTEXT: Final = 80  # characters before a piece
_SIGHT: Final = 2 * WINDOW  # characters: enough to know where a piece of at most one window ends
_WORD: Final = re.compile(r"\S+\s*|\s+")
_PLAIN: Final = re.compile(r"""["'(\[\u2018\u201c]*[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*[.,;:!?)\]"'\u2019\u201d\u2026]*""")
_SIGNS: Final = ("at", "dot", "point", "plus", "dash", "hyphen", "minus", "underscore", "slash", "colon", "punkt", "bei")
_BRACKETS: Final = "([{<\"'"
_CAPITALS: Final = 5  # letters of a word that may stand inside of a number


@final
class Words:
    """Cuts speech that arrives in chunks into windows; for every text they are the same however it is cut."""

    __slots__ = ("_before", "_held", "_start")

    def __init__(self) -> None:
        self._start_over()

    def _start_over(self) -> None:
        self._held = ""  # from the open piece on
        self._before = ""  # context of it
        self._start = 0  # of the open piece

    def feed(self, chunk: str) -> list[Window]:
        """The pieces that are complete now, in order."""
        self._held += chunk
        return self._cut(last=False)

    def flush(self) -> list[Window]:
        """The rest. Ready for the next text."""
        windows = self._cut(last=True)
        if self._held:
            windows.append(self._window(self._held))
        self._start_over()
        return windows

    def _cut(self, *, last: bool) -> list[Window]:
        windows: list[Window] = []
        at = 0
        while (end := _first_cut(self._held[at : at + _SIGHT], last=last)) is not None:
            windows.append(self._window(self._held[at : at + end]))
            at += end
        self._held = self._held[at:]
        return windows

    def _window(self, piece: str) -> Window:
        begins = self._start - len(self._before)
        window = Window(begins, self._before + piece, self._start, self._start + len(piece), last=True)
        self._before = window.text[-CONTEXT:]
        self._start = window.owns_to
        return window


def _first_cut(text: str, *, last: bool) -> int | None:
    """Where the first piece of *text* ends; None if that is not certain yet."""
    is_number = False  # the last word belongs to no plain ones
    words = _WORD.finditer(text)
    word = next(words, None)
    for following in words:
        assert word is not None  # noqa: S101 - there is one before it
        if word.end() > WINDOW:
            break
        whole = last or len(text) == _SIGHT or following.end() < len(text) or following[0][-1].isspace()
        now, then = word[0].strip(), following[0].strip()
        if not now:
            return word.end()
        plain = _is_plain(now) and not (is_number and _is_short_capitals(now))
        if not _spells(now):
            if not whole and not (plain and not _may_spell(then)):
                return None
            if _spells(then) if plain else not _is_plain(then) or _spells(then) or _is_short_capitals(then):
                pass
            else:
                return word.end()
        is_number = not plain
        word = following
    # Bounded: an endless piece becomes several.
    return WINDOW if len(text) > WINDOW else None


def _is_plain(word: str) -> bool:
    return _PLAIN.fullmatch(word) is not None and _bare(word) not in DIGIT_WORDS


def _bare(word: str) -> str:
    return word.strip("([{<>}])\"'.,;:!?").casefold()


def _spells(word: str) -> bool:
    return _bare(word) in _SIGNS


def _may_spell(begun: str) -> bool:
    """Whether a word that may go on could spell a sign."""
    start = begun.lstrip(_BRACKETS).casefold()
    return any(sign.startswith(start) for sign in _SIGNS)


def _is_short_capitals(word: str) -> bool:
    return word.isupper() and len(word) <= _CAPITALS
