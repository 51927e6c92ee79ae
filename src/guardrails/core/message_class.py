"""What kind of message every send in a block is ("otp", "marketing", "emergency"), for controls that ask."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from guardrails.core.message import Message

current_class: Final[ContextVar[str | None]] = ContextVar("guardrails_message_class", default=None)


def stated_class(message: Message) -> object:
    """What the block says, else `metadata["message_class"]`, as it was given; None where nobody says."""
    found: object = current_class.get()
    return message.metadata.get("message_class") if found is None else found
