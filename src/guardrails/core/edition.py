"""
What a guard is made of right now, and how all of it is exchanged in one step.

Rules:
1. A call reads its plan once, when it begins, and keeps it to its end.
2. A new edition is made whole before anything of it is seen: every decoration and every team guard is compiled anew. If
   one cannot be, nothing has changed.
3. All of a guard's tree turns at the same moment: no call that begins later sees what was before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from guardrails.core.health import Pulse
from guardrails.core.stack import Slot, Stack, check_twice

if TYPE_CHECKING:
    from guardrails.core.caps import Caps
    from guardrails.core.guard import Guard
    from guardrails.core.message import Message

T = TypeVar("T")


class Choice(Protocol):
    """Picks the controls of one message, where they depend on who it is for."""

    def stack(self, message: Message, /) -> Stack:
        """
        The controls for *message*; the same object for messages that are treated alike.

        Raises:
            GuardrailsError: They cannot be had; the message is refused.
        """

    def check_channel(self, channel: str, /) -> None:
        """
        Whether messages on *channel* can be meant.

        Raises:
            ConfigError: It is a slip of another one.
        """

    def kinds(self) -> Iterable[Stack]:
        """Stacks that stand for all that can be picked, so that a decoration is checked against each kind."""


class Source(Protocol):
    """
    Whoever makes, opens, exchanges and closes the controls of a guard, such as a policy.

    Guards with the same turn change in the same moment, by `exchange_all`, and all of them must be in it.
    """

    @property
    def turn(self) -> Turn:
        """When its guards change."""

    def edition(self) -> Edition:
        """What is in force."""

    def open(self, guard: Guard, /) -> None:
        """*guard* sends for the first time."""

    def close(self, guard: Guard, /) -> None:
        """*guard* will send no more."""

    def reload(self) -> bool:
        """Read it again; whether it had changed."""

    def health(self) -> Mapping[str, str | int | None]:
        """How it is doing; see `Health.policy`."""


@dataclass(frozen=True, slots=True, eq=False)
class Edition:
    """
    The controls and bounds of a guard.

    Args:
        stack: The controls, for messages about which nothing is known.
        caps: Bounds.
        strict: Whether values that are not text are refused.
        choice: Picks other controls by message; None where every message has the same.
    """

    stack: Stack
    caps: Caps
    strict: bool
    choice: Choice | None = None

    def below(self, own: tuple[Slot, ...]) -> Edition:
        """
        The same with a team layer inside.

        Raises:
            ConfigError: A control of the team stands here already.
        """
        stack = _extended(self.stack, own)
        return Edition(stack, self.caps, self.strict, None if self.choice is None else _Below(self.choice, own))


class _Below:
    """A choice with a team layer inside whatever is picked."""

    def __init__(self, above: Choice, own: tuple[Slot, ...]) -> None:
        self._above = above
        self._own = own
        self._known: dict[Stack, Stack] = {}

    def stack(self, message: Message, /) -> Stack:
        """The parent's, and the team's own."""
        return self._with(self._above.stack(message))

    def check_channel(self, channel: str, /) -> None:
        """As the parent says."""
        self._above.check_channel(channel)

    def kinds(self) -> Iterable[Stack]:
        """Those of the parent, each with the team's own."""
        return [self._with(stack) for stack in self._above.kinds()]

    def _with(self, above: Stack) -> Stack:
        known = self._known.get(above)
        if known is None:
            known = self._known.setdefault(above, _extended(above, self._own))
        return known


def _extended(above: Stack, own: tuple[Slot, ...]) -> Stack:
    slots = (*above.slots, *own)
    check_twice(slots)
    return Stack(slots, policy=above.policy)


class Turn:
    """
    The clock of one tree of guards: when it moves on, every `Versioned` value of the tree changes.

    Attributes:
        number: Of the edition in force.
        pulse: What the tree's last sends said about its controls.
        lock: Held while something is decorated, extended or exchanged; never by a call.
    """

    __slots__ = ("lock", "number", "pulse")

    def __init__(self) -> None:
        self.number: int = 0
        self.lock: AbstractContextManager[bool] = threading.RLock()
        self.pulse: Pulse = Pulse()


class Versioned(Generic[T]):
    """A value that changes when its turn does."""

    __slots__ = ("__weakref__", "_kept", "_turn")

    def __init__(self, turn: Turn, value: T) -> None:
        self._turn = turn
        self._kept: dict[int, T] = {turn.number: value}

    @property
    def now(self) -> T:
        """The value in force; one that was left out of an exchange stays."""
        while True:
            number = self._turn.number
            try:
                return self._kept[number]
            except KeyError:
                older = [one for one in list(self._kept) if one < number]
                if older:
                    return self._kept[max(older)]
                # Exchanged between the two look-ups: the newer one is there.

    def stage(self, value: T) -> None:
        """Lay *value* ready for the next turn."""
        self._kept[self._turn.number + 1] = value

    def keep_only_now(self) -> None:
        """Let go of what is no longer, or not yet, in force."""
        number = self._turn.number
        for other in [one for one in self._kept if one != number]:
            del self._kept[other]
