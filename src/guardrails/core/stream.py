"""A reply that arrives in pieces: filters rewrite it on its way out, and its end is told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from guardrails.errors import ControlError

if TYPE_CHECKING:
    from guardrails.core.control import Filter


@final
class Stream:
    """
    An iterator on its way back to the caller.

    A control adds a filter and returns the same object. Filters work from the inside out: the platform's see what the
    team's let through. Only streams whose first chunk is a `str` are filtered.
    """

    __slots__ = ("_callbacks", "_filters", "_started", "source")

    def __init__(self, source: object) -> None:
        self.source = source
        self._filters: list[Filter] = []
        self._callbacks: list[Callable[[BaseException | None], None]] = []
        self._started = False

    def add_filter(self, text_filter: Filter) -> None:
        """
        Rewrite the text that passes.

        Raises:
            ControlError: The stream has already started.
        """
        if self._started:
            raise ControlError("add_filter: the stream has already started")
        self._filters.append(text_filter)

    def on_close(self, fn: Callable[[BaseException | None], None]) -> None:
        """Call *fn* once when the stream ends: with None, or with what ended it. It must not wait."""
        self._callbacks.append(fn)

    def __repr__(self) -> str:
        return f"Stream({type(self.source).__name__}, {len(self._filters)} filters)"

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters, innermost first."""
        return tuple(self._filters)

    def start(self) -> None:
        """From now on no filter can be added."""
        self._started = True

    def feed(self, chunk: str) -> str:
        """One chunk through all filters."""
        for text_filter in self._filters:
            if not chunk:
                break
            chunk = text_filter.feed(chunk)
        return chunk

    def flush(self) -> str:
        """What all filters still held back, each through those after it."""
        out = ""
        for text_filter in self._filters:
            out = (text_filter.feed(out) if out else "") + text_filter.flush()
        return out

    def drop_filters(self) -> None:
        """Let the rest pass as it is: the stream is not text."""
        self._filters.clear()

    def take_callbacks(self) -> list[Callable[[BaseException | None], None]]:
        """The callbacks, once."""
        taken, self._callbacks = self._callbacks, []
        return taken
