"""Which guards live in this process. Weak: what nobody holds any more is not kept by being listed."""

from __future__ import annotations

import sys
import weakref
from types import FrameType
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from guardrails.core.guard import Guard

T = TypeVar("T")

_guards: Final[weakref.WeakSet[Guard]] = weakref.WeakSet()
_PACKAGE: Final = __name__.partition(".")[0]


def add(guard: Guard) -> None:
    """List *guard*."""
    _guards.add(guard)


def guards() -> list[Guard]:
    """Every guard that is held, in the order of where it was made."""
    return sorted(copied(_guards), key=lambda guard: guard.where)


def called_from() -> str:
    """`file:line` of the code outside this package that is running."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads source files, this reads two fields
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def copied(known: weakref.WeakSet[T]) -> list[T]:
    """What is in *known* now."""
    while True:
        try:
            return list(known)
        except RuntimeError:  # one came or went meanwhile
            continue
