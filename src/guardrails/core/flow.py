"""
A guarded stream on its way to the caller: what is filtered, held back, released and recorded. It knows nothing of waiting.

Rules:
1. The first chunk decides: a stream of str goes through the filters; any other passes in "auto" and "pass", and is a
   `ControlError` in "mask" and "restore".
2. What a filter holds back is flushed before a chunk that is not text, and at the end.
3. Closing, collecting, exhausting or failing: the outcome is written exactly once.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.journey import close_callbacks
from guardrails.core.masking import MASK_FILTER
from guardrails.core.nesting import sending
from guardrails.core.refusal import crashed, fate, is_cancellation, rebuilt
from guardrails.errors import ControlError, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.journey import Journey
    from guardrails.core.stream import Stream

_log: Final = logging.getLogger("guardrails")


class Flow:
    """What both kinds of guarded stream share; knows nothing of waiting."""

    __slots__ = ("_decided", "_filters", "_journey", "_ready", "_rewritten", "_stream", "ended", "source", "value")

    def __init__(self, journey: Journey, stream: Stream) -> None:
        self._journey = journey
        self._stream = stream
        self._filters = stream._filters  # noqa: SLF001 - core's own
        self._ready: deque[Any] = deque()
        self._decided = False
        self._rewritten = False  # there were filters, until the end came
        self.source: Any = stream._source  # noqa: SLF001 - core's own
        self.ended: bool = False
        self.value: Any = None  # what a generator returned
        journey.cut_characters = journey.cut_characters or 0

    @property
    def filtered(self) -> bool:
        """Whether text is rewritten on its way."""
        return self._rewritten or bool(self._filters)

    def ready(self) -> bool:
        """Whether something can be handed out."""
        return bool(self._ready)

    def take(self) -> Any:
        """The next thing to hand out."""
        out = self._ready.popleft()
        if isinstance(out, str):
            self._journey.cut_characters = (self._journey.cut_characters or 0) + len(out)
        return out

    def begun(self, entered: object) -> None:
        """The source was entered as a context manager; it may give another object to read from."""
        if hasattr(type(entered), "__next__") or hasattr(type(entered), "__anext__"):
            self.source = entered

    def enter(self) -> Any:
        """Before each `next`: the send runs again."""
        self._stream._started = True  # noqa: SLF001 - core's own
        if self._journey.sent is False:
            self._journey.sent = None
        return sending.set(self._journey)

    def feed(self, chunk: Any) -> None:
        """One chunk of the source."""
        self._refuse_if_cut()
        if not self._decided:
            self._decided = True
            if not isinstance(chunk, str):
                if (mode := self._journey.plan.reply) in ("mask", "restore") and not self._journey.replies_itself:
                    raise ControlError(
                        f'reply="{mode}" needs a stream of str, not of {type(chunk).__name__}',
                        sent=True,
                        control="core",
                    )
                self._filters.clear()
        if not isinstance(chunk, str):
            self._put(self._flushed())
            self._ready.append(chunk)
        elif self._filters:
            self._put(self._fed(str.__str__(chunk)))  # a subclass may have an arithmetic of its own
        else:
            self._ready.append(chunk)

    def exhausted(self, value: Any = None) -> None:
        """The source has ended by itself."""
        self._refuse_if_cut()
        self._put(self._flushed())
        self.value = value
        self._journey.sent = True
        self._close(None)

    def _refuse_if_cut(self) -> None:
        """A text argument was cut while the send consumed it; whatever the send made of that, it ends here."""
        if self._journey.refusal is not None:
            raise self._journey.refusal

    def failed(self, error: BaseException) -> BaseException:
        """The source, a filter or the consumer ended it; returns what the caller shall see."""
        journey = self._journey
        if isinstance(error, GuardrailsError) and error.control is None and error.sent is not None:
            error.sent = journey.sent
        if self.ended:
            return error
        self._ready.clear()
        self._close(error)
        return error

    def source_failed(self, error: BaseException) -> BaseException:
        """The send itself raised while it streamed."""
        if self._journey.refusal is not None and isinstance(error, Exception):
            return self.failed(self._journey.refusal)
        self._journey.send_error = error
        if isinstance(error, GuardrailsError):
            error.sent = None
        return self.failed(error)

    def abandoned(self) -> None:
        """The consumer closed or dropped it before its end."""
        if self.ended:
            return
        if self._journey.reply_ended and not self._ready:  # the consumer read the last word, and did not ask for more
            self._journey.sent = True
            self._close(None)
            return
        started = self._journey.sent is not False or self._decided
        self._ready.clear()
        self._close(GeneratorExit(), result="cut" if started else "abandoned")

    def _close(self, error: BaseException | None, *, result: str | None = None) -> None:
        self.ended = True
        if result is None and error is not None and self._journey.send_error is None:
            result = "cancelled" if is_cancellation(error) else "cut"
        close_callbacks(self._stream._callbacks, error)  # noqa: SLF001 - core's own
        self._stream._callbacks = []  # noqa: SLF001 - core's own
        self._rewritten = bool(self._filters)
        self._filters = self._stream._filters = []  # noqa: SLF001 - core's own; they may hold text back
        if error is None:
            # The tail is handed out after the outcome is written; it counts as released.
            tail = sum(len(out) for out in self._ready if isinstance(out, str))
            self._journey.cut_characters = (self._journey.cut_characters or 0) + tail
        self._journey.settle(error, result=result)
        self._journey.forget()

    def _put(self, text: str) -> None:
        if text:
            self._ready.append(text)

    def _fed(self, text: str) -> str:
        for text_filter, owner in self._filters:
            if not text:
                break
            text = self._act(text_filter.feed, owner, text)
        return text

    def _flushed(self) -> str:
        out = ""
        for text_filter, owner in self._filters:
            out = (self._act(text_filter.feed, owner, out) if out else "") + self._act(text_filter.flush, owner)
        return out

    def _act(self, act: Any, owner: Any, *text: str) -> str:
        failure: Exception | None = None
        out: Any = None
        try:
            out = act(*text)
        except Exception as error:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
            failure = error
        if failure is None and isinstance(out, str):
            return str.__str__(out)
        slot = self._journey.plan.stack.mask if owner == MASK_FILTER else getattr(owner, "slot", None)
        name, where = (slot.name, slot.where) if slot is not None else ("a filter", "")
        if isinstance(failure, GuardrailsError):
            raise rebuilt(failure, name=name, where=where, sent=True, clean=self._journey.clean)
        if failure is not None:
            raise crashed(failure, name=name, where=where, sent=True, after_send=fate(sent=True))
        raise ControlError(
            f"the filter of control {name!r} returned {type(out).__name__}, not str; {fate(sent=True)}",
            sent=True,
            control=name,
            where=where,
        )
