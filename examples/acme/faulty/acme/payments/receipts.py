"""Receipts. The team's own rule: nobody is promised a refund by a template."""

from __future__ import annotations

from acme.gateway import deliver
from acme.payments.rules import no_refund_promises
from acme.platform.guards import email, sms

receipts_by_sms = sms.extend(no_refund_promises, owner="payments")
receipts_by_email = email.extend(no_refund_promises, owner="payments")


@receipts_by_sms
def text_receipt(to: str, body: str) -> str:
    """A receipt as a text message."""
    return deliver("sms", to, body)


@receipts_by_email
def mail_receipt(to: str, body: str) -> str:
    """A receipt as an e-mail."""
    return deliver("email", to, body)
