"""A body of plain text that arrives in chunks, masked as it passes."""

from __future__ import annotations

import codecs
import re
from typing import Final

from guardrails.core.replies import OwnReply, ReplyFilter
from guardrails.errors import Denied

_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin-1", "windows-1252", "cp1252"})
_TEXT: Final = re.compile(r"^text/|\b(?:xml|yaml|javascript|graphql|x-www-form-urlencoded)$")
_ESCAPE: Final = "surrogateescape"  # bytes that are no text come out as they went in


def is_text(kind: str) -> bool:
    """
    Whether a content type is text.

    >>> is_text("text/html; charset=utf-8"), is_text("image/svg+xml"), is_text("image/png")
    (True, True, False)
    """
    return _TEXT.search(kind.partition(";")[0].strip().lower()) is not None


def charset_of(kind: str) -> str:
    """
    The character set that a content type names.

    Raises:
        Denied: It is one that cannot be cut anywhere.
    """
    _, _, rest = kind.lower().partition("charset=")
    named = rest.split(";")[0].strip("\"' ") or "utf-8"
    if named not in _CHARSETS:
        raise Denied("a text in a character set that cannot be read; use utf-8", control="binding")
    return named


class TextChunks:
    """
    Plain text, however it is cut.

    Args:
        own: The filters of the guarded send.
        charset: How it is written.
    """

    def __init__(self, own: OwnReply, charset: str) -> None:
        self._charset = charset
        self._decoder = codecs.getincrementaldecoder(charset)(_ESCAPE)
        self._filter: ReplyFilter = own.filter()

    def feed(self, data: bytes) -> bytes:
        """What may leave now."""
        return self._written(self._filter.feed(self._decoder.decode(data)))

    def flush(self) -> bytes:
        """What was still held back."""
        rest = self._filter.feed(self._decoder.decode(b"", final=True))
        return self._written(rest + self._filter.flush())

    def _written(self, text: str) -> bytes:
        return text.encode(self._charset, _ESCAPE)
