"""
The demo's application: three send functions, as a product team would write them, and one guard around them.

The functions know nothing of personal data, limits or records: that is the point.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from guardrails import (
    AuditLog,
    Denied,
    Deny,
    Guard,
    GuardrailsError,
    MaskPII,
    Message,
    RateLimit,
    RateLimited,
    check,
)
from guardrails.cli.client import Client, GatewayError
from guardrails.cli.conversation import Line

LIMIT: Final = "5/minute"
TOGETHER: Final = 16  # async sends at a time

# Which shape of sender serves which channel.
SHAPES: Final[dict[str, tuple[str, ...]]] = {
    "sync": ("sms", "email", "voice"),
    "async": ("whatsapp", "chat"),
    "streaming": ("llm",),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    What became of one line.

    Args:
        line: The line.
        key: The id of its conversation, one for each line here; the gateway and the audit log both know it.
        result: "sent", "limited", "denied", "failed" (the gateway's fault) or "unavailable" (a control's).
        why: For a person; no message text.
        reply: What came back, for streams.
    """

    line: Line
    key: str
    result: str
    why: str = ""
    reply: str = ""

    def __repr__(self) -> str:
        return f"Attempt({self.key!r}, {self.result!r})"


@check
def no_promises(message: Message) -> Deny | None:
    """A team's own control: nobody promises anything in writing."""
    return Deny("promises a guarantee") if "guarantee" in message.text.casefold() else None


class Senders:
    """
    Guarded senders over several channels, on one audit log and under one limit.

    Args:
        client: Where the messages go.
        audit: Folder of the audit log.
        run: Begins the id of every conversation of this run. Opaque: an id in which something personal could be found
            would stand in the record as a digest.
    """

    def __init__(self, client: Client, audit: Path, run: str) -> None:
        self._client = client
        self._run = run
        self.masker: MaskPII = MaskPII()
        self._platform = Guard(AuditLog(audit), RateLimit(LIMIT, per="recipient"), self.masker)
        team = self._platform.extend(no_promises)

        def text(channel: str) -> Callable[[str, str, str], str]:
            @team(channel=channel, conversation="key")
            def send(to: str, body: str, key: str) -> str:
                return client.post({"id": key, "channel": channel, "to": to, "body": body})

            return send

        def text_async(channel: str) -> Callable[[str, str, str], Awaitable[str]]:
            @team(channel=channel, conversation="key")
            async def send(to: str, body: str, key: str) -> str:
                message = {"id": key, "channel": channel, "to": to, "body": body}
                return await asyncio.to_thread(client.post, message)

            return send

        def stream(channel: str) -> Callable[[str, str, str], Iterator[str]]:
            @team(channel=channel, conversation="key")
            def ask(to: str, body: str, key: str) -> Iterator[str]:
                yield from client.stream({"id": key, "channel": channel, "to": to, "body": body})

            return ask

        self._sync = {channel: text(channel) for channel in SHAPES["sync"]}
        self._async = {channel: text_async(channel) for channel in SHAPES["async"]}
        self._streaming = {channel: stream(channel) for channel in SHAPES["streaming"]}

    def __enter__(self) -> Self:
        self._platform.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._platform.close()

    def send_all(self, lines: Sequence[Line], done: Callable[[str], None]) -> list[Attempt]:
        """
        Send every line with the sender of its channel.

        Args:
            lines: What to send.
            done: Called with the shape after every line.

        Returns:
            One attempt for every line, in the order of *lines*.
        """
        keyed = [(number, f"{self._run}-n{number}", line) for number, line in enumerate(lines)]
        attempts: dict[int, Attempt] = {}
        for number, key, line in keyed:
            if line.channel in self._sync:
                attempts[number] = self._send(line, key)
                done("sync")
        waiting = [(number, key, line) for number, key, line in keyed if line.channel in self._async]
        # A command line owns its loop; a library would not start one.
        asyncio.run(self._send_together(waiting, attempts, done))  # noqa: TID251
        for number, key, line in keyed:
            if line.channel in self._streaming:
                attempts[number] = self._ask(line, key)
                done("streaming")
        return [attempts[number] for number, _, _ in keyed]

    def _send(self, line: Line, key: str) -> Attempt:
        try:
            self._sync[line.channel](line.to, line.text, key)
        except (GuardrailsError, GatewayError, OSError) as error:
            return _refused(line, key, error)
        return Attempt(line, key, "sent")

    def _ask(self, line: Line, key: str) -> Attempt:
        try:
            reply = "".join(self._streaming[line.channel](line.to, line.text, key))
        except (GuardrailsError, GatewayError, OSError) as error:
            return _refused(line, key, error)
        return Attempt(line, key, "sent", reply=reply)

    async def _send_together(
        self, waiting: Iterable[tuple[int, str, Line]], attempts: dict[int, Attempt], done: Callable[[str], None]
    ) -> None:
        queue = iter(waiting)

        async def work() -> None:
            for number, key, line in queue:
                try:
                    await self._async[line.channel](line.to, line.text, key)
                except (GuardrailsError, GatewayError, OSError) as error:
                    attempts[number] = _refused(line, key, error)
                else:
                    attempts[number] = Attempt(line, key, "sent")
                done("async")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(TOGETHER):
                tasks.create_task(work())


def _refused(line: Line, key: str, error: GuardrailsError | GatewayError | OSError) -> Attempt:
    match error:
        case GuardrailsError() if error.sent is not False:
            return Attempt(line, key, "failed", f"{type(error).__name__} from {error.control}, after the send")
        case RateLimited():
            return Attempt(line, key, "limited", f"over {error.limit}")
        case Denied():
            return Attempt(line, key, "denied", f"{error.control}: {error.reason}")
        case GuardrailsError():
            return Attempt(line, key, "unavailable", f"{type(error).__name__} from {error.control}")
        case GatewayError():
            return Attempt(line, key, "failed", str(error))
        case _:
            return Attempt(line, key, "failed", type(error).__name__)
