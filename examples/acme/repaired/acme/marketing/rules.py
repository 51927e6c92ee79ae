"""What marketing never says."""

from __future__ import annotations

from guardrails import Deny, Message, check


@check(refuses=["Only today: guaranteed returns"])
def no_guarantees(message: Message) -> Deny | None:
    """The law forbids to promise returns."""
    return Deny("guarantees returns") if "guaranteed returns" in message.text.lower() else None
