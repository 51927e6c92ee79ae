# ruff: noqa: ARG002 - controls take what the contract gives them
"""Controls that the policies of these tests name."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

from pydantic import BaseModel

from guardrails import Call, Deny, Message, check
from guardrails.core.control import Forward, Io


@check
def no_discounts(message: Message) -> Deny | None:
    """Nobody promises a discount."""
    return Deny("promises a discount") if "discount" in message.text else None


def breaks(message: Message) -> None:
    """A control that is broken."""
    raise ZeroDivisionError


class Words(BaseModel, extra="forbid"):
    """Settings."""

    words: list[str]


def no_words(message: Message, settings: Words) -> Deny | None:
    """Nobody says any of the words."""
    return Deny("a word that nobody says") if any(word in message.text for word in settings.words) else None


async def no_words_async(message: Message, settings: Words) -> Deny | None:
    """The same, where there is a loop."""
    await asyncio.sleep(0)
    return no_words(message, settings)


def bare(message: Message, settings: Any) -> None:
    """Its settings have no model."""


def zone_of(address: str) -> str | None:
    """Where somebody lives, as far as it is known."""
    return "Asia/Tokyo" if address.endswith("3") else None


def class_of(message: Message) -> str | None:
    """Messages to one of them are codes."""
    return "otp" if message.recipients[0].endswith("4") else None


def last_digit_of(message: Message) -> str:
    """Whom a message is counted with."""
    return message.recipients[0][-1]


def length_of(message: Message) -> int:
    """What a message costs."""
    return len(message.text)


class Held:
    """A check that says when it runs, and goes on when it is told to."""

    runs: ClassVar[threading.Event] = threading.Event()
    go: ClassVar[threading.Event] = threading.Event()


def held(message: Message) -> None:
    """Wait."""
    if message.text == "hold":
        Held.runs.set()
        assert Held.go.wait(20)


class Sign:
    """Adds a sign; a control as a class."""

    events: ClassVar[list[str]] = []

    class Settings(BaseModel, extra="forbid"):
        """Settings."""

        sign: str = "!"

    def __init__(self, settings: Settings) -> None:
        self.sign = settings.sign

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        """Add it."""
        return await forward(call.with_text(call.message.text + self.sign))

    def open(self) -> None:
        """Say so."""
        Sign.events.append(f"open {self.sign}")

    def close(self) -> None:
        """Say so."""
        Sign.events.append(f"close {self.sign}")

    def require_production(self) -> None:
        """Fit."""


plain_sign = Sign(Sign.Settings(sign="?"))


class Kinded(Sign):
    """Says that it is a limit."""

    kind = "limit"


class Unmade:
    """Cannot be made."""

    def __init__(self) -> None:
        raise OSError

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        """Never."""
        return await forward(call)
