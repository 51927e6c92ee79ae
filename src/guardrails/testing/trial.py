"""One control tried by itself, under the same contract that a guard holds it to."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.stack import PLATFORM, Monitored, slot_of
from guardrails.errors import ConfigError, ControlError, GuardrailsError
from guardrails.testing.io import FakeIo

if TYPE_CHECKING:
    from datetime import datetime

    from guardrails.core.call import Call
    from guardrails.core.control import Control, Forward, Io, Outcome, Sealed, Step
    from guardrails.core.verdict import Note

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What a control did with one message.

    Args:
        forwarded: The message as it forwarded it; None when it did not.
        reply: What came back; None after an error.
        error: What a guarded send would have raised; None when nothing.
        verdicts: What the control noted.
    """

    forwarded: Message | None
    reply: object
    error: GuardrailsError | None
    verdicts: Sequence[Note]

    def __repr__(self) -> str:
        error = None if self.error is None else type(self.error).__name__
        return f"Trial(forwarded={self.forwarded!r}, reply={type(self.reply).__name__}, error={error})"


def try_control(control: Control, message: str | Message, /, *, io: Io | None = None, reply: object = "sent") -> Trial:
    """
    Try one control by itself, around a sync send that records.

    Args:
        control: The control.
        message: What is to be sent; a str is a message on the channel "test".
        io: What the control may wait for; a fresh `FakeIo` unless given.
        reply: What the send replies.

    Raises:
        ConfigError: The control needs an event loop: use `atry_control`.

    >>> from guardrails import Deny, check
    >>> @check
    ... def no_discounts(message):
    ...     return Deny("promises a discount") if "discount" in message.text else None
    >>> try_control(no_discounts, "10% discount").error
    Denied('promises a discount')
    >>> try_control(no_discounts, "hello").forwarded.text
    'hello'
    """
    bench = _Bench(control, FakeIo() if io is None else io, reply)
    given = _message(message)
    try:
        bench.reply = Guard(bench, channel=given.channel).run(given, bench.send)
    except ConfigError:  # the set-up is wrong: nothing was tried
        raise
    except GuardrailsError as error:
        return bench.trial(error)
    return bench.trial()


async def atry_control(
    control: Control, message: str | Message, /, *, io: Io | None = None, reply: object = "sent"
) -> Trial:
    """As `try_control`, around an async send: for controls that need an event loop."""
    bench = _Bench(control, FakeIo() if io is None else io, reply)
    given = _message(message)
    try:
        bench.reply = await Guard(bench, channel=given.channel).arun(given, bench.asend)
    except ConfigError:  # the set-up is wrong: nothing was tried
        raise
    except GuardrailsError as error:
        return bench.trial(error)
    return bench.trial()


def _message(message: str | Message) -> Message:
    if isinstance(message, Message):
        return message
    if not isinstance(message, str):
        raise ConfigError(f"a control is tried with a str or a Message, not with {type(message).__name__}")
    return Message(message, channel="test")


class _Bench:
    """Stands in a guard for the control that is tried, and hands it another `io`."""

    def __init__(self, control: Control, io: Io, reply: object) -> None:
        if isinstance(control, Monitored):
            raise ConfigError("monitor(...) is tried by what it watches: give the control itself")
        slot_of(control, PLATFORM)  # says what is no control
        self.control = control
        self.io = io
        self.gives = reply
        self.reply: object = None
        self.forwarded: Message | None = None
        self.calls: list[Call] = []
        self.verdicts: Sequence[Note] = ()
        self.name = getattr(control, "name", None) or type(control).__name__
        self.function = getattr(control, "function", control.guard)  # errors say where the control is, not this

    def __getattr__(self, name: str) -> Any:
        return getattr(self.control, name)

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - another one is handed on
        handed = _TriedIo(self.io, call._journey)  # noqa: SLF001 - whose own time is running

        async def registered(call: Call, /) -> object:
            journey = call._journey  # noqa: SLF001 - its steps get the same `io` as the control
            journey.steps = [(hop, _tried(step, handed)) for hop, step in journey.steps or ()] or None
            return await forward(call)

        try:
            return await self.control.guard(call, registered, handed)
        finally:
            self.verdicts = [note for note in call.so_far().verdicts if note.control == self.name]

    def send(self, message: Message) -> object:
        self.forwarded = message
        return self.gives

    async def asend(self, message: Message) -> object:
        return self.send(message)

    def trial(self, error: GuardrailsError | None = None) -> Trial:
        return Trial(self.forwarded, None if error is not None else self.reply, error, tuple(self.verdicts))


class _TriedIo:
    """The `io` of a trial. Time that passes there alone counts towards deadlines, as it would in a guard."""

    def __init__(self, io: Io, journey: Any) -> None:
        self._io = io
        self._journey = journey
        self._slept: dict[int, float] = {}  # by turn: seconds that passed on no clock but its own

    def now(self) -> datetime:
        return self._io.now()

    def monotonic(self) -> float:
        return self._io.monotonic()

    async def ask(
        self, *, blocking: Callable[[], T] | None = None, awaiting: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        return await self._io.ask(blocking=blocking, awaiting=awaiting)

    async def sleep(self, seconds: float) -> None:
        turn = self._journey.turn
        slept = self._slept.get(id(turn), 0.0)
        left = max(0.0, turn.remaining() - slept)
        began = time.monotonic()
        await self._io.sleep(min(seconds, left))
        self._slept[id(turn)] = slept + max(0.0, min(seconds, left) - (time.monotonic() - began))
        if seconds > left:
            turn.timed_out = True
            raise ControlError("slept past its deadline")


class _TriedStep:
    """A door step that is handed another `io`, together with its peers."""

    def __init__(self, step: Step, io: Io) -> None:
        self.step = step
        self.io = io
        self.phase = step.phase
        self.store = step.store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.step, name)

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - another one is handed on
        await self.step.commit(sealed, [peer.step for peer in peers], self.io)

    async def undo(self, io: Io, /) -> None:  # noqa: ARG002 - as above
        await self.step.undo(self.io)

    def settle(self, outcome: Outcome, /) -> None:
        self.step.settle(outcome)


def _tried(step: Step, io: Io) -> _TriedStep:
    return step if isinstance(step, _TriedStep) else _kind(type(step))(step, io)


@cache
def _kind(of: type) -> type[_TriedStep]:
    """Steps of one type are committed together: those of two types stay two."""
    return type(of.__name__, (_TriedStep,), {})
