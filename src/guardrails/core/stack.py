"""
The controls of a guard in their order, checked once.

Order of the platform layer: at most one control of kind "record", first; those of kind "limit"; controls that may see
raw text; at most one of kind "mask"; then the rest, which see masked text. A team layer is free in its order, but has
no record and no mask of its own. A wrong order is refused with the fix, never re-sorted.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from guardrails.core.control import DEADLINE_SECONDS, KINDS, Control, Masker
from guardrails.errors import ConfigError

PLATFORM: Final = "platform"
TEAM: Final = "team"
ROLES: Final = ("recipient", "conversation", "tenant", "actor", "sender")


class Tally:
    """
    How often a control failed.

    Attributes:
        failures: Times that it raised, overran its deadline or broke its contract; refusals are none.
    """

    __slots__ = ("_lock", "failures")

    def __init__(self) -> None:
        self.failures: int = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """One more."""
        with self._lock:
            self.failures += 1


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """
    One control in its place.

    Args:
        control: The control itself (under `monitor`, the one that is watched).
        name: Its `name`, else its type's name.
        layer: `"platform"` or `"team"`.
        kind: One of `KINDS`.
        monitored: Whether it only watches.
        deadline_seconds: Its own time, without what it forwards to.
        where: `file:line:function` of its code.
        async_only: Whether it needs an event loop.
        needs: Roles that a call must have.
        guard: The bound method.
        tally: Its failures; the control's own, where it has one that outlives this guard.
    """

    control: Control
    name: str
    layer: str
    kind: str | None
    monitored: bool
    deadline_seconds: float
    where: str
    async_only: bool
    needs: tuple[str, ...]
    guard: Callable[..., Any]
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Monitored:
    """A control that only watches; made by `monitor`."""

    control: Control


def slot_of(control: Control | Monitored, layer: str) -> Slot:
    """
    Look at one control.

    Raises:
        ConfigError: It is not a control, or one of its attributes is wrong.
    """
    monitored = isinstance(control, Monitored)
    inner = control.control if isinstance(control, Monitored) else control
    guard = getattr(inner, "guard", None)
    if isinstance(inner, type) or not callable(guard):
        raise ConfigError(
            f"{_called(inner)} is not a control: give an object with `async def guard(self, call, forward, io)`, "
            "or put @check above a function"
        )
    name = getattr(inner, "name", None) or type(inner).__name__
    kind = getattr(inner, "kind", None)
    deadline = getattr(inner, "deadline_seconds", DEADLINE_SECONDS)
    needs = tuple(getattr(inner, "needs", ()))
    if not isinstance(name, str):
        raise ConfigError(f"{_called(inner)}.name must be a str")
    if not inspect.iscoroutinefunction(guard):
        raise ConfigError(f"{name}: `guard` must be an `async def`")
    if kind not in KINDS:
        raise ConfigError(f"{name}: kind must be one of {KINDS}, not {kind!r}")
    if isinstance(deadline, bool) or not isinstance(deadline, int | float) or not 0 < deadline < float("inf"):
        raise ConfigError(f"{name}: deadline_seconds must be a positive number")
    if not set(needs) <= set(ROLES):
        raise ConfigError(f"{name}: needs may name {', '.join(ROLES)}")
    if kind == "mask" and not (callable(getattr(inner, "mask", None)) and callable(getattr(inner, "filter", None))):
        raise ConfigError(f'{name}: a control of kind "mask" offers mask(text) and filter()')
    return Slot(
        control=inner,
        name=name,
        layer=layer,
        kind=kind,
        monitored=monitored,
        deadline_seconds=float(deadline),
        where=where_is(getattr(inner, "function", guard)),
        async_only=bool(getattr(inner, "async_only", False)),
        needs=needs,
        guard=guard,
        tally=tally if isinstance(tally := getattr(inner, "tally", None), Tally) else Tally(),
    )


def where_is(function: Any) -> str:
    """`file:line:function` of some code; never a value."""
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    if code is None:
        return f"{type(function).__module__}:{type(function).__qualname__}"
    return f"{code.co_filename}:{code.co_firstlineno}:{code.co_qualname}"


class Stack:
    """
    All slots of a guard, outermost first, and what core needs to know about them at once.

    Attributes:
        slots: Platform slots, then team slots.
        mask: The one slot of kind "mask".
        record: The one slot of kind "record".
        acting: The control objects that act, and not only watch.
        needs: Roles that a call must have.
        policy: Digest of the policy that it was made from; None for a guard that code made.
    """

    def __init__(self, slots: Sequence[Slot], *, policy: str | None = None) -> None:
        self.policy: str | None = policy
        self.slots: tuple[Slot, ...] = tuple(slots)
        self.mask: Slot | None = next((slot for slot in self.slots if slot.kind == "mask"), None)
        self.record: Slot | None = next((slot for slot in self.slots if slot.kind == "record"), None)
        self.acting: tuple[Control, ...] = tuple(slot.control for slot in self.slots if not slot.monitored)
        self.needs: tuple[str, ...] = tuple(
            dict.fromkeys(need for slot in self.slots if not slot.monitored for need in slot.needs)
        )
        self._reasons: dict[bytes, str] = {}
        self._opaque: dict[bytes, bool] = {}
        self._lock = threading.Lock()
        _stacks.add(self)

    @property
    def masker(self) -> Masker | None:
        """The mask control, as core uses it."""
        return self.mask.control if self.mask is not None else None  # type: ignore[return-value]  # checked in slot_of

    def required(self) -> tuple[tuple[str, str], ...]:
        """Roles that a call must have, each with the names of the controls that need it."""
        return tuple((need, ", ".join(slot.name for slot in self.slots if need in slot.needs)) for need in self.needs)

    def remember(self, table: str, key: str, value: Any) -> None:
        """Keep what masking a reason or id gave, bounded."""
        memory: dict[bytes, Any] = self._reasons if table == "reasons" else self._opaque
        with self._lock:
            if len(memory) >= MEMORY:
                memory.clear()
            memory[_digest(key)] = value

    def recall(self, table: str, key: str) -> Any:
        """What was kept, or None."""
        return (self._reasons if table == "reasons" else self._opaque).get(_digest(key))

    def forget(self) -> None:
        """After a fork: a new lock, for the old one may be held by nobody."""
        self._lock = threading.Lock()


_stacks: weakref.WeakSet[Stack] = weakref.WeakSet()


def _after_fork() -> None:
    for stack in list(_stacks):
        stack.forget()


os.register_at_fork(after_in_child=_after_fork)


MEMORY: Final = 4_096  # masked reasons, and ids looked at, per guard
_MEMORY_KEY: Final = os.urandom(32)


def _digest(text: str) -> bytes:
    """What a text is remembered by: a frame of ours leads to its guard, and the guard must not lead to the text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=_MEMORY_KEY, digest_size=16).digest()


def platform_slots(controls: Sequence[Control | Monitored]) -> tuple[Slot, ...]:
    """
    The platform layer.

    Raises:
        ConfigError: A control is wrong or out of order.
    """
    slots = tuple(slot_of(control, PLATFORM) for control in controls)
    records = [slot for slot in slots if slot.kind == "record"]
    masks = [slot for slot in slots if slot.kind == "mask"]
    for several, what in ((records, "audit log"), (masks, "mask control")):
        if len(several) > 1:
            raise ConfigError(f"a guard has at most one {what}; here are {', '.join(slot.name for slot in several)}")
    if records and records[0].monitored:
        raise ConfigError(f"{records[0].name} cannot be monitored: without its record nothing may be sent")
    if records and slots[0] is not records[0]:
        raise ConfigError(
            f"{records[0].name} stands after {slots[0].name}, and would not record what {slots[0].name} refuses; "
            f"put {records[0].name} first"
        )
    before: Slot | None = None
    for slot in slots:
        if slot.kind == "limit" and before is not None:
            raise ConfigError(
                f"{slot.name} stands after {before.name}; put limits right after the audit log, before {before.name}: "
                "a message that is over a limit should cost nothing"
            )
        if slot.kind in ("mask", None):
            before = before or slot
    check_twice(slots)
    return slots


def team_slots(controls: Sequence[Control | Monitored], above: Sequence[Slot]) -> tuple[Slot, ...]:
    """
    A team layer under *above*.

    Raises:
        ConfigError: A control is wrong, or belongs to the platform.
    """
    slots = tuple(slot_of(control, TEAM) for control in controls)
    for slot in slots:
        if slot.kind in ("record", "mask"):
            raise ConfigError(f"{slot.name} belongs to the platform layer; a team layer has no audit log and no mask")
    check_twice((*above, *slots))
    return slots


def check_twice(slots: Sequence[Slot]) -> None:
    """
    Whether every control stands only once.

    Raises:
        ConfigError: One does not.
    """
    for number, slot in enumerate(slots):
        if any(slot.control is other.control for other in slots[:number]):
            raise ConfigError(f"{slot.name} stands twice in one guard; once is enough")


def _called(thing: object) -> str:
    return thing.__name__ if isinstance(thing, type) or inspect.isroutine(thing) else f"a {type(thing).__name__}"
