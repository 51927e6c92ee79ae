"""
Which errors of a send prove that nothing was sent, so that its charge is given back.

A timeout, a cancellation and an error that is raised because of one prove nothing: somebody may have got the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from guardrails.core.control import Outcome

_UNKNOWN: Final[tuple[type[BaseException], ...]] = (
    TimeoutError,
    asyncio.CancelledError,
    ConnectionResetError,
    BrokenPipeError,
)
_EXAMPLE: Final = "name the errors that prove that nothing was sent, such as refund_on=(ConnectionRefusedError,)"


class Refunds:
    """
    Errors that prove that nothing was sent.

    Args:
        errors: Classes of exceptions.

    Raises:
        ConfigError: One is no exception, or its subclasses include timeouts, cancellations or broken connections.
    """

    __slots__ = ("_errors",)

    def __init__(self, errors: Collection[type[BaseException]]) -> None:
        if isinstance(errors, type) or not all(isinstance(one, type) and issubclass(one, BaseException) for one in errors):
            raise ConfigError(f"refund_on takes classes of exceptions, in a tuple; {_EXAMPLE}")
        for one in errors:
            if any(issubclass(unknown, one) or issubclass(one, unknown) for unknown in _UNKNOWN):
                raise ConfigError(
                    f"refund_on: {one.__name__} may be raised after the message has left (timeouts, cancellations and broken "
                    f"connections prove nothing); {_EXAMPLE}"
                )
            if not issubclass(one, Exception):
                raise ConfigError(f"refund_on: {one.__name__} ends programs, and proves nothing; {_EXAMPLE}")
        self._errors = tuple(errors)

    def __bool__(self) -> bool:
        return bool(self._errors)

    def proves_unsent(self, outcome: Outcome) -> bool:
        """
        Whether the send failed with one of these errors, and nothing it was raised from says "timeout".

        An error that is called a timeout counts only if it is listed itself: libraries derive theirs from their other errors.
        """
        if outcome.result != "failed" or not outcome.raised:
            return False
        raised, *causes = outcome.raised
        if raised not in self._errors and (not issubclass(raised, self._errors) or is_timeout(raised)):
            return False
        return not any(is_timeout(cause) and cause not in self._errors for cause in causes)


def is_timeout(kind: type[BaseException]) -> bool:
    """Whether an error of this class leaves open what happened."""
    return issubclass(kind, _UNKNOWN) or "timeout" in kind.__name__.lower() or "timedout" in kind.__name__.lower()
