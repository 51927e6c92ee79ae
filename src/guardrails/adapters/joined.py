"""
Texts that may go on in the next event, or may not: nobody says.

What stands in two events is found as if they were one text. What stands in one event is found even where the text beside it,
taken as its continuation, would hide it: "write to ann@example.com" and then "bye" are no address at "example.combye".
"""

from __future__ import annotations

from typing import Final

from guardrails.core.replies import OwnReply

_NEIGHBOUR: Final = 512  # characters of the last piece that are looked at together with the next


class JoinedFilter:
    """
    Masks pieces of a text that perhaps is none. As `ReplyFilter`.

    Args:
        own: The filters of the guarded send.
    """

    def __init__(self, own: OwnReply) -> None:
        self._own = own
        self._inner = own.filter()
        self._last = ""
        self._held = ""  # pieces at whose end something was found, which may go on

    def feed(self, piece: str, /) -> str:
        """What may leave now that *piece* has arrived."""
        text = self._held + piece
        seen = self._own.whole(text)
        if self._held and piece and seen.startswith(self._held):  # it did not go on: it stood for itself
            held, self._held = self._held, ""
            out = self._through(held) + self._restarted()
            return out + self.feed(piece)
        if seen != text and seen[-1:] != text[-1:] and len(text) <= _NEIGHBOUR:
            self._held = text
            return ""
        self._held = ""
        return self._through(text, is_found=seen != text)

    def flush(self) -> str:
        """What was still held back."""
        held, self._held = self._held, ""
        return (self._through(held, is_found=True) if held else "") + self._inner.flush()

    def _through(self, text: str, *, is_found: bool = True) -> str:
        out = ""
        if is_found and self._last and self._own.whole(self._last + text).endswith(text):
            out = self._restarted()  # what was found here would be hidden by what stands before
        self._last = text[-_NEIGHBOUR:]
        return out + self._inner.feed(text)

    def _restarted(self) -> str:
        out, self._inner, self._last = self._inner.flush(), self._own.filter(), ""
        return out
