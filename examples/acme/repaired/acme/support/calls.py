"""Calls, and the message that follows one."""

from __future__ import annotations

from acme.gateway import deliver
from acme.platform.guards import voice

calls = voice.extend(owner="support")


@calls
def speak(to: str, body: str) -> str:
    """Say something on the phone."""
    return deliver("voice", to, body)


@calls
def follow_up(to: str, body: str) -> str:
    """What was agreed on the phone, in writing."""
    return deliver("voice", to, body)
