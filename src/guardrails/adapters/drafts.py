"""An e-mail of Django as parts of a message, and a copy of it with other texts; known by its attributes, nothing is imported."""

from __future__ import annotations

import copy
import email
import mimetypes
from email.message import EmailMessage
from email.message import Message as AnyMail
from email.policy import compat32
from email.utils import parseaddr
from typing import Any, Final

from guardrails.adapters.ids import is_opaque
from guardrails.adapters.leaves import Texts, texts_of
from guardrails.adapters.llm import words
from guardrails.adapters.mail import BINARY, CONVERSATION, Letter
from guardrails.core.boxes import Box, box_of
from guardrails.core.context import current
from guardrails.core.message import Message
from guardrails.core.mime import is_text
from guardrails.errors import Denied

_CONNECTION: Final = words("connection _connection")  # where an e-mail keeps its backend, before and from Django 6.1 on
# What every e-mail has, and what django-anymail knows that is no text. Every other attribute is one, such as `merge_data`.
_OWN: Final = _CONNECTION | words(
    "alternatives alternative_subtype anymail_status attachments bcc body cc content_subtype encoding envelope_sender "
    "extra_headers from_email mixed_subtype reply_to send_at subject template_id to track_clicks track_opens"
)
_OCTETS: Final = "application/octet-stream"


class Draft:
    """
    One e-mail on its way to a backend.

    Args:
        mail: A `django.core.mail.EmailMessage`.
        attachments: "pass" leaves what is not text alone; "refuse" refuses an e-mail that has any.

    Raises:
        Denied: Something in it is signed, encrypted, or a text that cannot be read.
    """

    def __init__(self, mail: Any, attachments: str) -> None:
        self._mail = mail
        self._attachments = attachments
        self._parts: dict[str, str] = {}
        self._boxes: dict[str, tuple[Box, int]] = {}  # and how many texts there are
        self._letters: dict[int, Letter] = {}  # attachments that are e-mails, or parts of one
        self._more: dict[str, Texts] = {}
        self._add("subject", str(mail.subject))
        self._add("body", str(mail.body), mail.content_subtype)
        for number, one in enumerate(getattr(mail, "alternatives", None) or []):
            if isinstance(one[0], str):
                self._add(f"alternatives[{number}]", one[0], str(one[1]).partition("/")[2])
        for number, one in enumerate(mail.attachments):
            self._attach(number, one)
        for number, (name, value) in enumerate((mail.extra_headers or {}).items()):
            if is_text(name.lower()):
                self._add(f"headers[{number}]", str(value))
        for name, value in vars(mail).items():
            if name not in _OWN and not name.startswith("_"):
                found = self._more[name] = texts_of(value, skip=_addressing(value))
                self._parts |= {f"{name}:{path}": text for path, text in found.parts.items()}
        self.message: Message = Message(
            self._parts,
            channel="email",
            recipients=tuple(parseaddr(one)[1] or one for one in mail.recipients()),
            sender=parseaddr(mail.from_email or "")[1] or None,
            conversation=current.get().conversation,
        )

    def _add(self, path: str, text: str, subtype: str = "plain") -> None:
        box = box_of(subtype)
        if box is None:
            self._parts[path] = text
            return
        found = box.opened(text)
        self._boxes[path] = box, len(found)
        self._parts |= {f"{path}.text[{number}]": one for number, one in enumerate(found)}

    def _attach(self, number: int, one: Any) -> None:
        letter = one if isinstance(one, AnyMail) else _letter_of(one)
        if letter is not None:
            opened = Letter(letter, prefix=f"attachments[{number}].", attachments=self._attachments)
            self._letters[number] = opened
            self._parts |= opened.parts
        if isinstance(one, AnyMail):
            return
        if isinstance(one[0], str):
            self._add(f"attachments[{number}].name", one[0])
        text = None if letter is not None else _text_of(one)
        if text is not None:
            self._add(f"attachments[{number}]", text, _kind(one).partition("/")[2])
        elif letter is None and self._attachments == "refuse":
            raise Denied(BINARY, control="binding")

    # -- sealed --------------------------------------------------------------------------------------------------------

    def sealed(self, sealed: Message, *, carries: bool) -> Any:
        """
        A copy with other texts; the original is not touched.

        Args:
            sealed: The message as the guard sealed it.
            carries: Whether the conversation's id travels in a header, if it is opaque.
        """
        old, twin = self._mail, copy.copy(self._mail)
        vars(twin).update(dict.fromkeys(_CONNECTION & vars(twin).keys()))  # it is this backend
        twin.subject = _line(sealed.parts["subject"])
        twin.body = self._new("body", str(old.body), sealed)
        if getattr(old, "alternatives", None):
            twin.alternatives = [
                _again(one, self._new(f"alternatives[{number}]", one[0], sealed), 0) if isinstance(one[0], str) else one
                for number, one in enumerate(old.alternatives)
            ]
        twin.attachments = [self._attachment(number, one, sealed) for number, one in enumerate(old.attachments)]
        headers = {
            name: _line(sealed.parts[f"headers[{number}]"]) if is_text(name.lower()) else value
            for number, (name, value) in enumerate((old.extra_headers or {}).items())
        }
        if carries and sealed.conversation is not None and is_opaque(sealed.conversation):
            headers[CONVERSATION] = sealed.conversation
        twin.extra_headers = headers
        for name, texts in self._more.items():
            setattr(twin, name, texts.put({path: sealed.parts[f"{name}:{path}"] for path in texts.parts}))
        return twin

    def _new(self, path: str, old: str, sealed: Message) -> str:
        if path not in self._boxes:
            return sealed.parts[path]
        box, count = self._boxes[path]
        return box.closed(old, [sealed.parts[f"{path}.text[{number}]"] for number in range(count)])

    def _attachment(self, number: int, one: Any, sealed: Message) -> Any:
        path, letter = f"attachments[{number}]", self._letters.get(number)
        news: Any = None
        if letter is not None and any(sealed.parts[name] != text for name, text in letter.parts.items()):
            news = letter.rewritten(sealed.parts)
        if isinstance(one, AnyMail):
            return one if news is None else _like(one, news)
        if f"{path}.name" in sealed.parts:
            one = _again(one, _line(sealed.parts[f"{path}.name"]), 0)
        if news is not None:
            return _again(one, news, 1)
        text = None if letter is not None else _text_of(one)
        return one if text is None else _again(one, self._new(path, text, sealed), 1)


def _line(text: str) -> str:
    return " ".join(text.splitlines())


def _again(one: Any, new: Any, at: int) -> Any:
    """A tuple or named tuple with another element."""
    items = [*one]
    items[at] = new
    return type(one)(*items) if hasattr(one, "_fields") else tuple(items)


def _like(old: AnyMail, new: EmailMessage) -> AnyMail:
    """*new* in the class that Django knows its parts by."""
    if isinstance(old, EmailMessage):
        return new
    twin = email.message_from_bytes(new.as_bytes(), policy=compat32)
    twin.__class__ = type(old)
    return twin


def _addressing(value: Any) -> set[str]:
    """Headers in it (`merge_headers`) that hold addresses, dates or ids."""
    below = value.values() if isinstance(value, dict) else ()
    return {name for one in below if isinstance(one, dict) for name in one if not is_text(str(name).lower())}


def _letter_of(attachment: Any) -> AnyMail | bytes | str | None:
    """An e-mail that is attached."""
    _, content, kind = attachment[:3]
    if not str(kind).startswith("message/"):
        return None
    made: Any = content.message() if hasattr(content, "extra_headers") else content
    return made if isinstance(made, AnyMail | bytes | str) else None


def _kind(attachment: Any) -> str:
    """Its content type; Django calls a text octets whose characters it cannot read, and its name tells better."""
    name, _, kind = attachment[:3]
    guessed = mimetypes.guess_type(name)[0] if isinstance(name, str) and kind in (None, _OCTETS) else None
    return str(guessed or kind)


def _text_of(attachment: Any) -> str | None:
    """The text of an attachment, if it is one."""
    content = attachment[1]
    if isinstance(content, str):
        return content
    if not isinstance(content, bytes) or not _kind(attachment).startswith("text/"):
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    raise Denied("a text attachment in other characters than UTF-8", control="binding")
