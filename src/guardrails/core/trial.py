"""How a control is brought to refuse, so that canaries see whether it still does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from guardrails.core.message import Message

MOMENT_SECONDS: Final = 60.0  # for which a control keeps what rehearsals leave in its counters


class Trial(NamedTuple):
    """
    What a control says in `refuses_rehearsal`: of rehearsals under one name (`call.canary`) the last is refused.

    Args:
        rehearsals: How many.
        others: Whether each goes to another recipient.
        overlapping: Whether each begins while the one before it is in its send.
        at: The time that rehearsals take for now, given one of their messages; None for the real one.
        planted: Puts what the control refuses where it looks, for rehearsals of a name, and takes it away again: a block. It
            raises where that cannot be done.
    """

    rehearsals: int = 2
    others: bool = False
    overlapping: bool = False
    at: Callable[[Message], datetime | None] | None = None
    planted: Callable[[str, Message], AbstractContextManager[None]] | None = None


def trial_of(control: object) -> Trial | None:
    """What *control* says of itself; a number is that of its rehearsals."""
    said: Trial | int | None = getattr(control, "refuses_rehearsal", None)
    return Trial(rehearsals=said) if isinstance(said, int) else said
