"""Campaigns."""

from __future__ import annotations

from acme.gateway import deliver
from acme.marketing.rules import no_guarantees
from acme.platform.guards import chat, whatsapp

campaigns_on_whatsapp = whatsapp.extend(no_guarantees, owner="marketing")
campaigns_on_chat = chat.extend(no_guarantees, owner="marketing")


@campaigns_on_whatsapp
def whatsapp_campaign(to: str, body: str) -> str:
    """One message of a campaign, on WhatsApp."""
    return deliver("whatsapp", to, body)


@campaigns_on_chat
def chat_campaign(to: str, body: str) -> str:
    """One message of a campaign, in the chat."""
    return deliver("chat", to, body)
