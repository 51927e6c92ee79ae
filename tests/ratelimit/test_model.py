"""G6 as a state machine: several limits, keys and costs, refusals and undone sends, against the plainest model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from guardrails.core.message import Message
from guardrails.errors import RateLimited
from guardrails.ratelimit import Limit, RateLimit
from tests.ratelimit.passage import Clock, Passage, Refused, send, step
from tests.ratelimit.test_windows import MODELS

SECONDS = {"1/second": 1, "3/2 seconds": 2, "4/5 seconds": 5}
PEOPLE = ["a@example.com", "b@example.com", "c@example.com"]
LIMITS = [
    ("4/5 seconds", "all", 1),
    ("3/2 seconds", "tenant", 2),
    ("1/second", "recipient", 1),
    ("3/2 seconds", "recipient", 1),
]


class Sends(RuleBasedStateMachine):
    """Each taken unit is remembered with its time; what is admitted must be what the memory says, always."""

    strategy = ""

    @initialize(chosen=st.lists(st.sampled_from(LIMITS), min_size=1, max_size=3, unique=True))
    def build(self, chosen: list[tuple[str, str, int]]) -> None:
        self.clock = Clock()
        self.chosen = chosen
        self.taken: dict[tuple[int, str], list[tuple[int, int]]] = {}
        self.held: list[tuple[Any, list[tuple[int, str, int]]]] = []
        limits = [
            Limit(
                rate, per=None if per == "all" else per, cost=cost, strategy=self.strategy, name=f"n{index}", scope="global"
            )
            for index, (rate, per, cost) in enumerate(chosen)
        ]
        self.control = RateLimit(*limits, clock=self.clock)

    def charges(self, people: list[str], tenant: str) -> list[tuple[int, str, int]]:
        """(limit, whom, units) of a message."""
        found = []
        for index, (_, per, cost) in enumerate(self.chosen):
            whom = people if per == "recipient" else [tenant if per == "tenant" else ""]
            found += [(index, one, cost) for one in whom]
        return found

    def used(self, index: int, whom: str) -> int:
        """What counts now, by the model; it thinks in windows of 1,000, so time is scaled to fit."""
        seconds = SECONDS[self.chosen[index][0]]
        taken = [(at // (1_000 * seconds), units) for at, units in self.taken.get((index, whom), [])]
        return MODELS[self.strategy](taken, self.clock.micros // (1_000 * seconds))

    def fits(self, charges: list[tuple[int, str, int]]) -> bool:
        wanted: dict[tuple[int, str], int] = {}
        for index, whom, units in [*charges, *(one for _, held in self.held for one in held)]:
            wanted[index, whom] = wanted.get((index, whom), 0) + units
        ours = {(index, whom) for index, whom, _ in charges}
        return all(
            self.used(index, whom) + units <= int(self.chosen[index][0].partition("/")[0])
            for (index, whom), units in wanted.items()
            if (index, whom) in ours
        )

    def take(self, charges: list[tuple[int, str, int]]) -> None:
        for index, whom, units in charges:
            self.taken.setdefault((index, whom), []).append((self.clock.micros, units))

    @rule(
        people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=2), tenant=st.sampled_from("xy"), fails=st.booleans()
    )
    def send(self, people: list[str], tenant: str, fails: bool) -> None:  # noqa: FBT001 - drawn by the machine
        charges = self.charges(people, tenant)
        try:
            send(self.control, *people, tenant=tenant, intent_fails=fails)
        except RateLimited:
            assert not self.fits(charges)
        except Refused:
            assert fails
            assert self.fits(charges)
        else:
            assert not fails
            assert self.fits(charges)
            self.take(charges)

    @rule(person=st.sampled_from(PEOPLE), tenant=st.sampled_from("xy"))
    def reserve(self, person: str, tenant: str) -> None:
        charges = self.charges([person], tenant)
        call: Any = Passage(Message("hello", channel="sms", recipients=person, tenant=tenant))
        nothing: Any = None

        async def held(_: Any) -> str:
            await call.steps[0].commit(call, (), nothing)
            return "at the door"

        try:
            step(self.control.guard(call, held, nothing))
        except RateLimited:
            assert not self.fits(charges)
        else:
            assert self.fits(charges)
            self.held.append((call, charges))

    @rule(which=st.integers(0, 5), spend=st.booleans())
    def settle(self, which: int, spend: bool) -> None:  # noqa: FBT001 - drawn by the machine
        if not self.held:
            return
        call, charges = self.held.pop(which % len(self.held))
        nothing: Any = None
        if spend:
            step(call.steps[1].commit(call, (), nothing))
            self.take(charges)
        else:
            for one in reversed(call.steps):
                step(one.undo(nothing))

    @rule(tenths=st.integers(0, 30))
    def wait(self, tenths: int) -> None:
        self.clock.micros += tenths * 100_000

    @invariant()
    def never_over(self) -> None:
        for index, whom in self.taken:
            assert self.used(index, whom) <= int(self.chosen[index][0].partition("/")[0])

    def teardown(self) -> None:
        ledger = self.control._ledger
        for call, _ in self.held:
            nothing: Any = None
            step(call.steps[0].undo(nothing))
        ledger._drain()
        assert (ledger._held, ledger._holds) == ({}, {})


@pytest.mark.parametrize("strategy", sorted(MODELS))
def test_g6_never_over_and_a_refusal_costs_nothing(strategy: str) -> None:
    machine = type("Machine", (Sends,), {"strategy": strategy})
    case = machine.TestCase  # type: ignore[attr-defined]  # made by Hypothesis
    case.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    case("runTest").runTest()
