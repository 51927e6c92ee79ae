"""
A guard around Django's e-mail: `EMAIL_BACKEND = "guardrails.integrations.django.EmailBackend"` and

    GUARDRAILS_EMAIL = {"guard": "shop.guards.mail", "inner": "django.core.mail.backends.smtp.EmailBackend"}

Everything that goes through `django.core.mail` is guarded: `send_mail`, password resets, other applications' e-mails, and
backends such as django-anymail as the inner one. With `MAILERS` (Django 6.1) the same names stand in its `OPTIONS`, beside
those of the inner backend.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from types import TracebackType
from typing import Any, Final, Self

from guardrails.adapters.hosts import host
from guardrails.adapters.ids import is_opaque
from guardrails.adapters.mail import CONVERSATION
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.markup import blocks, with_blocks
from guardrails.core.message import Message
from guardrails.core.mime import is_text
from guardrails.errors import ConfigError, Denied

host("django", extra="django", distribution="django", least=(5, 2), below=(7,))

from django.conf import settings  # noqa: E402 - said first what to install
from django.utils.module_loading import import_string  # noqa: E402 - as above

__all__ = ["EmailBackend"]

SMTP: Final = "django.core.mail.backends.smtp.EmailBackend"
_CONNECTION: Final = {"connection", "_connection"}  # where an e-mail keeps its backend, before and from Django 6.1 on


class EmailBackend:
    """
    Guards every e-mail, and hands a masked copy to the inner backend. A refusal is raised, also with `fail_silently`.

    Args:
        fail_silently: For the inner backend: its own failures may be silent, a refusal never is.
        alias: The mailer that this is, from Django 6.1 on; the inner backend is told so too.
        guard: The guard, or the dotted name of one; by default `settings.GUARDRAILS_EMAIL["guard"]`.
        inner: The backend that sends, or its dotted name; by default `settings.GUARDRAILS_EMAIL["inner"]`, else SMTP.
        attachments: "pass", or "refuse" e-mails with attachments that are not text.
        carries: Whether the conversation's id travels as `X-Guardrails-Conversation`, if it is opaque.
        options: For the inner backend.

    Raises:
        ConfigError: There is no guard.
    """

    def __init__(
        self,
        fail_silently: bool = False,  # noqa: FBT001, FBT002 - django's signature
        *,
        alias: str | None = None,
        guard: Guard | str | None = None,
        inner: Any = None,
        attachments: str | None = None,
        carries: bool | None = None,
        **options: Any,
    ) -> None:
        self.fail_silently = fail_silently
        self.alias = alias
        said: Mapping[str, Any] = getattr(settings, "GUARDRAILS_EMAIL", None) or {}
        found = _loaded(guard or said.get("guard"))
        if not isinstance(found, Guard):
            raise ConfigError('GUARDRAILS_EMAIL["guard"] must be a Guard, or the dotted name of one')
        self._guard = found
        backend = _loaded(inner or said.get("inner") or SMTP)
        # Only what is set: a mailer refuses options that its backend does not know, and older backends know no mailers.
        options |= {name: value for name, value in (("fail_silently", fail_silently), ("alias", alias)) if value}
        self._inner: Any = backend(**options)
        self._attachments = attachments or said.get("attachments", "pass")
        self._carries = bool(said.get("carries", False)) if carries is None else carries

    def open(self) -> Any:
        """As the inner backend's."""
        return self._inner.open()

    def close(self) -> Any:
        """As the inner backend's."""
        return self._inner.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send_messages(self, email_messages: Sequence[Any]) -> int:
        """
        Send each e-mail through the guard.

        Returns:
            How many were sent.

        Raises:
            GuardrailsError: One was refused; it and those after it were not sent.
        """
        sent = 0
        has_opened = self._inner.open()
        try:
            for email in email_messages:
                sent += self._sent(email)
        finally:
            if has_opened:
                self._inner.close()
        return sent

    def _sent(self, email: Any) -> int:
        if not email.recipients():
            return 0
        draft = _Draft(email, self._attachments)

        def send_messages(sealed: Message) -> int:
            done = self._inner.send_messages([draft.sealed(sealed, carries=self._carries)])
            if not done:
                raise _NotSentError  # silently, but the record must not say that it was sent
            return int(done)

        try:
            return self._guard.run(draft.message, send_messages, reply="pass")
        except _NotSentError:
            return 0


class _NotSentError(Exception):
    """The inner backend says that it has sent nothing."""


class _Draft:
    """One e-mail as parts of a message, and a copy of it with other texts."""

    def __init__(self, email: Any, attachments: str) -> None:
        self._email = email
        self._html: dict[str, int] = {}  # how many blocks
        self._parts: dict[str, str] = {}
        self._add("subject", str(email.subject))
        self._add("body", str(email.body), is_html=email.content_subtype == "html")
        for number, one in enumerate(getattr(email, "alternatives", None) or []):
            if isinstance(one[0], str):
                self._add(f"alternatives[{number}]", one[0], is_html=one[1] == "text/html")
        for number, one in enumerate(email.attachments):
            if isinstance(one, tuple) and isinstance(one[0], str):
                self._add(f"attachments[{number}].name", one[0])
            text = _text_of(one)
            if text is not None:
                self._add(f"attachments[{number}]", text, is_html=one[2] == "text/html")
            elif attachments == "refuse":
                raise Denied("an attachment that is not text", control="binding")
        for number, (name, value) in enumerate((email.extra_headers or {}).items()):
            if is_text(name.lower()):
                self._add(f"headers[{number}]", str(value))
        self.message: Message = Message(
            self._parts,
            channel="email",
            recipients=tuple(parseaddr(one)[1] or one for one in email.recipients()),
            sender=parseaddr(email.from_email or "")[1] or None,
            conversation=current.get().conversation,
        )

    def _add(self, path: str, text: str, *, is_html: bool = False) -> None:
        if is_html:
            found = blocks(text)
            self._html[path] = len(found)
            self._parts |= {f"{path}.html[{number}]": one for number, one in enumerate(found)}
        else:
            self._parts[path] = text

    def _new(self, path: str, old: str, sealed: Message) -> str:
        if path not in self._html:
            return sealed.parts[path]
        return with_blocks(old, [sealed.parts[f"{path}.html[{number}]"] for number in range(self._html[path])])

    def _attachment(self, number: int, one: Any, sealed: Message) -> Any:
        name, text = f"attachments[{number}].name", _text_of(one)
        if name in sealed.parts:
            one = _again(one, " ".join(sealed.parts[name].splitlines()), 0)
        return one if text is None else _again(one, self._new(f"attachments[{number}]", text, sealed), 1)

    def sealed(self, sealed: Message, *, carries: bool) -> Any:
        """A copy with the sealed texts; the original is not touched."""
        old, twin = self._email, copy.copy(self._email)
        vars(twin).update(dict.fromkeys(_CONNECTION & vars(twin).keys()))  # it is this backend
        twin.subject = " ".join(self._new("subject", "", sealed).splitlines())
        twin.body = self._new("body", str(old.body), sealed)
        if getattr(old, "alternatives", None):
            twin.alternatives = [
                _again(one, self._new(f"alternatives[{number}]", one[0], sealed), 0) if isinstance(one[0], str) else one
                for number, one in enumerate(old.alternatives)
            ]
        twin.attachments = [self._attachment(number, one, sealed) for number, one in enumerate(old.attachments)]
        headers = {
            name: " ".join(self._new(f"headers[{number}]", "", sealed).splitlines()) if is_text(name.lower()) else value
            for number, (name, value) in enumerate((old.extra_headers or {}).items())
        }
        if carries and sealed.conversation is not None and is_opaque(sealed.conversation):
            headers[CONVERSATION] = sealed.conversation
        twin.extra_headers = headers
        return twin


def _loaded(name: Any) -> Any:
    return import_string(name) if isinstance(name, str) else name


def _again(one: Any, text: str, at: int) -> Any:
    """A tuple or named tuple with another text."""
    items = [*one]
    items[at] = text
    return type(one)(*items) if hasattr(one, "_fields") else tuple(items)


def _text_of(attachment: Any) -> str | None:
    """The text of an attachment, if it is one."""
    if not isinstance(attachment, tuple):
        return None  # a part that was made outside of Django
    _, content, kind = attachment[:3]
    if isinstance(content, str) and not str(kind).startswith("message/"):
        return content
    if isinstance(content, bytes) and str(kind).startswith("text/"):
        try:
            return content.decode()
        except UnicodeDecodeError:
            return None
    return None
