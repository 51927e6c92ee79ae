"""
A guard below a Telegram bot of python-telegram-bot: `ApplicationBuilder().token(t).rate_limiter(GuardLimiter(guard)).build()`.

It stands where the library has its rate limiter: every method that sends or edits goes through it, masked before the bot logs
it. Another rate limiter stands inside, so that what it tries again is charged once. `telegram.Bot` has none: use `ExtBot`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, Final

from guardrails.adapters.hosts import host
from guardrails.adapters.leaves import Texts, texts_of
from guardrails.adapters.llm import words
from guardrails.core.guard import Guard
from guardrails.core.markup import blocks, with_blocks
from guardrails.core.message import Message
from guardrails.errors import Denied

host("telegram", extra="telegram", distribution="python-telegram-bot", least=(22, 0), below=(23,))

from telegram import InputMedia, InputPaidMedia, TelegramObject  # noqa: E402 - said first what to install
from telegram.ext import BaseRateLimiter  # noqa: E402 - as above

__all__ = ["GuardLimiter"]

_SENDS: Final = re.compile(
    r"(?!sendChatAction)(send|edit|copy|forward|answer|post|repost|save|stopPoll|gift|declineSuggestedPost|createInvoiceLink|"
    r"createForumTopic|createChat\w*InviteLink|setChat(Title|Description|AdministratorCustomTitle|MemberTag)|verify)"
)
_SKIP: Final = words(
    "chat_id from_chat_id parse_mode quote_parse_mode explanation_parse_mode question_parse_mode callback_data "
    "callback_query_id inline_query_id inline_message_id business_connection_id message_effect_id type action emoji url id "
    "photo audio document video animation voice video_note sticker media thumbnail cover provider_token payload currency "
    "game_short_name result_id web_app_query_id style icon_custom_emoji_id custom_emoji_id"
)
_REPLY_SKIP: Final = _SKIP | words(
    "first_name last_name username title file_id file_unique_id language_code mime_type entities caption_entities"
)
# Offsets into a text, and the text that they belong to.
_OFFSETS: Final = {"text": "entities", "caption": "caption_entities", "question": "question_entities"}


class GuardLimiter(BaseRateLimiter[Any]):
    """
    The guard around everything that a bot sends. A refusal is raised where the bot's method was called.

    Entities are left out where a text has changed, because their offsets are another text's. Of HTML, what a person reads is
    masked; Markdown whose text has changed is sent as plain text.

    Args:
        guard: Texts, captions, buttons and poll options are its message; the chat is its recipient.
        inner: Another rate limiter, such as `AIORateLimiter()`.
    """

    def __init__(self, guard: Guard, inner: BaseRateLimiter[Any] | None = None) -> None:
        self._guard = guard
        self._inner = inner

    async def initialize(self) -> None:
        """Initialize the inner one."""
        if self._inner is not None:
            await self._inner.initialize()

    async def shutdown(self) -> None:
        """Shut the inner one down; the guard stays open."""
        if self._inner is not None:
            await self._inner.shutdown()

    async def process_request(
        self,
        callback: Callable[..., Any],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: Any,
    ) -> Any:
        """One call of the Bot API."""

        async def post(given: dict[str, Any]) -> Any:
            if self._inner is None:
                return await callback(endpoint, given, **kwargs)
            positional = (endpoint, given)
            return await self._inner.process_request(callback, positional, kwargs, endpoint, given, rate_limit_args)

        del args  # endpoint and data again
        if _SENDS.match(endpoint) is None:
            return await post(data)
        sent = _Sent(data)
        replied: list[Texts] = []

        async def bot_request(sealed: Message) -> dict[str, str]:
            texts = texts_of(await post(sent.with_texts(sealed)), skip=_REPLY_SKIP)
            replied.append(texts)
            return dict(texts.parts)

        reply: Any = await self._guard.arun(sent.message, bot_request, reply="mask" if self._guard.masks else "pass")
        return replied[0].put(reply) if replied else reply


class _Sent:
    """One request that sends something."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = {name: _plain(value) for name, value in data.items()}
        self._texts = texts_of({name: one for name, one in self._data.items() if name != "media"}, skip=_SKIP)
        self._parts = dict(self._texts.parts)
        self._html: dict[str, int] = {}  # how many blocks
        if self._data.get("parse_mode") == "HTML":
            for path in ("text", "caption"):
                if path in self._parts:
                    found = blocks(self._parts.pop(path))
                    self._html[path] = len(found)
                    self._parts |= {f"{path}.html[{number}]": one for number, one in enumerate(found)}
        self._media = self._data.get("media")
        several = self._media if isinstance(self._media, list | tuple) else [] if self._media is None else [self._media]
        self._captions = {
            f"media[{number}].caption": one
            for number, one in enumerate(several)
            if getattr(one, "caption", None) is not None
        }
        self._parts |= {path: one.caption for path, one in self._captions.items()}
        chat = self._data.get("chat_id", self._data.get("user_id"))
        self.message: Message = Message(
            self._parts or {"request": ""}, channel="chat", recipients=() if chat is None else (str(chat),)
        )

    def with_texts(self, sealed: Message) -> dict[str, Any]:
        """The request with the sealed texts."""
        news = dict(sealed.parts)
        for path, count in self._html.items():
            news[path] = with_blocks(
                self._texts.parts[path], [news.pop(f"{path}.html[{number}]") for number in range(count)]
            )
        masked: Any = self._texts.put({path: text for path, text in news.items() if path in self._texts.parts})
        data = {**self._data, **masked}
        for text, offsets in _OFFSETS.items():
            if data.get(text) != self._data.get(text):
                data.pop(offsets, None)
                if str(data.get("parse_mode", "")).startswith("Markdown"):
                    del data["parse_mode"]
        if self._captions:
            twins = {id(one): _with_caption(one, news[path]) for path, one in self._captions.items()}
            media = self._media
            data["media"] = (
                [twins.get(id(one), one) for one in media] if isinstance(media, list | tuple) else twins[id(media)]
            )
        return data


def _plain(value: Any) -> Any:
    """Objects of the library as the JSON that they become; what uploads files stays itself, and its caption is looked at."""
    if isinstance(value, TelegramObject) and not isinstance(value, InputMedia | InputPaidMedia):
        if getattr(value, "media", None) is not None:
            raise Denied(f"a file inside a {type(value).__name__} that also holds text", control="telegram")
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _with_caption(media: Any, caption: str) -> Any:
    if caption == media.caption:
        return media
    if str(getattr(media, "parse_mode", "") or ""):
        raise Denied(
            "a caption with markup beside a file: mask it before, or send it without parse_mode", control="telegram"
        )
    twin = copy.copy(media)
    object.__setattr__(twin, "caption", caption)  # the library freezes its objects
    object.__setattr__(twin, "caption_entities", ())
    return twin
