"""Everything of the company that sends, imported once: what the commands are pointed at."""

from __future__ import annotations

from acme.marketing import campaigns
from acme.payments import receipts
from acme.platform import guards
from acme.support import calls

__all__ = ["calls", "campaigns", "guards", "receipts"]
