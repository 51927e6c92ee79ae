"""Text arguments that arrive in pieces: collected before the controls run, or masked while the send consumes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from guardrails.core.binding import Reading
from guardrails.core.message import Message, with_parts
from guardrails.core.refusal import crashed, fate, rebuilt
from guardrails.core.selector_binding import SelectorBinding
from guardrails.errors import ControlError, Denied, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.control import Filter
    from guardrails.core.journey import Journey


async def collect(journey: Journey, reading: Reading) -> None:
    """
    Read every text argument that is an iterator to its end, within the caps.

    Raises:
        Denied: It is longer than the cap, or all texts together are.
        ControlError: It yields something else than str, or is asynchronous in a sync send.
    """
    caps = journey.plan.caps
    texts: dict[str, str] = {}
    for name, iterator in (reading.iterators or {}).items():
        pieces = _Pieces(caps.argument_stream_characters)
        if hasattr(type(iterator), "__next__"):
            for piece in iterator:
                pieces.add(piece)
        elif not journey.io.awaits:
            raise ControlError("an async iterator as text needs an async send", control="binding")
        else:
            async for piece in iterator:
                pieces.add(piece)
        texts[name] = "".join(pieces.texts)
    reading.message = with_parts(reading.message, {**reading.message.parts, **texts})
    if sum(map(len, reading.message.parts.values())) > caps.text_characters:
        raise Denied(f"more than {caps.text_characters} characters of text", control="caps")


def leave_out(reading: Reading) -> None:
    """Texts that are masked while the send consumes them are not part of the message: nobody has read them yet."""
    parts = {path: text for path, text in reading.message.parts.items() if path not in (reading.iterators or {})}
    reading.message = with_parts(reading.message, parts)
    reading.unscanned = {**reading.unscanned, "iterator": len(reading.iterators or {})}


class _Pieces:
    """What has been collected of one argument."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._characters = 0
        self._pieces = 0
        self.texts: list[str] = []

    def add(self, piece: object) -> None:
        text = _text(piece)
        self._characters += len(text)
        self._pieces += 1
        if self._characters > self._cap:
            raise Denied(f"a text argument in pieces of more than {self._cap} characters", control="caps")
        if self._pieces > self._cap:  # they may all be empty
            raise Denied(f"a text argument in more than {self._cap} pieces", control="caps")
        self.texts.append(text)


def _text(piece: object) -> str:
    if not isinstance(piece, str):
        raise ControlError(f"a text argument in pieces must yield str, not {type(piece).__name__}", control="binding")
    return str.__str__(piece)  # a subclass may have an arithmetic of its own


def in_pieces(
    journey: Journey, reading: Reading, payload: Message, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with every iterator replaced by one of the same kind, over text that may go out."""
    news: dict[str, Any] = {}
    for name, iterator in (reading.iterators or {}).items():
        plain = hasattr(type(iterator), "__next__")
        if journey.plan.cuts:
            news[name] = _CutIterator(journey, iterator) if plain else _cut_async(journey, iterator)
        else:
            text = payload.parts[name]
            news[name] = iter((text,)) if plain else _one_async(text)
    binding = journey.plan.binding
    assert isinstance(binding, SelectorBinding)  # noqa: S101 - no other binding reads iterators
    return binding.replace_arguments(reading, news, args, kwargs)


async def _one_async(text: str) -> AsyncIterator[str]:
    yield text


class _Cut:
    """Masks pieces on their way into the send; a block ends them for good."""

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        masker = journey.bound or journey.plan.stack.masker
        slot = journey.plan.stack.mask
        watches = slot is not None and slot.monitored
        self._filter: Filter | None = masker.filter() if masker is not None and not watches else None
        journey.cut_characters = 0

    def feed(self, piece: object) -> str:
        return self._through(lambda f: f.feed(_text(piece)), _text(piece))

    def flush(self) -> str:
        return self._through(lambda f: f.flush(), "")

    def _through(self, act: Any, plain: str) -> str:
        journey = self._journey
        if journey.refusal is not None:
            raise journey.refusal
        failure: Exception | None = None
        out: Any = plain
        try:
            if self._filter is not None:
                out = act(self._filter)
        except Exception as error:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
            failure = error
        if failure is None and isinstance(out, str):
            released = (journey.cut_characters or 0) + len(out)
            if released <= journey.plan.caps.text_characters:
                journey.cut_characters = released
                return str.__str__(out)
            failure = Denied(f"more than {journey.plan.caps.text_characters} characters of text")
        if failure is None:
            failure = TypeError("a filter returned no str")
        slot = journey.plan.stack.mask
        assert slot is not None  # noqa: S101 - it is where the filter came from
        if isinstance(failure, GuardrailsError):
            refusal: GuardrailsError = rebuilt(failure, name=slot.name, where=slot.where, sent=None, clean=journey.clean)
        else:
            refusal = crashed(failure, name=slot.name, where=slot.where, sent=None, after_send=fate(None))
        journey.refusal = refusal
        raise refusal


class _CutIterator:
    """The sync kind."""

    def __init__(self, journey: Journey, source: Iterator[object]) -> None:
        self._cut = _Cut(journey)
        self._source = source
        self._ended = False

    def __iter__(self) -> _CutIterator:
        return self

    def __next__(self) -> str:
        while not self._ended:
            try:
                piece = next(self._source)
            except StopIteration:
                self._ended = True
                rest = self._cut.flush()
                if rest:
                    return rest
                break
            out = self._cut.feed(piece)
            if out:
                return out
        raise StopIteration


async def _cut_async(journey: Journey, source: AsyncIterator[object]) -> AsyncIterator[str]:
    cut = _Cut(journey)
    async for piece in source:
        out = cut.feed(piece)
        if out:
            yield out
    rest = cut.flush()
    if rest:
        yield rest
