"""
A guard below a Telegram bot of python-telegram-bot: `ApplicationBuilder().token(t).rate_limiter(GuardLimiter(guard)).build()`.

It stands where the library has its rate limiter: every method that sends or edits goes through it, masked before the bot logs
it. Another rate limiter stands inside, so that what it tries again is charged once. `telegram.Bot` has none: use `ExtBot`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from guardrails.adapters.bot_requests import Posted, reply_texts
from guardrails.adapters.hosts import host
from guardrails.adapters.leaves import Texts
from guardrails.core.guard import Guard
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
        sent = Posted({name: _plain(value) for name, value in data.items()})
        replied: list[Texts] = []

        async def bot_request(sealed: Message) -> dict[str, str]:
            texts = reply_texts(await post(sent.with_texts(sealed)))
            replied.append(texts)
            return dict(texts.parts)

        reply: Any = await self._guard.arun(sent.message, bot_request, reply="mask" if self._guard.masks else "pass")
        return replied[0].put(reply) if replied else reply


def _plain(value: Any) -> Any:
    """Objects of the library as the JSON that they become; what uploads files stays itself, and its caption is looked at."""
    if isinstance(value, TelegramObject) and not isinstance(value, InputMedia | InputPaidMedia):
        if getattr(value, "media", None) is not None:
            raise Denied(f"a file inside a {type(value).__name__} that also holds text", control="telegram")
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
