"""
One real send, several guards: what an inner guard may take as done.

While a send runs, a marker says which controls already committed for exactly these recipients and this text. The first
inner guarded call that matches is the same send: it skips those controls. The marker is consumed once, and dead as soon
as the outcome is written, so that a task which outlives the send inherits nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from guardrails.core.control import Control
    from guardrails.core.message import Message


class Marker:
    """
    What one running send lets its inner guards know.

    Attributes:
        committed: The control objects that have acted on this send.
        atoms: Replacements that masking made; not to be detected again.
    """

    __slots__ = ("_once", "_recipients", "_text", "alive", "atoms", "committed")

    def __init__(self, payload: Message, committed: tuple[Control, ...], atoms: frozenset[str]) -> None:
        self._recipients = payload.recipients
        self._text = payload.text
        self._once = [True]
        self.committed = committed
        self.atoms = atoms
        self.alive = True

    def matches(self, message: Message) -> bool:
        """Whether *message*, as bound by an inner guard, is the same send; true at most once."""
        if not self.alive or message.recipients != self._recipients or message.text != self._text:
            return False
        try:
            self._once.pop()  # atomic: two threads cannot both take it
        except IndexError:
            return False
        return True


sending: Final[ContextVar[Marker | None]] = ContextVar("guardrails_sending", default=None)
