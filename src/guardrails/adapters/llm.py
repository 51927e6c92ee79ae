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


_STANDS_ALONE: Final = words("annotations citation citations")


def _pieces(delta: Any, key: tuple[Any, ...], way: Place, *, is_argument: bool = False) -> list[Piece]:
    """Every text of a delta, also one that a provider adds tomorrow: it goes on in the next event."""
    texts = texts_of(delta, skip=REPLY_SKIP)
    return [
        Piece((*key, path), (*way, *place), texts.parts[path], is_argument)
        for path, place in texts.places.items()
        if not (place and isinstance(place[0], Item) and place[0].key in _STANDS_ALONE)
    ]


def chat_events(data: dict[str, Any]) -> Reading:
    """OpenAI chat completions and their elder, and what imitates them."""
    pieces: list[Piece] = []
    ended: set[object] = set()
    for at, choice in enumerate(data.get("choices") or []):
        if not isinstance(choice, dict):
            continue
        number, delta = choice.get("index", at), choice.get("delta")
        choices: Place = (Item("choices"), Index(at))
        if isinstance(choice.get("text"), str):
            pieces.append(Piece((number, "text"), (*choices, Item("text")), choice["text"]))
        for field, value in delta.items() if isinstance(delta, dict) else ():
            way: Place = (*choices, Item("delta"), Item(field))
            if field == "tool_calls" and isinstance(value, list):
                for place, tool in enumerate(value):
                    named = tool.get("index", place) if isinstance(tool, dict) else place
                    pieces += _pieces(tool, (number, "tool", named), (*way, Index(place)), is_argument=True)
            elif field not in REPLY_SKIP | _STANDS_ALONE:
                pieces += _pieces(value, (number, field), way, is_argument=field == "function_call")
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
        called_with = delta.get("type") == "input_json_delta"
        return Reading(_pieces(delta, (index,), (Item("delta"),), is_argument=called_with), lambda _key: False)
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
