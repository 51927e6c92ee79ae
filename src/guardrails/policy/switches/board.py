"""
The switches of a policy, as sends meet them.

A file is looked at by the sends themselves, a few times a second; a server is asked by a thread, so that no send waits for it.
When the store fails, what was known stays: blocks until they are lifted, bypasses until they are over. Before the first good
reading nothing is sent.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from guardrails.core.message import Message
from guardrails.core.stack import PLATFORM, Monitored, Slot, Stack, slot_of
from guardrails.errors import GuardrailsError, Unavailable
from guardrails.policy.switches.control import NAME, Board
from guardrails.policy.switches.state import Clocks, State
from guardrails.policy.switches.store import Store
from guardrails.policy.switches.switch import BLOCK_ALL, Switch, new_id

EVERY_SECONDS: Final = 0.25
_WAIT_SECONDS: Final = 0.5  # for the first reading
_STACKS: Final = 256  # with switches applied, kept at once
_log: Final = logging.getLogger("guardrails.policy")


def system_clocks() -> Clocks:
    """This machine's clocks."""
    return Clocks(time.time_ns() / 1e9, time.monotonic())


class Watcher(Protocol):
    """Watches sends, and blocks."""

    def open(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End."""


class Switchboard:
    """
    Reads the store, and changes stacks as its switches say.

    Args:
        store: Where they are kept.
        state: Which count.
        clocks: The time.
        changed: Told what is on whenever that changes.

    Attributes:
        failures: Readings that failed.
        quarantine: What blocks by itself.
    """

    def __init__(
        self,
        store: Store,
        state: State,
        *,
        clocks: Callable[[], Clocks] = system_clocks,
        changed: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self.store = store
        self.state = state
        self.failures: int = 0
        self.quarantine: Watcher | None = None
        self._clocks = clocks
        self._changed = changed
        self._planted: dict[str | None, Switch] = {}
        self._is_known = False
        self._is_down = False
        self._next = 0.0
        self._stacks: dict[tuple[Stack, tuple[str, ...]], Stack] = {}
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.control: Board = Board(self)  # stands in every stack
        self._fresh()
        _boards.add(self)

    def _fresh(self) -> None:
        """Locks and threads of this process."""
        self._reading = threading.Lock()
        self._thread = None

    # -- for stacks ------------------------------------------------------------------------------------------------------

    def switched(self, stack: Stack, message: Message) -> Stack:
        """
        *stack* without what is bypassed for *message*.

        Raises:
            Unavailable: The switches have never been read.
        """
        self.look()
        if not self.state.on:
            return stack
        off = self.state.bypassed(self._clocks(), channel=message.channel, tenant=message.tenant)
        if not off:
            return stack
        key = (stack, tuple(sorted(switch.id for switch in off)))
        known = self._stacks.get(key)
        if known is None:
            if len(self._stacks) >= _STACKS:
                self._stacks.clear()
            known = self._stacks[key] = self._without(stack, off)
        return known

    def _without(self, stack: Stack, off: Sequence[Switch]) -> Stack:
        by_name = {switch.control: switch for switch in off}
        used = [by_name[slot.name] for slot in stack.slots if slot.layer == PLATFORM and slot.name in by_name]
        slots: list[Slot] = []
        for slot in stack.slots:
            if slot.name == NAME and isinstance(slot.control, Board):
                slots.append(slot_of(Board(self, tuple(used)), PLATFORM))
            elif slot.layer != PLATFORM or slot.name not in by_name:
                slots.append(slot)
            elif slot.kind == "mask":  # what goes out is raw; what is recorded, and what controls see, is masked
                slots.append(slot_of(Monitored(slot.control), PLATFORM))
        return Stack(slots, policy=stack.policy)

    # -- reading ---------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """
        Be no older than `EVERY_SECONDS`, as far as the store lets us.

        Raises:
            Unavailable: The switches have never been read.
        """
        now = time.monotonic()
        if self.store.waits:
            if self._thread is None and not self._closed.is_set():
                self._start()
        elif now >= self._next:
            self._look_now(now)
        if not self._is_known:
            raise Unavailable("nobody knows which switches are on; nothing was sent", control=NAME)

    def _look_now(self, now: float) -> None:
        if not self._reading.acquire(timeout=0 if self._is_known else _WAIT_SECONDS):
            return  # somebody else is at it
        try:
            if self.store.changed() or not self._is_known or self._is_down:
                self.read()
            self._next = now + EVERY_SECONDS
        finally:
            self._reading.release()

    def read(self) -> bool:
        """Read the store now; whether that worked."""
        try:
            lines = self.store.read()
        except GuardrailsError as error:
            self.failures += 1
            if not self._is_down:
                self._is_down = True
                _log.error("guardrails: %s; what is known of switches stays as it is", error)
            return False
        if self._is_down:
            self._is_down = False
            _log.warning("guardrails: the switches can be read again")
        refused = self.state.refused
        changed = self.state.read(lines, self._clocks())
        self._is_known = True
        if self.state.refused != refused:
            _log.error("guardrails: %d lines among the switches were not taken", self.state.refused - refused)
        if changed:
            self._tell()
        return True

    def _start(self) -> None:
        with self._reading:
            if self._thread is not None:
                return
            if not self._is_known:
                self.read()
            thread = threading.Thread(
                target=_poll, args=(weakref.ref(self), self._closed), name="guardrails-switches", daemon=True
            )
            thread.start()
            self._thread = thread

    def block(self, switch: Switch) -> bool:
        """
        Block in this process, from now on and whatever the store does, until a `lift` of it is read.

        Returns:
            Whether it was not blocked already.
        """
        if not self.state.block(switch, self._clocks()):
            return False
        self._tell()
        return True

    def _tell(self) -> None:
        """What is on has changed."""
        self._stacks.clear()
        on = {one.switch.id: f"{one.switch.kind} {one.switch.scope}" for one in list(self.state.on.values())}
        _log.warning("guardrails: switches that are on: %s", ", ".join(on.values()) or "none")
        if self._changed is not None:
            self._changed(on)

    def open(self) -> None:
        """Read them for the first time."""
        self._closed.clear()
        if self.quarantine is not None:
            self.quarantine.open()
        try:
            self.look()
        except Unavailable:
            return  # said already; sends are refused until it works

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()
        self._thread = None
        if self.quarantine is not None:
            self.quarantine.close()
        self.store.close()

    @contextmanager
    def planted(self, canary: str, _message: Message) -> Iterator[None]:
        """A block that rehearsals of a name meet, and nobody else."""
        block = Switch(id=new_id(), kind=BLOCK_ALL, operator="canary", issued=self._clocks().wall)
        self._planted[canary] = block
        try:
            yield
        finally:
            del self._planted[canary]

    def blocked(self, message: Message, *, canary: str | None = None) -> Switch | None:
        """
        The block that *message* meets; for a rehearsal also one that was planted for it.

        Raises:
            Unavailable: The switches have never been read.
        """
        self.look()
        if canary in self._planted:
            return self._planted[canary]
        if not self.state.on:
            return None
        return self.state.blocked(self._clocks(), channel=message.channel, tenant=message.tenant)

    def health(self) -> dict[str, str | int | bool]:
        """Facts for `guard.health()`."""
        facts: dict[str, str | int | bool] = {
            "on": len(self.state.on),
            "refused": self.state.refused,
            "store_failures": self.failures,
        }
        if self._is_down:
            facts["problem"] = "the store of switches does not answer; what is known stays"
        return facts


def _poll(board: weakref.ref[Switchboard], closed: threading.Event) -> None:
    while not closed.wait(EVERY_SECONDS):
        one = board()
        if one is None:
            return
        one.read()
        del one


_boards: Final[weakref.WeakSet[Switchboard]] = weakref.WeakSet()


def _after_fork() -> None:
    for board in list(_boards):
        board._fresh()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_after_fork)
