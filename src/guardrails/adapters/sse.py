"""
Server-sent events on their way to a consumer: each text masked across the events that carry its pieces.

Source of the format: WHATWG HTML, server-sent events.
"""

from __future__ import annotations

import codecs
import copy
import json
import re
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Any, Final, NamedTuple, cast

from guardrails.adapters.leaves import texts_of, without_tokens
from guardrails.core.payload import Place, put
from guardrails.core.replies import OwnReply, ReplyFilter
from guardrails.errors import Denied

MOST_CHARACTERS: Final = 8 * 1024 * 1024  # of one event
_END_OF_EVENT: Final = re.compile(r"\r\n\r\n|\n\n|\r\r")
_LINE: Final = re.compile(r"\r\n|\n|\r")  # and nothing else: U+2028 and its like may stand in the middle of JSON
_FIELDS: Final = ("event:", "id:", "retry:")


class Piece(NamedTuple):
    """A piece of a longer text: which text, where it stands in the event, and what it says."""

    key: Hashable
    place: Place
    text: str


class Reading(NamedTuple):
    """
    What an event says about texts.

    Args:
        pieces: Pieces of texts that go on in later events.
        ended: Whether a text with this key ends here.
        last: Whether the provider says that no event follows.
    """

    pieces: list[Piece]
    ended: Callable[[Any], bool]
    last: bool = False


Reader = Callable[[dict[str, Any]], Reading]


class _Kept(NamedTuple):
    """
    The last event that carried a piece of a text: what is left at its end leaves in an event like it.

    The event's other texts are empty here, because they have left already.
    """

    head: list[str]
    data: dict[str, Any]
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
        self._filters: dict[Hashable, ReplyFilter] = {}
        self._kept: dict[Hashable, _Kept] = {}
        self.is_done: bool = False  # the provider said that nothing follows
        self._more = 0  # events of ours so far, in streams that number theirs

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
        parsed = _parsed(written)
        if isinstance(parsed, dict):
            yield from self._read(head, parsed)
            return
        yield from self._ends(lambda _key: True)
        self.is_done = self.is_done or written == "[DONE]"
        yield _event(head, written if written == "[DONE]" else self._own.whole(written))

    def _read(self, head: list[str], data: dict[str, Any]) -> Iterator[str]:
        reading = self._reader(data)
        self.is_done = self.is_done or reading.last
        own = {piece.key for piece in reading.pieces}
        yield from self._ends(lambda key: key not in own and reading.ended(key))
        data = without_tokens(self._numbered(data))
        changes: list[tuple[Place, str]] = []
        others = texts_of(data, skip=self._skip, places=[piece.place for piece in reading.pieces])
        empty = [(place, "") for place in (*(piece.place for piece in reading.pieces), *others.places.values())]
        for key, place, text in reading.pieces:
            one = self._filters.setdefault(key, self._own.filter())
            out = one.feed(text)
            if reading.ended(key):
                out += self._filters.pop(key).flush()
                self._kept.pop(key, None)
            else:
                self._kept[key] = _Kept(head, cast("dict[str, Any]", put(data, empty)), place)
            changes.append((place, out))
        changes += [(others.places[path], self._own.whole(text)) for path, text in others.parts.items()]
        yield _event(head, json.dumps(put(data, changes), ensure_ascii=False, separators=(",", ":")))

    def _ends(self, ended: Callable[[Any], bool]) -> Iterator[str]:
        for key in [key for key in self._filters if ended(key)]:
            left = self._filters.pop(key).flush()
            kept = self._kept.pop(key)
            if left:
                data = copy.deepcopy(kept.data)
                if isinstance(data.get("sequence_number"), int):
                    self._more += 1
                    data["sequence_number"] += self._more
                yield _event(
                    kept.head, json.dumps(put(data, [(kept.place, left)]), ensure_ascii=False, separators=(",", ":"))
                )

    def _numbered(self, data: dict[str, Any]) -> dict[str, Any]:
        if self._more and isinstance(data.get("sequence_number"), int):
            return {**data, "sequence_number": data["sequence_number"] + self._more}
        return data


def _event(head: list[str], data: str | None) -> str:
    lines = [*head, *([] if data is None else [f"data: {line}" for line in data.split("\n")])]
    return "\n".join(lines) + "\n\n"


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
