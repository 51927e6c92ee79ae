"""
A guard around Django's e-mail: `EMAIL_BACKEND = "guardrails.integrations.django.EmailBackend"` and

    GUARDRAILS_EMAIL = {"guard": "shop.guards.mail", "inner": "django.core.mail.backends.smtp.EmailBackend"}

Everything that goes through `django.core.mail` is guarded: `send_mail`, password resets, other applications' e-mails, and
backends such as django-anymail as the inner one. With `MAILERS` (Django 6.1) the same names stand in its `OPTIONS`, beside
those of the inner backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from guardrails.adapters.drafts import Draft
from guardrails.adapters.hosts import host
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.errors import ConfigError

host("django", extra="django", distribution="django", least=(5, 2), below=(7,))

from django.conf import settings  # noqa: E402 - said first what to install
from django.utils.module_loading import import_string  # noqa: E402 - as above

__all__ = ["EmailBackend"]

SMTP: Final = "django.core.mail.backends.smtp.EmailBackend"


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
        draft = Draft(email, self._attachments)

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


def _loaded(name: Any) -> Any:
    return import_string(name) if isinstance(name, str) else name
