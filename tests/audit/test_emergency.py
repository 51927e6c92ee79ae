"""Break-glass, masked text, changes and reviews on record, and what a reply leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guardrails import Guard, MaskPII, Message, Unavailable
from guardrails.audit import AuditLog, read_records, verify_directory
from guardrails.ratelimit import message_class
from tests.audit.sinks import KEYS, PHONE, FailingSink, GatedSink, MemorySink, eventually, guarded

both = pytest.mark.parametrize("durability", ["fsync", "os"])


def of(sink: MemorySink, stage: str) -> list[dict[str, Any]]:
    return [one for lines in sink.streams.values() for one in map(json.loads, lines) if one["stage"] == stage]


@both
def test_g1_an_emergency_goes_out_on_the_reserved_record_and_is_reconciled(
    durability: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = FailingSink(broken=True)
    sent: list[str] = []
    log = AuditLog(sink, keys=KEYS, durability=durability, emergency=tmp_path / "reserved", deadline_seconds=0.5)
    send = guarded(log, send=lambda _to, body: sent.append(body))

    with pytest.raises(Unavailable):
        send(PHONE, "marketing")
    with message_class("emergency"):
        send(PHONE, "evacuate")
    assert sent == ["evacuate"]
    assert caplog.text.count("break-glass") == 1
    (intent,) = [one for one in read_records(tmp_path / "reserved") if one["stage"] == "intent"]
    assert (intent["emergency"], intent["message_class"]) == (True, "emergency")

    sink.broken = False

    def works() -> bool:
        try:
            send(PHONE, "later")
        except Unavailable:
            return False
        return True

    eventually(works)
    log.close()

    (config,) = of(sink, "config")
    reserved = verify_directory(tmp_path / "reserved")
    assert (reserved.exit_code, dict(reserved.outcomes)) == (0, {"sent": 1})
    (stream,) = reserved.streams
    assert config["change"] == "emergency"
    assert config["facts"]["messages"] == 1
    assert (config["facts"]["stream"], config["facts"]["records"]) == (stream.stream, stream.records)
    assert verify_directory(sink.dump(tmp_path / "log")).semantics == ()


def test_g1_an_emergency_goes_out_also_when_the_sink_hangs(tmp_path: Path) -> None:
    sink = GatedSink()
    log = AuditLog(sink, keys=KEYS, emergency=tmp_path / "reserved", deadline_seconds=1.5)
    sent: list[str] = []
    send = guarded(log, send=lambda _to, body: sent.append(body))
    send(PHONE, "one")
    sink.gate.clear()
    with message_class("emergency"):
        send(PHONE, "evacuate")
        send(PHONE, "now")
    assert sent == ["one", "evacuate", "now"]
    sink.gate.set()
    eventually(lambda: any(one["result"] == "abandoned" for one in of(sink, "outcome")))
    log.close()

    assert dict(verify_directory(tmp_path / "reserved").outcomes) == {"sent": 2}
    assert verify_directory(sink.dump(tmp_path / "log")).exit_code == 0


def test_g1_without_a_reserved_record_an_emergency_is_refused_like_everything_else(tmp_path: Path) -> None:
    log = AuditLog(FailingSink(broken=True), keys=KEYS)
    with message_class("emergency"), pytest.raises(Unavailable):
        guarded(log)(PHONE, "evacuate")
    log.close()
    both_down = AuditLog(FailingSink(broken=True), keys=KEYS, emergency=FailingSink(broken=True))
    with message_class("emergency"), pytest.raises(Unavailable):
        guarded(both_down)(PHONE, "evacuate")
    both_down.close()
    assert list(tmp_path.iterdir()) == []


def test_while_the_log_works_an_emergency_is_a_message_like_any_other(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", keys=KEYS, emergency=tmp_path / "reserved")
    Guard(log).run(
        Message("evacuate", channel="sms", recipients=[PHONE], metadata={"message_class": "emergency"}),
        lambda _message: "sent",
    )
    log.close()
    (intent,) = [one for one in read_records(tmp_path / "log") if one["stage"] == "intent"]
    assert intent["message_class"] == "emergency"
    assert "emergency" not in intent
    assert not (tmp_path / "reserved").exists()


# -- masked text


@both
def test_g3_the_level_masked_records_the_masked_text_and_nothing_raw(durability: Any, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", level="masked", durability=durability, keys=KEYS)
    send = guarded(log, MaskPII(names="off"))
    send(PHONE, "Write to ann@example.com\nor \x1b[31mcall\u202e 212-555-0173")
    log.close()

    (intent,) = [one for one in read_records(tmp_path / "log") if one["stage"] == "intent"]
    (text,) = intent["text"]
    assert text["masked"].startswith("Write to <EMAIL_ADDRESS>\nor ?[31mcall? ")
    raw = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())
    assert b"ann@example.com" not in raw
    assert b"555-0173" not in raw
    assert verify_directory(tmp_path / "log").exit_code == 0


def test_g3_without_a_mask_control_no_text_is_recorded(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", level="masked", keys=KEYS)
    guarded(log)(PHONE, "Write to ann@example.com")
    log.close()

    (intent,) = [one for one in read_records(tmp_path / "log") if one["stage"] == "intent"]
    assert (intent["text_omitted"], "text" in intent) == ("not masked", False)


def _send(body: object) -> object:
    return len(str(body))


def test_g11_long_texts_do_not_make_long_records(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", level="masked", keys=KEYS)
    send = Guard(log, MaskPII(names="off"), channel="sms")(_send)
    for body in ("x" * 60_000, "\u00e9" * 4_000, ["\U0001f600" * 1_000] * 20, "\x00" * 4_000):
        send(body)
    log.close()

    intents = [one for one in read_records(tmp_path / "log") if one["stage"] == "intent"]
    assert [one.get("text_omitted") for one in intents] == ["too long", "too long", "too long", None]
    (path,) = (tmp_path / "log").iterdir()
    assert max(map(len, path.read_bytes().splitlines())) <= 16_384
    assert verify_directory(tmp_path / "log").exit_code == 0


# -- changes, reviews, replies


@both
def test_changes_and_reviews_are_on_record(durability: Any, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", durability=durability, keys=KEYS)
    log.note_config("policy", digest="sha256:abc", rules=4)
    log.note_review("query", user="reviewer", asked={"channel": "sms"})
    log.note_review("tail")
    log.close()

    config, review, tail = [one for one in read_records(tmp_path / "log") if one["stage"] in {"config", "review"}]
    assert (config["change"], config["facts"]) == ("policy", {"digest": "sha256:abc", "rules": 4})
    assert (review["command"], review["user"], review["asked"]) == ("query", "reviewer", {"channel": "sms"})
    assert tail["user"]
    assert verify_directory(tmp_path / "log").exit_code == 0


def test_a_change_that_cannot_be_recorded_is_refused() -> None:
    log = AuditLog(FailingSink(broken=True), keys=KEYS, deadline_seconds=0.2)
    with pytest.raises(Unavailable):
        log.note_config("policy", digest="sha256:abc")
    log.close()


class Sent:
    """What a provider's client returns."""

    def __init__(self, sid: object) -> None:
        self.sid = sid


@pytest.mark.parametrize(
    ("reply", "has"),
    [
        ("SM123", True),
        ({"message_id": "m-1"}, True),
        (Sent("SM1"), True),
        (Sent(5), False),
        ({"id": ""}, False),
        (None, False),
    ],
)
def test_g3_of_a_reply_the_outcome_has_a_keyed_digest_and_nothing_else(reply: object, has: bool, tmp_path: Path) -> None:  # noqa: FBT001
    log = AuditLog(tmp_path / "log", keys=KEYS)
    guarded(log, send=lambda _to, _body: reply)(PHONE, "hello")
    log.close()

    (outcome,) = [one for one in read_records(tmp_path / "log") if one["stage"] == "outcome"]
    assert outcome.get("reply", "").startswith("hmac-sha256:") is has
    assert "SM1" not in json.dumps(outcome)


def test_a_send_inside_a_span_says_which(tmp_path: Path) -> None:
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - loaded here, as an application would

    log = AuditLog(tmp_path / "log", keys=KEYS)
    send = guarded(log)
    with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
        send(PHONE, "inside")
    send(PHONE, "outside")
    log.close()

    inside, outside = [one for one in read_records(tmp_path / "log") if one["stage"] == "intent"]
    assert inside["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert "trace_id" not in outside
