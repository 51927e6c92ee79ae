"""
What limits would have refused: a corpus whose messages have times, replayed on counters of its own.

Each limit is replayed with all others, without it, and alone, by a clock that shows the times of the corpus. Nothing is sent,
and nobody's counter moves. A send of which the corpus says how long it took goes on for so long, so that leases overlap.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from guardrails.core.guard import Guard
from guardrails.errors import Denied, GuardrailsError
from guardrails.proof.corpus import Specimen
from guardrails.proof.judged import Judged
from guardrails.proof.place import place
from guardrails.ratelimit import Concurrency
from guardrails.ratelimit.replay import Replay, Replayable

if TYPE_CHECKING:
    from guardrails.core.message import Message
    from guardrails.core.stack import Slot

Refused: TypeAlias = Mapping[int, Any]  # the place of a message to the control that refused it
_NO_WAY: Final = "what it refuses depends on more than the corpus; a limit with a method `replayed` is judged"
_LACKS: Final = "it needs {} on every message"
_FIELDS: Final = {
    "recipient": '"to"',
    "tenant": '"tenant"',
    "conversation": '"conversation"',
    "sender": '"sender"',
    "actor": '"actor"',
}


class Asked(NamedTuple):
    """
    One message of a corpus, on its way.

    Args:
        specimen: What the corpus says.
        message: What controls see.
        slots: The controls that hold for it.
    """

    specimen: Specimen
    message: Message
    slots: Sequence[Slot]


def replayed(
    asked: Sequence[Asked], *, channel: str, owners: Mapping[int, str | None]
) -> tuple[dict[int, Judged], dict[str, str]]:
    """
    What each limit does to a corpus, by the `id` of its control, and by their names why some limits cannot be judged by it.

    Args:
        asked: Messages, each with its controls.
        channel: Of the guard.
        owners: Of each control, by its `id`.
    """
    limits = {id(slot.control): slot for one in asked for slot in one.slots if slot.kind == "limit"}
    why = {id(slot.control): _unreplayable(slot, asked) for slot in limits.values()}
    able = [slot for key, slot in limits.items() if not why[key]]
    course = _Course(sorted(asked, key=lambda one: one.specimen.at or 0.0), {id(slot.control) for slot in able}, channel)
    acting = course.refused(lambda slot: not slot.monitored)
    platform = course.refused(lambda slot: not slot.monitored and slot.layer == "platform")
    found = {id(slot.control): _judged(slot, course, acting, platform, owners.get(id(slot.control))) for slot in able}
    return found, {slot.name: why[key] for key, slot in limits.items() if why[key]}


def _unreplayable(slot: Slot, asked: Sequence[Asked]) -> str:
    """Why it cannot be replayed; empty if it can."""
    if not isinstance(slot.control, Replayable):
        why: str = getattr(slot.control, "unreplayed", _NO_WAY)
        return why
    own = [one.specimen for one in asked if any(other.control is slot.control for other in one.slots)]
    if not getattr(slot.control, "timeless", False) and any(one.at is None for one in own):
        return _LACKS.format('"at"') + "; how often it refused says `guardrails overlap FOLDER`"
    if isinstance(slot.control, Concurrency) and any(one.seconds is None for one in own):
        return _LACKS.format('"seconds" (how long its send took)')
    for role in getattr(slot.control, "needs", ()):
        if any(getattr(one, role, None) is None for one in own):
            return _LACKS.format(_FIELDS.get(role, f'"{role}"'))
    return ""


def _judged(slot: Slot, course: _Course, acting: Refused, platform: Refused, owner: str | None) -> Judged:
    own = slot.control  # it stands in several stacks, each time in another slot
    alone = course.refused(lambda other: other.control is own)
    others = course.refused(lambda other: not other.monitored and other.control is not own)
    # One that only watches is judged as if it acted: that is what somebody wants to know of it.
    whole = course.refused(lambda other: other.control is own or not other.monitored) if slot.monitored else acting
    failed = sum(control == id(own) for _, control in course.failed)
    instead = platform if slot.layer == "team" else others
    return Judged(
        slot.name,
        slot.layer,
        "limit",
        place(slot.where),
        owner,
        fired=len(alone) - failed,
        failed=failed,
        acted=0 if slot.monitored else sum(by is own for by in whole.values()),
        only=len(whole.keys() - others.keys()),
        by_platform=len(alone.keys() & instead.keys()),
    )


class _Course:
    """A corpus in the order of its times."""

    def __init__(self, ordered: Sequence[Asked], judged: set[int], channel: str) -> None:
        self._ordered = ordered
        self._judged = judged
        self._channel = channel
        self.now = 0.0
        self.failed: set[tuple[int, int]] = set()  # messages on which a control could not decide, by its `id`

    def refused(self, chosen: Callable[[Slot], bool]) -> Refused:
        """What limits refuse if only those are there that are *chosen*."""
        guards = _Guards(Replay(lambda: self.now), self._channel)
        running: list[tuple[float, int, Any]] = []  # when a send ends, its place, and what ends it
        refused: dict[int, Any] = {}
        for number, one in enumerate(self._ordered):
            slots = [slot for slot in one.slots if id(slot.control) in self._judged and chosen(slot)]
            self.now = one.specimen.at or 0.0
            while running and running[0][0] <= self.now:
                heapq.heappop(running)[2].close()
            if not slots:
                continue
            try:
                answer = guards.of(slots).run(one.message, _lasting, reply="pass")
            except GuardrailsError as error:
                by = next((slot.control for slot in slots if slot.name == error.control), None)
                refused[number] = by
                if not isinstance(error, Denied):
                    self.failed.add((number, id(by)))
                continue
            heapq.heappush(running, (self.now + (one.specimen.seconds or 0.0), number, answer))
        for _, _, answer in running:
            answer.close()
        guards.close()
        return refused


class _Guards:
    """Guards of nothing but replayed limits, each in its layer; which of them, differs by message."""

    def __init__(self, replay: Replay, channel: str) -> None:
        self._replay = replay
        self._channel = channel
        self._guards: dict[tuple[int, ...], Guard] = {}

    def of(self, slots: Sequence[Slot]) -> Guard:
        """The guard of these."""
        key = tuple(id(slot.control) for slot in slots)
        if key not in self._guards:
            twins = {layer: [self._twin(slot) for slot in slots if slot.layer == layer] for layer in ("platform", "team")}
            guard = Guard(*twins["platform"], channel=self._channel)
            self._guards[key] = guard.extend(*twins["team"]) if twins["team"] else guard
        return self._guards[key]

    def _twin(self, slot: Slot) -> Any:
        control = slot.control
        assert isinstance(control, Replayable)  # noqa: S101 - others are not judged
        return self._replay.shared(control, lambda: control.replayed(self._replay))

    def close(self) -> None:
        """Close them."""
        for guard in self._guards.values():
            guard.close()


def _lasting(_message: Message) -> Iterator[str]:
    """A send that goes on until it is closed."""
    yield ""
