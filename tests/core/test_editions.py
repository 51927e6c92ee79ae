# ruff: noqa: ARG002, ARG005, FBT003 - controls and sends take what the contract gives them
"""A guard's controls are exchanged in one step, between messages, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from guardrails.core.call import Call
from guardrails.core.caps import Caps
from guardrails.core.checks import check, monitor
from guardrails.core.control import Forward, Io
from guardrails.core.edition import Edition, Turn
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.stack import Stack, platform_slots
from guardrails.core.verdict import Deny
from guardrails.errors import ConfigError, ControlError, Denied, GuardrailsError
from guardrails.testing import RecordingSend
from tests.conftest import switching_often
from tests.core.doubles import Change, Look, Record
from tests.core.ways import TO


def edition(*controls: object, policy: str | None = None, choice: object = None) -> Edition:
    return Edition(Stack(platform_slots(controls), policy=policy), Caps(), strict=False, choice=choice)  # type: ignore[arg-type]


class Policy:
    """Whoever may exchange what a guard is made of."""

    def __init__(self, first: Edition) -> None:
        self.turn = Turn()
        self.first = first

    def edition(self) -> Edition:
        return self.first

    def open(self, guard: Guard, /) -> None: ...

    def close(self, guard: Guard, /) -> None: ...

    def reload(self) -> bool:
        return False

    def health(self) -> dict[str, str | int | None]:
        return {}


POLICIES: dict[Guard, Policy] = {}


def policed(*controls: object, channel: str, production: bool = False) -> Guard:
    policy = Policy(edition(*controls))
    guard = Guard.of(policy, channel=channel, production=production)
    POLICIES[guard] = policy
    return guard


def exchange(guard: Guard, new: Edition) -> None:
    guard.exchange(new, by=POLICIES[guard])


class Mark:
    """Adds its mark, and holds the message where it is told to."""

    def __init__(self, mark: str, *, at: threading.Event | None = None, until: threading.Event | None = None) -> None:
        self.mark = mark
        self.at = at
        self.until = until

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        if self.at is not None and self.until is not None:
            self.at.set()
            self.until.wait(5)
        return await forward(call.with_text(call.message.text + self.mark))


def test_a_decoration_follows_an_exchange() -> None:
    guard = policed(Mark("a"), channel="sms")
    send = RecordingSend()
    safe = guard.wrap(send)
    safe(TO, "-")
    exchange(guard, edition(Mark("b"), policy="sha256:b"))
    safe(TO, "-")
    assert [one.body for one in send.calls] == ["-a", "-b"]
    assert guard.policy == "sha256:b"


def test_g9_nobody_but_its_policy_exchanges_the_controls_of_a_guard() -> None:
    send = RecordingSend()
    none = edition()
    byhand, guard = Guard(Mark("a"), channel="sms"), policed(Mark("a"), channel="sms")
    for one, by in ((byhand, None), (byhand, POLICIES[guard]), (guard, Policy(none)), (guard.extend(), POLICIES[guard])):
        with pytest.raises(ConfigError, match="policy"):
            one.exchange(none, by=by)  # type: ignore[arg-type]
        one.wrap(send)(TO, "-")
    assert [one.body for one in send.calls] == ["-a"] * 4


def test_a_call_in_flight_finishes_with_the_controls_that_it_began_with() -> None:
    at, until = threading.Event(), threading.Event()
    record = Record()
    guard = policed(record, Mark("a", at=at, until=until), Mark("A"), channel="sms")
    send = RecordingSend()
    safe = guard.wrap(send)
    thread = threading.Thread(target=safe, args=(TO, "-"))
    thread.start()
    assert at.wait(5)
    exchange(guard, edition(record, Mark("b"), Mark("B"), policy="sha256:b"))
    safe(TO, "-")
    until.set()
    thread.join()
    assert [one.body for one in send.calls] == ["-bB", "-aA"]
    assert [sealed.policy for sealed in record.sealed] == ["sha256:b", None]


def test_team_guards_and_messages_without_a_signature_follow_and_keep_their_own() -> None:
    guard = policed(Mark("a"), channel="sms")
    team = guard.extend(Mark("t"))
    inner = team.extend(Mark("u"))
    send = RecordingSend()
    safe = inner.wrap(send)
    exchange(guard, edition(Mark("b")))
    safe(TO, "-")
    inner.run(Message("=", channel="sms", recipients=TO), lambda message: send(TO, message.text))
    assert [one.body for one in send.calls] == ["-btu", "=btu"]
    assert guard.preview("-").text == "-b"
    assert inner.preview("-").text == "-btu"


def test_an_exchange_that_a_decoration_does_not_fit_changes_nothing() -> None:
    guard = policed(Mark("a"), channel="sms")
    team = guard.extend(Mark("t"))
    seen: list[str] = []

    @guard(recipient=None)
    def announce(body: str) -> None:
        seen.append(body)

    @team(recipient=None)
    def announce_too(body: str) -> None:
        seen.append(body)

    class Needs(Mark):
        needs = ("recipient",)

    with pytest.raises(ConfigError, match=r"announce: Needs needs a recipient"):
        exchange(guard, edition(Needs("b")))
    announce("-")
    announce_too("-")
    assert seen == ["-a", "-at"]


def test_an_exchange_that_a_team_guard_does_not_fit_changes_nothing() -> None:
    guard, mine = policed(Mark("a"), channel="sms"), Mark("mine")
    team = guard.extend(mine)
    with pytest.raises(ConfigError, match="stands twice"):
        exchange(guard, edition(mine))
    assert team.preview("-").text == "-amine"


def test_production_is_asked_of_new_controls_too() -> None:
    class Fit(Mark):
        def require_production(self) -> None:
            if self.mark == "unfit":
                raise ConfigError("unfit")

    guard = policed(Fit("fit"), channel="sms", production=True)
    with pytest.raises(ConfigError, match="unfit"):
        exchange(guard, edition(Fit("unfit")))
    assert guard.preview("-").text == "-fit"


def test_no_message_is_lost_doubled_or_mixed_while_editions_change() -> None:
    guard = policed(Mark("0"), Mark("0"), channel="sms")
    bodies: list[str] = []

    @guard
    def send(to: str, body: str) -> None:
        bodies.append(body)

    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.is_set():
            number = (number + 1) % 10
            exchange(guard, edition(Mark(str(number)), Mark(str(number))))

    with switching_often(1e-5):
        changing = threading.Thread(target=change)
        changing.start()
        try:
            senders = [threading.Thread(target=lambda: [send(TO, "-") for _ in range(300)]) for _ in range(4)]
            for thread in senders:
                thread.start()
            for thread in senders:
                thread.join()
        finally:
            over.set()
            changing.join()
    assert len(bodies) == 1_200
    assert all(len(body) == 3 and body[1] == body[2] for body in bodies)


class ByTenant:
    """A choice of two."""

    def __init__(self, others: dict[str, Stack], otherwise: Stack) -> None:
        self.others = others
        self.otherwise = otherwise

    def stack(self, message: Message, /) -> Stack:
        if message.tenant == "broken":
            raise ControlError("cannot be had")
        return self.others.get(message.tenant or "", self.otherwise)

    def check_channel(self, channel: str, /) -> None:
        if channel == "smss":
            raise ConfigError("did you mean 'sms'?")

    def kinds(self) -> Iterable[Stack]:
        return [self.otherwise, *self.others.values()]


def chosen(record: Record) -> Edition:
    plain = Stack(platform_slots([record, Mark("a")]))
    return Edition(plain, Caps(), False, ByTenant({"acme": Stack(platform_slots([record, Mark("b")]))}, plain))


def test_controls_may_depend_on_whom_a_message_is_for() -> None:
    record = Record()
    guard = policed(channel="sms")
    exchange(guard, chosen(record))
    team = guard.extend(Mark("t"))
    send = RecordingSend()
    safe = team.wrap(lambda to, body, org: send(to, body), text="body", recipient="to", tenant="org")
    safe(TO, "-", org="acme")
    safe(TO, "-", org="other")
    safe(TO, "-", org="acme")
    assert [one.body for one in send.calls] == ["-bt", "-at", "-bt"]
    assert team.preview("-", tenant="acme").text == "-bt"


def test_a_message_whose_controls_cannot_be_had_is_refused_on_the_record() -> None:
    record = Record()
    guard = policed(channel="sms")
    exchange(guard, chosen(record))
    send = RecordingSend()
    safe = guard.wrap(lambda to, body, org: send(to, body), text="body", recipient="to", tenant="org")
    with pytest.raises(ControlError):
        safe(TO, "-", org="broken")
    assert send.calls == []
    assert len(record.refusals) == 1


def test_a_decoration_is_checked_against_every_kind_of_controls() -> None:
    class Needs(Look):
        needs = ("recipient",)

    plain = Stack(platform_slots([Look()]))
    guard = policed(channel="sms")
    exchange(guard, Edition(plain, Caps(), False, ByTenant({"acme": Stack(platform_slots([Needs()]))}, plain)))
    with pytest.raises(ConfigError, match="needs a recipient"):
        guard.wrap(lambda body: None, text="body", recipient=None)


def test_a_guard_made_by_code_has_no_policy_to_reload() -> None:
    guard = Guard(channel="sms")
    assert guard.policy is None
    for one in (guard, guard.extend(Look())):
        with pytest.raises(ConfigError, match="made by code"):
            one.reload()


class Counting:
    """A source of one edition."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.events: list[str] = []

    def edition(self) -> Edition:
        return edition(Change(), policy="sha256:x")

    def open(self, guard: Guard, /) -> None:
        self.events.append("open")

    def close(self, guard: Guard, /) -> None:
        self.events.append("close")

    def reload(self) -> bool:
        self.events.append("reload")
        return True

    def health(self) -> dict[str, str | int | None]:
        return {}


def test_a_source_opens_reloads_and_closes_its_guard() -> None:
    source = Counting()
    guard = Guard.of(source, channel="sms")
    send = RecordingSend()
    guard.wrap(send)(TO, "x")
    assert guard.extend(Look()).reload() is True
    guard.close()
    guard.close()
    assert source.events == ["open", "reload", "close"]
    assert [one.body for one in send.calls] == ["X"]
    with pytest.raises(ConfigError, match="direction"):
        Guard.of(source, direction="sideways")


def test_failures_of_controls_are_counted_and_refusals_are_none() -> None:
    @check
    def refuses(message: Message) -> Deny | None:
        return Deny("no") if message.text == "no" else None

    @check
    def breaks(message: Message) -> None:
        if message.text == "break":
            raise ValueError

    guard = Guard(refuses, breaks, monitor(check(name="watches")(lambda message: 1 / 0)), channel="sms")  # type: ignore[arg-type]
    send = guard.wrap(RecordingSend())
    send(TO, "fine")
    with pytest.raises(Denied):
        send(TO, "no")
    for _ in range(2):
        with pytest.raises(GuardrailsError):
            send(TO, "break")
    assert guard.failures == {"breaks": 2, "watches": 1}
