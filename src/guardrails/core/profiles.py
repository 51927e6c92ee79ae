"""
What sends of a channel usually call their arguments, besides the names that every channel knows (`roles.NAMES`).

A profile adds and never takes away: a bare `@guard` on a channel understands more names, and `text=` or `recipient=` still win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """
    One channel's names.

    Args:
        texts: Parameters that hold text too, and the selector into each.
        recipients: Parameters that hold more recipients; never masked, they route.
        senders: Parameters that say who sends, and who is answered; never masked.
        others: Parameters that hold no text.
    """

    texts: Mapping[str, str]
    recipients: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


NOTHING: Final = Profile({})
PROFILES: Final[Mapping[str, Profile]] = {
    "sms": Profile({}, others=("media_url", "status_callback")),
    "whatsapp": Profile(
        {
            "header": "header",
            "footer": "footer",
            "caption": "caption",
            "variables": "variables",
            "components": "components",
        },
        others=("template", "language", "media_url"),
    ),
    "rcs": Profile(
        {"title": "title", "description": "description", "suggestions": "suggestions", "cards": "cards"},
        others=("media_url", "agent"),
    ),
    "email": Profile(
        {"subject": "subject", "html": "html|html", "preheader": "preheader", "attachment_names": "attachment_names"},
        recipients=("cc", "bcc"),
        senders=("from_address", "from_email", "reply_to"),
        others=("headers", "attachments"),
    ),
    "voice": Profile({"say": "say", "speech": "speech", "ssml": "ssml|html"}, others=("voice", "language")),
    "chat": Profile({"title": "title", "blocks": "blocks", "attachments": "attachments"}, others=("username",)),
    "llm": Profile(
        {"messages": "messages", "system": "system", "instructions": "instructions", "input": "input"},
        others=("model", "temperature", "max_tokens", "stream"),
    ),
}
