"""Rules for people, leases and switches: each is tried, nothing of anybody is used up, and one that is broken is found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guardrails import Call, Denied, Guard, MaskPII, RateLimit, canary, from_policy
from guardrails.core.message import Message
from guardrails.keys import Keys
from guardrails.keys.operator import public_text
from guardrails.policy.switches.control import Board
from guardrails.proof.canary import FAILED, HELD, UNTRIED, CanaryReport
from guardrails.proof.drill import drill
from guardrails.proof.quarantine import Quarantine
from guardrails.ratelimit import Cap, Concurrency, QuietHours, Suppression, UniqueRecipients
from guardrails.ratelimit.people.optouts import MemoryOptOuts, OptOut
from tests.servers import Server, running, valkey_binary

TO = "+12125550173"
KEYS = Keys(b"k" * 32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(valkey_binary(), tmp_path_factory.mktemp("valkey")) as one:
        yield one


def provider(to: str, body: str) -> str:
    return to + body


def rules(storage: str = "memory://", **more: Any) -> list[Any]:
    """One of each, none of which would refuse anything by day."""
    kept: dict[str, Any] = {} if storage == "memory://" else {"storage": storage, "keys": KEYS, **more}
    suppression = Suppression() if storage == "memory://" else Suppression(storage, keys=KEYS, **more)
    suppression.create()
    hours = datetime.now(UTC).time()
    quiet = QuietHours(time((hours.hour + 2) % 24), time((hours.hour + 4) % 24), zone="UTC")  # not now
    return [
        suppression,
        quiet,
        Cap("3/day", zone="Europe/Berlin", **kept),
        UniqueRecipients(100, window="24h", per="channel", **kept),
        Concurrency(20, **({} if storage.startswith("sqlite") else kept)),  # leases need a server, or memory
    ]


NAMES = ("suppression", "quiet_hours", "cap", "unique_recipients", "concurrency")
CLASSES = (Suppression, QuietHours, Cap, UniqueRecipients, Concurrency)


def limits(report: CanaryReport) -> dict[str, str]:
    return {one.control: one.result for one in report.checks if one.tried == "limit"}


@pytest.mark.parametrize("where", ["memory", "file", "server"])
def test_every_rule_for_people_is_tried_wherever_it_keeps_what_it_knows(where: str, tmp_path: Path, server: Server) -> None:
    storage = {"memory": "memory://", "file": f"sqlite:///{tmp_path}/people.db", "server": server.url}[where]
    controls = rules(storage)
    guard = Guard(*controls, channel="sms")
    send = guard(provider)
    report = canary(guard)
    assert report.passed, report.failed
    assert limits(report) == dict.fromkeys([one.name for one in controls], HELD)
    assert list(controls[0].rows()) == []  # what was planted is gone
    assert send(TO, "hello") == TO + "hello"
    guard.close()


def test_every_shape_of_send_is_long_enough_for_two_at_once() -> None:
    guard = Guard(Concurrency(1), channel="llm")

    @guard
    async def awaited(to: str, prompt: str) -> str:
        raise AssertionError

    def tried(send: Any) -> str:
        report = canary(guard)
        assert send is not None
        return limits(report)["concurrency"]

    assert tried(awaited) == HELD
    del awaited

    @guard
    def stream(to: str, prompt: str) -> Iterator[str]:
        yield "never reached"

    assert tried(stream) == HELD
    del stream

    @guard
    async def astream(to: str, prompt: str) -> AsyncIterator[str]:
        yield "never reached"

    assert tried(astream) == HELD


def test_canaries_use_up_nothing_of_anybody() -> None:
    controls: list[Any] = [Cap("1/day", per="channel", zone="UTC"), UniqueRecipients(1, window="24h"), Concurrency(1)]
    guard = Guard(*controls, channel="sms")
    send = guard(provider)
    for _ in range(3):
        report = canary(guard)
        assert report.passed, report.failed
    assert send(TO, "hello") == TO + "hello"
    with pytest.raises(Denied):
        send(TO, "hello again")
    assert canary(guard).passed
    assert (
        sum(one.used for control in controls[:2] for one in control.usage(Message("x", channel="sms", recipients=TO))) == 2
    )


def test_a_class_that_is_exempt_and_a_handler_are_tried_all_the_same() -> None:
    quiet = QuietHours("21:00", "08:00", zone="UTC", exempt=["otp"], message_class=lambda _: "otp")
    cap = Cap("3/day", zone="UTC", exempt=["otp"], message_class=lambda _: "otp")
    for direction in ("outbound", "inbound"):
        guard = Guard(
            Suppression(exempt=["otp"], message_class=lambda _: "otp"), cap, quiet, channel="sms", direction=direction
        )
        assert set(limits(canary(guard)).values()) == {HELD}


def test_somebody_who_has_opted_out_still_gets_nothing_while_canaries_run() -> None:
    suppression = Suppression()
    suppression.add(TO)
    guard = Guard(suppression, channel="sms")
    send = guard(provider)
    assert canary(guard).passed
    with pytest.raises(Denied, match="opted out"):
        send(TO, "hello")
    assert len(list(suppression.rows())) == 1


# -- broken on purpose ------------------------------------------------------------------------------------------------


async def only_forwards(_self: Any, call: Call, forward: Any, _io: Any, /) -> object:
    return await forward(call)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_a_rule_that_only_forwards_is_found(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CLASSES[number], "guard", only_forwards)
    report = canary(Guard(*rules(), channel="sms"))
    assert report.controls == [NAMES[number]], report.failed
    assert [one.why for one in report.failed] == ["admitted everything"]


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("suppression", "guardrails.ratelimit.people.optouts.MemoryOptOuts.opted_out"),
        ("quiet_hours", "guardrails.ratelimit.people.clock.Hours.holds"),
        ("cap", "guardrails.ratelimit.people.tally.MemoryTally._judged"),
        ("concurrency", "guardrails.ratelimit.ledger.Ledger._judged"),
    ],
)
def test_a_rule_whose_store_or_clock_says_yes_to_everything_is_found(
    name: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guardrails.ratelimit.ledger import Ledger  # noqa: PLC0415 - it is broken here

    looked = Ledger._judged
    yes = {"suppression": lambda *_: [], "quiet_hours": lambda *_: False, "cap": lambda *_: None}
    monkeypatch.setattr(broken, yes.get(name, lambda *given: (None, *looked(*given)[1:])))
    assert name in canary(Guard(*rules(), channel="sms")).controls


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_a_store_of_rules_for_people_that_is_dead_or_hangs_is_found(fault: str, tmp_path: Path) -> None:
    with running(valkey_binary(), tmp_path) as server:
        guard = Guard(*rules(server.url, timeout_seconds=0.3), channel="sms")
        first = canary(guard)
        assert first.passed, first.failed
        getattr(server, fault)()
        report = canary(guard)
        assert set(report.controls) == {"suppression", "cap", "unique_recipients", "concurrency"}
        guard.close()


class ReadOnly:
    """A list of one's own that a sender can only read."""

    blocks = True

    def __init__(self) -> None:
        self._list = MemoryOptOuts("unused")

    def create(self, key_id: str, /) -> None: ...

    def opted_out(self, _digests: Any, _key_ids: Any, /) -> list[str]:
        return []

    def add(self, rows: Any, /) -> int:
        raise PermissionError(f"{len(rows)} rows")

    def remove(self, digests: Any, /) -> int:
        return len(digests) * 0

    def rows(self) -> Iterator[OptOut]:
        return iter(())

    def close(self) -> None: ...


def test_a_list_that_takes_nothing_from_a_sender_is_said_to_be_untried() -> None:
    report = canary(Guard(Suppression(ReadOnly(), keys=KEYS), channel="sms"))
    (tried,) = [one for one in report.checks if one.tried == "limit"]
    assert (tried.result, tried.why) == (UNTRIED, "nothing can be planted for it: PermissionError")


POLICY = """\
version: 1
platform:
  mask: {{names: "off"}}
  switches: {{file: switches.jsonl, operators: {{ann: "{ann}"}}}}
examples:
  - {{in: hello, out: hello}}
"""


def test_the_switches_of_a_policy_are_tried_and_found_when_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "guardrails.yaml"
    path.write_text(POLICY.format(ann=public_text(Ed25519PrivateKey.generate())))
    guard = from_policy(path, channel="sms")
    report = canary(guard)
    assert report.passed
    assert limits(report)["switches"] == HELD
    monkeypatch.setattr(Board, "refuse", lambda *_: None)
    assert canary(guard).controls == ["switches"]
    guard.close()


def test_a_quarantine_is_tried_and_found_when_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(Quarantine(), MaskPII(names="off"), channel="sms")
    assert canary(guard).passed
    assert [one.result for one in canary(guard).checks if one.tried == "refuses"] == [HELD]
    monkeypatch.setattr(Quarantine, "guard", only_forwards)
    assert canary(Guard(Quarantine(), channel="sms")).controls == ["quarantine"]
    guard.close()


def test_the_drill_finds_every_way_in_which_each_control_breaks() -> None:
    guard = Guard(*rules(), RateLimit("5/minute", per="recipient"), MaskPII(names="off"), channel="sms")
    missed = [(one.control, one.fault, one.why) for one in drill(guard) if not one.found]
    assert missed == []


def test_one_recipient_in_two_places_counts_once_for_a_canary() -> None:
    guard = Guard(RateLimit("5/minute", per="recipient"), Cap("3/day", zone="UTC"), channel="email")
    send = guard.wrap(lambda to, cc, body: to + cc + body, recipient=["to", "cc"], text="body")
    report = canary(guard)
    assert send is not None
    assert {(one.control, one.tried): one.result for one in report.checks} == {
        ("rate_limit", "decides"): HELD,
        ("cap", "decides"): HELD,
        ("rate_limit", "limit"): HELD,
        ("cap", "limit"): HELD,
    }


def test_what_is_left_to_be_tried_fails_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that crashes is a failure of the control, not of the round."""

    def crash(*_given: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(QuietHours, "check", crash)
    report = canary(Guard(*rules(), channel="sms"))
    assert report.controls == ["quiet_hours"]
    assert {one.result for one in report.checks if one.control == "quiet_hours"} == {FAILED}
