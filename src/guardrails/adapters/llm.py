"""What the APIs of language models say, and where: which fields are no text, and which events carry pieces of one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from guardrails.adapters.leaves import texts_of
from guardrails.adapters.sse import Piece, Reader, Reading
from guardrails.core.payload import Item, Place
from guardrails.core.selectors import Index


def words(*lines: str) -> frozenset[str]:
    """The words of some lines."""
    return frozenset(word for line in lines for word in line.split())


# Ids, enumerations, schemas and encoded files. Everything else is a text, also what a provider adds tomorrow.
REQUEST_SKIP: Final = words(
    "call_id cache_control detail effort encoding_format encrypted_content file_data file_id format id "
    "image_url include input_audio media_type modalities model name previous_response_id prompt_cache_key "
    "prompt_cache_retention response_format role service_tier signature status stop stop_sequences "
    "tool_call_id tool_choice tool_use_id tools truncation type verbosity voice"
)
REPLY_SKIP: Final = words(
    "b64_json call_id created encrypted_content event_id file_id finish_reason id item_id model name "
    "native_finish_reason object obfuscation partial_image_b64 previous_response_id role "
    "safety_identifier service_tier signature status stop_reason stop_sequence system_fingerprint "
    "tool_call_id tool_choice tools type"
)


def chat_events(data: dict[str, Any]) -> Reading:
    """OpenAI chat completions, and what imitates them."""
    pieces: list[Piece] = []
    ended: set[object] = set()
    for at, choice in enumerate(data.get("choices") or []):
        if not isinstance(choice, dict):
            continue
        number, delta = choice.get("index", at), choice.get("delta") or {}
        way: Place = (Item("choices"), Index(at), Item("delta"))
        pieces += [
            Piece((number, field), (*way, Item(field)), delta[field])
            for field in ("content", "refusal", "reasoning_content", "reasoning")
            if isinstance(delta.get(field), str)
        ]
        for place, tool in enumerate(delta.get("tool_calls") or []):
            function = tool.get("function") if isinstance(tool, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                steps = (*way, Item("tool_calls"), Index(place), Item("function"), Item("arguments"))
                pieces.append(
                    Piece((number, "tool", tool.get("index", place)), steps, function["arguments"], is_argument=True)
                )
        if choice.get("finish_reason") is not None:
            ended.add(number)
    return Reading(pieces, lambda key: key[0] in ended)


def response_events(data: dict[str, Any]) -> Reading:
    """OpenAI responses: the last events of each item repeat its text whole."""
    kind = data.get("type")
    if not isinstance(kind, str):
        return Reading([], lambda _key: False)
    named = tuple(data.get(field) for field in ("item_id", "output_index", "content_index", "summary_index"))
    if kind.endswith(".delta") and isinstance(data.get("delta"), str) and not kind.startswith("response.audio.delta"):
        key = (kind.removesuffix(".delta"), *named)
        called_with = kind.endswith(("_arguments.delta", "_input.delta", "_code.delta"))
        return Reading([Piece(key, (Item("delta"),), data["delta"], called_with)], lambda _key: False)
    if kind in ("response.completed", "response.incomplete", "response.failed", "error"):
        return Reading([], lambda _key: True, last=True)
    if kind == "response.output_item.done":
        return Reading([], lambda key: key[2] == data.get("output_index"))
    done = (kind.removesuffix(".done"), *named)
    return Reading([], lambda key: kind.endswith(".done") and key == done)


def message_events(data: dict[str, Any]) -> Reading:
    """Anthropic messages."""
    kind, index = data.get("type"), data.get("index")
    delta = data.get("delta")
    if kind == "content_block_delta" and isinstance(delta, dict):
        pieces = [
            Piece((index, field), (Item("delta"), Item(field)), delta[field], field == "partial_json")
            for field in ("text", "partial_json", "thinking")
            if isinstance(delta.get(field), str)
        ]
        return Reading(pieces, lambda _key: False)
    if kind == "content_block_stop":
        return Reading([], lambda key: key[0] == index)
    return Reading([], lambda _key: kind == "message_stop", last=kind == "message_stop")


# Keys under which applications and models stream a text in pieces.
PIECES: Final = words("chunk content delta response text token")
_MESSAGE_EVENTS: Final = words("content_block_delta content_block_start content_block_stop message_start message_stop")


def events_with(pieces: Collection[str] = PIECES) -> Reader:
    """
    Reads events of any sender: those that are known by their form, and others by their keys.

    Args:
        pieces: Keys whose text goes on in the next event; every other text stands for itself.
    """
    keys = frozenset(pieces)

    def read(data: dict[str, Any]) -> Reading:
        kind = data.get("type")
        if isinstance(data.get("choices"), list):
            return chat_events(data)
        if isinstance(kind, str) and kind.startswith("response."):
            return response_events(data)
        if kind in _MESSAGE_EVENTS:
            return message_events(data)
        texts = texts_of(data)
        found = [
            Piece(("at", place), place, texts.parts[path])
            for path, place in texts.places.items()
            if isinstance(place[-1], Item) and place[-1].key in keys
        ]
        return Reading(found, lambda _key: data.get("done") is True, is_known=False)  # as Ollama ends a stream

    return read


any_events: Final = events_with()
