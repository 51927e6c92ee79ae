"""What a bare `@guard` understands on each channel: which fields are text, and who is never masked because it routes."""

from __future__ import annotations

from typing import Any

import pytest

from guardrails import Guard
from guardrails.core.profiles import PROFILES
from guardrails.core.roles import KNOWN_NAMES, NAMES
from guardrails.errors import ConfigError
from tests.core.doubles import Hide, Look

LOUD = "a secret here"


def test_an_e_mail_has_a_subject_html_and_more_recipients() -> None:
    sent: list[Any] = []
    look = Look()

    @Guard(look, Hide(), channel="email")
    def send(
        to: str, subject: str, body: str, html: str | None = None, cc: tuple[str, ...] = (), reply_to: str | None = None
    ) -> None:
        sent.append((to, subject, body, html, cc, reply_to))

    send(
        "secret@example.com",
        LOUD,
        LOUD,
        "<p class='secret'>a secret</p>",
        ("cc-secret@example.com",),
        "me@example.com",
    )
    assert sent == [
        (
            "secret@example.com",
            "a <SECRET> here",
            "a <SECRET> here",
            "<p class='secret'>a &lt;SECRET&gt;</p>",
            ("cc-secret@example.com",),
            "me@example.com",
        )
    ]
    assert look.last.recipients == ("secret@example.com", "cc-secret@example.com")
    assert look.last.sender == "me@example.com"


def test_a_model_is_asked_in_messages_and_a_system_prompt() -> None:
    sent: list[Any] = []

    @Guard(Hide(), channel="llm")
    def ask(messages: list[dict[str, str]], system: str, model: str = "m", temperature: float = 0.0) -> None:
        sent.append((messages, system, model))

    ask([{"role": "user", "content": LOUD}], LOUD)
    assert sent == [([{"role": "user", "content": "a <SECRET> here"}], "a <SECRET> here", "m")]


@pytest.mark.parametrize("channel", sorted(PROFILES))
def test_every_text_and_route_of_a_profile_is_bound(channel: str) -> None:
    profile = PROFILES[channel]
    names = ["to", "body", *profile.texts, *profile.recipients, *profile.senders, *profile.others]
    assert len(names) == len(set(names))
    assert not set(names[2:]) & {*KNOWN_NAMES, *(one for role in NAMES.values() for one in role)}
    space: dict[str, Any] = {}
    exec(f"def send({', '.join(names)}): return locals()", space)  # noqa: S102 - a signature made of a table
    sent = Guard(Hide(), channel=channel)(space["send"])(**dict.fromkeys(names, LOUD))
    masked = {name for name, value in sent.items() if "SECRET" in value}
    assert masked == {"body", *profile.texts}


def test_another_channel_knows_less_and_what_is_written_wins() -> None:
    def send(to: str, subject: str, body: str) -> str:
        return subject

    with pytest.raises(ConfigError, match="subject"):
        Guard(channel="other")(send)
    assert Guard(Hide(), channel="email").wrap(send, text="body")("a", LOUD, "x") == LOUD
    with pytest.raises(ConfigError, match="could each be the text"):
        Guard(channel="email")(lambda to, body, text: (to, body, text))
