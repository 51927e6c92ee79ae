"""
The traps of `limits` 5.8.0 and of its peers, one test each: what they get wrong, and that we do not.

Each was reproduced with the library itself. Where it can be shown in a few lines, the test shows it there first.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import limits
import pytest
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from guardrails import Guard, RateLimited, Unavailable
from guardrails.core.control import Outcome
from guardrails.core.message import Message
from guardrails.errors import ConfigError, ControlError
from guardrails.ratelimit import Limit, RateLimit
from tests.conftest import at_once
from tests.ratelimit.conftest import KEYS
from tests.ratelimit.passage import Clock, Passage, send, step
from tests.servers import Server

ANN = "+12125550173"
STRATEGIES = ("fixed-window", "moving-window", "sliding-window-counter")


def admitted(control: RateLimit, *recipients: str, of: int = 20, **more: Any) -> int:
    passed = 0
    for _ in range(of):
        try:
            send(control, *recipients, **more)
        except RateLimited:
            continue
        passed += 1
    return passed


def in_store(server: Server, *given: Any, **more: Any) -> RateLimit:
    return RateLimit(*given, storage=server.url, keys=KEYS, **more)


def sends(control: RateLimit, *recipients: str, of: int = 20, tenant: str | None = None) -> int:
    """How many of some sends through a guard pass."""
    guard, passed = Guard(control, channel="sms"), 0
    for number in range(of):
        message = Message("hello", channel="sms", recipients=recipients[number % len(recipients)], tenant=tenant)
        try:
            guard.run(message, lambda _: "sent")
        except RateLimited:
            continue
        passed += 1
    return passed


def test_g6_trap_01_a_refused_hit_of_a_fixed_window_still_counts(server: Server) -> None:
    bare = FixedWindowRateLimiter(MemoryStorage())
    assert not bare.hit(limits.parse("10/minute"), "x", cost=100)
    assert not bare.hit(limits.parse("10/minute"), "x")  # blocked, though nothing was sent

    def costly(message: Message) -> int:
        return int(message.text)

    for make in (RateLimit, lambda *given: in_store(server, *given)):
        guard = Guard(make(Limit("10/minute", strategy="fixed-window", cost=costly)), channel="sms")
        with pytest.raises(RateLimited):
            guard.run(Message("100", channel="sms"), lambda _: "sent")
        assert guard.run(Message("10", channel="sms"), lambda _: "sent") == "sent"


@pytest.mark.parametrize("cost", [0, -5, True, 1.5])
def test_g6_trap_02_a_cost_below_one_grants_or_passes(cost: Any) -> None:
    bare = FixedWindowRateLimiter(MemoryStorage())
    assert bare.hit(limits.parse("1/minute"), "x", cost=-5)

    with pytest.raises(ConfigError):
        Limit("1/minute", cost=cost)
    control = RateLimit(Limit("1/minute", cost=lambda _: cost))
    with pytest.raises(ControlError, match="at least 1"):
        send(control)
    assert control._ledger._held == {}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_trap_03_a_refund_reaches_into_the_next_window(server: Server, strategy: str) -> None:
    class Unsent(Exception):
        pass

    clock = Clock()
    control = RateLimit(Limit("3/second", strategy=strategy), clock=clock, refund_on=(Unsent,))
    call: Any = Passage(Message("hello", channel="sms"))
    nothing: Any = None
    step(control.guard(call, call.forward, nothing))
    clock.wait(2)
    for one in call.steps:
        one.settle(Outcome("failed", raised=(Unsent,)))
    assert admitted(control) == 3

    control = in_store(server, Limit("3/second", strategy=strategy), refund_on=(Unsent,))
    assert control._shared is not None
    shared: Any = control._shared.store
    charges = control._identity.charges(Message("hello", channel="sms"), "platform")
    from guardrails.ratelimit.store import taking  # noqa: PLC0415 - needs the extra

    early = taking([charges])
    shared.take(early)
    until = time.monotonic() + 5
    while shared.used(charges)[0][0]:  # by the server's clock
        assert time.monotonic() < until
        time.sleep(0.02)
    shared.give_back(early)
    assert shared.used(charges)[0][0] == 0
    with server.client() as client:
        kept = [client.hgetall(key) for key in client.scan_iter() if client.type(key) == "hash"]
    assert not any(int(value) < 0 for one in kept for value in one.values())


def test_g6_trap_04_a_refusal_by_one_limit_burns_the_others(server: Server) -> None:
    storage = MemoryStorage()
    bare = FixedWindowRateLimiter(storage)
    tenant, recipient = limits.parse("100/minute"), limits.parse("1/minute")
    for _ in range(500):
        if bare.hit(tenant, "t"):
            bare.hit(recipient, "t", "ann")
    assert not bare.hit(tenant, "t")

    for make in (RateLimit, lambda *given: in_store(server, *given)):
        control = make(Limit("100/minute", per="tenant"), Limit("1/minute", per="recipient"))
        assert sends(control, ANN, of=200, tenant="t") == 1
        others = [f"person{number}@example.com" for number in range(99)]
        assert sends(control, *others, of=99, tenant="t") == 99
        assert sends(control, "one.more@example.com", of=1, tenant="t") == 0
        control.close()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_trap_05_threads_are_admitted_beyond_the_limit(strategy: str) -> None:
    for _ in range(20):
        control = RateLimit(Limit("5/hour", strategy=strategy))
        guard = Guard(control, channel="sms")
        passed: list[int] = []

        def one(guard: Guard = guard, passed: list[int] = passed) -> None:
            for _ in range(3):
                try:
                    guard.run(Message("hello", channel="sms"), lambda _: "sent")
                except RateLimited:
                    continue
                passed.append(1)

        at_once(*[one] * 8)
        assert len(passed) == 5


LAST_WORDS = """
import atexit, threading
from guardrails import Guard, RateLimit

guard = Guard(RateLimit("5/hour", per="recipient"), channel="sms")
send = guard.wrap(lambda to, body: print("sent"))
send("+12125550173", "hello")
assert threading.active_count() == 1

@atexit.register
def goodbye():
    send("+12125550173", "goodbye")

class Late:
    def __del__(self):
        send("+12125550173", "from a finalizer")
late = Late()
"""


def test_trap_06_a_thread_for_every_hit_that_keeps_the_process_alive() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LAST_WORDS)], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines().count("sent") >= 2


def test_trap_07_tasks_that_sweep_and_locks_of_one_loop() -> None:
    guard = Guard(RateLimit("300/hour"), channel="sms")
    passed: list[int] = []

    @guard
    async def send_later(to: str, body: str) -> None:
        passed.append(1)

    async def main() -> None:
        for _ in range(150):
            try:
                await send_later(ANN, "hello")
            except RateLimited:
                continue
        assert len(asyncio.all_tasks()) == 1

    def loop() -> None:
        with asyncio.Runner() as runner:
            runner.run(main())

    threads = [threading.Thread(target=loop) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 300


def test_g3_trap_08_identifiers_run_into_each_other_and_stand_in_the_keys(server: Server) -> None:
    item = limits.parse("1/minute")
    assert item.key_for("a/b", "c") == item.key_for("a", "b/c")

    per = ("tenant", "conversation")
    for make in (RateLimit, lambda *given: in_store(server, *given)):
        control = make(Limit("1/minute", per=per), Limit("9/minute", per="recipient"))
        guard = Guard(control, channel="sms")
        for tenant, conversation in (("a/b", "c"), ("a", "b/c"), ("1:a", "1"), ("1", "a:1")):
            message = Message("hello", channel="sms", recipients=ANN, tenant=tenant, conversation=conversation)
            assert guard.run(message, lambda _: "sent") == "sent"
    with server.client() as client:
        assert not any("2125550173" in key for key in client.scan_iter())


def test_g6_trap_09_a_changed_amount_forgets_and_equal_limits_share(server: Server) -> None:
    for twin in (lambda one, *more: one.with_limits(*more), lambda _, *more: in_store(server, *more)):
        first: RateLimit = in_store(server, Limit("5/hour", per="recipient"))
        with server.client() as client:
            client.flushall()
        assert sends(first, ANN, of=5) == 5
        assert sends(twin(first, Limit("7/hour", per="recipient")), ANN) == 2
        assert sends(in_store(server, Limit("5/hour", per="recipient", name="other")), ANN) == 5
    memory = RateLimit(Limit("5/hour", name="a"), Limit("5/hour", name="b"))
    assert sends(memory, ANN) == 5  # each counted once, not twice


@pytest.mark.parametrize(
    "rate",
    ["1/second; 5/minute", "10/0 minute", "0/second", "5/min", "1.5/second", "1/month", "1/year", "5", "5/fortnight"],
)
def test_trap_10_a_rate_that_is_read_as_something_else(rate: str) -> None:
    with pytest.raises(ConfigError):
        Limit(rate)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_trap_11_the_time_to_wait_is_that_of_one_unit(strategy: str) -> None:
    clock = Clock()
    control = RateLimit(Limit("10/minute", strategy=strategy, cost="segments"), clock=clock)

    def one(cost: int) -> None:
        call: Any = Passage(Message("x" * 153 * cost, channel="sms"))
        nothing: Any = None
        step(control.guard(call, call.forward, nothing))

    one(4)
    clock.wait(10)
    one(6)
    with pytest.raises(RateLimited) as refused:
        one(8)
    assert refused.value.retry_after is not None
    clock.wait(refused.value.retry_after)
    one(8)


def test_g6_trap_12_a_clients_clock_that_is_wrong_locks_or_frees(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    control = in_store(server, "3/hour")
    guard = Guard(control, channel="sms")
    message = Message("hello", channel="sms")
    real, hour = time.monotonic_ns, 3_600_000_000_000
    for jump in (0, 9 * hour, -9 * hour):
        monkeypatch.setattr("guardrails.ratelimit.store.time.monotonic_ns", lambda jump=jump: real() + jump)
        assert guard.run(message, lambda _: "sent") == "sent"
    with pytest.raises(RateLimited):
        guard.run(message, lambda _: "sent")


def test_trap_13_looking_writes(server: Server) -> None:
    """So a read-only replica would refuse to look."""
    control = in_store(server, *(Limit("3/hour", strategy=strategy, name=strategy) for strategy in STRATEGIES))
    sends(control, ANN, of=1)
    with server.client() as client:
        before = {key: client.dump(key) for key in sorted(client.scan_iter())}
        client.replicaof("127.0.0.1", "1")
        try:
            assert Guard(control, channel="sms").preview("hello").allowed
            assert [one.used for one in control.usage(Message("", channel="sms"))] == [1, 1, 1]
        finally:
            client.replicaof("no", "one")
        assert {key: client.dump(key) for key in sorted(client.scan_iter())} == before


def test_g10_trap_14_a_store_that_hangs_is_waited_for(server: Server) -> None:
    control = in_store(server, "3/hour")
    sends(control, ANN, of=1)
    server.stop()
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        sends(control, ANN, of=1)
    assert time.monotonic() - begun < 2


def test_g6_trap_15_each_process_grants_the_whole_limit_while_the_store_is_down() -> None:
    """Four processes of one limit of ten, each with a store that is not there."""
    nowhere = "redis://127.0.0.1:1/0"
    made = [
        RateLimit(Limit("10/hour", protects="provider"), storage=nowhere, keys=KEYS, replicas=4, max_connections=number)
        for number in range(1, 5)
    ]
    assert sum(sends(one, ANN) for one in made) == 8


def test_g6_trap_16_a_table_that_is_full_forgets_what_is_used_up() -> None:
    control = RateLimit("1/hour", per="recipient", max_keys=1_000)
    send(control, ANN)
    for number in range(1_100):
        try:
            send(control, f"person{number}@example.com")
        except Unavailable:
            continue
    assert len(control._ledger.storage.windows) == 1_000
    with pytest.raises(RateLimited):
        send(control, ANN)


def test_g6_trap_05_bare_limits_is_what_they_say() -> None:
    """A reminder of what is wrapped: one process, one thread, and a moving window counts as it should."""
    bare = MovingWindowRateLimiter(MemoryStorage())
    item = limits.parse("2/minute")
    assert [bare.hit(item, "x") for _ in range(3)] == [True, True, False]


def test_g11_a_hundred_thousand_counters_cost_no_thread_and_none_is_forgotten() -> None:
    control = RateLimit("1/hour", per="recipient", max_keys=100_000)
    ledger, rule = control._ledger, control._identity._rules[0]
    from guardrails.ratelimit.charge import Charge  # noqa: PLC0415

    threads = threading.active_count()
    for number in range(100_000):
        held = ledger.reserve([[Charge(rule, f"{number:064x}", 1, 1)]])
        assert isinstance(held, list)
        ledger.spend(held)
    assert threading.active_count() <= threads
    assert len(ledger.storage.windows) == 100_000
    with pytest.raises(Unavailable, match="max_keys"):
        ledger.reserve([[Charge(rule, "new", 1, 1)]])
    for number in range(0, 100_000, 997):
        assert not isinstance(ledger.reserve([[Charge(rule, f"{number:064x}", 1, 1)]]), list)


@pytest.mark.parametrize(
    "identifier",
    ["x" * 3_000_000, "\u202e\u0000\n/:;", "\U0001f600" * 1_000, "a" * 70_000 + "@example.com", "\ud800"],
    ids=["megabytes", "marks", "emoji", "a long address", "half a character"],
)
def test_g3_identifiers_of_any_size_and_script_are_counted_and_never_kept(identifier: str, server: Server) -> None:
    for control in (RateLimit("2/hour", per="recipient"), in_store(server, "2/hour", per="recipient")):
        guard = Guard(control, channel="sms")
        passed, said = 0, list[str]()
        for _ in range(3):
            try:
                guard.run(Message("hello", channel="sms", recipients=identifier), lambda _: "sent")
            except RateLimited as refused:
                said.append(str(refused))
                continue
            passed += 1
        assert passed == 2
        assert identifier[:20] not in said[-1]
        assert all(len(key) < 200 for key in control._ledger.storage.windows)
