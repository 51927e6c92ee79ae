"""The control of switches: it stands in every stack of a policy that has them, and asks the switchboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.trial import Trial
from guardrails.errors import Denied
from guardrails.policy.switches.switch import Switch

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Outcome, Reply, Sealed
    from guardrails.policy.switches.board import Switchboard

NAME: Final = "switches"


class Board:
    """
    The control that refuses what is blocked, and notes what is bypassed.

    Args:
        switchboard: Knows the switches.
        used: Bypasses that the stack around it has applied.
    """

    kind: Final = "limit"
    name: Final = NAME
    unreplayed: Final = "what operators have switched on is no property of a message; see `guardrails switch status`"

    @property
    def refuses_rehearsal(self) -> Trial:
        """A block of its own."""
        return Trial(rehearsals=1, planted=self.switchboard.planted)

    def __init__(self, switchboard: Switchboard, used: Sequence[Switch] = ()) -> None:
        self.switchboard: Switchboard = switchboard
        self._used = used

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:  # noqa: ARG002 - it never waits
        """Refuse what is blocked, here and again at the door."""
        self.refuse(call)
        for switch in self._used:
            detail = {"bypassed": switch.control, "switch": switch.id, "operator": switch.operator, "scope": switch.scope}
            call.note("bypass", detail=detail)
        if not call.dry_run:
            call.at_door(_AskAgain(self, call))
        return await forward(call)

    def refuse(self, call: Call) -> None:
        """
        Refuse a message that meets a block.

        Raises:
            Denied: It does.
            Unavailable: The switches have never been read.
        """
        block = self.switchboard.blocked(call.message, canary=call.canary)
        if block is not None:
            raise Denied(f"all sends are blocked ({block.scope}), switch {block.id[:8]}")

    def open(self) -> None:
        """Read the switches."""
        self.switchboard.open()

    def close(self) -> None:
        """Stop reading them."""
        self.switchboard.close()

    def health(self) -> dict[str, str | int | bool]:
        """Facts for `guard.health()`."""
        return self.switchboard.health()

    def __repr__(self) -> str:
        return f"switches({len(self._used)} bypassed)"


class _AskAgain:
    """Door step: somebody may have blocked everything meanwhile."""

    __slots__ = ("_board", "_call", "store")

    phase: str = "recheck"

    def __init__(self, board: Board, call: Call) -> None:
        self._board = board
        self._call = call
        self.store: object = board

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - the scope stays
        """Refuse if so."""
        self._board.refuse(self._call)

    async def undo(self, io: Io, /) -> None:
        """Nothing was taken."""

    def settle(self, outcome: Outcome, /) -> None:
        """Not looked at."""
