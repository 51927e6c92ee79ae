"""`guardrails doctor`: the installation, the machine, and each guard end to end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import GuardrailsError
from guardrails.keys.file import embedded_path
from guardrails.proof import installation, machine
from guardrails.proof.canary import FAILED, UNTRIED, WATCHED, canary
from guardrails.proof.diagnosis import FAIL, OK, WARN, Answer, Diagnosis, asked
from guardrails.proof.network import Watched
from guardrails.proof.target import load

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.core.stack import Slot

DEADLINE_SECONDS: Final = 5.0
_STATES: Final = {FAILED: FAIL, UNTRIED: WARN, WATCHED: WARN}


def diagnose(
    target: str | None = None, *, workers: int | None = None, deadline_seconds: float = DEADLINE_SECONDS
) -> Diagnosis:
    """
    Ask everything.

    Args:
        target: A policy file, `module:guard`, or a module; None for installation and machine alone. Its guards are opened, tried
            with canaries (nothing is sent) and closed: an audit log gets a stream of its own for that.
        workers: Processes that run side by side; the number of processors unless given.
        deadline_seconds: A guard that takes longer to open is said to be late.
    """
    workers = workers or os.cpu_count() or 1
    answers: list[Answer] = []
    for about, question in installation.ALL:
        answers += asked(about, question)
    answers += asked("key", machine.key)
    answers += asked("clock", machine.clock)
    answers += asked("disk", lambda: machine.disk(embedded_path().parent))
    guards: list[Guard] = []
    if target is not None:
        try:
            guards = load(target)
        except GuardrailsError as error:
            answers.append(Answer("target", FAIL, str(error), "nothing of it could be tried"))
    for guard in guards:
        answers += _examined(guard, workers, deadline_seconds)
    answers += asked("memory", lambda: machine.memory(workers))
    return Diagnosis(tuple(answers))


def _examined(guard: Guard, workers: int, deadline_seconds: float) -> list[Answer]:
    label = f"guard {guard.owner or guard.where.rpartition('/')[2]}"
    slots = {id(slot.control): slot for one in guard.family for stack in one.stacks for slot in stack.slots}
    answers = asked(label, partial(_controls, label, list(slots.values())))
    for slot in slots.values():
        answers += asked(slot.name, partial(_control, slot, workers))
    opened = asked(label, partial(_opened, label, guard, deadline_seconds))
    answers += opened
    if any(one.state == FAIL for one in opened):
        return answers
    answers += asked(label, partial(_tried, label, guard))
    for slot in slots.values():
        answers += asked(slot.name, partial(_says, slot))
    guard.close()
    return answers


def _controls(label: str, slots: list[Slot]) -> Answer:
    kinds = {slot.kind for slot in slots}
    lacking = [what for kind, what in (("record", "audit log"), ("limit", "limit"), ("mask", "mask")) if kind not in kinds]
    names = ", ".join(slot.name for slot in slots) or "no controls"
    if lacking:
        return Answer(
            label, WARN, f"{names}; it has no {', no '.join(lacking)}", "a guard may lack them; make sure that it is meant"
        )
    return Answer(label, OK, names)


def _control(slot: Slot, workers: int) -> Iterator[Answer]:
    if slot.monitored:
        yield Answer(
            slot.name,
            WARN,
            "it only watches (monitor): it refuses and masks nothing",
            "take monitor() away when you are sure",
        )
    folder = getattr(slot.control, "folder", None)
    if isinstance(folder, Path):
        yield machine.writable(folder, slot.name)
        yield machine.disk(folder, slot.name)
    if getattr(slot.control, "per_process", False) and workers > 1:
        yield Answer(
            slot.name,
            WARN,
            f"its counters are in memory: {workers} workers let {workers} times as much pass",
            'name a storage that all share: RateLimit(..., storage="redis://...")',
        )
    require = getattr(slot.control, "require_production", None)
    if require is not None:
        try:
            require()
        except GuardrailsError as error:
            yield Answer(slot.name, WARN, str(error), "Guard(..., production=True) refuses this")


def _opened(label: str, guard: Guard, deadline_seconds: float) -> Iterator[Answer]:
    began = time.monotonic()
    try:
        guard.open()
    except GuardrailsError as error:
        yield Answer(error.control or label, FAIL, f"{type(error).__name__}: {error}", _UNOPENED)
        for slot in guard.stacks[0].slots:  # now that it has been tried, more can be told
            folder = getattr(slot.control, "folder", None)
            if isinstance(folder, Path) and folder.exists():
                yield machine.writable(folder, slot.name)
        return
    took = time.monotonic() - began
    if took > deadline_seconds:
        yield Answer(label, WARN, f"opened in {took:.1f} s", "call guard.open() before the first send")
    else:
        yield Answer(label, OK, f"opened in {took * 1e3:.0f} ms")


def _uses_network(control: object) -> bool:
    """Whether it says so, or a sink of it does."""
    sinks, _ = getattr(control, "holders", ((), 0))
    return any(getattr(one, "uses_network", False) for one in (control, *sinks))


def _tried(label: str, guard: Guard) -> Iterator[Answer]:
    shared = any(_uses_network(slot.control) for one in guard.family for slot in one.stacks[0].slots)
    with Watched() as seen:
        report = canary(guard)
    for check in report.checks:
        state = _STATES.get(check.result, OK)
        if state != OK:
            where = f" [{check.where}]" if check.where else ""
            dead = state == FAIL and check.tried == "refuses"
            todo = "see its code: it no longer refuses" if dead else _TODO.get(check.tried, "")
            yield Answer(check.control, state, f"{check.tried} ({check.send}): {check.result}: {check.why}{where}", todo)
    held = sum(check.result not in _STATES for check in report.checks)
    sends = len({check.send for check in report.checks})
    yield Answer(
        label, OK, f"canary: {held} of {len(report.checks)} held, through {sends} sends, in {report.seconds * 1e3:.0f} ms"
    )
    own = [event for event in seen.events if event != "socket.__new__"]  # event loops of async sends make pairs of sockets
    if own and not shared:
        yield Answer(label, WARN, f"a control of it did {', '.join(sorted(set(own)))}", "see which, and whether it may")


_UNOPENED: Final = (
    "see what it stands on: a folder and its disk, a server and its address, a key; until then every send is refused"
)
_TODO: Final[dict[str, str]] = {
    "mask": "see what changed it: its operators, its entities, its model; `guardrails models status`",
    "plants": "no value of them is nobody's: try them on texts of yours, with `guardrails eval`",
    "reply": "see what changed its filter",
    "record": "see the sink: its disk, its folder, who else writes there",
    "limit": "see its storage: does it answer, does it count",
    "refuses": "give the control an example: @check(refuses=[...])",
    "decides": "see the control: its store, its deadline, its code",
    "binding": "see the decoration",
}


def _says(slot: Slot) -> Iterator[Answer]:
    ask = getattr(slot.control, "health", None)
    if ask is None:
        return
    facts: dict[str, Any] = dict(ask())
    problem = facts.pop("problem", None)
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    if problem is None:
        yield Answer(slot.name, OK, told)
    else:
        yield Answer(
            slot.name, FAIL, f"{problem} ({told})", "see what it stands on: its server, its disk, the network between"
        )
