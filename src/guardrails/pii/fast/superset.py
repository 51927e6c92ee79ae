"""
For a regular expression of Python, one of RE2 that matches wherever the other may match.

A gate may let too much through, never too little: what RE2 has no words for (look-around in the middle, anchors) is left out,
a back-reference is what its group may be, and what cannot be read has no superset. One kind of pattern is for texts in ASCII,
where classes and word boundaries mean the same to both; in the other kind every character beyond ASCII may be anything, and
there are no boundaries.

Source: the syntax tree of the standard library's `re`; https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from re import _constants as tokens  # type: ignore[attr-defined]  # the tree has no public name
from re import _parser as trees  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

_ASCII: Final = frozenset(range(128))
_MOST: Final = 20  # longest count that is kept; more only make the automaton larger
_DIGITS: Final = frozenset(range(48, 58))
_WORD: Final = _DIGITS | frozenset(range(65, 91)) | frozenset(range(97, 123)) | {95}
_BLANKS: Final = frozenset((9, 10, 11, 12, 13, 32))
_PERHAPS_BLANKS: Final = frozenset(range(28, 32))  # whitespace to `str`, not to every engine
_VERSION_1: Final = 0x100  # regex.VERSION1: sets with operators, other case folding
# What an engine with Unicode case folding may take for a letter of ASCII.
_FOLDS: Final = {0x17F: "sS", 0x212A: "kK", 0x130: "iI", 0x131: "iI"}


class NoSupersetError(Exception):
    """There is nothing to gate this pattern with: it is to be tried on every text."""


class Class(NamedTuple):
    """
    The characters of ASCII that one character of a pattern stands for.

    Args:
        surely: By every reading.
        perhaps: By some reading.
    """

    surely: frozenset[int]
    perhaps: frozenset[int]

    def negated(self) -> Class:
        """All others."""
        return Class(_ASCII - self.perhaps, _ASCII - self.surely)


_CATEGORIES: Final = {
    tokens.CATEGORY_DIGIT: Class(_DIGITS, _DIGITS),
    tokens.CATEGORY_WORD: Class(_WORD, _WORD),
    tokens.CATEGORY_SPACE: Class(_BLANKS, _BLANKS | _PERHAPS_BLANKS),
}
_CATEGORIES_NOT: Final = {
    tokens.CATEGORY_NOT_DIGIT: tokens.CATEGORY_DIGIT,
    tokens.CATEGORY_NOT_WORD: tokens.CATEGORY_WORD,
    tokens.CATEGORY_NOT_SPACE: tokens.CATEGORY_SPACE,
}


def superset(pattern: str, flags: int, *, ascii_only: bool) -> str:
    """
    A pattern of RE2 that is found in every text in which *pattern* is found.

    Args:
        pattern: As the package `regex` or `re` compiles it.
        flags: As they compile it with.
        ascii_only: Whether it is for texts in ASCII (in bytes of Latin-1), or for any text (in UTF-8).

    Raises:
        NoSupersetError: The pattern says something that this does not understand.
    """
    if flags & _VERSION_1:
        raise NoSupersetError("its version 1 means other things by a set")
    known = flags & (re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE)
    try:
        tree = trees.parse(pattern, known)
    except (re.error, RecursionError, OverflowError):
        raise NoSupersetError("the standard library cannot read it") from None
    return _Writer(ascii_only=ascii_only).whole(list(tree), ignores_case=bool(tree.state.flags & re.IGNORECASE))


_WIDTHLESS: Final = (tokens.AT, tokens.ASSERT, tokens.ASSERT_NOT)


class _Writer:
    """Writes a tree as a pattern of RE2."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._ascii_only = ascii_only
        self._groups: dict[int, str] = {}

    def whole(self, nodes: list[tuple[Any, Any]], *, ignores_case: bool) -> str:
        """A whole pattern: what it looks back at stands before its first character, what it looks ahead at behind its last."""
        first = next((place for place, (kind, _) in enumerate(nodes) if kind not in _WIDTHLESS), len(nodes))
        last = next((place for place in range(len(nodes), first, -1) if nodes[place - 1][0] not in _WIDTHLESS), first)
        before = next((given for kind, given in nodes[:first] if kind is tokens.ASSERT and given[0] < 0), None)
        after = next((given for kind, given in nodes[last:] if kind is tokens.ASSERT and given[0] > 0), None)
        return "".join(
            (
                "" if before is None else self.sequence(before[1], ignores_case=ignores_case),
                self.sequence(nodes, ignores_case=ignores_case),
                "" if after is None else self.sequence(after[1], ignores_case=ignores_case),
            )
        )

    def sequence(self, nodes: Iterable[tuple[Any, Any]], *, ignores_case: bool) -> str:
        return "".join(self._node(kind, given, ignores_case=ignores_case) for kind, given in nodes)

    def _node(self, kind: Any, given: Any, *, ignores_case: bool) -> str:
        single = _class_of(kind, given, ignores_case=ignores_case)
        if single is not None:
            return self._written(single)
        match kind:
            case tokens.BRANCH:
                return "(?:" + "|".join(self.sequence(one, ignores_case=ignores_case) for one in given[1]) + ")"
            case tokens.SUBPATTERN:
                number, added, removed, inside = given
                ignores_case = (ignores_case or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
                written = "(?:" + self.sequence(inside, ignores_case=ignores_case) + ")"
                if number is not None:
                    self._groups[number] = written
                return written
            case tokens.ATOMIC_GROUP:
                return "(?:" + self.sequence(given, ignores_case=ignores_case) + ")"
            case tokens.MAX_REPEAT | tokens.MIN_REPEAT | tokens.POSSESSIVE_REPEAT:
                least, most, inside = given
                return "(?:" + self.sequence(inside, ignores_case=ignores_case) + ")" + _count(least, most)
            case tokens.AT:
                return self._place(given)
            case tokens.ASSERT | tokens.ASSERT_NOT:
                return ""
            case tokens.GROUPREF:
                return self._groups.get(given, r"(?s:.)*")
            case tokens.GROUPREF_EXISTS:
                return r"(?s:.)*"
            case _:
                pass
        raise NoSupersetError(f"there is no superset of {kind}")

    def _place(self, place: Any) -> str:
        if self._ascii_only and place in (tokens.AT_BOUNDARY, tokens.AT_NON_BOUNDARY):
            return r"\b" if place is tokens.AT_BOUNDARY else r"\B"
        return ""

    def _written(self, characters: Class) -> str:
        ranges = _ranges(sorted(characters.perhaps))
        if not self._ascii_only:
            ranges.append(r"\x{80}-\x{10FFFF}")
        return f"[{''.join(ranges)}]" if ranges else r"[^\x00-\xff]"


def _count(least: int, most: Any) -> str:
    least = min(least, _MOST)
    if most is tokens.MAXREPEAT or most > _MOST:
        return f"{{{least},}}"
    return f"{{{least},{most}}}"


def _class_of(kind: Any, given: Any, *, ignores_case: bool) -> Class | None:
    """The characters of a node that stands for one; None if it does not."""
    match kind:
        case tokens.ANY:
            return Class(frozenset(), _ASCII)
        case tokens.LITERAL:
            return _literal(given, ignores_case=ignores_case)
        case tokens.NOT_LITERAL:
            return _literal(given, ignores_case=ignores_case).negated()
        case tokens.IN:
            return _set(given, ignores_case=ignores_case)
        case _:
            return None


def _set(members: Sequence[tuple[Any, Any]], *, ignores_case: bool) -> Class:
    surely: frozenset[int] = frozenset()
    perhaps: frozenset[int] = frozenset()
    is_negated = False
    for kind, given in members:
        match kind:
            case tokens.NEGATE:
                is_negated = True
                continue
            case tokens.LITERAL:
                one = _literal(given, ignores_case=ignores_case)
            case tokens.RANGE:
                one = _range(*given, ignores_case=ignores_case)
            case tokens.CATEGORY:
                one = _CATEGORIES[given] if given in _CATEGORIES else _CATEGORIES[_CATEGORIES_NOT[given]].negated()
            case _:
                raise NoSupersetError(f"there is no superset of a set with {kind}")
        surely |= one.surely
        perhaps |= one.perhaps
    found = Class(surely, perhaps)
    return found.negated() if is_negated else found


def _literal(code: int, *, ignores_case: bool) -> Class:
    return _range(code, code, ignores_case=ignores_case)


def _range(first: int, last: int, *, ignores_case: bool) -> Class:
    surely = frozenset(range(first, min(last, 127) + 1))
    perhaps = set(surely)
    if ignores_case:
        for code in surely:
            perhaps.update(map(ord, (chr(code).lower(), chr(code).upper())))
        for code, letters in _FOLDS.items():
            if first <= code <= last:
                perhaps.update(map(ord, letters))
    return Class(surely, frozenset(perhaps))


def _ranges(codes: Sequence[int]) -> list[str]:
    """*codes*, in order, as the inside of a character class."""
    written: list[str] = []
    begin = 0
    for place, code in enumerate(codes):
        if place + 1 == len(codes) or codes[place + 1] != code + 1:
            first = codes[begin]
            written.append(f"\\x{first:02x}" if first == code else f"\\x{first:02x}-\\x{code:02x}")
            begin = place + 1
    return written
