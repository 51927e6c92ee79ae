"""Django's e-mail through its own backends."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import MIMEPart
from email.mime.text import MIMEText
from typing import Any

import django
import pytest
from django.conf import settings
from django.core import mail
from django.test.utils import override_settings

from guardrails import Guard, MaskPII, RateLimit, context
from guardrails.errors import ConfigError, Denied, RateLimited
from guardrails.integrations.django import EmailBackend

ANN, BOB = "ann@example.com", "bob@example.com"
HIDDEN = "<EMAIL_ADDRESS>"
BACKEND = "guardrails.integrations.django.EmailBackend"
LOCMEM = "django.core.mail.backends.locmem.EmailBackend"

if not settings.configured:
    settings.configure(USE_TZ=True)
    django.setup()


MAILERS = hasattr(mail, "mailers")


def using(**options: Any) -> Any:
    """Settings under which e-mail is guarded: those of mailers from Django 6.1 on, which deprecates the others."""
    if MAILERS:
        return override_settings(MAILERS={"default": {"BACKEND": BACKEND, "OPTIONS": options}})
    silent = options.pop("fail_silently", False)
    backend = f"{__name__}.SilentBackend" if silent else BACKEND
    return override_settings(EMAIL_BACKEND=backend, GUARDRAILS_EMAIL=options)


class SilentBackend(EmailBackend):
    """As `send_mail(fail_silently=True)` makes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "fail_silently": True})


def mailing(*controls: Any, **options: Any) -> Any:
    guard = Guard(*controls, MaskPII(names="off"), channel="email")
    return using(**{"guard": guard, "inner": LOCMEM, **options})


@pytest.fixture(autouse=True)
def outbox() -> Iterator[list[Any]]:
    box: Any = mail  # where the locmem backend puts what is sent
    box.outbox = []
    yield box.outbox
    del box.outbox


def test_g3_every_text_of_an_email_is_masked_and_no_address(outbox: list[Any]) -> None:
    email = mail.EmailMultiAlternatives(
        f"For {ANN}\n", f"Write to {ANN}", "Shop <shop@example.com>", [f"Bob <{BOB}>"], bcc=["carol@example.com"]
    )
    email.attach_alternative(f'<p title="{ANN}">Write to <b>{ANN}</b></p>', "text/html")
    email.attach("people.csv", f"name,mail\nAnn,{ANN}\n", "text/csv")
    email.attach("people.txt", f"Ann,{ANN}\n".encode(), "text/plain")
    email.attach("a.bin", b"\x00\x01", "application/octet-stream")
    email.attach(f"{ANN} invoice.pdf", b"%PDF", "application/pdf")
    unsubscribe = {"Reply-To": BOB, "List-Unsubscribe": "<mailto:leave@example.com>"}
    email.extra_headers = {"X-Note": f"for {ANN}", **unsubscribe}
    before = (email.subject, email.body, list(email.alternatives), list(email.attachments), dict(email.extra_headers))
    with mailing():
        assert email.send() == 1
    (sent,) = outbox
    written = sent.message().as_string()
    assert ANN not in written
    assert sent.subject.strip() == f"For {HIDDEN}"
    assert sent.recipients() == [f"Bob <{BOB}>", "carol@example.com"]
    assert sent.attachments[2][1] == b"\x00\x01"
    assert sent.attachments[3][0] == f"{HIDDEN} invoice.pdf"
    assert sent.extra_headers == {"X-Note": f"for {HIDDEN}", **unsubscribe}
    after = (email.subject, email.body, list(email.alternatives), list(email.attachments), dict(email.extra_headers))
    assert before == after


def test_g3_html_bodies_are_masked_text_by_text(outbox: list[Any]) -> None:
    email = mail.EmailMessage("Hi", f"<p>Write &amp; call {ANN}</p>", to=[BOB])
    email.content_subtype = "html"
    with mailing():
        email.send()
    assert outbox[0].body == "<p>Write &amp; call &lt;EMAIL_ADDRESS&gt;</p>"


def test_g1_a_refusal_is_never_silent(outbox: list[Any]) -> None:
    with mailing(RateLimit("1/hour", per="recipient"), inner=Loud, fail_silently=True):
        assert mail.send_mail("Hi", "hello", None, [BOB]) == 1
        with pytest.raises(RateLimited):
            mail.send_mail("Hi", "hello", None, [f"Bob <{BOB}>"])
    assert outbox == []


def test_unwanted_attachments_are_refused_and_text_of_other_kinds_passes(outbox: list[Any]) -> None:
    email = mail.EmailMessage("Hi", "hello", to=[BOB])
    email.attach("a.bin", b"\x00", "application/octet-stream")
    with mailing(attachments="refuse"), pytest.raises(Denied, match="not text"):
        email.send()
    other = mail.EmailMessage("Hi", "hello", to=[BOB])
    other.attach("a.txt", b"\xff\xfe", "text/plain")
    with mailing(), pytest.raises(Denied, match="other characters than UTF-8"):
        other.send()
    assert outbox == []


def test_g3_parts_and_emails_that_are_attached_are_masked(outbox: list[Any]) -> None:
    inner = mail.EmailMessage(f"About {ANN}", f"Write to {ANN}", "shop@example.com", [ANN])
    email = mail.EmailMessage("Hi", "hello", to=[BOB])
    part: Any = MIMEPart()
    if MAILERS:
        part.set_content(f"Write to {ANN}")
    else:
        part = MIMEText(f"Write to {ANN}")
    email.attach(part)
    email.attach(None, inner, "message/rfc822")
    email.attach("old.eml", inner.message().as_bytes(), "message/rfc822")
    email.attach("invite.ics", f"DESCRIPTION:Write to ann@exa\r\n mple.com {ANN}\r\n", "text/calendar")
    before = email.message().as_string()
    with mailing():
        email.send()
    written = outbox[0].message().as_string()
    assert "example.com" not in written.replace(BOB, "").replace("shop@example.com", "").replace("@localhost", "")
    assert written.count(HIDDEN) >= 7
    assert [line for line in email.message().as_string().splitlines() if ANN in line] == [
        line for line in before.splitlines() if ANN in line
    ]


def test_g3_what_django_anymail_adds_to_an_email_is_masked_but_for_addresses(outbox: list[Any]) -> None:
    email: Any = mail.EmailMessage("Hi", "hello", to=[BOB])
    email.merge_data = {BOB: {"name": "Bob", "note": f"Write to {ANN}"}}
    email.merge_global_data = {"note": f"Write to {ANN}"}
    email.merge_headers = {BOB: {"List-Unsubscribe": f"<mailto:{BOB}>", "X-Note": f"Write to {ANN}"}}
    email.tags, email.metadata = [f"for {ANN}"], {"order": 7}
    email.template_id, email.envelope_sender = "t-1", "bounce@example.com"
    with mailing():
        email.send()
    (sent,) = outbox
    assert sent.merge_data == {BOB: {"name": "Bob", "note": f"Write to {HIDDEN}"}}
    assert sent.merge_global_data == {"note": f"Write to {HIDDEN}"}
    assert sent.merge_headers == {BOB: {"List-Unsubscribe": f"<mailto:{BOB}>", "X-Note": f"Write to {HIDDEN}"}}
    assert (sent.tags, sent.metadata) == ([f"for {HIDDEN}"], {"order": 7})
    assert (sent.template_id, sent.envelope_sender) == ("t-1", "bounce@example.com")
    assert email.tags == [f"for {ANN}"]


def test_the_conversation_travels_as_an_opaque_id_only(outbox: list[Any]) -> None:
    with mailing(carries=True):
        for conversation in ("c-1", "+12125550173", "12125550173", "about ann"):
            with context(conversation=conversation):
                mail.send_mail("Hi", "hello", None, [BOB])
    assert [one.extra_headers.get("X-Guardrails-Conversation") for one in outbox] == ["c-1", None, None, None]


def test_an_email_to_nobody_is_not_sent_and_a_missing_guard_says_so(outbox: list[Any]) -> None:
    with mailing():
        assert mail.EmailMessage("Hi", "hello").send() == 0
    with using(), pytest.raises(ConfigError, match="must be a Guard"):
        mail.send_mail("Hi", "hello", None, [BOB])
    assert outbox == []


class Silent:
    """A backend that fails silently."""

    def __init__(self, **_options: Any) -> None: ...

    def open(self) -> bool:
        return True

    def close(self) -> None: ...

    def send_messages(self, _emails: Any) -> int:
        return 0


def test_what_the_inner_backend_did_not_send_is_not_counted() -> None:
    with mailing(inner=Silent):
        assert mail.send_mail("Hi", "hello", None, [BOB]) == 0


class Loud(Silent):
    """A backend that is told to fail silently, as the outer one was."""

    def __init__(self, *, fail_silently: bool = False, **_options: Any) -> None:
        assert fail_silently

    def send_messages(self, emails: Any) -> int:
        return len(emails)


def test_a_mailer_and_its_inner_backend_have_the_same_options_and_name(outbox: list[Any]) -> None:
    with mailing():
        mail.send_mail("Hi", f"hello {ANN}", None, [BOB])
    (sent,) = outbox
    assert sent.body == f"hello {HIDDEN}"
    if MAILERS:
        assert sent.sent_using == "default"
