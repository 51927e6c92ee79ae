"""Rules that are fair to people: opt-outs, quiet hours, caps by calendar, and how many people one sender may reach."""

from __future__ import annotations

from guardrails.ratelimit.people.classes import message_class
from guardrails.ratelimit.people.stopwords import is_stop
from guardrails.ratelimit.people.suppression import Suppression

__all__ = ["Suppression", "is_stop", "message_class"]
