"""What is wrong with a policy file, and where; all of it at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import NamedTuple

from guardrails.errors import ConfigError

SHOWN = 50  # problems in one error; the rest is counted


class Place(NamedTuple):
    """Where something stands, as people count: from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """
    One thing that is wrong.

    Args:
        place: Where; None when it is nowhere in the file.
        key: The setting, such as `platform.limits.burst.rate`; empty for the file as a whole.
        text: What is wrong, and what to write.
    """

    place: Place | None
    key: str
    text: str

    def __str__(self) -> str:
        return ": ".join(str(part) for part in (self.place, self.key, self.text) if part)


class PolicyError(ConfigError):
    """
    A policy that cannot be used.

    Attributes:
        problems: Everything that is wrong, in the order of the file.
    """

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems), key=_order))
        several = f"{len(self.problems)} problems" if len(self.problems) != 1 else "1 problem"
        lines = [f"the policy {file} has {several}", *map(str, self.problems[:SHOWN])]
        if len(self.problems) > SHOWN:
            lines.append(f"... and {len(self.problems) - SHOWN} more")
        super().__init__("\n  ".join(lines), control="policy")


def _order(problem: Problem) -> tuple[int, int, str, str]:
    place = problem.place
    return (place.line if place else 0, place.column if place else 0, problem.key, problem.text)


def nearest(word: str, known: Collection[str]) -> str:
    """`; did you mean ...?`, or what there is when nothing is near."""
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(sorted(known))}" if known else ""
