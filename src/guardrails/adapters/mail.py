"""An e-mail as parts of a message, and a new e-mail with other texts: the original is never touched."""

from __future__ import annotations

import email
from collections.abc import Mapping
from email.message import EmailMessage
from email.message import Message as AnyMail
from email.policy import SMTP
from email.utils import getaddresses
from typing import Final

from guardrails.adapters.html import Span, rewritten, spans
from guardrails.adapters.ids import is_opaque
from guardrails.core.context import current
from guardrails.core.message import Message
from guardrails.errors import Denied

CONVERSATION: Final = "X-Guardrails-Conversation"
_HEADERS: Final = ("Subject", "Comments", "Keywords", "Thread-Topic")
_SIGNED: Final = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


class Mail:
    """
    One e-mail on its way.

    Args:
        source: An e-mail, or its bytes or text.
        recipients: Who receives it; None for those in To, Cc and Bcc.
        attachments: "pass" leaves what is not text alone; "refuse" refuses an e-mail that has any.

    Raises:
        Denied: It is signed or encrypted (guard it before it is signed), or cannot be read.
    """

    def __init__(
        self, source: AnyMail | bytes | str, *, recipients: list[str] | None = None, attachments: str = "pass"
    ) -> None:
        data = source.encode() if isinstance(source, str) else source if isinstance(source, bytes) else source.as_bytes()
        self.copy: EmailMessage = email.message_from_bytes(data, policy=SMTP)
        if self.copy.get_content_type() in _SIGNED or "DKIM-Signature" in self.copy:
            raise Denied("a signed or encrypted e-mail cannot be read; guard it before it is signed", control="binding")
        self._texts: dict[str, EmailMessage] = {}
        self._spans: dict[str, list[Span]] = {}
        parts: dict[str, str] = {}
        for name in _HEADERS:
            if name in self.copy:
                parts[name.lower()] = str(self.copy[name])
        for number, part in enumerate(one for one in self.copy.walk() if not one.is_multipart()):
            self._read(part, f"part[{number}]", parts, attachments)
        people = recipients if recipients is not None else self.addresses("To", "Cc", "Bcc")
        sender = self.addresses("From")
        self.message: Message = Message(
            parts,
            channel="email",
            recipients=tuple(people),
            sender=sender[0] if sender else None,
            conversation=current.get().conversation,
        )

    def _read(self, part: AnyMail, path: str, parts: dict[str, str], attachments: str) -> None:
        if not isinstance(part, EmailMessage):
            return
        if part.get_content_maintype() != "text":
            if attachments == "refuse":
                raise Denied("an attachment that is not text", control="binding")
            return
        try:
            text = str(part.get_content())
        except (LookupError, ValueError):
            text = None
        if text is None:
            raise Denied("a text part in an encoding that cannot be read", control="binding")
        self._texts[path] = part
        if part.get_content_subtype() == "html":
            self._spans[path] = spans(text)
            parts |= {f"{path}.html[{number}]": span.text for number, span in enumerate(self._spans[path])}
        else:
            parts[path] = text

    def addresses(self, *headers: str) -> list[str]:
        """The addresses in some headers, without names."""
        return [
            address for _, address in getaddresses([str(one) for name in headers for one in self.copy.get_all(name, [])])
        ]

    def sealed(self, sealed: Message, *, carries: bool = False) -> EmailMessage:
        """
        The e-mail with the texts of *sealed*.

        Args:
            sealed: The message as the guard sealed it.
            carries: Whether the conversation's id travels in a header, if it is opaque.
        """
        old, new = self.message.parts, sealed.parts
        for name in _HEADERS:
            if (path := name.lower()) in old and old[path] != new[path]:
                del self.copy[name]
                self.copy[name] = " ".join(new[path].splitlines())
        for path, part in self._texts.items():
            self._write(path, part, new)
        if carries and sealed.conversation is not None and is_opaque(sealed.conversation):
            del self.copy[CONVERSATION]
            self.copy[CONVERSATION] = sealed.conversation
        return self.copy

    def _write(self, path: str, part: EmailMessage, texts: Mapping[str, str]) -> None:
        before = str(part.get_content())
        if path in self._spans:
            changed = [
                (span, texts[f"{path}.html[{number}]"])
                for number, span in enumerate(self._spans[path])
                if texts[f"{path}.html[{number}]"] != span.text
            ]
            after = rewritten(before, changed) if changed else before
        else:
            after = texts[path]
        if after == before:
            return
        kept = {name: part[name] for name in ("Content-Disposition", "Content-ID", "Content-Language") if name in part}
        part.set_content(after, subtype=part.get_content_subtype(), charset="utf-8")
        for name, value in kept.items():
            del part[name]
            part[name] = value
