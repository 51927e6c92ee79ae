# ruff: noqa: ARG002, N802 - stand-ins take what the contract gives them
"""E-mail through smtplib and aiosmtplib to a real server in this process."""

from __future__ import annotations

import contextlib
import email
import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import default
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st

from guardrails import AuditLog, Guard, MaskPII, RateLimit, context
from guardrails.core.folded import values, with_values
from guardrails.core.markup import rewritten, spans
from guardrails.errors import Denied, RateLimited
from guardrails.integrations import aiosmtplib as over_aiosmtplib
from guardrails.integrations.smtplib import guard_smtp
from tests.conftest import on_asyncio
from tests.servers import free_port

ANN, BOB = "ann@example.com", "bob@example.com"
HIDDEN = "<EMAIL_ADDRESS>"


class Inbox:
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.people: list[list[str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        del server, session
        self.people.append(envelope.rcpt_tos)
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    kept, port = Inbox(), free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield kept, port
    finally:
        controller.stop()


def mail(text: str = f"Write to {ANN}") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Cc"] = "shop@example.com", f"Bob <{BOB}>", "carol@example.com"
    made["Subject"] = f"For {ANN}"
    made.set_content(text)
    html = f'<p title="{ANN}">Write &amp; call <b>+1 212 555 0173</b> <a href="mailto:{ANN}">now</a></p>'
    made.add_alternative(html, subtype="html")
    made.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="a.bin")
    made.add_attachment(f"name,mail\nAnn,{ANN}\n", subtype="csv", filename="people.csv")
    return made


def mask() -> MaskPII:
    return MaskPII(names="off")


def check(kept: Inbox) -> None:
    (one,) = kept.mails
    assert one["Subject"] == f"For {HIDDEN}"
    assert kept.people == [[BOB, "carol@example.com"]]
    bodies = [part for part in one.walk() if part.get_content_maintype() == "text"]
    plain, html, csv = (str(part.get_content()) for part in bodies)
    assert plain.strip() == f"Write to {HIDDEN}"
    hidden = "&lt;EMAIL_ADDRESS&gt;"
    assert html.strip() == (
        f'<p title="{hidden}">Write &amp; call <b>&lt;PHONE_NUMBER&gt;</b> <a href="mailto:{hidden}">now</a></p>'
    )
    assert csv.replace("\r", "") == f"name,mail\nAnn,{HIDDEN}\n"
    assert bodies[2].get_filename() == "people.csv"
    assert next(part for part in one.walk() if part.get_filename() == "a.bin").get_content() == b"\x00\x01"


def test_g3_smtplib_masks_every_text_and_no_address(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    original = mail()
    before = original.as_bytes()
    with guard_smtp(smtplib.SMTP("127.0.0.1", port), Guard(mask())) as client:
        client.send_message(original)
    check(kept)
    assert original.as_bytes() == before


def test_g3_sendmail_of_bytes_and_of_older_kinds_of_mail(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    old = MIMEMultipart("alternative")
    old["Subject"], old["From"], old["To"] = "Hi", "shop@example.com", BOB
    old.attach(MIMEText(f"Grüße an {ANN}", "plain", "latin-1"))
    with guard_smtp(smtplib.SMTP("127.0.0.1", port), Guard(mask())) as client:
        client.sendmail("shop@example.com", BOB, old.as_bytes())
        client.send_message(old)
    for one in kept.mails:
        (part,) = (part for part in one.walk() if not part.is_multipart())
        assert str(part.get_content()).strip() == f"Grüße an {HIDDEN}"


def test_g3_headers_of_ones_own_and_attached_mails_are_masked(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    inner = mail()
    inner["X-Order"] = f"of {ANN}"
    outer = EmailMessage()
    outer["From"], outer["To"], outer["Subject"] = "shop@example.com", BOB, "Forwarded"
    outer["X-Customer"], outer["Campaign"], outer["List-Unsubscribe"] = f"a {ANN}", ANN, "<mailto:leave@example.com>"
    outer["X-Customer"] = f"b {ANN}"
    outer.set_content("See below")
    outer.add_attachment(inner)
    with smtplib.SMTP("127.0.0.1", port) as client:
        guard_smtp(client, Guard(mask(), channel="email")).send_message(outer)
    (sent,) = kept.mails
    assert sent.get_all("X-Customer") == [f"a {HIDDEN}", f"b {HIDDEN}"]
    assert (sent["Campaign"], sent["List-Unsubscribe"], sent["To"]) == (HIDDEN, "<mailto:leave@example.com>", BOB)
    (attached,) = sent.iter_attachments()
    forwarded: Any = attached.get_payload(0)
    assert forwarded["Subject"] == f"For {HIDDEN}"
    assert forwarded["X-Order"] == f"of {HIDDEN}"
    assert "@" not in str(forwarded["To"]) + str(forwarded["From"]) + forwarded.get_body().get_content()
    assert outer["X-Customer"] == f"a {ANN}"


def test_g3_aiosmtplib_masks_the_same(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox

    async def main() -> None:
        await over_aiosmtplib.send(mail(), guard=Guard(mask()), hostname="127.0.0.1", port=port)
        check(kept)
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port) as client:
            guarded = over_aiosmtplib.guard_smtp(client, Guard(mask()))
            await guarded.send_message(mail())
            await guarded.sendmail("shop@example.com", [BOB], mail().as_bytes())

    on_asyncio(main)
    assert len(kept.mails) == 3
    assert all(ANN not in one.as_string() for one in kept.mails)


def test_g1_refused_and_crashed_mails_are_not_sent(inbox: tuple[Inbox, int], tmp_path: Path) -> None:
    kept, port = inbox

    class Crash:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
            raise ValueError(ANN)

    limited = Guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour", per="recipient"), mask(), channel="email")
    with guard_smtp(smtplib.SMTP("127.0.0.1", port), limited) as client, context(conversation="c-1"):
        client.send_message(mail())
        with pytest.raises(RateLimited):
            client.send_message(mail())
        with contextlib.suppress(Exception):
            guard_smtp(client, Guard(Crash(), mask())).send_message(mail())  # type: ignore[arg-type]  # a guarded one
    limited.close()
    assert len(kept.mails) == 1
    written = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert not any(secret in written for secret in (ANN, BOB, "5550173"))
    assert '"conversation":"c-1"' in written
    stages = [json.loads(line)["stage"] for line in written.splitlines()]
    assert stages.count("intent") == 1


def test_g1_a_provider_that_refuses_leaves_an_outcome(inbox: tuple[Inbox, int], tmp_path: Path) -> None:
    _, port = inbox
    guard = Guard(AuditLog(tmp_path, durability="os"), mask())
    client = smtplib.SMTP("127.0.0.1", port)
    client.quit()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        guard_smtp(client, guard).send_message(mail())
    guard.close()
    written = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert '"error_type":"SMTPServerDisconnected"' in written


def test_a_signed_mail_and_an_unwanted_attachment_are_refused(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    signed = mail()
    signed["DKIM-Signature"] = "v=1"
    with smtplib.SMTP("127.0.0.1", port) as client:
        with pytest.raises(Denied, match="before it is signed"):
            guard_smtp(client, Guard(mask())).send_message(signed)
        with pytest.raises(Denied, match="attachment"):
            guard_smtp(client, Guard(mask()), attachments="refuse").send_message(mail())
        with pytest.raises(AttributeError, match="use send_message"):
            guard_smtp(client, Guard(mask())).data(b"")
    assert kept.mails == []


INVITATION = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
UID:1@example.com
DESCRIPTION:Write to somebody whose address is cut in two: ann@exa
 mple.com
ATTENDEE;CN=Ann:mailto:ann@exam
\tple.com
END:VEVENT
END:VCALENDAR
"""


def test_g3_a_folded_line_of_a_calendar_or_a_card_does_not_cut_an_address(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    made = mail("hello")
    made.add_attachment(INVITATION, subtype="calendar", params={"method": "REQUEST"}, filename="invite.ics")
    with smtplib.SMTP("127.0.0.1", port) as client:
        guard_smtp(client, Guard(mask())).send_message(made)
    part = list(kept.mails[0].iter_attachments())[-1]
    lines = part.get_content().splitlines()
    assert lines[4:6] == [
        f"DESCRIPTION:Write to somebody whose address is cut in two: {HIDDEN}",
        f"ATTENDEE;CN=Ann:mailto:{HIDDEN}",
    ]
    assert lines[:4] + lines[6:] == INVITATION.splitlines()[:4] + INVITATION.splitlines()[8:]
    assert (part["Content-Type"].params["method"], part.get_filename()) == ("REQUEST", "invite.ics")


@given(st.lists(st.sampled_from(["NOTE:", "UID:", "x.TEL;TYPE=home:", "\r\n", "\n", "\r\n ", "\n\t", "a", ":", ";", "\r"])))
def test_a_calendar_that_is_not_changed_stays_as_it_was_written(pieces: list[str]) -> None:
    source = "".join(pieces)
    assert with_values(source, values(source)) == source


def test_g3_words_before_and_after_the_parts_and_in_headers_of_any_name_are_masked(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    made = mail("hello")
    made.preamble, made.epilogue = f"write to {ANN}", "call +1 212 555 0173"
    for name in ("List-Note", "Content-Note", "Resent-Subject", "Received-Note"):
        made[name] = f"write to {ANN}"
    with smtplib.SMTP("127.0.0.1", port) as client:
        guard_smtp(client, Guard(mask())).send_message(made)
    (one,) = kept.mails
    assert ANN not in one.as_string()
    assert "0173" not in one.as_string()
    assert {one[name] for name in ("List-Note", "Content-Note", "Resent-Subject", "Received-Note")} == {
        f"write to {HIDDEN}"
    }


def test_whom_a_mail_is_sent_on_to_receives_it(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    made = mail("hello")
    made["Resent-Date"], made["Resent-From"] = "Mon, 01 Jan 2024 00:00:00 +0000", "shop@example.com"
    made["Resent-To"] = "dan@example.com"
    with smtplib.SMTP("127.0.0.1", port) as client:
        guarded = guard_smtp(client, Guard(RateLimit("1/hour", per="recipient"), mask()))
        guarded.send_message(made)
        with pytest.raises(RateLimited):
            guarded.send_message(made)
        guarded.send_message(mail("hello"))  # those in To and Cc have had none yet
    assert kept.people == [["dan@example.com"], [BOB, "carol@example.com"]]


def test_g10_a_mail_that_cannot_be_read_is_refused_with_a_reason(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    head = b"To: bob@example.com\r\n"
    deep = b"Content-Type: text/plain\r\n\r\nhello\r\n"
    for level in range(400):
        deep = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%s\r\n--b%d--\r\n" % (
            level,
            level,
            deep,
            level,
        )
    raw = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!! ann@example.com !!"
    with smtplib.SMTP("127.0.0.1", port) as client:
        guarded = guard_smtp(client, Guard(mask()))
        for data, why in ((deep, "nested too deeply"), (raw, "encoding that cannot be read")):
            with pytest.raises(Denied, match=why):
                guarded.sendmail("shop@example.com", [BOB], head + data)
    assert kept.mails == []


def test_g2_no_method_of_a_client_goes_past_the_guard(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox

    async def main() -> None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port)
        async with over_aiosmtplib.guard_smtp(client, Guard(mask())) as guarded:
            for name in ("send_message_sync", "sendmail_sync", "data", "execute_command", "mail", "rcpt"):
                with pytest.raises(AttributeError, match="use send_message"):
                    getattr(guarded, name)
            await guarded.send_message(mail())

    on_asyncio(main)
    with smtplib.SMTP("127.0.0.1", port) as client:
        for name in ("docmd", "putcmd", "send", "mail", "rcpt", "data"):
            with pytest.raises(AttributeError, match="use send_message"):
                getattr(guard_smtp(client, Guard(mask())), name)
    check(kept)


def test_the_conversation_travels_as_an_opaque_id_only(inbox: tuple[Inbox, int]) -> None:
    kept, port = inbox
    with guard_smtp(smtplib.SMTP("127.0.0.1", port), Guard(mask()), carries=True) as client:
        for conversation in ("c-1", "about ann"):
            with context(conversation=conversation):
                client.send_message(mail())
    assert [one["X-Guardrails-Conversation"] for one in kept.mails] == ["c-1", None]


@given(st.text(max_size=60))
def test_html_that_is_not_changed_stays_as_it_was_written(source: str) -> None:
    assert rewritten(source, [(span, span.text) for span in spans(source) if not span.is_markup]) == source


HTML_PIECES = ["<b>", "</b>", "&amp;", "&#65;", "text ", "<!-- c -->", "<a href='x y'>", "\n", "é"]


@given(st.lists(st.sampled_from(HTML_PIECES), max_size=12))
def test_the_texts_of_html_lie_where_they_are_said_to_lie(pieces: list[str]) -> None:
    source = "".join(pieces)
    last = 0
    for span in spans(source):
        assert last <= span.start < span.end <= len(source)
        last = span.end
