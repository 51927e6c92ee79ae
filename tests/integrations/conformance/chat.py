# ruff: noqa: ARG002 - stand-ins take what the library gives them
"""A Telegram bot above a request object that is played in this process."""

from __future__ import annotations

import json
import warnings
from typing import Any, ClassVar

from telegram import Message as TelegramMessage
from telegram.error import BadRequest, RetryAfter
from telegram.ext import BaseRateLimiter, ExtBot
from telegram.request import BaseRequest

from guardrails.errors import GuardrailsError
from guardrails.integrations.telegram import GuardLimiter
from tests.integrations.conformance.contract import SECRET, AsyncOnly

CHAT = "42"


class Again(BaseRateLimiter[Any]):
    """Tries again at once, as `AIORateLimiter` does later."""

    async def initialize(self) -> None: ...

    async def shutdown(self) -> None: ...

    async def process_request(
        self, callback: Any, args: Any, kwargs: Any, endpoint: str, data: Any, rate_limit_args: Any
    ) -> Any:
        try:
            return await callback(*args, **kwargs)
        except RetryAfter:
            return await callback(*args, **kwargs)


class Telegram(AsyncOnly):
    name = "telegram"
    package = "python-telegram-bot"
    modes = ("async send_message", "async edit_message_text")
    needs_filter = True
    recipient = CHAT
    refusal = (GuardrailsError,)
    error = (BadRequest,)
    without: ClassVar[Any] = {11: "the library is async"}

    def start(self) -> None:
        warnings.filterwarnings("ignore", message=".*retry_after")  # of the library; pytest restores the filters

    async def asend(self, text: str) -> str:
        self.given = [{"chat_id": CHAT, "text": text}]
        wire: Any = Wire(self)
        bot: Any = ExtBot("1:token", request=wire, get_updates_request=wire, rate_limiter=GuardLimiter(self.guard, Again()))
        if self.mode.endswith("send_message"):
            sent = await bot.send_message(**self.given[0])
        else:
            sent = await bot.edit_message_text(message_id=7, **self.given[0])
        assert isinstance(sent, TelegramMessage)
        return str(sent.text)


class Wire(BaseRequest):
    """What the Bot API would see."""

    def __init__(self, host: Telegram) -> None:
        self.host = host

    @property
    def read_timeout(self) -> float:
        return 1.0

    async def initialize(self) -> None: ...

    async def shutdown(self) -> None: ...

    async def do_request(self, url: str, method: str, request_data: Any = None, *more: Any, **named: Any) -> Any:
        data = request_data.parameters
        fault = self.host.arrived(json.dumps(data), str(data["chat_id"]))
        await self.host.hold()
        if fault == "busy":
            return 429, json.dumps({"ok": False, "description": "busy", "parameters": {"retry_after": 1}}).encode()
        if fault:
            return 400, json.dumps({"ok": False, "description": f"no {SECRET}"}).encode()
        chat = {"id": int(data["chat_id"]), "type": "private", "first_name": "Bob"}
        message = {"message_id": 7, "date": 1, "chat": chat, "text": self.host.answer}
        result: Any = [message] if url.endswith("sendMediaGroup") else message
        return 200, json.dumps({"ok": True, "result": result}).encode()


HOSTS = (Telegram,)
