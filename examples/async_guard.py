"""An asynchronous send, many at a time, with a control of one's own. Run it with `python examples/async_guard.py`."""

import asyncio

from guardrails import AuditLog, Denied, Deny, Guard, MaskPII, Message, check


@check
def no_promises(message: Message) -> Deny | None:
    """A team's control: it sees masked text, and can refuse, but not undo what the platform decided."""
    return Deny("promises a guarantee") if "guarantee" in message.text else None


platform = Guard(AuditLog("audit/"), MaskPII(), channel="whatsapp")
team = platform.extend(no_promises)


@team(text="body", recipient="to", conversation="thread")
async def send(to: str, body: str, *, thread: str) -> str:
    """Stands for your provider's client."""
    await asyncio.sleep(0)
    return f"{thread} -> {to}: {body}"


async def main() -> None:
    """Send three messages together; one of them is refused."""
    texts = ["Your code is on its way.", "We guarantee it!", "Write to jamie.fields@example.org for help."]
    sends = [send(f"+1 212 555 010{number}", text, thread=f"thread-{number}") for number, text in enumerate(texts)]
    for result in await asyncio.gather(*sends, return_exceptions=True):
        print(f"refused: {result}" if isinstance(result, Denied) else result)


with platform:
    asyncio.run(main())  # noqa: TID251 - a program owns its loop; the library never does
