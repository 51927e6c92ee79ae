"""
Which switches are on, decided purely: lines and two clocks in, switches out.

Rules:
1. A bypass counts while the last good reading of the store held it, the policy allows it, and both clocks say so: it ends at
   the earlier of its time by the wall clock and its length by a clock that never goes back.
2. A block stays until it is lifted by a signed line or its time is over by both clocks: a store that fails, is emptied or is
   written over does not end it, and a clock that is set forward does not either.
3. What was lifted or has ended does not come back, whatever is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from guardrails.policy.switches.switch import BLOCK_ALL, BYPASS, LIFT, SKEW_SECONDS, Forged, Switch, verified

_REMEMBERED: Final = 20_000  # lines whose signature was checked


class Clocks(NamedTuple):
    """
    The time.

    Args:
        wall: Seconds since 1970, which may jump.
        steady: Seconds of a clock that never goes back.
    """

    wall: float
    steady: float


class On(NamedTuple):
    """
    A switch that is on.

    Args:
        switch: The switch.
        ends: When its length is over, by the steady clock; None for a block without an end.
    """

    switch: Switch
    ends: float | None

    def is_over(self, now: Clocks) -> bool:
        """Whether its time is over."""
        until = self.switch.until
        if until is None or self.ends is None:
            return False
        over = (now.wall >= until, now.steady >= self.ends)
        return any(over) if self.switch.kind == BYPASS else all(over)


class State:
    """
    What is known of switches.

    Args:
        operators: Name to public key.
        longest: Control to seconds: which may be bypassed, and for how long at most.
        watchman: An operator whose signature counts for blocks alone; a process holds the key.

    Attributes:
        on: Switches that are on, by id.
        refused: Lines that were not taken: forged, unknown, or not allowed by the policy.
    """

    def __init__(self, operators: Mapping[str, Any], longest: Mapping[str, float], *, watchman: str | None = None) -> None:
        self._operators = operators
        self._watchman = watchman
        self._own: set[str] = set()  # blocks of this process, which no store has to hold
        self._longest = longest
        self._known: dict[bytes, Switch | None] = {}
        self._gone: set[str] = set()
        self.on: dict[str, On] = {}
        self.refused: int = 0

    def follow(self, before: State) -> None:
        """Go on where the switches of an earlier version of the policy stood, as far as this one allows them."""
        for id_, one in before.on.items():
            if id_ in before._own or (one.switch.operator in self._operators and self._is_allowed(one.switch)):
                self.on[id_] = one
        self._own |= before._own & self.on.keys()
        self._gone |= before._gone

    def read(self, lines: Iterable[bytes], now: Clocks) -> bool:
        """
        Take a good reading of the store.

        Returns:
            Whether something is on or off that was not.
        """
        before = set(self.on)
        switches = [switch for line in lines if (switch := self._verified(line)) is not None]
        self._gone |= {switch.lifts for switch in switches if switch.kind == LIFT and switch.lifts is not None}
        held = {switch.id: switch for switch in switches if switch.kind != LIFT}
        for switch in held.values():
            if switch.id not in self.on and switch.id not in self._gone:
                self._begin(switch, now)
        for known in list(self.on.values()):
            vanished = known.switch.kind == BYPASS and known.switch.id not in held
            if vanished or known.switch.id in self._gone:
                self._end(known)
        self.expire(now)
        return before != set(self.on)

    def block(self, switch: Switch, now: Clocks) -> bool:
        """Block without a signature, for this process itself does it; whether its scope was not blocked already."""
        if any(one.switch.kind == BLOCK_ALL and one.switch.contains(switch) for one in list(self.on.values())):
            return False
        self._begin(switch, now)
        self._own.add(switch.id)
        return True

    def expire(self, now: Clocks) -> None:
        """End what is over."""
        for known in list(self.on.values()):
            if known.is_over(now):
                self._end(known)

    def blocked(self, now: Clocks, *, channel: str, tenant: str | None) -> Switch | None:
        """The block that such a message meets, if any."""
        return self._first(now, lambda one: one.kind == BLOCK_ALL and one.covers(channel=channel, tenant=tenant))

    def bypassed(self, now: Clocks, *, channel: str, tenant: str | None) -> tuple[Switch, ...]:
        """The bypasses that apply to such a message, one for each control."""
        found: dict[str, Switch] = {}
        for one in list(self.on.values()):
            switch = one.switch
            if switch.kind == BYPASS and not one.is_over(now) and switch.covers(channel=channel, tenant=tenant):
                found.setdefault(switch.control or "", switch)
        return tuple(found.values())

    def _first(self, now: Clocks, wanted: Callable[[Switch], bool]) -> Switch | None:
        return next((one.switch for one in list(self.on.values()) if wanted(one.switch) and not one.is_over(now)), None)

    def _verified(self, line: bytes) -> Switch | None:
        if line in self._known:
            return self._known[line]
        try:
            switch: Switch | None = verified(line, self._operators)
        except Forged:
            switch = None
            self.refused += 1
        if switch is not None and switch.operator == self._watchman and switch.kind != BLOCK_ALL:
            switch = None
            self.refused += 1
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[line] = switch
        return switch

    def _begin(self, switch: Switch, now: Clocks) -> None:
        length = None if switch.until is None else switch.until - switch.issued
        if switch.kind == BYPASS:
            early = switch.issued > now.wall + SKEW_SECONDS
            if early or not self._is_allowed(switch):
                if not early:  # its time may come
                    self._gone.add(switch.id)
                    self.refused += 1
                return
        # A clock that is behind the operator's must not make it longer than it is.
        ends = (
            None if length is None or switch.until is None else now.steady + min(length, max(0.0, switch.until - now.wall))
        )
        begun = On(switch, ends)
        if begun.is_over(now):
            self._gone.add(switch.id)
        else:
            self.on[switch.id] = begun

    def _is_allowed(self, switch: Switch) -> bool:
        """Whether the policy lets the control be bypassed for so long."""
        if switch.kind != BYPASS:
            return True
        longest = self._longest.get(switch.control or "")
        return longest is not None and switch.until is not None and switch.until - switch.issued <= longest

    def _end(self, known: On) -> None:
        del self.on[known.switch.id]
        self._own.discard(known.switch.id)
        self._gone.add(known.switch.id)
