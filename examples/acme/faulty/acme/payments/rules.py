"""What payments never says."""

from __future__ import annotations

from guardrails import Deny, Message, check


@check(refuses=["You will get a REFUND tomorrow"])
def no_refund_promises(message: Message) -> Deny | None:
    """Refunds are decided by people."""
    return Deny("promises a refund") if "REFUND" in message.text.lower() else None
