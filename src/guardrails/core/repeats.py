"""
Attempts that a host's client makes by itself, for one message that was charged at the first.

Only an adapter that reads its host's own retry counter may say so, and only for a message that it saw charged. The mark
is bound to one message object, so that nothing else that is sent meanwhile is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

repeated_message: Final[ContextVar[object]] = ContextVar("guardrails_repeated", default=None)


@contextmanager
def repeats(message: object) -> Iterator[None]:
    """The guarded send of exactly this object, in this block, is another attempt."""
    token = repeated_message.set(message)
    try:
        yield
    finally:
        repeated_message.reset(token)
