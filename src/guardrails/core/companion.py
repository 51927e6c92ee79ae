"""
What accompanies an open guard in a thread of its own: its canaries.

The canaries live above this floor; here they are found by name when a guard asks for them, so that a guard without them
loads nothing (docs/adr/0045).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from guardrails.core.guard import Guard

_log: Final = logging.getLogger("guardrails")
_SCHEDULE: Final = "guardrails.proof.schedule"
LEAST_SECONDS: Final = 0.05


class Companion(Protocol):
    """Runs beside a guard until it is closed."""

    def stop(self) -> None:
        """End; never waits for long."""


class Check(Protocol):
    """One thing that a round tried, and that did not hold."""

    @property
    def send(self) -> str:
        """`module:qualname` of the send that it was tried with."""


class Round(Protocol):
    """What a round of canaries found."""

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""

    @property
    def failed(self) -> Sequence[Check]:
        """What failed."""

    @property
    def controls(self) -> Sequence[str]:
        """Names of the controls that failed."""


_listeners: tuple[Callable[[Guard, Any], None], ...] = ()
_changing: Final = threading.Lock()


def hear(listener: Callable[[Guard, Any], None]) -> None:
    """Call *listener* with every round that came by itself; once, however often it is named."""
    global _listeners  # noqa: PLW0603 - replaced whole, so that it is read without a lock
    with _changing:
        if listener not in _listeners:
            _listeners = (*_listeners, listener)


def hear_no_more(listener: Callable[[Guard, Any], None]) -> None:
    """Call *listener* no more."""
    global _listeners  # noqa: PLW0603 - as above
    with _changing:
        _listeners = tuple(one for one in _listeners if one != listener)


def tell_round(guard: Guard, report: Round) -> None:
    """A round of *guard* is over: tell everybody who wants to hear; what a listener raises is logged by class."""
    for listener in _listeners:
        try:
            listener(guard, report)
        except Exception as error:  # noqa: BLE001 - one listener must not silence the others
            _log.error("guardrails: a listener of canaries failed with %s", type(error).__name__)


def channels_of(guard: Guard, report: Round) -> frozenset[str]:
    """The channels on which something failed; all of *guard* where that cannot be told."""
    plans = [plan for one in guard.family for plan in one.plans]
    sends = {one.send for one in report.failed}
    return frozenset(plan.channel for plan in plans if plan.operation in sends) or frozenset(
        {guard.channel, *(plan.channel for plan in plans)}
    )


def checked_seconds(seconds: object) -> float | None:
    """
    An interval that somebody wrote.

    Raises:
        ConfigError: It is none.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not LEAST_SECONDS <= seconds < float("inf"):
        raise ConfigError(f"canary_every_seconds must be a number of seconds of at least {LEAST_SECONDS}")
    return float(seconds)


def companion_of(guard: Guard, seconds: float | None) -> Companion:
    """Start the canaries of *guard*."""
    started: Companion = import_module(_SCHEDULE).start(guard, seconds)
    return started
