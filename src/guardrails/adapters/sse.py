"""
Server-sent events on their way to a consumer: each text masked across the events that carry its pieces.

Source of the format: WHATWG HTML, server-sent events.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Any, Final, NamedTuple

from guardrails.adapters.joined import JoinedFilter
from guardrails.adapters.leaves import Texts, texts_of, with_keys, without_tokens
from guardrails.core.payload import Item, Place, put
from guardrails.core.replies import OwnReply, ReplyFilter
from guardrails.errors import Denied

MOST_CHARACTERS: Final = 8 * 1024 * 1024  # of one event
MOST_TEXTS: Final = 1_000  # that have begun in a stream and not ended
_END_OF_EVENT: Final = re.compile(r"\r\n\r\n|\n\n|\r\r")
_LINE: Final = re.compile(r"\r\n|\n|\r")  # and nothing else: U+2028 and its like may stand in the middle of JSON
_FIELDS: Final = ("event:", "id:", "retry:")
_EVENTS: Final = "text/event-stream"
_LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines", "application/x-jsonlines"}
)


class Piece(NamedTuple):
    """A piece of a longer text: which text, where it stands in the event, what it says, and whether a tool is called with it."""

    key: Hashable
    place: Place
    text: str
    is_argument: bool = False


class Reading(NamedTuple):
    """
    What an event says about texts.

    Args:
        pieces: Pieces of texts that go on in later events.
        ended: Whether a text with this key ends here.
        last: Whether the provider says that no event follows.
        is_known: Whether the pieces are known to be pieces of one text.
    """

    pieces: list[Piece]
    ended: Callable[[Any], bool]
    last: bool = False
    is_known: bool = True


Reader = Callable[[dict[str, Any]], Reading]


class _Kept(NamedTuple):
    """
    The last event that carried a piece of a text: what is left at its end leaves in an event like it.

    Its pieces are empty here, because they have left already, and its other texts are masked.
    """

    head: list[str]
    data: Any
    place: Place


class Events:
    """
    Masks a stream of events. Bytes in, bytes out, however they are cut.

    Args:
        own: The filters of the guarded send.
        reader: What the provider's events mean.
        skip: Keys that are no text.
    """

    def __init__(self, own: OwnReply, reader: Reader, skip: Collection[str]) -> None:
        self._own = own
        self._reader = reader
        self._skip = skip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._filters: dict[Hashable, ReplyFilter | JoinedFilter] = {}
        self._kept: dict[Hashable, _Kept] = {}
        self.is_done: bool = False  # the provider said that nothing follows
        self._more = 0  # events of ours so far, in streams that number theirs
        self._number = 0  # of the last event that left

    def feed(self, data: bytes) -> bytes:
        """What may leave now."""
        self._held += self._decoder.decode(data)
        if len(self._held) > MOST_CHARACTERS:
            raise Denied(f"an event of more than {MOST_CHARACTERS} characters", control="caps")
        out: list[str] = []
        while (end := _END_OF_EVENT.search(self._held)) is not None:
            block, self._held = self._held[: end.start()], self._held[end.end() :]
            out += self._event(block)
        return "".join(out).encode()

    def flush(self) -> bytes:
        """What was still held back when the stream ended."""
        self._held += self._decoder.decode(b"", final=True)
        block, self._held = self._held, ""
        out = self._event(block) if block.strip() else []
        return "".join([*out, *self._ends(lambda _key: True)]).encode()

    def _event(self, block: str) -> Iterator[str]:
        head, data = [], []
        for line in _LINE.split(block):
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif line.startswith(_FIELDS):
                head.append(self._own.whole(line))
            # comments and unknown fields are nobody's text: who keeps to the format ignores them
        if not data:
            if head:
                yield _event(head, None)
            return
        written = "\n".join(data)
        if written == "[DONE]":
            self.is_done = True
            yield from self._ends(lambda _key: True)
            yield _event(head, written)
            return
        yield from self._read(head, _parsed(written, otherwise=_Plain(written)))

    def _read(self, head: list[str], data: Any) -> Iterator[str]:
        """One event; of text without a structure, every event goes on where the last one stopped."""
        data = with_keys(data, self._own.whole)
        if isinstance(data, dict):
            reading = self._reader(data)
        elif isinstance(data, str):
            reading = Reading([Piece((type(data),), (), data)], lambda _key: False, is_known=False)
        else:
            reading = Reading([], lambda _key: False)
        self.is_done = self.is_done or reading.last
        pieces = [piece for piece in reading.pieces if not _is_skipped(piece.place, self._skip)]
        own = {piece.key for piece in pieces}
        yield from self._ends(lambda key: key not in own and reading.ended(key))
        data = without_tokens(self._numbered(data))
        others = texts_of(data, skip=self._skip, places=[piece.place for piece in pieces]) if data != "" else Texts(data)
        rest = (
            []
            if isinstance(data, str)
            else [(others.places[at], self._own.whole(text, at)) for at, text in others.parts.items()]
        )
        empty = _put(data, [*rest, *((piece.place, "") for piece in pieces)])
        for key, place, text, is_argument in pieces:
            way = ("arguments",) if is_argument else ()
            one = self._filters.get(key) or self._added(key, way, is_known=reading.is_known)
            out = one.feed(text)
            if reading.ended(key):
                out += self._filters.pop(key).flush()
                self._kept.pop(key, None)
            else:
                self._kept[key] = _Kept(head, empty, place)
            rest.append((place, out))
        new = _put(data, rest)
        if new or not isinstance(new, _Plain):  # text that is held back leaves no empty line
            yield self._framed(head, new)

    def _added(self, key: Hashable, way: tuple[str, ...], *, is_known: bool) -> ReplyFilter | JoinedFilter:
        if len(self._filters) >= MOST_TEXTS:
            raise Denied(f"more than {MOST_TEXTS} texts at once in a stream", control="caps")
        self._filters[key] = self._own.filter(*way) if is_known else JoinedFilter(self._own)
        return self._filters[key]

    def _ends(self, ended: Callable[[Any], bool]) -> Iterator[str]:
        for key in [key for key in self._filters if ended(key)]:
            left = self._filters.pop(key).flush()
            kept = self._kept.pop(key)
            if left:
                data = kept.data
                if _is_numbered(data):
                    self._more += 1
                    self._number += 1
                    data = {**data, "sequence_number": self._number}
                yield self._framed(kept.head, _put(data, [(kept.place, left)]))

    def _framed(self, head: list[str], data: Any) -> str:
        return _event(head, str(data) if isinstance(data, _Plain) else _json(data))

    def _numbered(self, data: Any) -> Any:
        if not _is_numbered(data):
            return data
        self._number = data["sequence_number"] + self._more
        return {**data, "sequence_number": self._number} if self._more else data


def _is_numbered(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("sequence_number"), int)


def _event(head: list[str], data: str | None) -> str:
    lines = [*head, *([] if data is None else [f"data: {line}" for line in data.split("\n")])]
    return "\n".join(lines) + "\n\n"


class JsonLines(Events):
    """The same for one JSON value a line (`application/x-ndjson`)."""

    def feed(self, data: bytes) -> bytes:
        """What may leave now."""
        self._held += self._decoder.decode(data)
        if len(self._held) > MOST_CHARACTERS:
            raise Denied(f"a line of more than {MOST_CHARACTERS} characters", control="caps")
        *lines, self._held = self._held.split("\n")
        return "".join(out for line in lines for out in self._event(line)).encode()

    def _event(self, block: str) -> Iterator[str]:
        if block.strip():
            yield from self._read([], _parsed(block, otherwise=_Plain(block)))

    def _framed(self, head: list[str], data: Any) -> str:
        del head
        return f"{data if isinstance(data, _Plain) else _json(data)}\n"


def events_of(kind: str) -> type[Events] | None:
    """How a body of this content type is read as it passes; None where it is no stream of events."""
    named = kind.partition(";")[0].strip().lower()
    return Events if named == _EVENTS else JsonLines if named in _LINES else None


class _Plain(str):
    """Data of an event that is no JSON."""

    __slots__ = ()


def _put(data: Any, changes: list[tuple[Place, str]]) -> Any:
    new = put(data, changes) if changes else data
    return _Plain(new) if isinstance(data, _Plain) and isinstance(new, str) else new


def _is_skipped(place: Place, skip: Collection[str]) -> bool:
    return any(isinstance(step, Item) and step.key in skip for step in place)


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _parsed(text: str, *, otherwise: object) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise
