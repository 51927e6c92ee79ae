"""What one RateLimit admits, whom it counts, what it says, and what it never shows."""

from __future__ import annotations

import gc
import logging
import pickle
import socket
import subprocess
import sys
import threading
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.errors import ControlError, RateLimited, Unavailable
from guardrails.keys import Keys
from guardrails.ratelimit import Limit, RateLimit
from guardrails.ratelimit.memory import Reserve, Spend
from guardrails.testing import RecordingSend
from tests.ratelimit.passage import TICK, Clock, Passage, Refused, send, step

ANN = "+12125550173"
BOB = "bob@example.com"
STRATEGIES = ("fixed-window", "moving-window", "sliding-window-counter")


def admitted(control: RateLimit, *recipients: str, of: int = 20, **more: Any) -> int:
    """How many of some sends pass."""
    passed = 0
    for _ in range(of):
        try:
            send(control, *recipients, **more)
        except RateLimited:
            continue
        passed += 1
    return passed


def test_g6_no_more_than_the_limit_and_each_recipient_apart() -> None:
    control = RateLimit("5/minute", per="recipient", clock=Clock())

    assert admitted(control, ANN) == 5
    assert admitted(control, BOB) == 5
    assert admitted(control, ANN) == 0


def test_g6_spellings_of_one_recipient_share_a_limit() -> None:
    control = RateLimit("5/minute", per="recipient", clock=Clock())
    spellings = [
        ANN,
        "whatsapp:+1 (212) 555-0173",
        "+1\u200b212 555 0173",
        "12125550173",
        "tel:+1-212-555-0173",
        "001 212 555 0173",
    ]

    assert sum(admitted(control, spelling, of=3) for spelling in spellings) == 5


def test_g6_a_refusal_by_one_limit_costs_the_others_nothing() -> None:
    control = RateLimit(Limit("1/minute", per="recipient"), Limit("100/minute", per="tenant"), clock=Clock())

    assert admitted(control, ANN, of=500, tenant="acme") == 1
    assert sum(admitted(control, f"+1212555{number:04d}", of=1, tenant="acme") for number in range(120)) == 99


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_a_message_whose_intent_cannot_be_written_costs_nothing(strategy: str) -> None:
    control = RateLimit(Limit("2/minute", strategy=strategy), clock=Clock())
    for _ in range(10):
        with pytest.raises(Refused):
            send(control, ANN, intent_fails=True)

    assert admitted(control, ANN) == 2


def test_g6_a_preview_costs_nothing() -> None:
    control = RateLimit("2/minute", clock=Clock())
    for _ in range(10):
        send(control, ANN, dry_run=True)

    assert admitted(control, ANN) == 2
    with pytest.raises(RateLimited):
        send(control, ANN, dry_run=True)


def test_several_recipients_are_charged_each_and_one_refused_refuses_all() -> None:
    control = RateLimit("2/minute", per="recipient", clock=Clock())
    assert admitted(control, BOB, of=2) == 2

    with pytest.raises(RateLimited, match="recipient 3 of 3") as refused:
        send(control, ANN, "cid@example.com", BOB)

    assert refused.value.scope == "recipient"
    assert admitted(control, ANN) == 2
    assert admitted(control, "cid@example.com") == 2


def test_a_recipient_named_twice_is_charged_twice() -> None:
    control = RateLimit("3/minute", per="recipient", clock=Clock())

    assert send(control, ANN, "sms:" + ANN).notes == [("allow", {"limit": "recipient/minute", "remaining": 1})]
    assert admitted(control, ANN) == 1
    with pytest.raises(RateLimited) as never:
        send(control, BOB, BOB, BOB, BOB)
    assert never.value.retry_after is None


def test_a_cost_that_can_never_fit_says_so() -> None:
    control = RateLimit(Limit("3/minute", cost=4), clock=Clock())

    with pytest.raises(RateLimited, match="never fit") as refused:
        send(control, ANN)

    assert refused.value.retry_after is None


def test_recipients_count_per_tenant_unless_the_scope_is_global() -> None:
    local = RateLimit("1/minute", per="recipient", clock=Clock())
    everywhere = RateLimit(Limit("1/minute", per="recipient", scope="global"), clock=Clock())

    assert [admitted(local, ANN, of=2, tenant=tenant) for tenant in ("a", "b", None, "")] == [1, 1, 1, 1]
    assert [admitted(everywhere, ANN, of=2, tenant=tenant) for tenant in ("a", "b", None)] == [1, 0, 0]


def test_a_shared_channel_counts_across_tenants_unless_they_are_named() -> None:
    shared = RateLimit("1/minute", per="channel", clock=Clock())
    named = RateLimit("1/minute", per=("tenant", "channel"), clock=Clock())

    assert [admitted(shared, ANN, of=2, tenant=tenant) for tenant in ("a", "b")] == [1, 0]
    assert [admitted(named, ANN, of=2, tenant=tenant) for tenant in ("a", "b")] == [1, 1]
    assert admitted(named, ANN, of=2, tenant="a", channel="email") == 1


def test_identifiers_never_run_into_each_other() -> None:
    control = RateLimit("1/minute", per=("conversation", "actor"), clock=Clock())
    pairs = [("a/b", "c"), ("a", "b/c"), ("a;b", "c"), ("a", "b;c"), ("a:1", "b"), ("a", "1:b"), ("", "ab"), ("ab", "")]

    assert [admitted(control, ANN, of=2, conversation=one, actor=two) for one, two in pairs] == [1] * len(pairs)


def test_every_role_can_be_counted() -> None:
    for role in ("conversation", "tenant", "actor", "sender"):
        control = RateLimit("1/minute", per=role, clock=Clock())
        assert [admitted(control, ANN, of=2, **{role: value}) for value in ("a", "b")] == [1, 1]
    senders = RateLimit("1/minute", per="sender", clock=Clock())
    assert [admitted(senders, ANN, of=2, sender=value) for value in (BOB, "Bob <BOB@example.com>")] == [1, 0]


def test_a_function_decides_what_is_counted() -> None:
    control = RateLimit("1/minute", per=lambda message: message.text[:1], clock=Clock())

    assert admitted(control, ANN) == 1
    broken: Any = lambda message: len(message.text)  # noqa: E731 - a wrong one, inline
    with pytest.raises(ControlError, match="must return a str, not int"):
        send(RateLimit("1/minute", per=broken), ANN)


@pytest.mark.parametrize("role", ["recipient", "conversation", "tenant", "actor", "sender"])
def test_g10_a_message_without_what_is_counted_is_refused(role: str) -> None:
    with pytest.raises(ControlError, match=role):
        send(RateLimit("1/minute", per=role))


def test_the_layers_of_a_guard_count_apart() -> None:
    control = RateLimit("1/minute", clock=Clock())

    assert [admitted(control, ANN, of=2, layer=layer) for layer in ("platform", "team")] == [1, 1]


def test_a_decision_is_noted_for_the_record() -> None:
    control = RateLimit(Limit("9/minute"), Limit("3/10 seconds", per="recipient"), clock=Clock())

    assert send(control, ANN).notes == [("allow", {"limit": "recipient/10-seconds", "remaining": 2})]
    send(control, ANN)
    send(control, ANN)
    call: Any = Passage(Message("hello", channel="sms", recipients=ANN))
    with pytest.raises(RateLimited) as refused:
        step(control.guard(call, call.forward, call))

    assert call.notes == [
        (
            "deny",
            {
                "limit": "recipient/10-seconds",
                "scope": "recipient",
                "amount": 3,
                "window_s": 10,
                "retry_after_ms": 10_000,
                "recipient": 1,
            },
        )
    ]
    assert (refused.value.limit, refused.value.scope, refused.value.retry_after) == (
        "recipient/10-seconds",
        "recipient",
        10.0,
    )
    assert refused.value.reason == "recipient/10-seconds is used up (3 in 10 s)"
    assert refused.value.sent is False


def test_of_several_limits_the_longest_wait_is_told() -> None:
    clock = Clock()
    control = RateLimit(Limit("1/hour"), Limit("1/minute", per="recipient"), clock=clock)
    send(control, ANN)
    clock.wait(10)

    with pytest.raises(RateLimited) as refused:
        send(control, ANN)

    assert (refused.value.limit, refused.value.retry_after) == ("all/hour", 3_590.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(
    sends=st.lists(st.tuples(st.integers(0, 4_000_000), st.integers(1, 3)), min_size=1, max_size=12),
    amount=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_g6_waiting_just_as_long_as_told_is_enough_and_no_less_is(
    strategy: str, sends: list[tuple[int, int]], amount: int
) -> None:
    clock = Clock()
    control = RateLimit(Limit(f"{amount}/3 seconds", strategy=strategy), clock=clock)
    for wait, recipients in sends:
        clock.micros += wait
        people = [ANN] * recipients
        try:
            send(control, *people)
        except RateLimited as refused:
            told = refused.retry_after or 0.0
            clock.wait(told - TICK)
            with pytest.raises(RateLimited) as still:
                send(control, *people)
            assert told >= TICK == pytest.approx(still.value.retry_after)
            clock.wait(TICK)
            send(control, *people)


def test_g6_a_clock_that_steps_back_neither_frees_nor_locks() -> None:
    clock = Clock()
    control = RateLimit("2/minute", clock=clock)
    assert admitted(control, ANN) == 2
    clock.wait(30)
    assert admitted(control, ANN) == 0
    clock.micros -= 86_400_000_000
    assert admitted(control, ANN) == 0
    clock.wait(29)
    assert admitted(control, ANN) == 0
    clock.wait(1)
    assert admitted(control, ANN) == 2


def test_g10_a_clock_that_fails_refuses_and_does_not_jam() -> None:
    answers: list[float] = [1.0]
    control = RateLimit("2/minute", clock=lambda: answers[0])
    answers[0] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        send(control, ANN)
    answers[0] = 1.0

    assert admitted(control, ANN) == 2


def test_g11_a_full_table_is_unavailable_and_never_forgets_a_live_counter() -> None:
    clock = Clock()
    control = RateLimit("1/minute", per="recipient", clock=clock, max_keys=3)
    people = [f"p{number}@example.com" for number in range(5)]
    for person in people[:3]:
        send(control, person)

    for person in people[3:]:
        with pytest.raises(Unavailable, match="max_keys"):
            send(control, person)
    assert [admitted(control, person) for person in people[:3]] == [0, 0, 0]
    clock.wait(60)
    assert admitted(control, people[4]) == 1


def test_g6_a_reservation_holds_its_units_until_it_is_given_back() -> None:
    control = RateLimit("2/minute", clock=Clock())
    waiting = _reserved(control)
    nothing: Any = None
    assert admitted(control, ANN) == 1
    step(waiting.steps[1].undo(nothing))
    step(waiting.steps[0].undo(nothing))
    step(waiting.steps[0].undo(nothing))

    assert admitted(control, ANN) == 1
    with pytest.raises(Unavailable, match="reservation"):
        step(waiting.steps[1].commit(waiting, (), nothing))


def _reserved(control: RateLimit) -> Any:
    """A call that reached the door, reserved, and went no further."""
    call: Any = Passage(Message("hello", channel="sms", recipients=ANN))
    nothing: Any = None

    async def held(_: Any) -> str:
        await call.steps[0].commit(call, (), nothing)  # a limit looks at `.message` only
        return "at the door"

    step(control.guard(call, held, nothing))
    return call


def test_a_call_that_was_dropped_half_way_gives_its_units_back() -> None:
    control = RateLimit("1/minute", clock=Clock())
    dropped = _reserved(control)
    assert admitted(control, ANN) == 0
    del dropped
    gc.collect()

    assert admitted(control, ANN) == 1


def test_steps_of_one_object_are_answered_together() -> None:
    control = RateLimit("3/minute", clock=Clock())
    nothing: Any = None
    calls: list[Any] = [Passage(Message("hello", channel="sms", recipients=ANN)) for _ in range(4)]

    async def inward(_: Any) -> str:
        return "not yet"

    for call in calls:
        step(control.guard(call, inward, nothing))
    reserves: list[Reserve] = [call.steps[0] for call in calls]
    spends: list[Spend] = [call.steps[1] for call in calls]
    sealed = calls[0]
    assert {one.store for one in reserves} == {one.store for one in spends} == {control._ledger}
    with pytest.raises(RateLimited):
        step(reserves[0].commit(sealed, reserves[1:], nothing))
    step(reserves[0].commit(sealed, reserves[1:3], nothing))
    step(spends[0].commit(sealed, spends[1:3], nothing))

    assert admitted(control, ANN) == 0
    assert [reserve.hold for reserve in reserves] == [None] * 4


CANARIES = ("2125550173", "canary.person", "tenant-canary", "conversation-canary", "actor-canary", "2125550188")


def _everything(control: RateLimit) -> str:
    """What a dump of the counters would show."""
    ledger = control._ledger
    storage = ledger.storage
    return repr(
        [control, control.limits, list(storage.windows), list(storage._ring), ledger._held, ledger._holds, storage.__dict__]
    )


def test_g3_no_identifier_in_keys_reprs_errors_or_logs(caplog: pytest.LogCaptureFixture) -> None:
    control = RateLimit(
        Limit("2/minute", per=("recipient", "tenant", "conversation", "actor", "channel", "sender")),
        Limit("2/minute", per=lambda message: message.tenant or ""),
        clock=Clock(),
    )
    shown = [repr(Keys.ephemeral())]
    people = ["+12125550173", "canary.person@example.com"]
    envelope = {
        "tenant": "tenant-canary",
        "conversation": "conversation-canary",
        "actor": "actor-canary",
        "sender": "+12125550188",
    }
    with caplog.at_level(logging.DEBUG):
        for _ in range(4):
            try:
                passed = send(control, *people, **envelope)
                shown += [repr(passed.steps), repr(passed.notes)]
            except RateLimited as refused:
                shown += [repr(refused), str(refused), repr(vars(refused)), "".join(traceback.format_exception(refused))]
                shown.append(pickle.dumps(refused).decode("latin-1"))
        shown += [_everything(control), caplog.text]

    assert control._ledger.storage.windows
    for canary in CANARIES:
        assert not [text for text in shown if canary in text]
    assert {len(key) for key in control._ledger.storage.windows} == {64}


def test_g3_keys_of_two_limiters_cannot_be_joined_unless_they_share_a_key() -> None:
    shared = Keys(b"k" * 32)
    one, other, third, fourth = (RateLimit("5/minute", per="recipient", keys=keys) for keys in (None, None, shared, shared))
    for control in (one, other, third, fourth):
        send(control, ANN)

    assert set(one._ledger.storage.windows).isdisjoint(other._ledger.storage.windows)
    assert list(third._ledger.storage.windows) == list(fourth._ledger.storage.windows)


def test_g11_what_is_remembered_of_envelopes_is_bounded() -> None:
    control = RateLimit("5/minute", per="recipient", clock=Clock())
    for number in range(5_000):
        send(control, f"p{number}@example.com")
    known = len(control._identity._known)
    send(control, "x" * 600)
    send(control, *[f"q{number}@example.com" for number in range(20)])

    assert known <= 4_096
    assert len(control._identity._known) == known


def test_g8_no_thread_and_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    before = threading.active_count()
    control = RateLimit("50/second", "90/minute", per="recipient")

    assert admitted(control, ANN, of=60) == 50
    assert threading.active_count() == before


def test_importing_the_library_does_not_load_limits() -> None:
    code = (
        "import sys, guardrails, guardrails.ratelimit as r; r.Limit('5/minute'); early = 'limits' in sys.modules;"
        "r.RateLimit('5/minute'); print(early, 'limits' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False True\n"


def test_other_limits_over_the_same_counters_go_on_with_what_was_counted() -> None:
    first = RateLimit(Limit("3/minute", per="recipient", name="person"))
    tighter = first.with_limits(Limit("2/minute", per="recipient", name="person"), Limit("5/hour", name="all"))
    one, two = Guard(first, channel="sms").wrap(RecordingSend()), Guard(tighter, channel="sms").wrap(RecordingSend())
    one("+12125550173", "hi")
    two("+12125550173", "hi")
    with pytest.raises(RateLimited, match="2 in 60 s"):
        two("+12125550173", "hi")
    one("+12125550173", "hi")
    with pytest.raises(RateLimited, match="3 in 60 s"):
        one("+12125550173", "hi")
    assert (first.needs, tighter.needs, len(tighter.limits)) == (("recipient",), ("recipient",), 2)


def test_a_limit_with_another_window_is_another_limit() -> None:
    first = RateLimit(Limit("1/minute", name="all"))
    other = first.with_limits(Limit("1/hour", name="all"))
    for limits in (first, other):
        Guard(limits, channel="sms").wrap(RecordingSend())("+12125550173", "hi")
