"""
One pass over a text that says which of many patterns may be found in it.

Needs google-re2 (extra `fast`). Without it there is no gate, and every pattern is tried: slower, the same findings.

RE2 gives up where its automaton outgrows its memory, and its binding then answers "none": a pattern that is always found
stands beside the others and shows whether the answer is one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, final

from guardrails.pii.fast.superset import NoSupersetError, superset

_MEMORY: Final = 64 << 20  # bytes, at most, of the automata of one set; they grow as texts need them


@cache
def has_re2() -> bool:
    """Whether google-re2 is installed (other packages also call themselves re2)."""
    if find_spec("re2") is None:
        return False
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - optional

    return hasattr(re2, "Set") and hasattr(re2.Set, "SearchSet")


@final
class Gate:
    """
    Which of some patterns may be found in a text.

    Args:
        patterns: Each with the flags that it is compiled with.
    """

    __slots__ = ("_all", "_ascii", "_wide")

    def __init__(self, patterns: Sequence[tuple[str, int]]) -> None:
        self._all: frozenset[int] = frozenset(range(len(patterns)))
        self._ascii: _Set | None = None
        self._wide: _Set | None = None
        if patterns and has_re2():
            self._ascii = _compiled(patterns, ascii_only=True)
            self._wide = _compiled(patterns, ascii_only=False)

    @property
    def is_open(self) -> bool:
        """Whether everything passes in ordinary texts."""
        return self._ascii is None

    def passing(self, text: str) -> Collection[int]:
        """The numbers of the patterns that may be found in *text*; any that is not among them is not found."""
        chosen = self._ascii if text.isascii() else self._wide
        if chosen is None:
            return self._all
        try:
            content = text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return self._all
        found = chosen.matches(content)
        return self._all if found is None else found


def _compiled(patterns: Sequence[tuple[str, int]], *, ascii_only: bool) -> _Set | None:
    """None if RE2 has no room for *patterns*."""
    import re2  # noqa: PLC0415 - optional

    try:
        return _Set(patterns, ascii_only=ascii_only)
    except re2.error:
        return None


@final
class _Set:
    """Patterns for one kind of text."""

    __slots__ = ("_always", "_numbers", "_sentinel", "_set")

    def __init__(self, patterns: Sequence[tuple[str, int]], *, ascii_only: bool) -> None:
        import re2  # noqa: PLC0415 - optional

        options = re2.Options()
        options.max_mem = _MEMORY
        options.never_capture = True
        options.log_errors = False
        if ascii_only:
            options.encoding = re2.Options.Encoding.LATIN1
        self._set: Any = re2.Set.SearchSet(options)
        self._numbers: list[int] = []
        always: list[int] = []
        for number, (pattern, flags) in enumerate(patterns):
            try:
                self._set.Add(superset(pattern, flags, ascii_only=ascii_only).encode())
            except (NoSupersetError, re2.error):
                always.append(number)
            else:
                self._numbers.append(number)
        self._sentinel = self._set.Add(b"")
        self._set.Compile()
        self._always = frozenset(always)

    def matches(self, content: bytes) -> Collection[int] | None:
        """The numbers of the patterns that may be found; None if RE2 gave up."""
        places = self._set.Match(content)
        if places is None or self._sentinel not in places:
            return None
        if len(places) == 1:
            return self._always
        numbers = self._numbers
        sentinel = self._sentinel
        found = {numbers[place] for place in places if place != sentinel}
        found |= self._always
        return found
