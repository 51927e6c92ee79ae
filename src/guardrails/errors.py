"""
What this library raises. All of it pickles, and none of it carries message text.

    GuardrailsError     .sent .control .where .record_id
      Denied            the message was refused: .reason
        RateLimited     .retry_after seconds, .limit, .scope
          NeverFits     costs more than the limit ever holds: do not try again
        Blocked         .findings (types and counts)
        Deferred        .not_before: not sent, try later
      Unavailable       a control could not decide (store, sink, model, budget): fail closed, not the user's fault
      ControlError      a control broke its contract or crashed
      ConfigError       wrong set-up, found at decoration or load

`sent` answers the first question after any error: did the message go out?
False (no), True (yes, and only the reply is withheld) or None (the send was entered and nobody can know).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class GuardrailsError(Exception):
    """
    The root of everything that this library raises.

    Args:
        message: What happened and what to change; never text of a message.
        sent: False, True, or None when nobody can know.
        control: Name of the control that decided or failed.
        where: `file:line:function` of that control.
    """

    def __init__(
        self, message: str = "", *, sent: bool | None = False, control: str | None = None, where: str | None = None
    ) -> None:
        super().__init__(message)
        self.sent = sent
        self.control = control
        self.where = where
        self.record_id: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by calling the class with `args`; our keyword-only fields travel as state instead.
        return (_revive, (type(self), self.args, dict(self.__dict__)))


def _revive(kind: type[GuardrailsError], args: tuple[Any, ...], state: dict[str, Any]) -> GuardrailsError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class Denied(GuardrailsError):
    """
    The message was refused, and it was not sent.

    Args:
        reason: Why, for a person. Core masks it and cuts it to 80 characters before anybody sees it.
    """

    def __init__(
        self, reason: str = "refused", *, sent: bool | None = False, control: str | None = None, where: str | None = None
    ) -> None:
        super().__init__(reason, sent=sent, control=control, where=where)
        self.reason = reason

    def __str__(self) -> str:
        return f"denied by {self.control}: {self.reason}" if self.control else f"denied: {self.reason}"


class RateLimited(Denied):
    """
    A limit is used up.

    Args:
        retry_after: Seconds until the same cost would fit; None when it can never fit.
        limit: The limit's name.
        scope: What is counted: `"recipient"`, `"tenant+channel"`, ...
        amount: Units that fit into one window.
        window_seconds: Length of the window.
    """

    def __init__(
        self,
        reason: str = "rate limit reached",
        *,
        retry_after: float | None = None,
        limit: str | None = None,
        scope: str | None = None,
        amount: int | None = None,
        window_seconds: int | None = None,
        sent: bool | None = False,
        control: str | None = None,
        where: str | None = None,
    ) -> None:
        super().__init__(reason, sent=sent, control=control, where=where)
        self.retry_after = retry_after
        self.limit = limit
        self.scope = scope
        self.amount = amount
        self.window_seconds = window_seconds


class NeverFits(RateLimited):
    """The message costs more than the limit holds at any time: trying again is of no use; `retry_after` is None."""


class Blocked(Denied):
    """
    Something was found that no operator lets through.

    Args:
        findings: Entity type to count; never the text.
    """

    def __init__(
        self,
        reason: str = "blocked",
        *,
        findings: Mapping[str, int] | None = None,
        sent: bool | None = False,
        control: str | None = None,
        where: str | None = None,
    ) -> None:
        super().__init__(reason, sent=sent, control=control, where=where)
        self.findings: dict[str, int] = dict(findings or {})


class Deferred(Denied):
    """
    Not now: the message was not sent, and may be tried again.

    Args:
        not_before: The earliest time to try again (aware, UTC).
    """

    def __init__(
        self,
        reason: str = "not now",
        *,
        not_before: datetime | None = None,
        sent: bool | None = False,
        control: str | None = None,
        where: str | None = None,
    ) -> None:
        super().__init__(reason, sent=sent, control=control, where=where)
        self.not_before = not_before


class Unavailable(GuardrailsError):
    """A control could not decide in time (store, sink, model, closed guard): the message was not sent."""


class ControlError(GuardrailsError):
    """A control crashed, overran its deadline or broke its contract: the message is refused."""


class ConfigError(GuardrailsError):
    """The set-up is wrong. Raised at decoration or load, before any message."""
