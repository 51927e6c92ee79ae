"""
G6 as a state machine around real guards: two layers, several limits and costs, waits, refunds, refusals before and after the
door, and a store that hangs; what is admitted must be what a list of takings says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from guardrails import Deny, Guard, check
from guardrails.core import drive
from guardrails.core.message import Message
from guardrails.errors import Denied, RateLimited, Unavailable
from guardrails.ratelimit import Limit, RateLimit
from tests.ratelimit.conftest import KEYS
from tests.ratelimit.passage import Clock
from tests.servers import Server

PEOPLE = ["a@example.com", "b@example.com", "c@example.com"]
SECONDS = {"4/5 seconds": 5, "3/2 seconds": 2, "1/second": 1, "6/hour": 3_600, "3/hour": 3_600}
ENDS = ["sent", "unsent", "fails", "times out", "team refuses", "door refuses", "intent fails"]
TIMES = int(os.environ.get("GUARDRAILS_MODEL_TIMES", "1"))  # `make fault-limits` tries more
KEEPS = {"sent", "fails", "times out"}  # outcomes that leave the charge


Taken: TypeAlias = list[tuple[int, int]]  # microsecond, units


def fixed(taken: Taken, now: int, length: int) -> int:
    """A window begins with the first taking after the last one's end."""
    begins, used = -length, 0
    for at, units in taken:
        if at >= begins + length:
            begins, used = at, 0
        used += units
    return used if now < begins + length else 0


def moving(taken: Taken, now: int, length: int) -> int:
    return sum(units for at, units in taken if at > now - length)


def sliding(taken: Taken, now: int, length: int) -> int:
    index = now // length
    current, previous = (sum(units for at, units in taken if at // length == one) for one in (index, index - 1))
    return previous * (length - now % length) // length + current


MODELS = {"fixed-window": fixed, "moving-window": moving, "sliding-window-counter": sliding}


class Unsent(Exception):
    """Proves that nothing was sent."""


class DoorStep:
    """A door step of somebody else's, which fails when told."""

    def __init__(self, phase: str, machine: Any, when: str) -> None:
        self.phase = phase
        self.store = id(self)
        self._machine, self._when = machine, when

    async def commit(self, *_: object) -> None:
        if self._machine.ends == self._when:
            raise Unavailable

    async def undo(self, _: object) -> None:
        """Nothing was taken."""

    def settle(self, _: object) -> None:
        """Not looked at."""


class Others:
    """Controls that register steps behind the limits'."""

    kind = None
    name = "others"

    def __init__(self, machine: Any) -> None:
        self._machine = machine

    async def guard(self, call: Any, forward: Any, _: Any, /) -> Any:
        call.at_door(DoorStep("shared", self._machine, "door refuses"))
        call.at_door(DoorStep("intent", self._machine, "intent fails"))
        return await forward(call)


class Sends(RuleBasedStateMachine):
    """Every taking is remembered with its time, by layer and limit."""

    strategy = "moving-window"
    rates: Sequence[str] = ("4/5 seconds", "3/2 seconds", "1/second")
    more: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.ends = "sent"
        self.taken: dict[tuple[str, str], Taken] = {}
        self.limits: dict[str, Limit] = {}
        self.wait = 0.0
        self.calls = 0

    def limit(self, layer: str, index: int, rate: str, per: str, cost: int) -> Limit:
        name = f"{layer}{index}"
        made = Limit(rate, per=None if per == "all" else per, cost=cost, strategy=self.strategy, name=name, scope="global")
        self.limits[name] = made
        return made

    @initialize(data=st.data(), wait=st.sampled_from([0.0, 0.0, 1.5]))
    def build(self, data: st.DataObject, wait: float) -> None:
        kinds = st.tuples(st.sampled_from(self.rates), st.sampled_from(["all", "tenant", "recipient"]), st.integers(1, 2))
        platform = [self.limit("p", i, *one) for i, one in enumerate(data.draw(st.lists(kinds, min_size=1, max_size=3)))]
        team = [self.limit("t", i, *one) for i, one in enumerate(data.draw(st.lists(kinds, max_size=2)))]
        self.wait = self.more.get("wait", wait)
        options = {"refund_on": (Unsent,), **self.options()}
        if self.wait:
            options["wait"] = self.wait
        self.controls = [RateLimit(*one, name=name, **options) for one, name in ((platform, "p"), (team, "t")) if one]

        @check
        def team_decides(_: Message) -> Any:
            return Deny("no") if self.ends == "team refuses" else None

        guard = Guard(self.controls[0], Others(self), channel="sms")
        self.guard = guard.extend(*self.controls[1:], team_decides)

    def options(self) -> dict[str, Any]:
        return {"clock": self.clock}

    def charges(self, people: list[str], tenant: str) -> dict[tuple[str, str], int]:
        """What a message takes: units by limit and whom."""
        found: dict[tuple[str, str], int] = {}
        for name, limit in self.limits.items():
            for whom in people if limit.per == "recipient" else [tenant if limit.per == "tenant" else ""]:
                cost = limit.cost
                assert isinstance(cost, int)
                found[name, whom] = found.get((name, whom), 0) + cost
        return found

    def used(self, name: str, whom: str, micros: int) -> int:
        length = self.limits[name].window_seconds * 1_000_000
        return MODELS[self.strategy](self.taken.get((name, whom), []), micros, length)

    def fits(self, charges: dict[tuple[str, str], int], micros: int) -> bool:
        return all(
            self.used(name, whom, micros) + units <= self.limits[name].amount for (name, whom), units in charges.items()
        )

    def send_it(self, _: Message) -> str:
        self.calls += 1
        if self.ends == "unsent":
            raise Unsent
        if self.ends == "fails":
            raise ValueError
        if self.ends == "times out":
            raise TimeoutError
        return "sent"

    @rule(
        people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=2),
        tenant=st.sampled_from("xy"),
        ends=st.sampled_from(ENDS),
    )
    def send(self, people: list[str], tenant: str, ends: str) -> None:
        charges, begun, calls = self.charges(people, tenant), self.clock.micros, self.calls
        message = Message("hello", channel="sms", recipients=people, tenant=tenant)
        self.ends, refused = ends, False
        try:
            self.guard.run(message, self.send_it)
        except RateLimited as error:
            refused = error.sent is False
        except (Denied, Unavailable):
            assert ends in ("team refuses", "door refuses", "intent fails")
        except (Unsent, ValueError, TimeoutError):
            assert ends in ("unsent", "fails", "times out")
        else:
            assert ends == "sent"
        waited = (self.clock.micros - begun) / 1_000_000
        assert waited <= 2 * self.wait + 0.001  # each layer waits for itself
        if refused:
            assert self.calls == calls
            if ends == "team refuses":
                return  # a team's limit stands before its check, or behind: either may have said it
            assert not self.fits(charges, self.clock.micros)
            return
        assert self.calls - calls == (ends in KEEPS or ends == "unsent")
        if ends == "team refuses":
            return
        assert self.fits(charges, self.clock.micros)
        if ends in KEEPS:
            self.settle(charges)

    def settle(self, charges: dict[tuple[str, str], int]) -> None:
        for key, units in charges.items():
            self.taken.setdefault(key, []).append((self.clock.micros, units))

    @rule(tenths=st.integers(0, 30))
    def pass_time(self, tenths: int) -> None:
        self.clock.micros += tenths * 100_000

    @invariant()
    def never_over(self) -> None:
        for name, whom in self.taken:
            assert self.used(name, whom, self.clock.micros) <= self.limits[name].amount

    def teardown(self) -> None:
        for control in getattr(self, "controls", ()):
            control._ledger._drain()
            assert (control._ledger._held, control._ledger._holds) == ({}, {})
            assert not control._ledger._line
            control.close()


def run(machine: Any, examples: int, steps: int) -> None:
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples * TIMES,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    case("runTest").runTest()


@pytest.mark.parametrize("strategy", sorted(MODELS))
def test_g6_a_guard_admits_what_a_list_of_takings_says(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits lets the machine's time pass."""

    class Machine(Sends):
        def __init__(self) -> None:
            super().__init__()
            clock = self.clock
            monkeypatch.setattr(time, "sleep", lambda seconds: clock.wait(seconds + 0.000_001))
            monkeypatch.setattr(drive.Ports, "monotonic", lambda _: clock())
            monkeypatch.setattr("guardrails.ratelimit.waiting.secrets.randbelow", lambda most: most // 2)

    Machine.strategy = strategy
    run(Machine, 60, 25)


def test_g6_a_store_admits_what_a_list_of_takings_says_also_when_it_hangs(server: Server) -> None:  # noqa: C901 - a machine
    """A server's time cannot be moved: its windows are hours. It hangs for a while, and forgets its scripts."""

    class Machine(Sends):
        rates = ("6/hour", "3/hour")
        more: ClassVar[dict[str, Any]] = {"wait": 0.0}

        def __init__(self) -> None:
            super().__init__()
            server.cont()
            with server.client() as client:
                client.flushall()
            from guardrails.ratelimit import store  # noqa: PLC0415 - needs the extra

            store._stores.clear()
            self.hangs = False

        def options(self) -> dict[str, Any]:
            return {"storage": server.url, "keys": KEYS, "timeout_seconds": 0.25}

        @rule(people=st.just(PEOPLE[:1]), tenant=st.sampled_from("xy"), ends=st.sampled_from(ENDS))
        def send(self, people: list[str], tenant: str, ends: str) -> None:
            if self.hangs:
                self.ends, calls = ends, self.calls
                with pytest.raises((Unavailable, Denied)):
                    self.guard.run(Message("hello", channel="sms", recipients=people, tenant=tenant), self.send_it)
                assert self.calls == calls
                return
            until = time.monotonic() + 15
            while self.controls[0]._shared is not None and self.controls[0]._shared.store.is_down:
                assert time.monotonic() < until
                time.sleep(0.02)
                self.look()
            super().send(people, tenant, ends)
            if ends == "unsent":
                self.told()

        def look(self) -> None:
            try:
                self.controls[0].usage(Message("", channel="sms", recipients=PEOPLE[:1], tenant="x"))
            except Unavailable:
                return

        def told(self) -> None:
            """A refund arrives a moment later."""
            until = time.monotonic() + 15
            while any(one._shared is not None and one._shared.store._owed for one in self.controls):
                assert time.monotonic() < until
                time.sleep(0.002)
            time.sleep(0.01)

        @rule()
        def hang(self) -> None:
            server.stop()
            self.hangs = True

        @rule()
        def go_on(self) -> None:
            server.cont()
            self.hangs = False

        @rule()
        def forget_scripts(self) -> None:
            if not self.hangs:
                with server.client() as client:
                    client.script_flush()

        def teardown(self) -> None:
            server.cont()
            super().teardown()

    run(Machine, 20, 15)
