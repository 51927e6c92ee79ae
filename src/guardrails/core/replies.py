"""
For a send whose reply core cannot read: its own pieces of text through the filters of the guard around it.

An adapter that streams a provider's events has several texts in one stream, each cut into pieces, between things that are
no text. It takes one filter for each text from here. Nothing can be weakened that way: what such a send does not pass
through a filter leaves as it would without this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from guardrails.core.masking import reply_filters
from guardrails.core.nesting import sending
from guardrails.core.refusal import crashed, fate, rebuilt
from guardrails.errors import ControlError, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.control import Filter
    from guardrails.core.journey import Journey

T = TypeVar("T")


class OwnReply:
    """The filters of one call. Made by `own_reply`."""

    __slots__ = ("_journey",)

    def __init__(self, journey: Journey) -> None:
        self._journey = journey

    def filter(self, *way: str) -> ReplyFilter:
        """
        A fresh filter that masks one text, and restores it where the decoration says so.

        Args:
            way: Names that lead to the text, or paths of names: nothing is restored into what a tool is called with.
        """
        return ReplyFilter(reply_filters(self._journey, way), self._journey)

    def whole(self, text: str, *way: str) -> str:
        """A text that arrived in one piece; *way* as in `filter`."""
        one = self.filter(*way)
        return one.feed(text) + one.flush()

    def ended(self) -> None:
        """All of the reply has been handed out: whoever closes the stream now cuts nothing off."""
        self._journey.reply_ended = True

    async def ask(self, act: Callable[[], T], characters: int) -> T:
        """
        Call *act* where it does not stall an event loop: in a worker thread, if the mask control reads that much there.

        Args:
            act: Feeds or flushes filters.
            characters: How much text that is.
        """
        journey = self._journey
        masker = journey.plan.stack.masker
        if masker is None or characters <= getattr(masker, "inline_characters", 0):
            return act()
        io: Any = journey.io
        return await io.ask(blocking=act)  # type: ignore[no-any-return]  # what *act* gives


class ReplyFilter:
    """Masks, and perhaps restores, one text in pieces."""

    __slots__ = ("_filters", "_journey")

    def __init__(self, filters: list[Filter], journey: Journey) -> None:
        self._filters = filters
        self._journey = journey

    def feed(self, piece: str, /) -> str:
        """What may leave now that *piece* has arrived."""
        for one in self._filters:
            if not piece:
                break
            piece = self._act(lambda one=one, piece=piece: one.feed(piece))  # type: ignore[misc]  # bound now, on purpose
        return piece

    def flush(self) -> str:
        """What was still held back."""
        out = ""
        for one in self._filters:
            fed = self._act(lambda one=one, out=out: one.feed(out)) if out else ""  # type: ignore[misc]  # as above
            out = fed + self._act(one.flush)
        return out

    def _act(self, act: Callable[[], str]) -> str:
        failure: Exception
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
            failure = error
        journey = self._journey
        slot = journey.plan.stack.mask
        name, where = ("mask", "") if slot is None else (slot.name, slot.where)
        if isinstance(failure, GuardrailsError):
            raise rebuilt(failure, name=name, where=where, sent=True, clean=journey.clean)
        raise crashed(failure, name=name, where=where, sent=True, after_send=fate(sent=True))


def own_reply() -> OwnReply:
    """
    Say that the guarded send which runs here masks the text of its reply itself.

    Raises:
        ControlError: No guarded send runs here.
    """
    journey = sending.get()
    if journey is None or journey.settled:
        raise ControlError("own_reply() is for code inside a guarded send")
    journey.replies_itself = True
    return OwnReply(journey)
