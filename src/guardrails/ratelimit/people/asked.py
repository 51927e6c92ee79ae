"""A list of opt-outs where it is asked once more: at the door, and in a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Outcome, Reply, Sealed
    from guardrails.core.message import Message
    from guardrails.ratelimit.people.suppression import Suppression


class Listed:
    """
    A list of opt-outs in a replay. Whoever closes it closes nothing: the list is in use.

    Args:
        original: Whose list it is.
    """

    kind: Final = "limit"

    def __init__(self, original: Suppression) -> None:
        self.name: str = original.name
        self.needs: Sequence[str] = original.needs
        self._original = original

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """As the original."""
        return await self._original.guard(call, forward, io)


class AskAgain:
    """Door step: a STOP may have arrived since the message came in."""

    __slots__ = ("_canary", "_message", "_rule", "store")

    phase: str = "recheck"

    def __init__(self, rule: Suppression, message: Message, canary: str | None, store: object, /) -> None:
        self.store: object = store
        self._canary = canary
        self._rule = rule
        self._message = message

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - recipients stay
        """
        Ask again for this step and its peers.

        Raises:
            Blocked: Somebody has opted out meanwhile.
            Unavailable: The list cannot be asked.
        """
        for step in (self, *peers):
            await step._rule.ask(step._message, io, canary=step._canary)  # noqa: SLF001 - same class

    async def undo(self, io: Io, /) -> None:
        """Nothing was taken."""

    def settle(self, outcome: Outcome, /) -> None:
        """Not looked at."""
