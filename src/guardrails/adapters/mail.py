"""An e-mail as parts of a message, and a new e-mail with other texts: the original is never touched."""

from __future__ import annotations

from email.message import EmailMessage
from email.message import Message as AnyMail
from typing import Final

from guardrails.adapters.ids import is_opaque
from guardrails.core.context import current
from guardrails.core.message import Message
from guardrails.core.mime import Mime
from guardrails.errors import Denied

CONVERSATION: Final = "X-Guardrails-Conversation"


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
        self._mime = Mime(source)
        if attachments == "refuse" and self._mime.others:
            raise Denied("an attachment that is not text", control="binding")
        people = recipients if recipients is not None else self._mime.addresses("To", "Cc", "Bcc")
        sender = self._mime.addresses("From")
        self.message: Message = Message(
            self._parts(),
            channel="email",
            recipients=tuple(people),
            sender=sender[0] if sender else None,
            conversation=current.get().conversation,
        )

    def _parts(self) -> dict[str, str]:
        parts = dict(self._mime.headers)
        for number, body in self._mime.bodies.items():
            if isinstance(body, str):
                parts[f"part[{number}]"] = body
            else:
                parts |= {f"part[{number}].html[{at}]": text for at, text in enumerate(body)}
        return parts | {f"attachment[{number}]": name for number, name in self._mime.names.items()}

    def sealed(self, sealed: Message, *, carries: bool = False) -> EmailMessage:
        """
        The e-mail with the texts of *sealed*.

        Args:
            sealed: The message as the guard sealed it.
            carries: Whether the conversation's id travels in a header, if it is opaque.
        """
        new = sealed.parts
        bodies: dict[int, str | list[str]] = {
            number: new[f"part[{number}]"]
            if isinstance(body, str)
            else [new[f"part[{number}].html[{at}]"] for at in range(len(body))]
            for number, body in self._mime.bodies.items()
        }
        names = {number: new[f"attachment[{number}]"] for number in self._mime.names}
        copy = self._mime.rewrite(new, bodies, names)
        if carries and sealed.conversation is not None and is_opaque(sealed.conversation):
            del copy[CONVERSATION]
            copy[CONVERSATION] = sealed.conversation
        return copy
