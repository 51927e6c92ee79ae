"""
What accompanies an open guard in a thread of its own: its canaries.

The canaries live above this floor; here they are found by name when a guard asks for them, so that a guard without them
loads nothing (docs/adr/0045).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from guardrails.core.guard import Guard

_SCHEDULE: Final = "guardrails.proof.schedule"
LEAST_SECONDS: Final = 0.05


class Companion(Protocol):
    """Runs beside a guard until it is closed."""

    def stop(self) -> None:
        """End; never waits for long."""


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
