# ruff: noqa: ARG002, N802 - stand-ins take what the contract gives them
"""E-mail to a real server in this process."""

from __future__ import annotations

import asyncio
import email
import smtplib
from email.message import EmailMessage
from email.policy import default
from typing import Any, ClassVar

import aiosmtplib
from aiosmtpd.controller import Controller

from guardrails.errors import GuardrailsError
from guardrails.integrations import aiosmtplib as over_aiosmtplib
from guardrails.integrations.smtplib import guard_smtp
from tests.integrations.conformance.contract import SECRET, Host
from tests.servers import free_port

BOB = "bob@example.com"


class _Mail(Host):
    refusal = (GuardrailsError,)
    recipient = BOB
    without: ClassVar[Any] = {3: "a mail server's reply repeats nothing", 7: "the client has no retries of its own"}

    def start(self) -> None:
        self.port = free_port()
        self.server = Controller(self, hostname="127.0.0.1", port=self.port)
        self.server.start()

    def close(self) -> None:
        self.server.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        parsed = email.message_from_bytes(envelope.content, policy=default)
        bodies = [str(part.get_content()) for part in parsed.walk() if not part.is_multipart()]
        fault = self.arrived("\n".join([str(parsed["Subject"]), *bodies]), *envelope.rcpt_tos)
        if self.held is not None:
            self.loop.call_soon_threadsafe(self.held.set)
            await asyncio.to_thread(self.released.wait)
        return f"554 no {SECRET}" if fault else "250 OK"

    def mail(self, text: str) -> EmailMessage:
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = "shop@example.com", f"Bob <{BOB}>", f"Re: {text}"
        made.set_content(text)
        made.add_alternative(f"<p>{text}</p>", subtype="html")
        self.given = [made]
        return made


class Smtplib(_Mail):
    name = "smtplib"
    package = "python"
    modes = ("send_message", "sendmail")
    error = (smtplib.SMTPException,)
    without: ClassVar[Any] = {
        **_Mail.without,
        0: "the client waits where nothing can interrupt it",
        11: "smtplib is sync; aiosmtplib is its async twin",
    }

    def send_now(self, text: str) -> str:
        with guard_smtp(smtplib.SMTP("127.0.0.1", self.port), self.guard) as client:
            if self.mode == "send_message":
                return repr(client.send_message(self.mail(text)))
            return repr(client.sendmail("shop@example.com", [BOB], self.mail(text).as_bytes()))


class Aiosmtplib(_Mail):
    name = "aiosmtplib"
    package = "aiosmtplib"
    modes = ("async send", "async send_message", "async sendmail")
    error = (aiosmtplib.SMTPException,)
    without: ClassVar[Any] = {
        **_Mail.without,
        11: "aiosmtplib is async; smtplib is its sync twin",
    }

    async def asend(self, text: str) -> str:
        if self.mode == "async send":
            return repr(await over_aiosmtplib.send(self.mail(text), guard=self.guard, hostname="127.0.0.1", port=self.port))
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port) as client:
            guarded = over_aiosmtplib.guard_smtp(client, self.guard)
            if self.mode == "async send_message":
                return repr(await guarded.send_message(self.mail(text)))
            return repr(await guarded.sendmail("shop@example.com", [BOB], self.mail(text).as_bytes()))


HOSTS = (Smtplib, Aiosmtplib)
