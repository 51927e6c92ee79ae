"""
An e-mail as its texts and addresses, and a new e-mail with other texts; the one that was given is never touched.

Texts are the subject and every other header that is not known to hold addresses, dates or ids; the text parts (of HTML and
calendars text by text), and the names of attachments; of an e-mail that is attached, also whom it was from and to.

Sources: RFC 5322 (headers), RFC 2045 and 2046 (parts), RFC 2183 (names of attachments).
"""

from __future__ import annotations

import email
from collections.abc import Iterator, Mapping, Sequence
from email.errors import InvalidBase64CharactersDefect, InvalidBase64LengthDefect
from email.message import EmailMessage
from email.message import Message as AnyMail
from email.policy import SMTP
from email.utils import getaddresses
from typing import Any, Final

from guardrails.core.boxes import box_of
from guardrails.core.codecs import Texts
from guardrails.errors import Denied

ROUTES: Final = {"to": "To", "cc": "Cc", "bcc": "Bcc", "sender": "From", "reply_to": "Reply-To"}
# Headers that say where an e-mail goes, when, and how. Every other one holds words, also one that somebody invented.
_NO_TEXTS: Final = frozenset(
    [
        *(
            "from",
            "to",
            "cc",
            "bcc",
            "reply-to",
            "sender",
            "return-path",
            "date",
            "message-id",
            "in-reply-to",
            "references",
        ),
        *("mime-version", "received", "delivered-to", "errors-to", "disposition-notification-to", "return-receipt-to"),
        *("auto-submitted", "precedence", "priority", "importance", "sensitivity", "encoding", "user-agent", "feedback-id"),
        *("authentication-results", "dkim-signature", "x-smtpapi", "x-mailgun-recipient-variables", "x-original-to"),
        *("x-envelope-to", "x-forwarded-to", "x-sender", "x-receiver", "x-mailer", "x-priority", "x-msmail-priority"),
        *("arc-seal", "arc-message-signature", "arc-authentication-results", "received-spf", "x-guardrails-conversation"),
        *("content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-language"),
        *("content-location", "content-base", "content-md5", "content-duration", "content-class", "content-features"),
        *("list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-unsubscribe-post", "list-post"),
        *("list-owner", "list-archive", "resent-from", "resent-to", "resent-cc", "resent-bcc", "resent-sender"),
        *("resent-reply-to", "resent-date", "resent-message-id"),
    ]
)
_PEOPLE: Final = frozenset({"from", "to", "cc", "bcc", "reply-to", "sender"})
_SIGNED: Final = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_NOT_BASE64: Final = (InvalidBase64CharactersDefect, InvalidBase64LengthDefect)
_DEEPEST: Final = 64  # levels of parts within parts
_OWN_NAMES: Final = ("parts", "attachments", "around")  # of texts that are no headers
_KEPT: Final = ("Content-Disposition", "Content-ID", "Content-Language")


class Mime:
    """
    One e-mail, taken apart.

    Args:
        source: An e-mail, or its bytes or text.
        is_attached: Whether it is part of another: then it goes to nobody, and whom it names is text.

    Attributes:
        copy: A copy, into which new texts are written.
        headers: Lower-case name to text; of a second header of that name, and of an attached e-mail, with a number.
        bodies: Number of a text part to its text, or to the texts in it (HTML, calendars).
        names: Number of a part to the name of its attachment.
        others: How many parts are no text.
        around: What stands before the first and after the last of several parts; few readers show it.

    Raises:
        Denied: It is signed or encrypted (guard it before it is signed), or cannot be read.
    """

    def __init__(self, source: AnyMail | bytes | str, *, is_attached: bool = False) -> None:
        self._goes = not is_attached
        self.copy: EmailMessage = _parsed(source)
        if self.copy.get_content_type() in _SIGNED or "DKIM-Signature" in self.copy:
            raise Denied("a signed or encrypted e-mail cannot be read; guard it before it is signed", control="binding")
        self._parts: dict[int, EmailMessage] = {}
        self.headers: dict[str, str] = {}
        self._stands: dict[tuple[AnyMail, str], list[str]] = {}  # e-mail and header to the paths of its values
        for mail, prefix in self._mails():
            self._read_headers(mail, prefix)
        self.bodies: dict[int, str | list[str]] = {}
        self.names: dict[int, str] = {}
        self.others: int = 0
        self._around = [(one, at) for one in self.copy.walk() for at in ("preamble", "epilogue") if getattr(one, at)]
        self.around: list[str] = [str(getattr(part, at)) for part, at in self._around]
        for number, part in enumerate(one for one in self.copy.walk() if not one.is_multipart()):
            if isinstance(part, EmailMessage):
                self._read(number, part)

    def _mails(self) -> Iterator[tuple[AnyMail, str]]:
        """This e-mail, those that are attached to it, and its parts: whatever has headers."""
        yield self.copy, ""
        attached = [
            inner
            for part in self.copy.walk()
            if part.get_content_maintype() == "message" and part.is_multipart()
            for inner in part.get_payload()
            if isinstance(inner, AnyMail)
        ]
        for number, inner in enumerate(attached):
            yield inner, f"attached[{number}]."
        parts = [part for part in self.copy.walk() if part is not self.copy and all(part is not one for one in attached)]
        for number, part in enumerate(parts):
            yield part, f"part[{number}]."

    def _read_headers(self, mail: AnyMail, prefix: str) -> None:
        for name in dict.fromkeys(one.lower() for one in mail):
            is_attached = prefix.startswith("attached") or not (prefix or self._goes)
            if is_text(name) or (is_attached and name in _PEOPLE):
                for number, value in enumerate(mail.get_all(name, [])):
                    path = f"{prefix}{name}.{number + 1}" if number or name in _OWN_NAMES else f"{prefix}{name}"
                    self.headers[path] = str(value)
                    self._stands.setdefault((mail, name), []).append(path)

    def _read(self, number: int, part: EmailMessage) -> None:
        self._parts[number] = part
        name = part.get_filename()
        if name:
            self.names[number] = str(name)
        if part.get_content_maintype() in ("multipart", "message") and part.get_payload():
            raise Denied("an e-mail whose parts cannot be told apart", control="binding")
        if part.get_content_maintype() != "text":
            self.others += 1
            return
        try:
            text = str(part.get_content())
        except (LookupError, ValueError):
            text = None
        if text is None or any(isinstance(one, _NOT_BASE64) for one in part.defects):
            raise Denied("a text part in an encoding that cannot be read", control="binding")
        box = box_of(part.get_content_subtype())
        self.bodies[number] = text if box is None else box.opened(text)

    def addresses(self, *headers: str) -> list[str]:
        """The addresses in some headers, without names."""
        return [
            address for _, address in getaddresses([str(one) for name in headers for one in self.copy.get_all(name, [])])
        ]

    def rewrite(
        self,
        headers: Mapping[str, str],
        bodies: Mapping[int, str | list[str]],
        names: Mapping[int, str],
        around: Sequence[str] = (),
    ) -> EmailMessage:
        """The copy with other texts; what did not change stays as it was written."""
        for (part, at), text in zip(self._around, around, strict=False):
            setattr(part, at, text)
        for (mail, name), paths in self._stands.items():
            if any(headers[path] != self.headers[path] for path in paths):
                _put_headers(mail, name, [" ".join(headers[path].splitlines()) for path in paths])
        for number, body in bodies.items():
            self._write(number, body)
        for number, name in names.items():
            if name != self.names[number]:
                _rename(self._parts[number], " ".join(name.splitlines()))
        return self.copy

    def _write(self, number: int, body: str | list[str]) -> None:
        if body == self.bodies[number]:
            return
        part = self._parts[number]
        box = box_of(part.get_content_subtype())
        if box is not None:
            body = box.closed(str(part.get_content()), body)
        kept = {name: part[name] for name in _KEPT if name in part}
        about = [(name, value) for name, value in part.get_params([])[1:] if name.lower() != "charset"]
        part.set_content(body, subtype=part.get_content_subtype(), charset="utf-8")
        for name, value in about:
            part.set_param(name, value)
        for name, value in kept.items():
            del part[name]
            part[name] = value


def _parsed(source: AnyMail | bytes | str) -> EmailMessage:
    """A copy of an e-mail, whose parts can be looked into."""
    try:
        data = source.encode() if isinstance(source, str) else source if isinstance(source, bytes) else source.as_bytes()
        mail = email.message_from_bytes(data, policy=SMTP)
    except RecursionError:
        mail = None
    level: list[AnyMail] = [] if mail is None else [mail]
    for _ in range(_DEEPEST):
        level = [inner for one in level if one.is_multipart() for inner in one.get_payload() if isinstance(inner, AnyMail)]
    if mail is None or level:
        raise Denied("an e-mail that is nested too deeply", control="caps")
    return mail


def is_text(header: str) -> bool:
    """Whether a header (its name in lower case) holds words, and no addresses, dates or ids."""
    return header not in _NO_TEXTS


def _put_headers(mail: AnyMail, name: str, values: Sequence[str]) -> None:
    """Other values for all headers of a name."""
    if len(values) == 1:
        mail.replace_header(name, values[0])
        return
    written = next(one for one in mail if one.lower() == name)
    del mail[name]
    for value in values:
        mail.add_header(written, value)


def opened(source: object) -> Texts:
    """
    The texts of an e-mail: `subject`, `parts`, `attachments` and a few more.

    Raises:
        Denied: It is none, or cannot be read.
    """
    if not isinstance(source, AnyMail | bytes | bytearray | str):
        raise Denied(f"|mime: the argument needs an e-mail, str or bytes, not {type(source).__name__}", control="binding")
    mime = Mime(bytes(source) if isinstance(source, bytearray) else source)
    texts: dict[str, Any] = dict(mime.headers)
    if mime.bodies:
        texts["parts"] = list(mime.bodies.values())
    if mime.names:
        texts["attachments"] = list(mime.names.values())
    if mime.around:
        texts["around"] = mime.around
    return Texts(texts, {name: mime.addresses(header) for name, header in ROUTES.items()})


def closed(texts: Any, like: object) -> object:
    """An e-mail with other texts, of the kind that *like* is."""
    assert isinstance(like, AnyMail | bytes | bytearray | str)  # noqa: S101 - it was opened
    mime = Mime(bytes(like) if isinstance(like, bytearray) else like)
    bodies = dict(zip(mime.bodies, texts.get("parts", ()), strict=True))
    names = dict(zip(mime.names, texts.get("attachments", ()), strict=True))
    mail = mime.rewrite(texts, bodies, names, texts.get("around", ()))
    if isinstance(like, AnyMail):
        return mail
    line_end = "\r\n" if (b"\r\n" if isinstance(like, bytes | bytearray) else "\r\n") in like else "\n"  # type: ignore[operator]  # alike
    data = mail.as_bytes(policy=SMTP.clone(linesep=line_end))
    if isinstance(like, str):
        return data.decode("utf-8", "surrogateescape")
    return bytearray(data) if isinstance(like, bytearray) else data


def _rename(part: EmailMessage, name: str) -> None:
    if part.get_param("filename", header="Content-Disposition") is not None:
        part.set_param("filename", name, header="Content-Disposition", replace=True)
    if part.get_param("name") is not None:
        part.set_param("name", name, replace=True)
