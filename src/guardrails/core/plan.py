"""What a decoration decided once, so that a call need not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from guardrails.core.message import EMPTY, Message, assemble

if TYPE_CHECKING:
    from guardrails.core.binding import Binding
    from guardrails.core.caps import Caps
    from guardrails.core.edition import Choice
    from guardrails.core.health import Pulse
    from guardrails.core.shapes import Shape
    from guardrails.core.stack import Stack


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """
    One guarded send.

    Args:
        send: The user's callable.
        shape: What calling it gives.
        stack: The controls.
        binding: From arguments to a message and back.
        reply: "auto", "mask", "restore" or "pass".
        operation: `module:qualname`, for records.
        channel: The message's channel, when the arguments do not say.
        direction: "outbound" or "inbound".
        caps: Bounds.
        cuts: Whether text arguments in pieces are masked while the send consumes them, instead of collected.
        required: Roles that a call must have, and why.
        ready: Opens the guard's controls on first use (not with `opening=False`); raises `Unavailable` when it is closed.
        acting: The control objects that act on a send of this plan (not those that only watch).
        pulse: Told how each send ends.
        choice: Picks other controls by message; None where every message has the same.
        strict: Whether what cannot be looked at is refused.
        is_method: Whether the first argument is the object whose send it is.
    """

    send: Callable[..., Any]
    shape: Shape
    stack: Stack
    binding: Binding
    reply: str
    operation: str
    channel: str
    direction: str
    caps: Caps
    cuts: bool
    required: tuple[tuple[str, str], ...]
    ready: Callable[..., None]
    acting: tuple[Any, ...]
    pulse: Pulse
    choice: Choice | None = None
    strict: bool = False
    is_method: bool = False
    known: dict[Stack, Plan] = field(default_factory=dict)  # of stacks that were chosen

    def chosen(self, message: Message) -> Plan:
        """
        This send with the controls for *message*.

        Raises:
            GuardrailsError: They cannot be had.
        """
        assert self.choice is not None  # noqa: S101 - the caller looked
        stack = self.choice.stack(message)
        return self.known.get(stack) or self.under(stack)

    def under(self, stack: Stack) -> Plan:
        """This send with the controls of *stack*, compiled once."""
        required = {**dict(stack.required()), **dict(self.required)}
        plan = replace(self, stack=stack, required=tuple(required.items()), acting=stack.acting, choice=None, known={})
        return self.known.setdefault(stack, plan)

    def empty_message(self) -> Message:
        """A message of which nothing is known; for the record of a call that could not even be read."""
        return assemble({}, (), (self.channel, self.direction, None, None, None, None, EMPTY))
