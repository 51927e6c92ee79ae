"""A model's answer in pieces, masked however it is cut. Run it with `python examples/streaming_guard.py`."""

from collections.abc import Iterator

from guardrails import AuditLog, Guard, MaskPII

guard = Guard(AuditLog("audit/"), MaskPII(), channel="llm")


@guard
def ask(prompt: str) -> Iterator[str]:
    """Stands for your model's client; the prompt that it gets is masked."""
    answer = f"You asked: {prompt} The desk's number is +1 212 555 0188, or write to billing.desk@example.net. Thank you."
    for start in range(0, len(answer), 5):
        yield answer[start : start + 5]


with guard:
    for piece in ask("Who can refund card 4242 4242 4242 4242?"):
        print(piece, end="", flush=True)
    print()
