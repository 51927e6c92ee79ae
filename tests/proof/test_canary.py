"""A control that is broken on purpose is found in one round; one that works passes; and nothing is ever sent."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from guardrails import (
    AuditLog,
    Call,
    ConfigError,
    Deny,
    Guard,
    MaskPII,
    Message,
    RateLimit,
    RateLimited,
    Unavailable,
    canary,
    check,
    context,
    monitor,
)
from guardrails.audit import read_records, verify_directory
from guardrails.audit.files import JsonlDirectory
from guardrails.keys import Keys
from guardrails.pii.names.recognizer import NameRecognizer
from guardrails.proof import planting, schedule
from guardrails.proof.canary import FAILED, HELD, UNTRIED, WATCHED, CanaryReport
from guardrails.proof.planting import plant, sentence
from guardrails.proof.plants import PLANTS
from guardrails.ratelimit.ledger import Ledger
from tests.servers import running, valkey_binary

sent: list[Any] = []


def provider(to: str, body: str) -> str:
    sent.append((to, body))
    return "accepted"


@check(refuses=["Buy from Acme"])
def no_competitors(message: Message) -> Deny | None:
    return Deny("names a competitor") if "Acme" in message.text else None


def whole(folder: Path, *more: Any, mask: Any = None, limit: Any = None, audit: Any = None) -> Guard:
    return Guard(
        audit or AuditLog(folder / "audit", durability="os"),
        limit or RateLimit("5/minute", "100/day", per="recipient"),
        mask or MaskPII(names="off"),
        *more,
        channel="sms",
    )


def results(report: CanaryReport) -> dict[tuple[str, str], str]:
    return {(one.control, one.tried): one.result for one in report.checks}


def test_a_guard_that_works_passes_and_its_send_is_never_called(tmp_path: Path) -> None:
    guard = whole(tmp_path, no_competitors)
    send = guard(provider)
    sent.clear()
    report = canary(guard)
    assert report.passed, report.failed
    assert results(report) == {
        ("mask_pii", "mask"): HELD,
        ("audit_log", "record"): HELD,
        ("rate_limit", "limit"): HELD,
        ("rate_limit", "decides"): HELD,
        ("no_competitors", "decides"): HELD,
        ("no_competitors", "refuses"): HELD,
    }
    assert sent == []
    assert send("+12125550173", "hello") == "accepted"
    guard.close()
    stages = [record["stage"] for record in read_records(tmp_path / "audit")]
    assert stages == ["genesis", "canary", "canary", "intent", "outcome", "close"]
    assert verify_directory(tmp_path / "audit").exit_code == 0


def test_a_guard_without_a_decorated_send_is_tried_with_a_message(tmp_path: Path) -> None:
    assert canary(whole(tmp_path)).passed


def test_every_kind_of_send_is_tried_on_its_way_out_and_back() -> None:
    guard = Guard(MaskPII(names="off"), channel="llm")

    @guard
    def plain(to: str, prompt: str) -> str:
        raise AssertionError

    @guard
    async def awaited(to: str, prompt: str) -> str:
        raise AssertionError

    @guard
    def stream(to: str, prompt: str) -> Iterator[str]:
        yield "never reached"

    @guard
    async def astream(to: str, prompt: str) -> AsyncIterator[str]:
        yield "never reached"

    report = canary(guard)
    assert report.passed, report.failed
    assert [(one.tried, one.result) for one in report.checks] == [("mask", HELD), ("reply", HELD)] * 4
    assert len({one.send for one in report.checks}) == 4


def test_selectors_are_exercised_and_a_binding_that_looks_elsewhere_is_found() -> None:
    guard = Guard(MaskPII(names="off"))
    held = guard.wrap(
        lambda payload, raw, people: None,  # noqa: ARG005
        text=["payload.title", "payload.rows[*].text", "raw|json.note"],
        recipient="people",
    )
    report = canary(guard)
    assert held is not None
    assert results(report) == {("mask_pii", "mask"): HELD}


class Own:
    def read(self, args: Any, kwargs: Any) -> Message:  # noqa: ARG002
        return Message(args[0].text, channel="sms")

    def write(self, message: Message, args: Any, kwargs: Any) -> Any:  # noqa: ARG002
        return args, kwargs


def test_a_binder_of_ones_own_is_said_to_be_untried() -> None:
    guard = Guard(MaskPII(names="off"))
    held = guard.wrap(lambda thing: thing, bind=Own())
    assert held is not None
    assert results(canary(guard)) == {("binding", "binding"): UNTRIED, ("mask_pii", "mask"): HELD}


# -- broken on purpose ------------------------------------------------------------------------------------------------


def found(report: CanaryReport, control: str) -> bool:
    assert not report.passed
    return report.controls == [control]


def test_a_mask_made_to_pass_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = whole(tmp_path)
    monkeypatch.setattr(MaskPII, "mask", lambda _self, text: (text, []))
    report = canary(guard)
    assert found(report, "mask_pii")
    # Not all may leak: what the seal's own detector stops is told as such.
    assert "PHONE_NUMBER" in " ".join(one.why for one in report.failed)


class PassingMask:
    kind = "mask"
    name = "mask_pii"
    entities = frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER"})

    def mask(self, text: str, /) -> tuple[str, list[Any]]:
        return text, []

    def filter(self) -> Any:
        return MaskPII(names="off", entities=["MAC_ADDRESS"]).filter()

    async def guard(self, call: Call, forward: Any, _io: Any, /) -> object:
        return await forward(call)


def test_a_mask_control_that_only_forwards_is_found(tmp_path: Path) -> None:
    assert found(canary(whole(tmp_path, mask=PassingMask())), "mask_pii")


def test_a_mask_of_replies_made_to_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(MaskPII(names="off"), channel="llm")

    @guard
    def stream(to: str, prompt: str) -> Iterator[str]:
        yield to

    other = MaskPII(names="off", entities=["MAC_ADDRESS"]).filter()
    monkeypatch.setattr(MaskPII, "filter", lambda _self: other)
    report = canary(guard)
    assert results(report) == {("mask_pii", "mask"): HELD, ("mask_pii", "reply"): FAILED}
    assert stream is not None


def test_a_name_model_that_was_swapped_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = whole(tmp_path, mask=MaskPII())
    assert canary(guard).passed
    monkeypatch.setattr(NameRecognizer, "analyze", lambda *_given, **_named: [])
    report = canary(guard)
    assert found(report, "mask_pii")
    assert [one.why for one in report.failed] == ["let pass PERSON, LOCATION"]


def test_a_mask_that_crashes_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = whole(tmp_path)

    def crash(_self: Any, text: str) -> Any:
        raise ValueError(text)

    monkeypatch.setattr(MaskPII, "mask", crash)
    report = canary(guard)
    assert found(report, "mask_pii")
    assert "example.com" not in json.dumps(report.as_dict())


def test_a_limit_made_to_pass_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = whole(tmp_path)
    looked = Ledger._judged
    monkeypatch.setattr(Ledger, "_judged", lambda *given: (None, *looked(*given)[1:]))
    report = canary(guard)
    assert found(report, "rate_limit")


class ForwardingLimit(RateLimit):
    async def guard(self, call: Call, forward: Any, _io: Any, /) -> object:
        return await forward(call)


def test_a_limit_that_only_forwards_is_found(tmp_path: Path) -> None:
    assert found(canary(whole(tmp_path, limit=ForwardingLimit("5/minute", per="recipient"))), "rate_limit")


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_a_store_that_is_dead_or_hangs_is_found(tmp_path: Path, fault: str) -> None:
    with running(valkey_binary(), tmp_path) as server:
        limit = RateLimit("5/minute", per="recipient", storage=server.url, keys=Keys(b"k" * 32), timeout_seconds=0.5)
        guard = whole(tmp_path, limit=limit)
        first = canary(guard)
        assert first.passed, first.failed
        getattr(server, fault)()
        report = canary(guard)
        assert found(report, "rate_limit")
        assert "does not answer" in report.failed[0].why
        server.cont() if fault == "stop" else server.start()


class Full:
    """A sink that takes the first stream's beginning, and then nothing."""

    def __init__(self) -> None:
        self.full = False

    def open(self, stream: str, /) -> None: ...

    def write(self, _lines: Any, /, *, durable: bool) -> None:
        if self.full:
            raise OSError(28, "no space left on device", durable)

    def close(self) -> None: ...


def test_a_sink_that_is_full_is_found() -> None:
    sink = Full()
    guard = Guard(AuditLog(sink, durability="os"), MaskPII(names="off"), channel="sms")
    assert results(canary(guard))["audit_log", "record"] == UNTRIED
    sink.full = True
    assert found(canary(guard), "audit_log")


def test_a_sink_that_swallows_its_records_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = whole(tmp_path).open()
    monkeypatch.setattr(JsonlDirectory, "write", lambda *_given, **_named: None)
    report = canary(guard)
    assert found(report, "audit_log")
    assert [one.why for one in report.failed] == ["there is no record of it"]


@pytest.mark.parametrize(("required", "min_success"), [("all", 1), ([], 1), ([], 2)])
def test_a_record_is_looked_for_in_as_many_folders_as_must_have_it(
    tmp_path: Path, required: Any, min_success: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    log = AuditLog(folders, required=required, min_success=min_success, durability="os")
    guard = whole(tmp_path, audit=log).open()
    assert canary(guard).passed
    written = JsonlDirectory.write

    def to_b_alone(self: Any, lines: Any, *, durable: bool) -> None:
        if self.folder.name == "b":
            written(self, lines, durable=durable)

    monkeypatch.setattr(JsonlDirectory, "write", to_b_alone)
    if required == "all" or min_success == 2:  # else whichever was quicker counts
        assert found(canary(guard), "audit_log")
    monkeypatch.setattr(JsonlDirectory, "write", lambda *_given, **_named: None)
    assert found(canary(guard), "audit_log")
    guard.close()


def test_a_log_of_which_another_sink_may_have_the_record_is_said_to_be_untried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JsonlDirectory, "write", lambda *_given, **_named: None)
    sinks: list[Any] = [Full(), tmp_path / "a"]
    guard = whole(tmp_path, audit=AuditLog(sinks, required=[sinks[0]], durability="os"))
    assert results(canary(guard))["audit_log", "record"] == UNTRIED
    guard.close()


def test_a_log_that_is_not_chained_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = whole(tmp_path).open()
    written = JsonlDirectory.write

    def forged(self: Any, lines: Any, *, durable: bool) -> None:
        forged_lines = [
            line.replace(b'"prev":"', b'"prev":"0', 1).replace(b'","schema', b'"  ,"schema', 1) for line in lines
        ]
        written(self, forged_lines, durable=durable)

    monkeypatch.setattr(JsonlDirectory, "write", forged)
    assert found(canary(guard), "audit_log")


def test_a_check_made_to_pass_is_found(tmp_path: Path) -> None:
    @check(refuses=["Buy from Acme"])
    def dead(message: Message) -> None:
        del message

    assert found(canary(whole(tmp_path, dead)), "dead")


def test_a_check_that_crashes_or_hangs_is_found(tmp_path: Path) -> None:
    @check
    def crashes(message: Message) -> None:
        raise ValueError(message.text)

    @check(deadline_seconds=0.01)
    def hangs(message: Message) -> None:
        del message
        threading.Event().wait(0.05)

    report = canary(whole(tmp_path, crashes, hangs))
    assert report.controls == ["crashes", "hangs"]
    assert all(one.result == HELD for one in report.checks if one.control in ("mask_pii", "audit_log", "rate_limit"))


def test_a_check_that_does_not_say_what_it_refuses_is_said_to_be_untried(tmp_path: Path) -> None:
    @check
    def silent(message: Message) -> None:
        del message

    assert results(canary(whole(tmp_path, silent)))["silent", "refuses"] == UNTRIED


def test_a_control_that_refuses_the_canary_itself_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @check
    def nobody(message: Message) -> Deny:
        return Deny(f"{len(message.text)} characters")

    guard = whole(tmp_path, nobody)
    assert canary(guard).passed
    monkeypatch.setattr(MaskPII, "mask", lambda _self, text: (text, []))
    assert found(canary(guard), "mask_pii")


def test_what_is_meant_to_be_kept_or_refused_is_no_failure(tmp_path: Path) -> None:
    mask = MaskPII(names="off", operators={"CREDIT_CARD": "block", "PHONE_NUMBER": "keep", "EMAIL_ADDRESS": "partial"})
    report = canary(whole(tmp_path, mask=mask))
    assert report.passed, report.failed
    assert "refuses CREDIT_CARD" in [one.why for one in report.checks]


def test_a_monitored_control_is_said_to_watch(tmp_path: Path) -> None:
    guard = Guard(
        AuditLog(tmp_path / "audit", durability="os"),
        monitor(RateLimit("5/minute", per="recipient")),
        monitor(MaskPII(names="off")),
        channel="sms",
    )
    report = canary(guard)
    assert report.passed
    assert {result for (control, _), result in results(report).items() if control != "audit_log"} == {WATCHED}


def test_what_cannot_be_planted_is_refused() -> None:
    with pytest.raises(ConfigError, match="UK_NINO"):
        canary(Guard(), types=["UK_NINO"])


# -- no way around ----------------------------------------------------------------------------------------------------


def test_g9_nothing_that_a_caller_can_say_makes_a_message_a_canary(tmp_path: Path) -> None:
    guard = whole(tmp_path, limit=RateLimit("2/minute", per="recipient"))
    sent.clear()

    @guard(conversation="conversation", tenant="tenant")
    def send(to: str, body: str, conversation: str, tenant: str) -> str:
        sent.append(body)
        return to

    for number in range(2):
        with context(actor="canary"):
            send("+12125550173", f"canary {number} canary@example.com", f"canary-{number}", "canary")
    with pytest.raises(RateLimited), context(actor="canary"):
        send("+12125550173", "canary", "canary-3", "canary")
    message = Message("canary@example.com", channel="sms", recipients="+12125550188", metadata={"canary": "canary-1"})
    guard.run(message, lambda sealed: sent.append(sealed.text))
    guard.close()
    assert sent == ["canary 0 <EMAIL_ADDRESS>", "canary 1 <EMAIL_ADDRESS>", "<EMAIL_ADDRESS>"]
    assert [record["stage"] for record in read_records(tmp_path / "audit") if record["stage"] in ("intent", "canary")] == [
        "intent"
    ] * 3


def test_canaries_use_up_nobodys_limit(tmp_path: Path) -> None:
    guard = whole(tmp_path, limit=RateLimit("1/hour"))
    send = guard(provider)
    for _ in range(3):
        assert canary(guard).passed
    assert send("+12125550173", "hello") == "accepted"
    with pytest.raises(RateLimited):
        send("+12125550173", "hello")
    assert canary(guard).passed


def test_g3_no_planted_value_is_in_the_report_the_log_or_the_logging(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = whole(tmp_path, no_competitors)
    monkeypatch.setattr(MaskPII, "mask", lambda _self, text: (text, []))
    planted: list[Any] = []
    made = plant

    def remembered(types: Any) -> Any:
        planted.extend(made(types))
        return planted[-len(types) :]

    monkeypatch.setattr("guardrails.proof.passage.plant", remembered)
    with caplog.at_level(logging.DEBUG):
        report = canary(guard)
    guard.close()
    written = "".join(path.read_text() for path in (tmp_path / "audit").iterdir())
    everything = "\n".join([json.dumps(report.as_dict()), repr(report), repr(planted), written, caplog.text])
    assert planted
    assert [one for one in planted if one.value in everything] == []
    assert "mask_pii" in caplog.text


# -- by themselves ----------------------------------------------------------------------------------------------------


def test_canaries_come_by_themselves_from_the_first_send_until_the_guard_is_closed(tmp_path: Path) -> None:
    reports: list[CanaryReport] = []
    three = threading.Event()

    def listening(guard: Guard, report: CanaryReport) -> None:
        if guard.owner == "scheduled":
            reports.append(report)
            if len(reports) == 3:
                three.set()

    schedule.on_report(listening)
    guard = Guard(
        AuditLog(tmp_path / "audit", durability="os"), channel="sms", owner="scheduled", canary_every_seconds=0.05
    )
    send = guard(provider)
    assert guard.health().canary == {}
    send("+12125550173", "hello")
    assert three.wait(15)
    health = guard.health()
    assert health.well
    assert health.canary["passed"] is True
    assert health.canary["every_seconds"] == 0.05
    guard.close()
    kept = [record for record in read_records(tmp_path / "audit") if record["stage"] == "canary" and "passed" in record]
    assert len(kept) >= 3
    assert all(record["passed"] for record in kept)


def test_a_canary_that_does_not_come_makes_the_guard_unwell() -> None:
    guard = Guard(canary_every_seconds=0.05)
    guard.pulse.tell_canary(passed=True, every_seconds=0.0)
    assert guard.health().canary["late"] is True
    assert not guard.health().well


def test_a_failed_canary_makes_the_guard_unwell(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(MaskPII(names="off"))
    assert canary(guard).passed
    assert guard.health().well
    monkeypatch.setattr(MaskPII, "mask", lambda _self, text: (text, []))
    canary(guard)
    assert not guard.health().well
    assert guard.health().canary["failed"] == "mask_pii"


def test_a_canary_that_cannot_be_recorded_is_said(caplog: pytest.LogCaptureFixture) -> None:
    sink = Full()
    guard = Guard(AuditLog(sink, durability="os"), channel="sms").open()
    sink.full = True
    with caplog.at_level(logging.ERROR):
        canary(guard)
    assert "could not be recorded" in caplog.text


def planted_values() -> Any:
    return PLANTS


def test_every_type_that_a_mask_finds_by_default_is_planted() -> None:
    assert MaskPII().entities - PLANTS.keys() == set()


def test_what_cannot_be_planted_is_named() -> None:
    guard = Guard(MaskPII(names="off", countries=["uk", "us"]), channel="sms")
    guard(provider)
    guard(channel="chat")(provider)
    (told,) = [one for one in canary(guard).checks if one.tried == "plants"]
    assert told.result == UNTRIED
    assert told.why.startswith("not planted: ABA_ROUTING_NUMBER, MEDICAL_LICENSE, UK_DRIVING_LICENCE, UK_NINO, UK_PASSPORT")
    assert "UK_NHS" not in told.why
    assert "US_MBI" not in told.why
    assert [one for one in canary(guard, types=["UK_NHS"]).checks if one.tried == "plants"] == []


def test_what_a_mask_keeps_is_not_said_to_be_missing() -> None:
    mask = MaskPII(names="off", entities=["EMAIL_ADDRESS", "UK_NINO"], operators={"UK_NINO": "keep"})
    assert [one for one in canary(Guard(mask)).checks if one.tried == "plants"] == []


@pytest.mark.parametrize("entity", PLANTS)
def test_a_mask_that_does_not_find_what_it_says_is_found(entity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "MAC_ADDRESS" if entity == "EMAIL_ADDRESS" else "EMAIL_ADDRESS"
    guard = Guard(MaskPII(names="off", entities=[other]), channel="sms")
    assert canary(guard).passed
    monkeypatch.setattr(MaskPII, "entities", frozenset({other, entity}))
    report = canary(guard)
    assert found(report, "mask_pii")
    assert entity in " ".join(one.why for one in report.failed)


@pytest.mark.parametrize(
    "mask", [MaskPII(), MaskPII(names="off", entities=[*(PLANTS.keys() - {"PERSON", "LOCATION", "ID"})])]
)
def test_planted_values_are_what_they_say(mask: MaskPII) -> None:
    for _ in range(20):
        planted = plant(mask.entities)
        text = sentence(planted)
        assert all(one.is_in(text) for one in planted)
        assert [one for one in planted if one.is_in(mask.mask(text)[0])] == []


def test_a_name_model_that_died_does_not_live_on_in_what_the_mask_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are 90 names: a sentence that was seen before would be masked from memory."""
    monkeypatch.setitem(planted_values(), "PERSON", ("My name is {}.", lambda: "Laura Bennett"))
    guard = Guard(MaskPII(), channel="sms")
    assert canary(guard).passed
    monkeypatch.setattr(NameRecognizer, "analyze", lambda *_given, **_named: [])
    assert found(canary(guard), "mask_pii")


def test_whom_a_canary_is_for_is_never_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are 1,200 numbers, and who receives a message is not masked: the same one twice would be a false alarm."""
    numbers = iter(["+1 212 555 0101", "+1 212 555 0101", "+1 212 555 0101", "+1 212 555 0102", "+1 212 555 0103"])
    monkeypatch.setitem(planted_values(), "PHONE_NUMBER", ("Please call {} today.", lambda: next(numbers)))
    monkeypatch.setattr(planting, "phone", lambda: next(numbers))
    planted = plant(["PHONE_NUMBER"])
    assert planting.recipient("sms", planted) == "+12125550102"


def test_a_closed_guard_fails_its_canary(tmp_path: Path) -> None:
    guard = whole(tmp_path).open()
    guard.close()
    with pytest.raises(Unavailable):
        guard(provider)("+12125550173", "hello")
    assert not canary(guard).passed
