"""A policy's own tests: what happens to a text. Nothing is sent, recorded or consumed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from guardrails.core.edition import Choice, Edition, Turn
from guardrails.core.guard import Guard
from guardrails.core.preview import Decision
from guardrails.core.stack import Stack
from guardrails.policy import model
from guardrails.policy.problems import Place
from guardrails.policy.stacks import ByMessage, Stacks
from guardrails.policy.values import instant
from guardrails.ratelimit import QuietHours, message_class

if TYPE_CHECKING:
    from guardrails.core.message import Message


class Failure(NamedTuple):
    """
    An example that fails.

    Args:
        number: Its place in the list, from 0.
        name: How reports call it.
        place: Where it stands.
        text: What was expected, and what happened instead.
    """

    number: int
    name: str
    place: Place | None
    text: str


def failures(stacks: Stacks) -> list[Failure]:
    """Every example that does not hold."""
    return [failure for _, failure in outcomes(stacks) if failure is not None]


def outcomes(stacks: Stacks) -> Iterator[tuple[str, Failure | None]]:
    """Each example's name, and how it fails if it does."""
    version = stacks.version
    guards: dict[tuple[str | None, bool], Guard] = {}
    for number, example in enumerate(version.file.examples or ()):
        name = example.name or f"examples[{number}]"
        key = example.team, example.at is not None
        guard = guards.get(key)
        if guard is None:
            guard = guards[key] = Guard.of(_Tried(stacks, *key))
        text = _judged(example, _decided(guard, example, stacks))
        place = version.document.place(("examples", number))
        yield name, None if text is None else Failure(number, name, place, text)


class _AtAnyTime:
    """A choice without quiet hours: an example that names no time holds at any."""

    def __init__(self, inside: Choice) -> None:
        self._inside = inside

    def stack(self, message: Message, /) -> Stack:
        """Without them."""
        return _without_hours(self._inside.stack(message))

    def check_channel(self, channel: str, /) -> None:
        """At any time too."""
        self._inside.check_channel(channel)

    def kinds(self) -> Iterable[Stack]:
        """Without them."""
        return map(_without_hours, self._inside.kinds())


def _without_hours(stack: Stack) -> Stack:
    left = [slot for slot in stack.slots if not isinstance(slot.control, QuietHours)]
    return stack if len(left) == len(stack.slots) else Stack(left, policy=stack.policy)


class _Tried:
    """The source of a guard that is only asked."""

    def __init__(self, stacks: Stacks, team: str | None, has_time: bool) -> None:  # noqa: FBT001 - one caller
        self._stacks = stacks
        self._team = team
        self._has_time = has_time
        self.turn = Turn()

    def edition(self) -> Edition:
        version = self._stacks.version
        stack = self._stacks.of(channel=None, tenant=None, team=self._team)
        choice: Choice = ByMessage(self._stacks, team=self._team, tenant=None)
        if not self._has_time:
            stack, choice = _without_hours(stack), _AtAnyTime(choice)
        return Edition(stack, version.controls.caps(), bool(version.platform.strict), choice)

    def open(self, guard: Guard, /) -> None:
        """Nothing is sent."""

    def close(self, guard: Guard, /) -> None:
        """Nothing was opened."""

    def reload(self) -> bool:
        """It does not change."""
        return False

    def health(self) -> Mapping[str, str | int | None]:
        """Nobody asks."""
        return {}


def _decided(guard: Guard, example: model.Example, stacks: Stacks) -> Decision:
    channel = example.channel or stacks.version.channel
    envelope: dict[str, Any] = {"channel": channel, "direction": example.direction or "outbound"}
    for role in ("recipient", "sender", "conversation", "tenant", "actor"):
        if getattr(example, role) is not None:
            envelope[role] = getattr(example, role)
    if example.at is not None:
        envelope["at"] = instant(example.at)
    text = example.in_ or ""
    stack = stacks.of(channel=channel, tenant=example.tenant, team=example.team)
    with nullcontext() if example.message_class is None else message_class(example.message_class):
        if any(slot.async_only for slot in stack.slots):
            with ThreadPoolExecutor(1) as elsewhere:  # a loop may run in this thread
                ask = copy_context().run
                return elsewhere.submit(ask, _on_a_loop, lambda: guard.apreview(text, **envelope)).result()
        return guard.preview(text, **envelope)


def _on_a_loop(ask: Callable[[], Coroutine[Any, Any, Decision]]) -> Decision:
    with asyncio.Runner() as runner:
        return runner.run(ask())


def _judged(example: model.Example, decision: Decision) -> str | None:
    refusal = decision.refusal
    if example.denied_by is not None:
        if refusal is None:
            return f"expected a refusal by {example.denied_by}, and it would go out"
        if refusal.control != example.denied_by:
            return f"expected a refusal by {example.denied_by}, and {refusal.control} refused it ({type(refusal).__name__})"
    elif refusal is not None and (example.out is not None or not example.findings):
        return f"expected it to go out, and {refusal.control} refused it ({type(refusal).__name__})"
    if example.out is not None and decision.text is not None and decision.text != example.out:
        return f"expected {example.out!r}, and {decision.text!r} would go out"
    if example.findings is not None:
        found = Counter(finding.type for several in decision.findings.values() for finding in several)
        wanted = example.findings
        if isinstance(wanted, dict):
            if {kind: count for kind, count in wanted.items() if count} != dict(found):
                return f"expected the findings {_counted(wanted)}, and found {_counted(found)}"
        elif set(wanted) != set(found):
            return f"expected the findings {', '.join(sorted(wanted)) or 'none'}, and found {_counted(found)}"
    return None


def _counted(found: Any) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(found.items()) if count) or "none"
