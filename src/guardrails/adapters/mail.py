"""An e-mail as parts of a message, and a new e-mail with other texts: the original is never touched."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from email.message import Message as AnyMail
from typing import Final

from guardrails.adapters.ids import is_opaque
from guardrails.core.context import current
from guardrails.core.message import Message
from guardrails.core.mime import Mime
from guardrails.errors import Denied

CONVERSATION: Final = "X-Guardrails-Conversation"
BINARY: Final = "an attachment that is not text"


class Letter:
    """
    An e-mail, or a part of one, as texts with paths.

    Args:
        source: An e-mail, or its bytes or text.
        prefix: Where it stands in another e-mail, if it is attached.
        attachments: "pass" leaves what is not text alone; "refuse" refuses an e-mail that has any.

    Attributes:
        mime: It, taken apart.
        parts: Path to text.

    Raises:
        Denied: It is signed or encrypted (guard it before it is signed), or cannot be read.
    """

    def __init__(self, source: AnyMail | bytes | str, *, prefix: str = "", attachments: str = "pass") -> None:
        self.mime: Mime = Mime(source, is_attached=bool(prefix))
        if attachments == "refuse" and self.mime.others:
            raise Denied(BINARY, control="binding")
        self._prefix = prefix
        parts = dict(self.mime.headers)
        for number, body in self.mime.bodies.items():
            if isinstance(body, str):
                parts[f"part[{number}]"] = body
            else:
                parts |= {f"part[{number}].text[{at}]": text for at, text in enumerate(body)}
        parts |= {f"attachment[{number}]": name for number, name in self.mime.names.items()}
        parts |= {f"around[{number}]": text for number, text in enumerate(self.mime.around)}
        self.parts: dict[str, str] = {f"{prefix}{path}": text for path, text in parts.items()}

    def rewritten(self, news: Mapping[str, str]) -> EmailMessage:
        """The same with other texts, by their paths."""
        new = {path: news[f"{self._prefix}{path}"] for path in (one.removeprefix(self._prefix) for one in self.parts)}
        bodies: dict[int, str | list[str]] = {
            number: new[f"part[{number}]"]
            if isinstance(body, str)
            else [new[f"part[{number}].text[{at}]"] for at in range(len(body))]
            for number, body in self.mime.bodies.items()
        }
        names = {number: new[f"attachment[{number}]"] for number in self.mime.names}
        around = [new[f"around[{number}]"] for number in range(len(self.mime.around))]
        return self.mime.rewrite(new, bodies, names, around)


class Mail:
    """
    One e-mail on its way.

    Args:
        source: An e-mail, or its bytes or text.
        recipients: Who receives it; None for those in To, Cc and Bcc, or whom it is sent on to (`Resent-To`, ...).
        attachments: As in `Letter`.

    Raises:
        Denied: As in `Letter`.
    """

    def __init__(
        self, source: AnyMail | bytes | str, *, recipients: list[str] | None = None, attachments: str = "pass"
    ) -> None:
        self._letter = Letter(source, attachments=attachments)
        mime = self._letter.mime
        again = "Resent-" if "Resent-Date" in mime.copy else ""  # as smtplib and aiosmtplib do
        people = recipients if recipients is not None else mime.addresses(*(f"{again}{one}" for one in ("To", "Cc", "Bcc")))
        sender = mime.addresses(f"{again}From")
        self.message: Message = Message(
            self._letter.parts,
            channel="email",
            recipients=tuple(people),
            sender=sender[0] if sender else None,
            conversation=current.get().conversation,
        )

    def sealed(self, sealed: Message, *, carries: bool = False) -> EmailMessage:
        """
        The e-mail with the texts of *sealed*.

        Args:
            sealed: The message as the guard sealed it.
            carries: Whether the conversation's id travels in a header, if it is opaque.
        """
        copy = self._letter.rewritten(sealed.parts)
        if carries and sealed.conversation is not None and is_opaque(sealed.conversation):
            del copy[CONVERSATION]
            copy[CONVERSATION] = sealed.conversation
        return copy
