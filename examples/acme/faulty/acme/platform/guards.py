"""
One guard a channel. Every team extends the one of its channel, and cannot take anything of it away.

Each has its own limits in memory, so that the example runs without a server; a company would name a shared storage.
"""

from __future__ import annotations

from guardrails import AuditLog, Guard, MaskPII, RateLimit

log = AuditLog("audit")
mask = MaskPII(names="off")

sms = Guard(
    log,
    RateLimit("5/minute", per="recipient"),
    mask,
    channel="sms",
    owner="platform",
)
whatsapp = Guard(
    log,
    RateLimit("5/minute", per="recipient"),
    mask,
    channel="whatsapp",
    owner="platform",
)
email = Guard(
    log,
    RateLimit("5/minute", per="recipient"),
    mask,
    channel="email",
    owner="platform",
)
voice = Guard(
    log,
    RateLimit("50/minute", per="recipient"),
    mask,
    channel="voice",
    owner="platform",
)
chat = Guard(
    log,
    RateLimit("5/minute", per="recipient"),
    mask,
    channel="chat",
    owner="platform",
)
