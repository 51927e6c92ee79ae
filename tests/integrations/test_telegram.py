"""A Telegram bot: markup, media, buttons, and what is no message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    InputPollOption,
    MessageEntity,
    ReplyParameters,
)
from telegram.ext import ExtBot

from guardrails import Guard, MaskPII, RateLimit
from guardrails.errors import Blocked, Denied, RateLimited
from guardrails.integrations.telegram import GuardLimiter
from tests.conftest import on_asyncio
from tests.integrations.conformance.chat import Wire
from tests.integrations.conformance.contract import MASKED, TEXT

HIDDEN = "<EMAIL_ADDRESS>"


class Chat:
    """What a Bot API would answer, and what reached it."""

    answer = "ok"

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def arrived(self, body: str, *_people: str) -> None:
        self.sent.append(json.loads(body))

    async def hold(self) -> None: ...


def called(method: str, **arguments: Any) -> dict[str, Any]:
    """The only request of one call of a bot's method."""
    chat = Chat()
    wire = Wire(chat)  # type: ignore[arg-type]  # answers like a host of the suite

    async def main() -> None:
        limiter = GuardLimiter(Guard(MaskPII(names="off")))
        bot: Any = ExtBot("1:token", request=wire, get_updates_request=wire, rate_limiter=limiter)
        await limiter.initialize()
        try:
            await getattr(bot, method)(chat_id=42, **arguments)
        finally:
            await limiter.shutdown()

    on_asyncio(main)
    (request,) = chat.sent
    return request


def test_g3_buttons_options_and_quotes_are_masked_and_callback_data_is_not() -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton(TEXT, callback_data="order 7 of 4")]])
    sent = called("send_message", text=TEXT, reply_markup=keyboard, reply_parameters=ReplyParameters(1, quote=TEXT))
    assert sent["text"] == MASKED
    assert sent["reply_markup"]["inline_keyboard"][0][0] == {"text": MASKED, "callback_data": "order 7 of 4"}
    assert sent["reply_parameters"]["quote"] == MASKED
    assert sent["chat_id"] == 42
    poll = called("send_poll", question=TEXT, options=["yes", InputPollOption(TEXT)])
    assert "ann@example.com" not in json.dumps(poll)


def test_offsets_into_a_text_that_has_changed_are_left_out() -> None:
    entities = [MessageEntity("bold", 0, 5)]
    assert "entities" not in called("send_message", text=TEXT, entities=entities)
    assert called("send_message", text="hello", entities=entities)["entities"]


def test_g3_what_a_person_reads_of_html_is_masked_and_the_markup_stays() -> None:
    sent = called("send_message", text="<b>Write</b> to ann@example.com &amp; more", parse_mode="HTML")
    assert sent["text"] == "<b>Write</b> to &lt;EMAIL_ADDRESS&gt; &amp; more"
    assert sent["parse_mode"] == "HTML"


@pytest.mark.parametrize(
    ("text", "parse_mode"),
    [
        ("write to ann@*example*\\.com", "MarkdownV2"),
        ("card 4111\\-1111\\-1111\\-1111", "markdownv2"),
        ("write to ann@_example_.com", "Markdown"),
        ("write to ann@<b>example</b>.com", "html"),
        ("card 4111<i>1111</i>1111<u>1111</u>", "HTML"),
    ],
)
@pytest.mark.parametrize("where", ["text", "caption", "explanation", "quote", "media"])
def test_g3_marks_of_a_parse_mode_do_not_cut_what_would_be_found(text: str, parse_mode: str, where: str) -> None:
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "text": ("send_message", {"text": text, "parse_mode": parse_mode}),
        "caption": ("send_photo", {"photo": "id", "caption": text, "parse_mode": parse_mode}),
        "explanation": (
            "send_poll",
            {"question": "a", "options": ["b", "c"], "explanation": text, "explanation_parse_mode": parse_mode},
        ),
        "quote": (
            "send_message",
            {"text": "hello", "reply_parameters": ReplyParameters(1, quote=text, quote_parse_mode=parse_mode)},
        ),
        "media": ("send_media_group", {"media": [InputMediaPhoto("id", caption=text, parse_mode=parse_mode)]}),
    }
    method, arguments = calls[where]
    if where == "media":
        with pytest.raises(Denied, match="caption with markup"):
            called(method, **arguments)
        return
    sent = called(method, **arguments)
    assert "&lt;" in repr(sent) or "<EMAIL_ADDRESS>" in repr(sent) or "<CREDIT_CARD>" in repr(sent)
    assert "example" not in repr(sent)
    assert "1111" not in repr(sent)
    assert ("arkdown" in repr(sent), "html" in repr(sent).lower()) == (False, parse_mode.lower() == "html")


@pytest.mark.parametrize("text", ["*Hello* \\. [there](https://example.com)", "a_b 2 \\* 3"])
def test_markdown_that_is_not_changed_stays_as_it_was_written(text: str) -> None:
    sent = called("send_message", text=text.replace("https://example.com", "tg://user"), parse_mode="MarkdownV2")
    assert sent["text"] == text.replace("https://example.com", "tg://user")
    assert sent["parse_mode"] == "MarkdownV2"


def test_g3_what_is_no_text_is_refused_where_it_shows_somebodys_address() -> None:
    for more in (
        {"reply_markup": InlineKeyboardMarkup([[InlineKeyboardButton("write", url="mailto:ann@example.com")]])},
        {"reply_markup": InlineKeyboardMarkup([[InlineKeyboardButton("write", callback_data="ann@example.com")]])},
        {"entities": [MessageEntity("text_link", 0, 1, url="mailto:ann@example.com")]},
    ):
        with pytest.raises(Blocked, match="EMAIL_ADDRESS"):
            called("send_message", text="hello", **more)


def test_markdown_that_has_changed_is_sent_as_plain_text() -> None:
    assert "parse_mode" not in called("send_message", text="*ann@example.com*", parse_mode="MarkdownV2")
    assert called("send_message", text="*hello*", parse_mode="MarkdownV2")["parse_mode"] == "MarkdownV2"


def test_g3_captions_of_media_are_masked_and_the_callers_objects_stay() -> None:
    photo = InputMediaPhoto("file-id-1", caption=TEXT)
    sent = called("send_media_group", media=[photo, InputMediaPhoto("file-id-2")])
    assert sent["media"][0]["caption"] == MASKED
    assert sent["media"][0]["media"] == "file-id-1"
    assert photo.caption == TEXT
    assert called("send_photo", photo="file-id-1", caption=TEXT)["caption"] == MASKED
    with pytest.raises(Denied, match="markup beside a file"):
        called("send_media_group", media=[InputMediaPhoto("f", caption=f"*{TEXT}*", parse_mode="Markdown")] * 2)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("set_chat_title", {"title": TEXT}),
        ("set_chat_description", {"description": TEXT}),
        ("set_chat_administrator_custom_title", {"user_id": 1, "custom_title": TEXT}),
        ("decline_suggested_post", {"message_id": 1, "comment": TEXT}),
        ("verify_chat", {"custom_description": TEXT}),
        (
            "send_message",
            {
                "text": "hello",
                "reply_markup": InlineKeyboardMarkup([[InlineKeyboardButton("share", switch_inline_query=TEXT)]]),
            },
        ),
    ],
)
def test_g3_whatever_a_person_reads_besides_is_masked(method: str, arguments: dict[str, Any]) -> None:
    sent = json.dumps(called(method, **arguments))
    assert HIDDEN in sent
    assert "ann@example.com" not in sent


def test_the_recipient_of_what_names_a_person_and_no_chat_is_that_person() -> None:
    sent: list[dict[str, Any]] = []

    async def post(_endpoint: str, data: dict[str, Any]) -> bool:
        sent.append(data)
        return True

    async def main() -> None:
        limiter = GuardLimiter(Guard(RateLimit("1/hour", per="recipient"), MaskPII(names="off")))
        gift = {"user_id": 42, "text": TEXT}
        await limiter.process_request(post, (), {}, "giftPremiumSubscription", gift, None)
        with pytest.raises(RateLimited):
            await limiter.process_request(post, (), {}, "sendGift", gift, None)

    on_asyncio(main)
    assert sent == [{"user_id": 42, "text": MASKED}]


def test_what_is_no_message_passes() -> None:
    assert called("send_chat_action", action="typing") == {"chat_id": 42, "action": "typing"}
    assert called("pin_chat_message", message_id=7) == {"chat_id": 42, "message_id": 7}
