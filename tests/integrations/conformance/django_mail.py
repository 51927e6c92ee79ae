"""Django's e-mail above a backend of this process."""

from __future__ import annotations

from typing import Any, ClassVar

import django
from django.conf import settings
from django.core import mail
from django.test.utils import override_settings

from guardrails.errors import GuardrailsError
from guardrails.integrations.django import EmailBackend
from tests.integrations.conformance.contract import SECRET, Host

BOB = "bob@example.com"

if not settings.configured:
    settings.configure(USE_TZ=True)
    django.setup()


class Django(Host):
    name = "django"
    package = "django"
    modes = ("sync send_mail", "sync send_messages")
    recipient = BOB
    refusal = (GuardrailsError,)
    error = (ConnectionError,)
    without: ClassVar[Any] = {
        3: "a mail server's reply repeats nothing",
        7: "the backend has no retries of its own",
        11: "Django's e-mail is sync",
    }

    @property
    def is_async(self) -> bool:
        return False

    def send_now(self, text: str) -> str:
        host = self

        class Inner:
            """The backend that would send."""

            def __init__(self, **_options: Any) -> None: ...

            def open(self) -> bool:
                return True

            def close(self) -> None: ...

            def send_messages(self, emails: Any) -> int:
                for email in emails:
                    written = [email.subject, email.body, *[one[0] for one in email.alternatives]]
                    if host.arrived("\n".join(written), *email.recipients()):
                        raise ConnectionError(SECRET)
                return len(emails)

        backend: Any = EmailBackend(guard=self.guard, inner=Inner)
        if self.mode == "sync send_mail":
            self.given = [{"subject": f"Re: {text}", "message": text, "html_message": f"<p>{text}</p>"}]
            mailer = {"BACKEND": f"{__name__}.EmailBackend", "OPTIONS": {"guard": self.guard, "inner": Inner}}
            with override_settings(MAILERS={"default": mailer}):  # what Django before 6.1 does not know
                last = {} if hasattr(mail, "mailers") else {"connection": backend}
                return str(mail.send_mail(from_email=None, recipient_list=[BOB], **self.given[0], **last))
        email = mail.EmailMultiAlternatives(f"Re: {text}", text, None, [BOB])
        email.attach_alternative(f"<p>{text}</p>", "text/html")
        self.given = [vars(email)]
        return str(backend.send_messages([email]))


HOSTS = (Django,)
