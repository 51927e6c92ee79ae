"""What marketing never says, and never sends."""

from __future__ import annotations

import re

from guardrails import Deny, Message, Rewrite, check

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


@check(name="acme.NoEmails")
def no_emails(message: Message) -> Rewrite | None:
    """No e-mail address in a campaign."""
    clean = _EMAIL.sub("[e-mail]", message.text)
    return Rewrite(clean) if clean != message.text else None


@check(refuses=["Only today: guaranteed returns"])
def no_guarantees(message: Message) -> Deny | None:
    """The law forbids to promise returns."""
    return Deny("guarantees returns") if "guaranteed returns" in message.text.lower() else None
