"""
A form of several parts (`multipart/form-data`): its fields as texts, and the same form with other texts; files stay as they are.

Source: RFC 7578, and RFC 2046 for boundaries.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import HTTP
from typing import Final

from guardrails.errors import Denied

_BOUNDARY: Final = re.compile(r"""boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)
_END: Final = b"\r\n"
# Some parsers read these and some do not, so that one sees a file where another sees a field: RFC 7578, 4.2 forbids them.
_EXTENDED: Final = re.compile(rb"name\*", re.IGNORECASE)
_PLAIN: Final = ("", "7bit", "8bit", "binary")


class Multipart:
    """
    One form.

    Args:
        body: Its bytes.
        kind: The content type, with the boundary.
        skip: Names of fields that are no text.

    Attributes:
        texts: `fields[NUMBER]` to the text of a field.

    Raises:
        Denied: It is no such form, or a field is not UTF-8.
    """

    def __init__(self, body: bytes, kind: str, skip: Collection[str] = ()) -> None:
        found = _BOUNDARY.search(kind)
        self._between = _END + b"--" + (found[1] or found[2]).encode("latin-1") if found else _END
        first, *self._parts = (_END + body).split(self._between)
        if found is None or first or not self._parts or not self._parts[-1].startswith(b"--"):
            raise Denied("a form that cannot be read", control="binding", sent=False)
        self.texts: dict[str, str] = {}
        for number, part in enumerate(self._parts[:-1]):
            head, between, content = part.partition(_END * 2)
            if not between or head.strip(b" \t")[:2] != _END or _EXTENDED.search(head):
                raise Denied("a form that cannot be read", control="binding", sent=False)
            told = BytesHeaderParser(policy=HTTP).parsebytes(head.strip(b" \t")[2:])
            if isinstance(told, EmailMessage) and _is_field(told, skip):
                self.texts[f"fields[{number}]"] = _read(content)

    def put(self, news: Mapping[str, str]) -> bytes:
        """The form with other texts; all else stays byte by byte."""
        parts = list(self._parts)
        for path, text in self.texts.items():
            if news.get(path, text) != text:
                number = int(path[7:-1])
                head, between, _ = parts[number].partition(_END * 2)
                parts[number] = head + between + news[path].encode()
        return self._between.join([b"", *parts]).removeprefix(_END)


def _is_field(told: EmailMessage, skip: Collection[str]) -> bool:
    if str(told.get("content-transfer-encoding", "")).strip().lower() not in _PLAIN:
        raise Denied("a field of a form in another encoding than UTF-8", control="binding", sent=False)
    name = told.get_param("name", header="content-disposition")
    return told.get_filename() is None and name not in skip


def _read(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    raise Denied("a field of a form in another encoding than UTF-8", control="binding", sent=False)
