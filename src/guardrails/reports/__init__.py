"""
The reviewer's desk: what a log says, for people and for other programs. Reads files; writes nothing into them.

    select("audit/", Filters(channel="sms"))    the records that match
"""

from guardrails.reports.query import Filters
from guardrails.reports.scan import select

__all__ = ["Filters", "select"]
