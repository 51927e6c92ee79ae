"""
The texts of chat messages as LangChain has them: objects with `content`, `tool_calls` and more, whole or in chunks.

Nothing is imported from there: the objects are read by their attributes, and copied as the pydantic models that they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Sequence
from typing import Any, Final, NamedTuple

from guardrails.adapters.leaves import Texts, texts_of, without_tokens
from guardrails.adapters.llm import REPLY_SKIP, REQUEST_SKIP, words
from guardrails.core.payload import Item, Place, put
from guardrails.core.replies import OwnReply, ReplyFilter
from guardrails.core.selectors import Index, Key

_FIELDS: Final = ("content", "tool_calls", "invalid_tool_calls", "additional_kwargs")
_RESULT_FIELDS: Final = (*_FIELDS, "artifact")  # which no model sees, and whoever reads the state
# Blocks are told apart by these, and only a tool call's own fields stand beside its arguments.
_REPLY_SKIP: Final = REPLY_SKIP | words("index model_name model_provider system_fingerprint stop_reason")
_ARGUMENTS: Final = words("args arguments input partial_json")
_PIECES: Final = _ARGUMENTS | words("text thinking reasoning reasoning_content refusal")


def request_texts(value: Any) -> Texts:
    """The texts of messages on their way to a model, or of the arguments of a tool."""
    found = Texts(value)
    if isinstance(value, dict):
        return texts_of(value)
    for number, message in enumerate(value):
        _message(found, message, (Index(number),), f"messages[{number}].", REQUEST_SKIP)
    return found


def reply_texts(message: Any) -> Texts:
    """The texts of a model's answer."""
    kept = message
    if (about := without_tokens(message.response_metadata)) is not message.response_metadata:
        kept = message.model_copy(update={"response_metadata": about})
    found = Texts(kept)
    _message(found, kept, (), "", _REPLY_SKIP)
    _add(found, texts_of(kept.response_metadata, skip=_REPLY_SKIP), (Key("response_metadata"),), "response_metadata.")
    return found


def result_texts(result: Any) -> Texts:
    """The texts of a tool's result: a message, or a command that updates the state."""
    found = Texts(result)
    if hasattr(result, "content"):
        _message(found, result, (), "", frozenset(), _RESULT_FIELDS)
        return found
    update = getattr(result, "update", None)
    for key, value in update.items() if isinstance(update, dict) else ():
        place: Place = (Key("update"), Item(key))
        if isinstance(value, list) and any(hasattr(one, "content") for one in value):
            for number, one in enumerate(value):
                if hasattr(one, "content"):
                    _message(found, one, (*place, Index(number)), f"{key}[{number}].", frozenset(), _RESULT_FIELDS)
        else:
            _add(found, texts_of(value), place, f"{key}.")
    return found


def _message(
    found: Texts, message: Any, place: Place, path: str, skip: Collection[str], fields: Sequence[str] = _FIELDS
) -> None:
    for field in fields:
        value = getattr(message, field, None)
        if field.endswith("tool_calls"):
            for number, call in enumerate(value or []):
                below = texts_of({"args": call.get("args"), "error": call.get("error")})
                _add(found, below, (*place, Key(field), Index(number)), f"{path}{field}[{number}].")
        elif value:
            _add(found, texts_of(value, skip=skip), (*place, Key(field)), f"{path}{field}.")


def _add(found: Texts, below: Texts, place: Place, path: str) -> None:
    found.beside.extend(below.beside)
    for name, text in below.parts.items():
        found.parts[f"{path}{name}"] = text
        found.places[f"{path}{name}"] = (*place, *below.places[name])


class _Left(NamedTuple):
    """How what is left of a text leaves, when its last chunk has passed."""

    one: ReplyFilter
    fields: dict[str, Any]  # of a chunk; its text is yet to come
    place: Place


class Chunks:
    """
    Masks an answer that arrives in chunks.

    Args:
        own: The filters of the guarded send.
        chunk_type: The class of a chunk.
    """

    def __init__(self, own: OwnReply, chunk_type: type[Any]) -> None:
        self.own: OwnReply = own
        self._chunk_type = chunk_type
        self._left: dict[Hashable, _Left] = {}
        self._id: str | None = None

    def feed(self, chunk: Any) -> list[Any]:
        """The chunks that may leave now."""
        if not hasattr(chunk, "tool_call_chunks"):
            return [self._whole(chunk)]
        self._id = chunk.id or self._id
        fields: dict[str, Any] = {
            "content": self._content(chunk.content),
            "tool_call_chunks": [self._tool(call) for call in chunk.tool_call_chunks],
            "additional_kwargs": self._nested(chunk.additional_kwargs, "additional_kwargs"),
            "response_metadata": self._masked(without_tokens(chunk.response_metadata)),
        }
        kept = {name: getattr(chunk, name) for name in ("id", "name", "usage_metadata", "chunk_position")}
        before = self.flush() if chunk.chunk_position == "last" else []
        # Made anew: a copy would keep the tool calls that were parsed from the raw chunk.
        return [*before, self._chunk_type(**fields, **kept)]

    def flush(self) -> list[Any]:
        """What was still held back, in chunks of its own."""
        out = []
        for left in self._left.values():
            if text := left.one.flush():
                fields: Any = put(left.fields, [(left.place, text)])
                out.append(self._chunk_type(**{"content": "", **fields}, id=self._id))
        self._left.clear()
        return out

    def _content(self, content: Any) -> Any:
        if isinstance(content, str):
            return self._piece("content", content, {"content": ""}, (Item("content"),))
        blocks = []
        for number, block in enumerate(content):
            if isinstance(block, str):
                blocks.append(self._piece("content", block, {"content": ""}, (Item("content"),)))
                continue
            at = block.get("index", number)
            same = {name: block[name] for name in ("type", "index") if name in block}
            blocks.append(self._nested(block, ("block", at), same=same))
        return blocks

    def _tool(self, call: Any) -> Any:
        fields = {"tool_call_chunks": [{"name": None, "args": "", "id": None, "index": call.get("index")}]}
        place: Place = (Item("tool_call_chunks"), Index(0), Item("args"))
        key = ("tool", call.get("index"))
        return {**call, "args": self._piece(key, call["args"], fields, place, "args") if call.get("args") else call["args"]}

    def _nested(self, value: Any, name: Hashable, *, same: dict[str, Any] | None = None) -> Any:
        """A block, or `additional_kwargs`: texts that go on, and texts that stand for themselves."""
        texts = texts_of(value, skip=_REPLY_SKIP)
        changes: list[tuple[Place, str]] = []
        for path, text in texts.parts.items():
            place = texts.places[path]
            last = place[-1]
            if not isinstance(last, Item) or last.key not in _PIECES:
                changes.append((place, self.own.whole(text, path)))
                continue
            alone = _alone(place, same or {})
            fields = {"content": [alone]} if same is not None else {"additional_kwargs": alone}
            into: Place = (Item("content"), Index(0)) if same is not None else (Item("additional_kwargs"),)
            changes.append((place, self._piece((name, path), text, fields, (*into, *_dense(place)), *_names(place))))
        return put(value, changes) if changes else value

    def _piece(self, key: Hashable, text: str, fields: dict[str, Any], place: Place, *way: str) -> str:
        left = self._left.get(key)
        if left is None:
            one = self.own.filter() if _ARGUMENTS.isdisjoint(way) else self.own.filter("arguments")
            left = self._left[key] = _Left(one, fields, place)
        return left.one.feed(text)

    def _masked(self, value: Any) -> Any:
        texts = texts_of(value, skip=_REPLY_SKIP)
        return texts.put({path: self.own.whole(text, path) for path, text in texts.parts.items()})

    def _whole(self, message: Any) -> Any:
        """A model that does not stream answers in one piece."""
        texts = reply_texts(message)
        masked: Any = texts.put({path: self.own.whole(text, path) for path, text in texts.parts.items()})
        calls = [
            {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": number}
            for number, call in enumerate(masked.tool_calls)
        ]
        kept = {name: getattr(masked, name) for name in ("content", "additional_kwargs", "response_metadata", "id", "name")}
        return self._chunk_type(**kept, usage_metadata=masked.usage_metadata, tool_call_chunks=calls, chunk_position="last")


def _alone(place: Place, beside: dict[str, Any]) -> Any:
    """Only what leads to *place*, and what tells its block from others."""
    value: Any = ""
    for step in reversed(place):
        value = {step.key: value} if isinstance(step, Item) else [value]
    return {**beside, **value}


def _dense(place: Place) -> Place:
    """The way in what `_alone` makes: lists there hold one element."""
    return tuple(Index(0) if isinstance(step, Index) else step for step in place)


def _names(place: Place) -> list[str]:
    return [step.key for step in place if isinstance(step, Item) and isinstance(step.key, str)]
