"""Payments: receipts by SMS and e-mail."""
