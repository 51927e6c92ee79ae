"""A guard around `aiosmtplib`: `await send(mail, guard=guard, hostname="localhost")`, or `guard_smtp(client, guard)`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from email.message import Message as AnyMail
from types import TracebackType
from typing import Any, Final, Self

from guardrails.adapters.hosts import host
from guardrails.adapters.mail import Mail
from guardrails.core.guard import Guard
from guardrails.core.message import Message

host("aiosmtplib", extra="aiosmtplib", distribution="aiosmtplib", least=(3, 0), below=(6,))

import aiosmtplib  # noqa: E402 - said first what to install

__all__ = ["GuardedSMTP", "guard_smtp", "send"]

_PAST_US: Final = frozenset({"data", "execute_command", "mail", "rcpt", "rset", "send_message_sync", "sendmail_sync"})


async def send(
    message: AnyMail | str | bytes,
    /,
    *,
    guard: Guard,
    sender: str | None = None,
    recipients: str | Sequence[str] | None = None,
    attachments: str = "pass",
    carries: bool = False,
    **options: Any,
) -> Any:
    """
    As `aiosmtplib.send`, through *guard*.

    Args:
        message: The e-mail; it is not touched.
        guard: Subject, text and HTML parts are its message.
        sender: As there.
        recipients: As there.
        attachments: "pass", or "refuse" e-mails with attachments that are not text.
        carries: Whether the conversation's id travels as `X-Guardrails-Conversation`, if it is opaque.
        options: As there: hostname, port, use_tls, ...

    Raises:
        GuardrailsError: It was refused; nothing was sent.
    """

    async def hand_over(copy: AnyMail) -> Any:
        return await aiosmtplib.send(copy, sender=sender, recipients=recipients, **options)

    return await _sent(guard, message, recipients, hand_over, attachments=attachments, carries=carries)


class GuardedSMTP:
    """A client whose `send_message` and `sendmail` go through the guard; everything else is the client's own."""

    def __init__(self, client: aiosmtplib.SMTP, guard: Guard, *, attachments: str = "pass", carries: bool = False) -> None:
        self._client = client
        self._guard = guard
        self._options: dict[str, Any] = {"attachments": attachments, "carries": carries}

    async def send_message(
        self, message: AnyMail, /, *, sender: str | None = None, recipients: str | Sequence[str] | None = None, **more: Any
    ) -> Any:
        """As `aiosmtplib.SMTP.send_message`."""

        async def hand_over(copy: AnyMail) -> Any:
            return await self._client.send_message(copy, sender=sender, recipients=recipients, **more)

        return await _sent(self._guard, message, recipients, hand_over, **self._options)

    async def sendmail(self, sender: str, recipients: str | Sequence[str], message: str | bytes, /, **more: Any) -> Any:
        """As `aiosmtplib.SMTP.sendmail`."""

        async def hand_over(copy: AnyMail) -> Any:
            return await self._client.sendmail(sender, recipients, copy.as_bytes(), **more)

        return await _sent(self._guard, message, recipients, hand_over, **self._options)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    def __getattr__(self, name: str) -> Any:
        if name in _PAST_US or name.startswith("_"):
            raise AttributeError(f"a guarded SMTP client has no {name!r}; use send_message or sendmail")
        return getattr(self._client, name)


def guard_smtp(client: aiosmtplib.SMTP, guard: Guard, *, attachments: str = "pass", carries: bool = False) -> GuardedSMTP:
    """*client* with a guard around what it sends."""
    return GuardedSMTP(client, guard, attachments=attachments, carries=carries)


async def _sent(
    guard: Guard,
    source: AnyMail | str | bytes,
    recipients: str | Sequence[str] | None,
    hand_over: Callable[[AnyMail], Awaitable[Any]],
    *,
    attachments: str,
    carries: bool,
) -> Any:
    people = None if recipients is None else [recipients] if isinstance(recipients, str) else list(recipients)
    mail = Mail(source, recipients=people, attachments=attachments)

    async def send_message(sealed: Message) -> Any:
        return await hand_over(mail.sealed(sealed, carries=carries))

    return await guard.arun(mail.message, send_message, reply="pass")
