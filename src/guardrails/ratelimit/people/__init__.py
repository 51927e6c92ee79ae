"""Rules that are fair to people: opt-outs, quiet hours, caps by calendar, and how many people one sender may reach."""

from __future__ import annotations

from guardrails.ratelimit.people.cap import Cap
from guardrails.ratelimit.people.classes import message_class
from guardrails.ratelimit.people.quiet import QuietHours
from guardrails.ratelimit.people.stopwords import is_stop
from guardrails.ratelimit.people.suppression import Suppression
from guardrails.ratelimit.people.unique import UniqueRecipients
from guardrails.ratelimit.people.zones import time_zone

__all__ = ["Cap", "QuietHours", "Suppression", "UniqueRecipients", "is_stop", "message_class", "time_zone"]
