"""A reply that arrives in pieces, as controls see it: they may add filters and ask to be told of its end."""

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

    __slots__ = ("_callbacks", "_closed_to_team", "_filters", "_owner", "_source", "_started")

    def __init__(self, source: object, owner: Callable[[], object] = lambda: None, /) -> None:
        self._source = source
        self._owner = owner  # whose control adds a filter
        self._filters: list[tuple[Filter, object]] = []
        self._callbacks: list[Callable[[BaseException | None], None]] = []
        self._started = False
        self._closed_to_team = False  # the mask control has put its filter outside the team's

    def add_filter(self, text_filter: Filter) -> None:
        """
        Rewrite the text that passes.

        Raises:
            ControlError: The stream has already started, or it is no filter.
        """
        if not all(callable(getattr(text_filter, method, None)) for method in ("feed", "flush")):
            raise ControlError(
                f"add_filter: a filter has feed(chunk) and flush(), and {type(text_filter).__name__} has not"
            )
        if self._started:
            raise ControlError("add_filter: the stream has already started")
        owner = self._owner()
        if self._closed_to_team and getattr(getattr(owner, "slot", None), "layer", None) != "platform":
            raise ControlError("add_filter: the stream has already left this control")
        self._filters.append((text_filter, owner))

    def on_close(self, fn: Callable[[BaseException | None], None]) -> None:
        """Call *fn* once when the stream ends: with None, or with what ended it. It must not wait."""
        self._callbacks.append(fn)

    def __repr__(self) -> str:
        return f"Stream({len(self._filters)} filters)"
