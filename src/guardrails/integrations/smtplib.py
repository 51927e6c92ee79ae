"""A guard around an `smtplib` client: `guard_smtp(smtplib.SMTP("localhost"), guard).send_message(mail)`."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from email.message import Message as AnyMail
from types import TracebackType
from typing import Any, Final, Self

from guardrails.adapters.mail import Mail
from guardrails.core.guard import Guard
from guardrails.core.message import Message

__all__ = ["GuardedSMTP", "guard_smtp"]

_PAST_US: Final = frozenset({"data", "docmd", "mail", "putcmd", "rcpt", "rset", "send"})


class GuardedSMTP:
    """
    A client whose `send_message` and `sendmail` go through the guard; everything else is the client's own.

    Args:
        client: A connected `smtplib.SMTP`, `SMTP_SSL` or `LMTP`.
        guard: Subject, text and HTML parts are its message.
        attachments: "pass", or "refuse" e-mails with attachments that are not text.
        carries: Whether the conversation's id travels as `X-Guardrails-Conversation`, if it is opaque.
    """

    def __init__(self, client: smtplib.SMTP, guard: Guard, *, attachments: str = "pass", carries: bool = False) -> None:
        self._client = client
        self._guard = guard
        self._attachments = attachments
        self._carries = carries

    def send_message(
        self,
        msg: AnyMail,
        from_addr: str | None = None,
        to_addrs: str | Sequence[str] | None = None,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Any:
        """
        As `smtplib.SMTP.send_message`.

        Raises:
            GuardrailsError: It was refused; nothing was sent.
        """
        mail = Mail(msg, recipients=_people(to_addrs), attachments=self._attachments)

        def send_message(sealed: Message) -> Any:
            copy = mail.sealed(sealed, carries=self._carries)
            return self._client.send_message(copy, from_addr, to_addrs, mail_options, rcpt_options)

        return self._guard.run(mail.message, send_message, reply="pass")

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: bytes | str,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Any:
        """As `smtplib.SMTP.sendmail`."""
        mail = Mail(msg, recipients=_people(to_addrs), attachments=self._attachments)

        def sendmail(sealed: Message) -> Any:
            data = mail.sealed(sealed, carries=self._carries).as_bytes()
            return self._client.sendmail(from_addr, to_addrs, data, mail_options, rcpt_options)

        return self._guard.run(mail.message, sendmail, reply="pass")

    def __getattr__(self, name: str) -> Any:
        if name in _PAST_US or name.startswith("_"):
            raise AttributeError(f"a guarded SMTP client has no {name!r}; use send_message or sendmail")
        return getattr(self._client, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.__exit__(kind, error, trace)


def guard_smtp(client: smtplib.SMTP, guard: Guard, *, attachments: str = "pass", carries: bool = False) -> GuardedSMTP:
    """*client* with a guard around what it sends; see `GuardedSMTP`."""
    return GuardedSMTP(client, guard, attachments=attachments, carries=carries)


def _people(addresses: str | Sequence[str] | None) -> list[str] | None:
    if addresses is None:
        return None
    return [addresses] if isinstance(addresses, str) else list(addresses)
