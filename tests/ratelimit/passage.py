"""A call as a limit sees it, and the door behind it: enough to drive the control by hand, with a clock that obeys."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from guardrails.core.control import Sealed
from guardrails.core.message import Message
from guardrails.core.verdict import Coverage
from guardrails.ratelimit import RateLimit

TICK = 1 / 1_000_000  # what waits are rounded up to, in seconds


class Clock:
    """Whole microseconds, so that no time is lost in a float."""

    def __init__(self) -> None:
        self.micros = 5_000_000

    def __call__(self) -> float:
        return self.micros / 1_000_000

    def wait(self, seconds: float) -> None:
        self.micros += round(seconds * 1_000_000)


class Refused(Exception):
    """Another door step that fails."""


class Passage:
    """One call on its way through one limit."""

    def __init__(
        self, message: Message, *, layer: str = "platform", dry_run: bool = False, intent_fails: bool = False
    ) -> None:
        self.message = message
        self.layer = layer
        self.dry_run = dry_run
        self.repeat = False
        self.canary: str | None = None
        self.monitored = False
        self.io: Any = None
        self.intent_fails = intent_fails
        self.steps: list[Any] = []
        self.notes: list[tuple[str, Mapping[str, Any]]] = []
        self.sent = 0

    def note(self, verdict: str, *, detail: Mapping[str, Any] | None = None) -> None:
        self.notes.append((verdict, detail or {}))

    def at_door(self, step: Any) -> None:
        self.steps.append(step)

    async def forward(self, _: Any) -> str:
        """The door, and the send behind it."""
        if self.dry_run:
            assert self.steps == []
            return "previewed"
        sealed = Sealed(self.message, {}, (), Coverage(), "0" * 32, "tests:send")
        entered: list[Any] = []
        groups = [[step for step in self.steps if step.phase == phase] for phase in ("reserve", "intent")]
        try:
            for phase, steps in zip(("reserve", "intent"), groups, strict=True):
                entered += steps
                if phase == "intent":
                    self._record()
                if steps:
                    await steps[0].commit(sealed, steps[1:], self.io)
        except BaseException:
            for step in reversed(entered):
                await step.undo(self.io)
            raise
        self.sent += 1
        return "sent"

    def _record(self) -> None:
        """The audit log's own step, which comes first in its phase."""
        if self.intent_fails:
            raise Refused


def step(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that may not pause."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a memory limit paused")


def send(control: RateLimit, *recipients: str, **more: Any) -> Passage:
    """Send one message through *control*; raise what it raises."""
    flags = {name: more.pop(name) for name in ("layer", "dry_run", "intent_fails") if name in more}
    call = Passage(Message("hello", channel=more.pop("channel", "sms"), recipients=recipients, **more), **flags)
    fake: Any = call
    nothing: Any = None
    step(control.guard(fake, call.forward, nothing))
    return call
