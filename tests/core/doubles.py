# ruff: noqa: ARG002 - controls, steps and stand-ins take what the contract gives them
"""Small controls that the tests of the core put around sends. They use the public contract only."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from guardrails.core.call import Call
from guardrails.core.control import Forward, Io, Outcome, Sealed
from guardrails.core.message import Message
from guardrails.core.stream import Stream
from guardrails.core.verdict import Finding
from guardrails.errors import GuardrailsError


class Look:
    """Keeps every message that it sees."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    @property
    def last(self) -> Message:
        return self.messages[-1]

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        self.messages.append(call.message)
        return await forward(call)


class Change:
    """Rewrites every part."""

    def __init__(self, change: Callable[[str], str] = str.upper) -> None:
        self.change = change

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        return await forward(call.with_text({path: self.change(text) for path, text in call.message.parts.items()}))


class Raise:
    """Raises what it is told to."""

    def __init__(self, error: BaseException, *, after: bool = False) -> None:
        self.error = error
        self.after = after

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        if self.after:
            await forward(call)
        raise self.error


class Answer:
    """Replies instead of the send."""

    def __init__(self, reply: object) -> None:
        self.reply = reply

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        return self.reply


class Intent:
    """The door step of `Record`."""

    phase = "intent"

    def __init__(self, record: Record) -> None:
        self.record = record

    @property
    def store(self) -> Hashable:
        return id(self.record)

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        self.record.intents.append(sealed.message.text)
        self.record.sealed.append(sealed)

    async def undo(self, io: Io, /) -> None:
        self.record.undone += 1

    def settle(self, outcome: Outcome, /) -> None:
        self.record.outcomes.append(outcome)


class Record:
    """An audit log in a list."""

    name = "record"
    kind = "record"

    def __init__(self) -> None:
        self.intents: list[str] = []
        self.sealed: list[Sealed] = []
        self.outcomes: list[Outcome] = []
        self.refusals: list[GuardrailsError] = []
        self.undone = 0

    @property
    def results(self) -> list[str]:
        return [outcome.result for outcome in self.outcomes]

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        call.at_door(Intent(self))
        refusal: GuardrailsError | None = None
        try:
            return await forward(call)
        except GuardrailsError as error:
            refusal = error
        self.refusals.append(refusal)
        raise refusal


SECRET = "<SECRET>"


def hide(text: str) -> str:
    """Every word with "secret" in it, replaced."""
    return "".join(SECRET if "secret" in piece and piece != SECRET else piece for piece in re.split(r"(\s)", text))


class Words:
    """A stream filter that hides secret words, however the text is cut."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, chunk: str, /) -> str:
        pieces = re.split(r"(\s)", self.held + chunk)
        self.held = pieces.pop()
        return hide("".join(pieces))

    def flush(self) -> str:
        out, self.held = hide(self.held), ""
        return out


class Hide:
    """A mask control that hides secret words."""

    name = "hide"
    kind = "mask"

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        out, findings, read = "", [], 0
        for piece in re.split(r"(\s)", text):
            hidden = hide(piece)
            if hidden != piece:
                findings.append(Finding("SECRET", read, read + len(piece), 1.0, (len(out), len(out) + len(hidden))))
            out += hidden
            read += len(piece)
        return out, findings

    def filter(self) -> Words:
        return Words()

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        reply = await forward(await call.masked(self, io))
        return await call.masked_reply(reply, self, io)


class Filter:
    """Adds a stream filter, and hears of the stream's end."""

    def __init__(self, make: Callable[[], Any] | None = None) -> None:
        self.make = make
        self.closed: list[BaseException | None] = []
        self.streams = 0

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        reply = await forward(call)
        if isinstance(reply, Stream):
            self.streams += 1
            reply.on_close(self.closed.append)
            if self.make is not None:
                reply.add_filter(self.make())
        return reply
