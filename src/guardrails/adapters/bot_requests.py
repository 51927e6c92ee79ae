"""
Requests of Telegram's Bot API: their texts, of HTML and Markdown what a person reads, and the request with other texts.

Source: core.telegram.org/bots/api, formatting options; a parse mode is read in upper and lower case there.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from guardrails.adapters.leaves import Texts, texts_of
from guardrails.adapters.llm import words
from guardrails.core.markup import blocks, with_blocks
from guardrails.core.message import Message
from guardrails.core.payload import Item, Place
from guardrails.core.selectors import Index
from guardrails.errors import Denied

_SKIP: Final = words(
    "chat_id from_chat_id parse_mode quote_parse_mode explanation_parse_mode question_parse_mode callback_data "
    "callback_query_id inline_query_id inline_message_id business_connection_id message_effect_id type action emoji url id "
    "photo audio document video animation voice video_note sticker media thumbnail cover provider_token payload currency "
    "game_short_name result_id web_app_query_id style icon_custom_emoji_id custom_emoji_id"
)
_REPLY_SKIP: Final = _SKIP | words(
    "first_name last_name username title file_id file_unique_id language_code mime_type entities caption_entities"
)
_LISTS: Final = ("tasks",)  # whose parse mode stands beside the list
_MARK: Final = re.compile(r"\\([!-/:-@\[-`{-~])|[*_~`|]+")  # a character that is escaped, or a mark around a text


def reply_texts(reply: object) -> Texts:
    """The texts of an answer."""
    return texts_of(reply, skip=_REPLY_SKIP)


class Posted:
    """
    One request that sends something.

    Args:
        data: Its parameters, as the JSON that they become; what uploads files is an object with a `caption`.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._texts = texts_of({name: one for name, one in data.items() if name != "media"}, skip=_SKIP)
        self._parts = dict(self._texts.parts)
        self._html: dict[str, int] = {}  # how many blocks
        self._marked: dict[str, str] = {}  # what a person reads of Markdown
        for path, text in self._texts.parts.items():
            mode = _parse_mode(data, self._texts.places[path]).upper()
            if mode == "HTML":
                found = blocks(self._parts.pop(path))
                self._html[path] = len(found)
                self._parts |= {f"{path}.html[{number}]": one for number, one in enumerate(found)}
            elif mode.startswith("MARKDOWN"):
                self._parts[path] = self._marked[path] = _MARK.sub(lambda mark: mark[1] or "", text)
        media = data.get("media")
        several = media if isinstance(media, list | tuple) else [] if media is None else [media]
        self._captions = {
            f"media[{number}].caption": one
            for number, one in enumerate(several)
            if getattr(one, "caption", None) is not None
        }
        self._parts |= {path: _read(one) for path, one in self._captions.items()}
        chat = data.get("chat_id", data.get("user_id"))
        self.message: Message = Message(
            self._parts or {"request": ""},
            channel="chat",
            recipients=() if chat is None else (str(chat),),
            metadata=self._texts.metadata,
        )

    def with_texts(self, sealed: Message) -> dict[str, Any]:
        """The request with the sealed texts."""
        news = dict(sealed.parts)
        for path, count in self._html.items():
            parts = [news.pop(f"{path}.html[{number}]") for number in range(count)]
            news[path] = with_blocks(self._texts.parts[path], parts)
        for path, read in self._marked.items():
            if news[path] == read:
                news[path] = self._texts.parts[path]
        known = {path: text for path, text in news.items() if path in self._texts.parts}
        data: dict[str, Any] = _plainer(self._texts.put(known), self._texts, known, self._marked)
        if "media" in self._data:
            data = {**data, "media": self._data["media"]}
        if self._captions:
            twins = {id(one): _with_caption(one, news[path]) for path, one in self._captions.items()}
            media = self._data["media"]
            data["media"] = (
                [twins.get(id(one), one) for one in media] if isinstance(media, list | tuple) else twins[id(media)]
            )
        return data


def _parse_mode(data: Any, place: Place) -> str:
    """How the text at *place* is written: as is said beside it, or for the list that it stands in."""
    name, mode = "", ""
    for step in place:
        if isinstance(data, Mapping) and isinstance(step, Item):
            mode = str(data.get(f"{step.key}_parse_mode") or data.get("parse_mode") or (mode if name in _LISTS else ""))
            name = str(step.key)
            data = data.get(step.key)
        elif isinstance(step, Index):
            data = data[step.number]
    return mode


def _plainer(value: Any, texts: Texts, news: Mapping[str, str], marked: Mapping[str, str]) -> Any:
    """*value* without offsets into texts that have changed, and without the parse mode of Markdown that has."""
    for path, text in texts.parts.items():
        if news[path] != text:
            place = texts.places[path]
            gone = [name for name in _beside(place) if name.endswith("entities") or path in marked]
            value = _without(value, place[:-1], gone)
    return value


def _beside(place: Place) -> tuple[str, ...]:
    step = place[-1]
    name = str(step.key) if isinstance(step, Item) else ""
    own = "entities" if name in ("text", "message_text") else f"{name}_entities"
    return own, f"{name}_parse_mode", *(("text_entities",) if name == "text" else ()), "parse_mode"


def _without(value: Any, place: Place, names: list[str]) -> Any:
    if not place:
        return {key: child for key, child in value.items() if key not in names} if isinstance(value, dict) else value
    step, rest = place[0], place[1:]
    if isinstance(step, Item):
        return {**value, step.key: _without(value[step.key], rest, names)}
    return [_without(child, rest, names) if Index(number) == step else child for number, child in enumerate(value)]


def _read(media: Any) -> str:
    """What a person reads of a caption."""
    mode = str(getattr(media, "parse_mode", "") or "").upper()
    if mode == "HTML":
        return "\n".join(blocks(media.caption))
    return _MARK.sub(lambda mark: mark[1] or "", media.caption) if mode.startswith("MARKDOWN") else str(media.caption)


def _with_caption(media: Any, caption: str) -> Any:
    if caption == _read(media):
        return media
    if str(getattr(media, "parse_mode", "") or ""):
        raise Denied(
            "a caption with markup beside a file: mask it before, or send it without parse_mode", control="telegram"
        )
    twin = copy.copy(media)
    object.__setattr__(twin, "caption", caption)  # the library freezes its objects
    object.__setattr__(twin, "caption_entities", ())
    return twin
