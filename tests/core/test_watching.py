"""What core tells about itself: health, observers, the registry of guards and sends; and rehearsals, which never send."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from guardrails import Call, ConfigError, Denied, Deny, Guard, Message, Unavailable, check
from guardrails.core import registry
from guardrails.core.observe import Ended, Ending, observe, stop_observing
from guardrails.core.rehearsal import rehearse, staged

TO = "+12125550173"


def answering(to: str, body: str) -> str:
    return body


class Passing:
    name = "passing"

    async def guard(self, call: Call, forward: Any, _io: Any, /) -> object:
        return await forward(call)


class Failing:
    """Fails while it is told to."""

    name = "store"
    broken = False

    async def guard(self, call: Call, forward: Any, _io: Any, /) -> object:
        if self.broken:
            raise Unavailable("the store does not answer")
        return await forward(call)

    def health(self) -> dict[str, Any]:
        return {"kind": "toy", **({"problem": "the store does not answer"} if self.broken else {})}


@check
def no_shouting(message: Message) -> Deny | None:
    return Deny("shouting") if message.text.isupper() else None


def test_a_guard_that_was_never_used_is_well_and_knows_nothing() -> None:
    health = Guard(Passing()).health()
    assert health.well
    assert health.sends == 0
    assert health.controls[0].last_success is None
    assert health.controls[0].error_rate is None


def test_a_control_that_fails_is_unwell_since_its_first_failure_and_well_again_after_a_send() -> None:
    store = Failing()
    guard = Guard(store, Passing())

    @guard
    def send(to: str, body: str) -> str:
        return body

    send(TO, "one")
    store.broken = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            send(TO, "two")
    unwell = guard.health()
    broken, other = unwell.controls
    assert not unwell.well
    assert not broken.well
    assert broken.problem == "the store does not answer"
    assert broken.error_rate == pytest.approx(2 / 3)
    assert broken.degraded_since is not None
    assert broken.last_success is not None
    assert broken.last_success < broken.degraded_since
    assert other.well
    assert unwell.as_dict()["controls"][0]["degraded_since"].endswith("+00:00")
    store.broken = False
    send(TO, "three")
    assert guard.health().well
    assert guard.health().controls[0].degraded_since is None


def test_a_refusal_is_success_of_the_control_that_refused() -> None:
    guard = Guard(no_shouting)
    send = guard(answering)
    with pytest.raises(Denied):
        send(TO, "LOUD")
    health = guard.health()
    assert health.well
    assert health.controls[0].error_rate == 0.0
    assert health.controls[0].last_success is not None


def test_a_platform_guard_tells_of_its_teams_controls_too() -> None:
    platform = Guard(Passing())
    team = platform.extend(no_shouting)
    team(answering)(TO, "hello")
    assert [(one.name, one.layer) for one in platform.health().controls] == [
        ("passing", "platform"),
        ("no_shouting", "team"),
    ]
    assert platform.health().sends == 1
    assert set(platform.health().controls[0].latency_ms) == {"p50", "p95", "p99"}


def test_a_closed_guard_is_not_well() -> None:
    guard = Guard(Passing()).open()
    guard.close()
    assert not guard.health().well


class Listening:
    def __init__(self) -> None:
        self.heard: list[Ended] = []
        self.last: Any = None

    def ended(self, send: Ending, /) -> None:
        self.heard.append(send.whole())
        self.last = send


def _raising(to: str, body: str) -> None:
    raise OSError("the provider is down")


def test_an_observer_is_told_once_of_every_send_whatever_became_of_it() -> None:
    listening = Listening()
    guard = Guard(Passing(), no_shouting, channel="sms")

    def words(to: str, body: str) -> Iterator[str]:
        yield from ("a", "b")

    observe(listening)
    observe(listening)
    try:
        guard(answering)(TO, "hello")
        with pytest.raises(Denied):
            guard(answering)(TO, "LOUD")
        with pytest.raises(OSError, match="down"):
            guard(_raising)(TO, "hello")
        assert list(guard(words)(TO, "hello")) == ["a", "b"]
        stream: Any = guard(words)(TO, "hello")
        next(stream)
        stream.close()
    finally:
        stop_observing(listening)
    guard(answering)(TO, "nobody listens")
    assert [(one.result, one.error_type, one.control) for one in listening.heard] == [
        ("sent", None, None),
        ("refused", "Denied", "no_shouting"),
        ("failed", "OSError", None),
        ("sent", None, None),
        ("cut", "GeneratorExit", None),
    ]
    assert [slot.name for slot, _ in listening.heard[0].controls] == ["no_shouting", "passing"]
    assert all(seconds >= 0 for _, seconds in listening.heard[0].controls)
    assert "hello" not in repr(listening.heard)
    with pytest.raises(AttributeError):  # what was told may be kept; what it was read from is let go
        listening.last.controls()


class Deaf:
    def ended(self, _send: Ending, /) -> None:
        raise ValueError("hello")


def test_an_observer_that_raises_changes_nothing_and_its_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    deaf = Deaf()
    observe(deaf)
    try:
        assert Guard()(answering)(TO, "sent") == "sent"
    finally:
        stop_observing(deaf)
    assert "ValueError" in caplog.text
    assert "hello" not in caplog.text


def test_the_registry_lists_guards_and_their_sends_and_keeps_none_alive() -> None:
    guard = Guard(Passing(), owner="platform")
    team = guard.extend(no_shouting, owner="payments")
    kept = team(answering)
    assert {guard, team} <= set(registry.guards())
    assert guard.family == (guard, team)
    assert team.family == (team,)
    assert [plan.operation for plan in team.plans] == [f"{__name__}:{kept.__qualname__}"]
    assert guard.plans == ()
    assert (guard.owner, team.owner, guard.extend().owner) == ("platform", "payments", "platform")
    assert guard.where.partition(":")[0] == team.where.partition(":")[0] == __file__
    del kept
    gc.collect()
    assert team.plans == ()


@pytest.mark.parametrize("owner", ["", 3])
def test_an_owner_is_a_name(owner: Any) -> None:
    with pytest.raises(ConfigError, match="owner"):
        Guard(owner=owner)


@pytest.mark.parametrize("seconds", [0, -1, "60", True, float("inf"), float("nan")])
def test_canaries_come_at_an_interval(seconds: Any) -> None:
    with pytest.raises(ConfigError, match="canary_every_seconds"):
        Guard(canary_every_seconds=seconds)


# -- rehearsals -------------------------------------------------------------------------------------------------------

sent: list[Any] = []


def plain(to: str, body: str) -> str:
    sent.append(body)
    return body


async def coroutine(to: str, body: str) -> str:
    sent.append(body)
    return body


def generator(to: str, body: str) -> Iterator[str]:
    sent.append(body)
    yield body


async def async_generator(to: str, body: str) -> AsyncIterator[str]:
    sent.append(body)
    yield body


class Named:
    """Keeps what every call was called."""

    name = "named"

    def __init__(self) -> None:
        self.names: list[str | None] = []

    async def guard(self, call: Call, forward: Any, _io: Any, /) -> object:
        self.names.append(call.canary)
        return await forward(call)


@pytest.mark.parametrize("send", [plain, coroutine, generator, async_generator])
def test_a_rehearsal_runs_every_control_and_never_sends(send: Any) -> None:
    named = Named()
    guard = Guard(named, no_shouting)
    held = guard(send)
    (plan,) = guard.plans
    stage = staged(plan, "hello", recipient=TO, tenant="t", conversation="c")
    sent.clear()
    listening = Listening()
    observe(listening)
    try:
        done = rehearse(stage, name="canary-1", reply=("an", "swer"))
    finally:
        stop_observing(listening)
    assert held is not None
    assert stage.is_bound
    assert done.error is None
    assert done.arrived == ((TO, "hello"), {})
    assert done.reply == "answer"
    assert named.names == ["canary-1"]
    assert not sent
    assert listening.heard == []
    assert guard.health().sends == 0
    refused = rehearse(staged(plan, "LOUD", recipient=TO, tenant="t", conversation="c"), name="canary-2")
    assert refused.arrived is None
    assert isinstance(refused.error, Denied)
    assert "LOUD" not in repr(refused)


def test_a_rehearsal_can_take_a_part_of_the_way() -> None:
    named = Named()
    guard = Guard(named, no_shouting)
    held = guard(plain)
    (plan,) = guard.plans
    stage = staged(plan, "LOUD", recipient=TO, tenant="t", conversation="c")
    done = rehearse(stage, name="canary", route=plan.stack.slots[:1])
    assert held is not None
    assert done.error is None


def test_arguments_are_made_for_every_kind_of_selector() -> None:
    def send(
        payload: Any, /, people: list[str], raw: str, *extra: str, form: str = "", note: bytes = b"", **more: str
    ) -> None: ...

    guard = Guard(Passing())
    held = guard.wrap(
        send,
        text=["payload.title", 'payload["a.b"][*].text', "payload.list[1]", "raw|json.items[*].text", "form|form.Body",
              "note|utf8", "caption"],
        recipient="people",
        tenant="more_tenant",
    )  # fmt: skip
    (plan,) = guard.plans
    stage = staged(plan, "hello", recipient=TO, tenant="t1", conversation="c")
    reading = plan.binding.read(*stage.arguments)
    assert held is not None
    assert stage.is_bound
    assert list(reading.message.parts.values()) == ["hello"] * 7
    assert reading.message.recipients == (TO,)
    assert reading.message.tenant == "t1"


def test_a_binder_of_the_users_own_is_replaced_by_a_message() -> None:
    class Own:
        def read(self, args: Any, kwargs: Any) -> Message:  # noqa: ARG002
            return Message(args[0].text, channel="sms")

        def write(self, message: Message, args: Any, kwargs: Any) -> Any:  # noqa: ARG002
            return args, kwargs

    guard = Guard(Passing())
    held = guard.wrap(lambda thing: thing, bind=Own())
    (plan,) = guard.plans
    stage = staged(plan, "hello", recipient=TO, tenant="t", conversation="c")
    assert held is not None
    assert not stage.is_bound
    assert rehearse(stage, name="canary").arrived == ((stage.arguments[0][0],), {})
