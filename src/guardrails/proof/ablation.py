"""
Which controls matter: each is left out in turn, and what would then have got through is counted.

A corpus runs through a guard in rehearsals: nothing is sent, and limits count by themselves (they are not judged: a corpus says
nothing about rates). For each message and each control there are three runs: with everything, without the control, and the
control alone, on the raw message. What only changes without the control, the control alone has caught.
"""

from __future__ import annotations

import json
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.message import Message
from guardrails.core.rehearsal import Rehearsed, Staged, rehearse
from guardrails.core.shapes import Shape
from guardrails.errors import ConfigError, Denied, GuardrailsError
from guardrails.proof.place import place

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.core.guard import Guard
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

_NOBODY: Final = "+12025550100"
_TEXTS: Final = ("text", "body", "message", "content")
_UNJUDGED: Final = {
    "record": "it catches nothing, and without it nothing is known of anything",
    "limit": "a corpus says nothing about rates; of a log, `guardrails overlap FOLDER` says how often it refused",
}
MOST_MESSAGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Specimen:
    """
    One message of a corpus.

    Args:
        text: Its text.
        recipient: Who receives it.
        tenant: Whose it is.
    """

    text: str
    recipient: str = _NOBODY
    tenant: str = "canary"

    def __repr__(self) -> str:
        return f"Specimen({len(self.text)} characters)"


@dataclass(slots=True)
class Judged:
    """
    What the corpus says about one control.

    Args:
        name: The control's.
        layer: "platform" or "team".
        kind: "mask" or "check".
        where: `file:line` of its code, or of where it is given to its guard.
        owner: Of the guard that it belongs to.
        fired: Messages on which it acts when it stands alone: refuses or rewrites.
        acted: Messages on which it acts in its place.
        only: Messages that only it caught: without it, something else would have gone out.
        by_platform: Messages that it caught alone, and that the platform's controls treat alike without it.
        failed: Messages on which it failed.
        types: Entity type to (messages with it on which it fires, those that only it caught).
        seconds: Its own time, of each message.
    """

    name: str
    layer: str
    kind: str
    where: str
    owner: str | None
    fired: int = 0
    acted: int = 0
    only: int = 0
    by_platform: int = 0
    failed: int = 0
    types: dict[str, tuple[int, int]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """Its own time, median."""
        return statistics.median(self.seconds) * 1e3 if self.seconds else 0.0

    @property
    def verdict(self) -> str:
        """In a word: "needed", "redundant", "dead" or "failing"."""
        if self.failed:
            return "failing"
        if not self.fired and not self.acted:
            return "dead"
        return "needed" if self.only else "redundant"

    def sentence(self, messages: int) -> str:
        """In plain words."""
        cost = f"it adds {self.milliseconds:.2g} ms"
        match self.verdict:
            case "failing":
                return f"`{self.name}` failed on {self.failed} of {messages} messages; {cost}"
            case "dead":
                return f"`{self.name}` never fired on {messages} messages; {cost}"
            case "redundant":
                others = "the platform catches" if self.layer == "team" else "others catch"
                all_of = "all" if self.by_platform == self.fired else f"{self.by_platform} of"
                return f"`{self.name}` caught {self.fired} messages, {others} {all_of} {self.fired} too; {cost}"
            case _:
                others = "the platform catches" if self.layer == "team" else "others catch"
                shared = f", {others} {self.by_platform} of them too" if self.by_platform else ""
                return f"`{self.name}` caught {self.fired} messages, {self.only} of them only it{shared}; {cost}"


@dataclass(frozen=True, slots=True)
class Overlap:
    """
    What a corpus says about a guard.

    Args:
        guard: `file:line` of the guard.
        owner: Its owner.
        messages: How many there were.
        controls: Each control that was judged.
        unjudged: Names of the others, with why.
    """

    guard: str
    owner: str | None
    messages: int
    controls: Sequence[Judged]
    unjudged: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "guard": self.guard,
            "owner": self.owner,
            "messages": self.messages,
            "unjudged": dict(self.unjudged),
            "controls": [
                {
                    "name": one.name,
                    "layer": one.layer,
                    "kind": one.kind,
                    "where": one.where,
                    "owner": one.owner,
                    "verdict": one.verdict,
                    "sentence": one.sentence(self.messages),
                    "fired": one.fired,
                    "acted": one.acted,
                    "only": one.only,
                    "by_platform": one.by_platform,
                    "failed": one.failed,
                    "milliseconds": round(one.milliseconds, 4),
                    "types": {kind: {"fired": fired, "only": only} for kind, (fired, only) in sorted(one.types.items())},
                }
                for one in self.controls
            ],
        }


def read_corpus(path: Path) -> list[Specimen]:
    """
    A corpus: JSON lines, each a text or an object with "text" (or "body", "message", "content"), "to" or "recipient", "tenant".

    Raises:
        ConfigError: It is something else; says which line.
    """
    found: list[Specimen] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    found.append(_specimen(json.loads(line), f"{path.name}:{number}"))
                if len(found) > MOST_MESSAGES:
                    raise ConfigError(f"{path.name}: more than {MOST_MESSAGES} messages; take a sample")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: the corpus cannot be read ({type(error).__name__})") from None
    except ValueError:
        raise ConfigError(f"{path.name}:{number}: not JSON; a corpus has one JSON value a line") from None
    if not found:
        raise ConfigError(f"{path}: the corpus is empty")
    return found


def _specimen(said: object, where: str) -> Specimen:
    if isinstance(said, str):
        return Specimen(said)
    if isinstance(said, Mapping):
        text = next((said[name] for name in _TEXTS if isinstance(said.get(name), str)), None)
        if text is not None:
            to = said.get("to", said.get("recipient"))
            tenant = said.get("tenant")
            return Specimen(
                text, to if isinstance(to, str) and to else _NOBODY, tenant if isinstance(tenant, str) else "canary"
            )
    raise ConfigError(f'{where}: neither a text nor an object with "text"')


def overlap(guard: Guard, corpus: Iterable[Specimen]) -> Overlap:
    """
    Leave each control of *guard* out in turn, for each message of *corpus*.

    Args:
        guard: A team guard shows how its controls stand to the platform's; a platform guard, how they stand to each other.
        corpus: Messages as they are before any control.
    """
    plan = guard._message_plan(_never, Shape.SYNC, "pass")  # noqa: SLF001 - what `guard.run` would do
    specimens = list(corpus)
    judged: dict[int, Judged] = {}
    unjudged: dict[str, str] = {}
    for specimen in specimens:
        stage = _staged(plan, specimen)
        slots = stage.plan.stack.slots
        whole = _run(stage, slots)
        types = _types(slots, specimen.text)
        for slot in slots:
            if slot.kind in ("record", "limit"):
                unjudged[slot.name] = _UNJUDGED[slot.kind]
                continue
            one = judged.setdefault(id(slot.control), _entry(guard, slot))
            _judge(one, slot, stage, whole, types)
    return Overlap(place(guard.where), guard.owner, len(specimens), tuple(judged.values()), unjudged)


def _entry(guard: Guard, slot: Slot) -> Judged:
    line: Guard | None = guard
    owner = guard.owner
    while line is not None:  # the guard in whose own layer it stands
        if any(slot.control is own.control for own in line.own):
            owner = line.owner
        line = line.parent
    return Judged(slot.name, slot.layer, slot.kind or "check", place(slot.where), owner)


class _Run:
    """What one run came to."""

    def __init__(self, done: Rehearsed, seconds: Mapping[str, float]) -> None:
        arrived = done.arrived
        message = arrived[0][0] if arrived is not None else None
        self.text: str | None = message.text if isinstance(message, Message) else None
        self.error = done.error
        self.seconds = seconds

    @property
    def outcome(self) -> object:
        """What a provider would have got: a text, or nothing."""
        return self.text if self.error is None else None

    @property
    def failed_in(self) -> str | None:
        """The control that could not decide."""
        error = self.error
        return error.control if isinstance(error, GuardrailsError) and not isinstance(error, Denied) else None


def _judge(one: Judged, slot: Slot, stage: Staged, whole: _Run, types: Iterable[str]) -> None:
    slots = stage.plan.stack.slots
    alone = _run(stage, [slot])
    text = stage.arguments[0][0].text
    fired = alone.outcome != text and alone.failed_in is None
    if slot.name in whole.seconds:
        one.seconds.append(whole.seconds[slot.name])
    if alone.failed_in is not None or whole.failed_in == slot.name:
        one.failed += 1
        return
    without = _run(stage, [other for other in slots if other is not slot])
    only = without.outcome != whole.outcome
    acted = isinstance(whole.error, Denied) and whole.error.control == slot.name
    one.fired += fired
    one.acted += acted or only
    one.only += only
    if fired and not only and slot.layer == "team":
        platform = _run(stage, [other for other in slots if other.layer == "platform"])
        one.by_platform += platform.outcome == whole.outcome or platform.outcome != text
    elif fired and not only:
        one.by_platform += 1
    if fired or only:
        for kind in types:
            before = one.types.get(kind, (0, 0))
            one.types[kind] = (before[0] + fired, before[1] + only)


def _staged(plan: Plan, specimen: Specimen) -> Staged:
    message = Message(
        specimen.text,
        channel=plan.channel,
        direction=plan.direction,
        recipients=specimen.recipient,
        tenant=specimen.tenant,
        conversation="canary",
    )
    chosen = plan if plan.choice is None else plan.chosen(message)
    return Staged(chosen, ((message,), {}), is_bound=True)


def _run(stage: Staged, slots: Sequence[Slot]) -> _Run:
    seconds: dict[str, float] = {}
    # Limits and the log stay out: they are not judged, and their answers would hide the others'. A mask cannot be wrapped
    # (core knows it by its slot): its time is what is left over.
    kept = [slot for slot in slots if slot.kind not in ("record", "limit")]
    route = [slot if slot.kind == "mask" else replace(slot, guard=_timed(slot, seconds)) for slot in kept]
    began = time.perf_counter()
    done = rehearse(
        stage,
        name=f"canary-overlap-{secrets.token_hex(6)}",
        route=route,
        ids={"actor": "canary"},
    )
    took = time.perf_counter() - began
    for slot in kept:
        if slot.kind == "mask":
            seconds[slot.name] = max(0.0, took - sum(seconds.values()))
    return _Run(done, seconds)


def _timed(slot: Slot, seconds: dict[str, float]) -> Any:
    async def guard(call: Call, forward: Forward, io: Io, /) -> Reply:
        inside = 0.0

        async def timed_forward(call: Call, /) -> Any:
            nonlocal inside
            began = time.perf_counter()
            try:
                return await forward(call)
            finally:
                inside = time.perf_counter() - began

        began = time.perf_counter()
        try:
            return await slot.guard(call, timed_forward, io)
        finally:
            seconds[slot.name] = time.perf_counter() - began - inside

    return guard


def _types(slots: Iterable[Slot], text: str) -> list[str]:
    """Which entity types are in *text*, as the platform's mask finds them."""
    mask = next((slot for slot in slots if slot.kind == "mask"), None)
    find = getattr(mask.control, "find", None) if mask is not None else None
    if find is None:
        return ["message"]
    return sorted({finding.type for finding in find(text)}) or ["nothing found"]


def _never(_message: object) -> str:
    return ""  # its place is taken by the leaf of the rehearsal


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    What an audit log says about one control. Records hold no text, so that nothing can be left out and tried again.

    Args:
        name: The control's.
        layer: "platform" or "team".
        asked: Messages that it saw.
        acted: Those that it masked, rewrote or refused.
        refused: Those that it refused.
        failed: Those on which it failed.
        types: Entity type to findings.
        milliseconds: Its own time, median.
    """

    name: str
    layer: str
    asked: int
    acted: int
    refused: int
    failed: int
    types: Mapping[str, int]
    milliseconds: float

    @property
    def sentence(self) -> str:
        """In plain words."""
        cost = f"it adds {self.milliseconds:.2g} ms"
        if not self.acted:
            return f"`{self.name}` never fired on {self.asked} messages; {cost}"
        found = ", ".join(f"{kind} {count}" for kind, count in sorted(self.types.items()))
        return f"`{self.name}` acted on {self.acted} of {self.asked} messages{f' ({found})' if found else ''}; {cost}"


def recorded(records: Iterable[Mapping[str, Any]]) -> list[Recorded]:
    """What the intents and decisions of a log say about each control."""
    asked: Counter[tuple[str, str]] = Counter()
    acted: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    types: dict[tuple[str, str], Counter[str]] = {}
    took: dict[tuple[str, str], list[int]] = {}
    for record in records:
        if record.get("stage") not in ("intent", "decision"):
            continue
        seen: set[tuple[str, str]] = set()
        for note in _notes(record):
            key = (str(note.get("layer")), str(note.get("name")))
            if key not in seen:
                seen.add(key)
                asked[key] += 1
            verdict = note.get("verdict")
            acted[key] += verdict in ("mask", "rewrite", "deny", "defer", "shadow_deny")
            refused[key] += verdict in ("deny", "defer")
            failed[key] += verdict in ("error", "shadow_error")
            types.setdefault(key, Counter()).update(note.get("findings") or {})
            if isinstance(note.get("duration_us"), int):
                took.setdefault(key, []).append(note["duration_us"])
    return [
        Recorded(
            name,
            layer,
            count,
            acted[layer, name],
            refused[layer, name],
            failed[layer, name],
            dict(types.get((layer, name), {})),
            statistics.median(took.get((layer, name), [0])) / 1e3,
        )
        for (layer, name), count in sorted(asked.items())
    ]


def _notes(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for note in record.get("guards") or ():
        if isinstance(note, dict):
            yield note
