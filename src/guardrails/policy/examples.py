"""A policy's own tests: what happens to a text. Nothing is sent, recorded or consumed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from guardrails.core.edition import Edition, Turn
from guardrails.core.guard import Guard
from guardrails.core.preview import Decision
from guardrails.policy import model
from guardrails.policy.problems import Place
from guardrails.policy.stacks import ByMessage, Stacks


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
    guards: dict[str | None, Guard] = {}
    for number, example in enumerate(version.file.examples or ()):
        name = example.name or f"examples[{number}]"
        guard = guards.get(example.team)
        if guard is None:
            guard = guards[example.team] = Guard.of(_Tried(stacks, example.team))
        text = _judged(example, _decided(guard, example, stacks))
        place = version.document.place(("examples", number))
        yield name, None if text is None else Failure(number, name, place, text)


class _Tried:
    """The source of a guard that is only asked."""

    def __init__(self, stacks: Stacks, team: str | None) -> None:
        self._stacks = stacks
        self._team = team
        self.turn = Turn()

    def edition(self) -> Edition:
        version = self._stacks.version
        stack = self._stacks.of(channel=None, tenant=None, team=self._team)
        choice = ByMessage(self._stacks, team=self._team, tenant=None)
        return Edition(stack, version.controls.caps(), bool(version.platform.strict), choice)

    def open(self, guard: Guard, /) -> None:
        """Nothing is sent."""

    def close(self, guard: Guard, /) -> None:
        """Nothing was opened."""

    def reload(self) -> bool:
        """It does not change."""
        return False


def _decided(guard: Guard, example: model.Example, stacks: Stacks) -> Decision:
    envelope: dict[str, Any] = {"channel": example.channel or "other", "direction": example.direction or "outbound"}
    for role in ("recipient", "sender", "conversation", "tenant", "actor"):
        if getattr(example, role) is not None:
            envelope[role] = getattr(example, role)
    text = example.in_ or ""
    stack = stacks.of(channel=envelope["channel"], tenant=example.tenant, team=example.team)
    if any(slot.async_only for slot in stack.slots):
        with ThreadPoolExecutor(1) as elsewhere:  # a loop may run in this thread
            return elsewhere.submit(_on_a_loop, lambda: guard.apreview(text, **envelope)).result()
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
