"""G1, G3, G10 and G11, as the audit log keeps them, through the real guard."""

# ruff: noqa: ARG002, ARG005, ASYNC110, TID251 - controls and sends take what real ones take; these tests own their loop

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import trio

from guardrails.audit import AuditLog, Bounds, read_records, verify_directory
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.errors import ConfigError, ControlError, Denied, GuardrailsError, RateLimited, Unavailable
from tests.audit.sinks import KEYS, PHONE, SMALL, FailingSink, GatedSink, MemorySink, eventually, guarded, stages
from tests.conftest import at_once

Durability = Literal["fsync", "os"]
both = pytest.mark.parametrize("durability", ["fsync", "os"])


class Refuse:
    """A control that refuses what it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def guard(self, call: Any, forward: Any, io: Any, /) -> Any:
        if self.error is not None:
            raise self.error
        return await forward(call)


def records(sink: MemorySink) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in sink.streams.values() for line in lines]


@both
def test_g1_the_intent_is_on_record_when_the_send_begins(durability: Durability) -> None:
    sink = MemorySink()
    seen: list[list[str]] = []
    log = AuditLog(sink, durability=durability, keys=KEYS)
    send = guarded(log, send=lambda _to, _body: seen.append([one["stage"] for one in records(sink)]))

    send(PHONE, "hello")
    log.close()

    assert seen == [["genesis", "intent"]]
    assert [one["stage"] for one in records(sink)] == ["genesis", "intent", "outcome", "close"]
    assert sink.durable[0] is (durability == "fsync")
    assert {one["durability"] for one in records(sink)} == {durability}


@both
def test_g1_nothing_is_sent_when_the_intent_cannot_be_written(durability: Durability) -> None:
    sink = FailingSink(broken=True)
    sent: list[str] = []
    send = guarded(log := AuditLog(sink, durability=durability, keys=KEYS), send=lambda _to, body: sent.append(body))

    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            send(PHONE, "hello")

        assert caught.value.sent is False
        assert caught.value.control == "audit_log"
    log.close()

    assert sent == []


@both
def test_a_sink_that_failed_is_tried_again_by_itself(durability: Durability, tmp_path: Path) -> None:
    sink = FailingSink(torn=True)
    send = guarded(log := AuditLog(sink, durability=durability, keys=KEYS))
    send(PHONE, "one")
    sink.broken = True
    with pytest.raises(Unavailable):
        send(PHONE, "two")
    sink.broken = False

    def works() -> bool:
        try:
            return send(PHONE, "three") == "sent"
        except Unavailable:
            return False

    eventually(works)
    log.close()
    report = verify_directory(sink.dump(tmp_path / "log"))

    assert (report.integrity, report.completeness, report.semantics) == ((), (), ())
    assert dict(report.outcomes)["sent"] == 2
    assert report.unknown_outcomes == 0
    assert report.exit_code == 3  # the stream that failed has no close record


def test_a_failed_sink_refuses_fast(tmp_path: Path) -> None:
    sink = FailingSink(broken=True)
    send = guarded(log := AuditLog(sink, keys=KEYS, deadline_seconds=5.0))
    with pytest.raises(Unavailable):
        send(PHONE, "one")

    began = time.monotonic()
    with pytest.raises(Unavailable, match="tried again by itself"):
        send(PHONE, "two")

    assert time.monotonic() - began < 1.0
    log.close()


@both
def test_a_log_that_is_closed_while_its_sink_fails_writes_nothing_afterwards(durability: Durability) -> None:
    for _ in range(20):
        sink = FailingSink(broken=True)
        send = guarded(log := AuditLog(sink, durability=durability, keys=KEYS))
        with pytest.raises(Unavailable):
            send(PHONE, "hello")
        log.close()
        sink.broken = False

        eventually(lambda log=log: log._writer._thread is None)  # type: ignore[misc]  # bound for this round
        assert records(sink) == []


@both
def test_outcomes_outlive_a_failure_of_the_sink(durability: Durability, tmp_path: Path) -> None:
    sink = FailingSink()
    log = AuditLog(sink, durability=durability, keys=KEYS)

    def deliver(_to: str, _body: str) -> str:
        sink.broken = True
        return "sent"

    send = guarded(log, send=deliver)
    send(PHONE, "hello")
    eventually(lambda: sink.calls >= 2)
    sink.broken = False
    log.close()
    report = verify_directory(sink.dump(tmp_path / "log"))

    assert (report.intents, report.unknown_outcomes, dict(report.outcomes)) == (1, 0, {"sent": 1})
    assert log.lost == 0


def test_g1_a_sink_that_hangs_refuses_within_the_deadline_and_the_late_intent_is_abandoned(tmp_path: Path) -> None:
    sink = GatedSink()
    sent: list[str] = []
    log = AuditLog(sink, keys=KEYS, deadline_seconds=1.5)
    send = guarded(log, send=lambda _to, body: sent.append(body))
    send(PHONE, "one")
    eventually(lambda: len(records(sink)) == 3)
    sink.gate.clear()

    with pytest.raises(Unavailable, match=r"within 1\.5 s"):
        send(PHONE, "two")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="hangs"):
        send(PHONE, "three")
    assert time.monotonic() - began < 1.0  # it is not waited for again
    sink.gate.set()
    eventually(lambda: any(one.get("result") == "abandoned" for one in records(sink)))
    log.close()

    report = verify_directory(sink.dump(tmp_path / "log"))
    assert sent == ["one"]
    assert (report.intents, dict(report.outcomes), report.exit_code) == (2, {"sent": 1, "abandoned": 1}, 0)


def test_g1_a_task_that_is_cancelled_while_its_intent_is_written_sends_nothing(tmp_path: Path) -> None:
    sink = GatedSink()
    sent: list[str] = []
    log = AuditLog(sink, keys=KEYS)
    log.open()

    @Guard(log, channel="sms")
    async def send(to: str, body: str) -> None:
        sent.append(body)

    async def main() -> None:
        sink.gate.clear()
        sink.entered.clear()
        task = asyncio.create_task(send(PHONE, "hello"))
        while not sink.entered.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sink.gate.set()

    asyncio.run(main())
    log.close()

    assert sent == []
    report = verify_directory(sink.dump(tmp_path / "log"))
    assert (report.intents, dict(report.outcomes), report.exit_code) == (1, {"abandoned": 1}, 0)


class HeldSink(MemorySink):
    """Writes once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        self.go.wait(60)
        super().write(lines, durable=durable)


def test_many_tasks_share_a_write(tmp_path: Path) -> None:
    sink = HeldSink()
    log = AuditLog(sink, keys=KEYS, deadline_seconds=60.0)

    @Guard(log, channel="sms")
    async def send(to: str, body: str) -> str:
        return body

    async def main() -> list[str]:
        await send(PHONE, "first")
        sink.durable.clear()
        sink.go.clear()
        sends = [asyncio.create_task(send(PHONE, str(number))) for number in range(64)]
        await asyncio.sleep(0)  # each task runs until it waits for its intent
        sink.go.set()
        return await asyncio.gather(*sends)

    assert asyncio.run(main()) == [str(number) for number in range(64)]
    log.close()
    assert len(sink.durable) < 64
    assert verify_directory(sink.dump(tmp_path / "log")).exit_code == 0


@both
def test_trio_sends_are_recorded_too(durability: Durability, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", durability=durability, keys=KEYS)

    @Guard(log, channel="sms")
    async def send(to: str, body: str) -> str:
        return body

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(send, PHONE, str(number))

    trio.run(main)
    log.close()

    report = verify_directory(tmp_path / "log")
    assert (dict(report.outcomes), report.exit_code) == ({"sent": 8}, 0)


@both
def test_threads_share_one_chain(durability: Durability, tmp_path: Path) -> None:
    # Switching threads every microsecond on a busy machine may well take longer than the usual deadline.
    log = AuditLog(tmp_path / "log", durability=durability, keys=KEYS, deadline_seconds=60.0)
    send = guarded(log)

    def work() -> None:
        for number in range(50):
            send(PHONE, str(number))

    at_once(*[work] * 8)
    log.close()

    report = verify_directory(tmp_path / "log")
    assert (len(report.streams), dict(report.outcomes), report.exit_code) == (1, {"sent": 400}, 0)


@both
def test_an_outcome_may_be_settled_by_a_garbage_collector_inside_the_write(durability: Durability, tmp_path: Path) -> None:
    held: list[Any] = []

    class CollectingSink(MemorySink):
        def write(self, lines: Any, /, *, durable: bool) -> None:
            held.clear()  # drops the last reference to a started stream while the writer is at work
            gc.collect()
            super().write(lines, durable=durable)

    sink = CollectingSink()
    log = AuditLog(sink, durability=durability, keys=KEYS, deadline_seconds=30.0)
    guard = Guard(log, channel="sms")

    @guard
    def stream(to: str, body: str) -> Any:
        yield "one"
        yield "two"

    send = guard(lambda to, body: "sent")
    send(PHONE, "hello")
    chunks = stream(PHONE, "hello")
    assert next(chunks) == "one"
    held.append(chunks)
    del chunks

    send(PHONE, "again")
    log.close()

    report = verify_directory(sink.dump(tmp_path / "log"))
    assert (sum(dict(report.outcomes).values()), report.unknown_outcomes, report.exit_code) == (3, 0, 0)


@both
def test_no_send_without_a_slot_for_its_outcome(durability: Durability) -> None:
    log = AuditLog(MemorySink(), durability=durability, keys=KEYS, bounds=SMALL)
    guard = Guard(log, channel="sms")

    @guard
    def stream(to: str, body: str) -> Any:
        yield "one"
        yield "two"

    open_streams = [stream(PHONE, "hello") for _ in range(4)]
    for one in open_streams:
        next(one)

    with pytest.raises(Unavailable, match="no outcome on record"):
        next(stream(PHONE, "hello"))
    open_streams[0].close()
    eventually(lambda: log._writer._queue.under_way == SMALL.in_flight - 1)
    assert next(stream(PHONE, "hello")) == "one"
    for one in open_streams:
        one.close()
    log.close()


@both
def test_after_close_nothing_is_sent_and_late_outcomes_are_counted(durability: Durability, caplog: Any) -> None:
    log = AuditLog(MemorySink(), durability=durability, keys=KEYS)
    guard = Guard(log, channel="sms")

    @guard
    def stream(to: str, body: str) -> Any:
        yield "one"

    chunks = stream(PHONE, "hello")
    next(chunks)
    log.close()

    with pytest.raises(Unavailable, match="closed"):
        next(stream(PHONE, "hello"))
    assert list(chunks) == []
    assert log.lost == 2  # the outcome, and the decision about the refused one
    assert "what came after is lost" in caplog.text
    log.close()


@both
def test_a_log_may_be_opened_again(durability: Durability, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", durability=durability, keys=KEYS)
    send = guarded(log)
    send(PHONE, "one")
    log.close()
    log.open()
    send(PHONE, "two")
    log.close()

    assert verify_directory(tmp_path / "log").exit_code == 0
    assert Counter(stages(tmp_path / "log")) == {"genesis": 2, "intent": 2, "outcome": 2, "close": 2}


@both
def test_a_refusal_leaves_one_decision_and_names_it(durability: Durability) -> None:
    sink = MemorySink()
    log = AuditLog(sink, durability=durability, keys=KEYS)
    send = guarded(log, Refuse(RateLimited("too many", retry_after=2.5, limit="people", scope="recipient")))

    with pytest.raises(RateLimited) as caught:
        send(PHONE, "hello")
    log.close()

    (decision,) = [one for one in records(sink) if one["stage"] == "decision"]
    assert decision["event_id"] == caught.value.record_id
    assert (decision["decision"], decision["deny_code"], decision["reason"]) == ("deny", "RateLimited", "too many")
    assert decision["limit"] == {"name": "people", "retry_after_ms": 2500, "scope": "recipient"}
    assert [one["stage"] for one in records(sink)] == ["genesis", "decision", "close"]


def test_a_reply_without_a_send_leaves_a_decision() -> None:
    class Canned:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> Any:
            return "canned"

    sink = MemorySink()
    log = AuditLog(sink, keys=KEYS)
    assert guarded(log, Canned())(PHONE, "hello") == "canned"
    log.close()

    assert [one.get("decision") for one in records(sink)] == [None, "reply", None]


def test_g10_a_control_that_crashes_is_recorded_by_class_only() -> None:
    sink = MemorySink()
    log = AuditLog(sink, keys=KEYS)
    with pytest.raises(ControlError):
        guarded(log, Refuse(RuntimeError("ann@example.com")))(PHONE, "hello")
    log.close()

    (decision,) = [one for one in records(sink) if one["stage"] == "decision"]
    assert (decision["decision"], decision["deny_code"]) == ("error", "ControlError")
    assert "ann@example.com" not in json.dumps(records(sink))


def test_preview_leaves_no_trace() -> None:
    sink = MemorySink()
    log = AuditLog(sink, keys=KEYS)
    guard = Guard(log, channel="sms")
    assert guard.preview("hello", recipient=PHONE).allowed
    guard.close()

    assert [one["stage"] for one in records(sink)] in ([], ["genesis", "close"])


@both
def test_g11_a_flood_of_refusals_is_counted_and_cannot_fill_the_disk(durability: Durability) -> None:
    sink = MemorySink()
    log = AuditLog(sink, durability=durability, keys=KEYS, bounds=SMALL)
    send = guarded(log, Refuse(Denied("no")))
    names = []
    for _ in range(2_000):
        with pytest.raises(Denied) as caught:
            send(PHONE, "hello")
        names.append(caught.value.record_id)
    log.close()

    decisions = [one for one in records(sink) if one["stage"] == "decision"]
    counted = sum(each["count"] for one in decisions for each in one.get("counted", ()))
    singles = sum("counted" not in one for one in decisions)
    assert counted + singles == 2_000
    assert len(decisions) < 40
    assert set(names) <= {one["event_id"] for one in decisions}


def test_g11_refusals_while_the_sink_is_down_are_bounded_and_counted(tmp_path: Path) -> None:
    sink = FailingSink()
    log = AuditLog(sink, keys=KEYS, bounds=Bounds(decisions_waiting=10))
    log.open()
    sink.broken = True
    send = guarded(log)
    for _ in range(500):
        with pytest.raises(Unavailable):
            send(PHONE, "hello")
    assert len(log._writer._queue.entries) < 40
    sink.broken = False
    log.close()

    report = verify_directory(sink.dump(tmp_path / "log"))
    assert report.decisions + sum(dict(report.outcomes).values()) == 500
    assert report.integrity + report.semantics + report.completeness == ()


def test_g3_canaries_are_in_no_record_and_no_error(tmp_path: Path, caplog: Any) -> None:
    canaries = ["4111111111111111", "ann.canary@example.com", "2125550173", "Xanthippe"]
    text = " ".join(canaries)
    log = AuditLog(tmp_path / "log", keys=KEYS)

    def fail(_to: str, _body: str) -> None:
        raise RuntimeError(text)

    guard = Guard(log, channel="sms")
    send = guard(message_key="key")(lambda to, body, conversation, tenant, key: fail(to, body))
    with pytest.raises(RuntimeError):
        send(PHONE, text, f"{canaries[1]} 1", canaries[3] + " x", canaries[2])
    with pytest.raises(GuardrailsError) as caught:
        guarded(log, Refuse(RuntimeError(text)))("ann.canary@example.com", text)
    log.close()

    written = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir()).decode()
    # Without the trace through this test's own frames and sources, which hold the canaries on purpose.
    said = "".join(map(str, (caught.value, repr(caught.value), caught.value.__context__, caught.value.__cause__)))
    for canary in canaries:
        assert canary not in written
        assert canary not in said + caplog.text + repr(log)
    assert traceback.format_exception(caught.value)[-1].startswith("guardrails.errors.ControlError")


def test_ids_stand_in_a_record_only_when_opaque(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", keys=KEYS)
    guard = Guard(log, channel="sms")
    send = guard(message_key="key")(lambda to, body, conversation, tenant, key: "sent")
    send(PHONE, "hello", "thread-1", "acme", "key-1")
    send("Ann <Ann@Example.com>", "hello", "a b", "acme", "key-1")
    send("ann@example.com", "hello", "a b", "acme", "key-1")
    log.close()

    first, second, third = [one for one in read_records(tmp_path / "log") if one["stage"] == "intent"]
    assert (first["conversation"], first["tenant"]) == ("thread-1", "acme")
    assert first["message_key"].startswith("hmac-sha256:")  # joins attempts, and needs no clear text for that
    assert second["conversation"].startswith("hmac-sha256:")
    assert [first["attempt"], second["attempt"], third["attempt"]] == [1, 2, 3]
    assert first["recipients"][0]["kind"] == "phone"
    assert second["recipients"] == third["recipients"]
    assert second["recipients"][0]["kind"] == "email"


def test_outcomes_say_what_became_of_the_send(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", keys=KEYS)

    class ProviderError(Exception):
        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.code = 21610

    def fail(_to: str, _body: str) -> None:
        raise ProviderError("to ann@example.com")

    with pytest.raises(ProviderError):
        guarded(log, send=fail)(PHONE, "hello")
    log.close()

    (outcome,) = [one for one in read_records(tmp_path / "log") if one["stage"] == "outcome"]
    assert (outcome["result"], outcome["error_type"]) == ("failed", "ProviderError")
    assert outcome["error_code"] == "21610"


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((42,), {}),
        (("",), {}),
        (("audit",), {"durability": "none"}),
        (("audit",), {"deadline_seconds": 0}),
        (("audit",), {"deadline_seconds": "2"}),
        (("audit",), {"deadline_seconds": True}),
    ],
)
def test_a_useless_argument_is_a_config_error(arguments: Any, options: Any) -> None:
    with pytest.raises(ConfigError):
        AuditLog(*arguments, **{"keys": KEYS, **options})


def test_the_key_file_is_never_inside_the_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "audit"))
    with pytest.raises(ConfigError, match="inside the audit folder"):
        AuditLog(tmp_path / "audit")


def test_production_wants_a_key_of_yours(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    with pytest.raises(ConfigError):
        Guard(AuditLog(tmp_path / "audit"), production=True)
    Guard(AuditLog(tmp_path / "audit", keys=KEYS), production=True)


def test_building_a_log_touches_nothing(tmp_path: Path) -> None:
    AuditLog(tmp_path / "audit", keys=KEYS)

    assert list(tmp_path.iterdir()) == []


def test_run_takes_a_message(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", keys=KEYS)
    guard = Guard(log)
    guard.run(Message("hello", channel="sms", recipients=[PHONE] * 60), lambda _message: "sent")
    guard.close()

    (intent,) = [one for one in read_records(tmp_path / "log") if one["stage"] == "intent"]
    assert (len(intent["recipients"]), intent["recipients_omitted"]) == (50, 10)
