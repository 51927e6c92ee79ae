"""
What limits would have refused: a corpus whose messages have times, replayed on counters of its own.

Each limit control is replayed with all others, without it, and alone, by a clock that shows the times of the corpus. Nothing is
sent, and nobody's counter moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.errors import Denied
from guardrails.proof.corpus import Specimen
from guardrails.proof.judged import Judged
from guardrails.proof.place import place
from guardrails.ratelimit import RateLimit

if TYPE_CHECKING:
    from guardrails.core.stack import Slot


@dataclass(slots=True)
class _Clock:
    """Seconds, as the replay has them."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def can_be_replayed(slot: Slot) -> bool:
    """Whether *slot* holds limits that are known to the last detail: a `RateLimit`."""
    return isinstance(slot.control, RateLimit)


def replayed(
    slots: Sequence[Slot], corpus: Sequence[Specimen], *, channel: str, owners: Mapping[int, str | None]
) -> list[Judged]:
    """
    What each `RateLimit` among *slots* does to *corpus*.

    Args:
        slots: Controls of a guard, in their order.
        corpus: Messages with times.
        channel: Of the guard.
        owners: Of each control, by its `id`.
    """
    limits = [slot for slot in slots if can_be_replayed(slot)]
    ordered = sorted(corpus, key=lambda one: one.at or 0.0)
    with_all = _refused(limits, ordered, channel)
    platform = _refused([slot for slot in limits if slot.layer == "platform"], ordered, channel)
    found = []
    for slot in limits:
        alone = _refused([slot], ordered, channel)
        others = _refused([other for other in limits if other is not slot], ordered, channel)
        instead = platform if slot.layer == "team" else others
        found.append(
            Judged(
                slot.name,
                slot.layer,
                "limit",
                place(slot.where),
                owners.get(id(slot.control)),
                fired=len(alone),
                acted=len(alone & with_all),
                only=len(with_all - others),
                by_platform=len(alone & instead),
            )
        )
    return found


def _refused(limits: Sequence[Slot], ordered: Sequence[Specimen], channel: str) -> frozenset[int]:
    """Which messages are refused, by their place."""
    clock = _Clock()
    guard = Guard(*(_twin(slot.control, clock) for slot in limits), channel=channel)
    refused = set()
    for number, one in enumerate(ordered):
        clock.now = one.at or 0.0
        message = Message(one.text, channel=channel, recipients=one.recipient, tenant=one.tenant, conversation="canary")
        try:
            guard.run(message, _nobody)
        except Denied:
            refused.add(number)
    guard.close()
    return frozenset(refused)


def _twin(control: Any, clock: _Clock) -> RateLimit:
    limits = [replace(limit, wait=None) for limit in control.limits]
    return RateLimit(*limits, clock=clock, name=control.name)


def _nobody(_message: Message) -> None:
    """Receives what the replay lets pass."""
