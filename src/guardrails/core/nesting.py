"""
One real send, several guards: what an inner guard may take as done.

While a send runs (and during each single `next` of a stream, but not between them), this variable holds its journey.
The first inner guarded call for the same recipients and the same text is the same send: it skips the controls that have
acted already. That is granted once, and no longer than until the outcome is written, so that a task which outlives the
send inherits nothing.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from guardrails.core.journey import Journey

Sending: TypeAlias = "Token[Journey | None]"

sending: Final[ContextVar[Journey | None]] = ContextVar("guardrails_sending", default=None)


def unmark(token: Sending) -> bool:
    """
    Take the marker off again.

    Returns:
        False when the coroutine was closed from another context (a collector, a dying loop), where it was never set.
    """
    try:
        sending.reset(token)
    except ValueError:
        return False
    return True
