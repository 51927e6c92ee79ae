"""The ten lines of the README: run it with `python examples/first_guard.py`."""

from guardrails import AuditLog, Guard, MaskPII, RateLimit, RateLimited

guard = Guard(AuditLog("audit/"), RateLimit("2/minute", per="recipient"), MaskPII(), channel="sms")


@guard
def send(to: str, body: str) -> None:
    """Stands for your provider's client: what arrives here has been masked, counted and recorded."""
    print(f"to {to}: {body}")


with guard:
    send("+1 212 555 0101", "Please confirm your card 4242 4242 4242 4242.")
    send("+1 212 555 0101", "We also wrote to jamie.fields@example.org.")
    try:
        send("+1 212 555 0101", "One more thing.")
    except RateLimited as refused:
        print(f"not sent: {refused.limit} is used up, try again in {refused.retry_after:.0f} s")
