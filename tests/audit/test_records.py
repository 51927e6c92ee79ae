"""Records: canonical, bounded, and out of reach of names, details and the application's structlog."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import structlog
from hypothesis import given
from hypothesis import strategies as st

from guardrails.audit import AuditLog, Bounds, fields, message_record, read_records, verify_directory
from guardrails.audit.chain import Chain
from guardrails.audit.grammar import wrong
from guardrails.audit.pipeline import pipeline
from guardrails.audit.stages import RULES
from guardrails.core.control import RESULTS, Outcome, Sealed
from guardrails.core.message import Message
from guardrails.core.verdict import VERDICTS, Coverage, Finding, Note
from guardrails.errors import ConfigError
from tests.audit.sinks import KEYS, PHONE, eventually, guarded

STREAM = "5" * 32
NAMES = st.text(max_size=200) | st.just("a\n\x1b[31m\u2028\udc00\U0001f600" * 30)
FINDINGS = st.builds(Finding, NAMES, st.integers(0, 9), st.integers(0, 9), st.floats(0, 1))
NOTES = st.builds(
    Note,
    NAMES,
    st.sampled_from(["platform", "team"]),
    st.sampled_from(VERDICTS),
    findings=st.dictionaries(NAMES, st.lists(FINDINGS, max_size=3), max_size=3),
    monitored=st.booleans(),
    duration_seconds=st.none() | st.floats(),
    detail=st.dictionaries(
        NAMES, st.none() | st.booleans() | st.integers() | NAMES | st.floats(), max_size=20
    ),  # also what the type forbids
)
COVERAGE = st.builds(Coverage, st.integers(0, 9), st.dictionaries(NAMES, st.integers(0, 9), max_size=20))


def linked(members: fields.Members) -> bytes:
    return Chain(STREAM, pipeline(stream=STREAM, durability="os")).link(members)


def is_one_canonical_record(line: bytes) -> bool:
    record = json.loads(line)
    canonical = rfc8785.dumps(record)
    return line == canonical + b"\n" and line.decode()[:-1].isprintable() and wrong(record, RULES[record["stage"]]) is None


@given(notes=st.lists(NOTES, max_size=70), channel=NAMES.filter(bool), operation=NAMES, coverage=COVERAGE)
def test_no_name_or_detail_breaks_out_of_its_line_or_its_size(
    notes: list[Note], channel: str, operation: str, coverage: Coverage
) -> None:
    sealed = Sealed(Message("hi", channel=channel), {}, notes, coverage, "c" * 32, operation)
    recipients = [json.dumps({"digest": "d" * 70, "kind": "phone"}, separators=(",", ":"))] * 50
    members = message_record.about("intent", "e" * 32, sealed, recipients, "d" * 70)
    message_record.guards(members, notes, 16_384)
    line = linked(members)

    assert is_one_canonical_record(line)
    assert len(line) <= 16_384
    record = json.loads(line)
    assert len(record["guards"]) + record.get("guards_omitted", 0) == len(notes)


@pytest.mark.timeout(60)  # its examples are long, and slow to draw on a machine with other things to do
@given(
    result=st.sampled_from(RESULTS),
    error_type=st.none() | NAMES,
    error_code=st.none() | NAMES,
    released=st.none() | st.integers(),
    seconds=st.floats(),
    notes=st.lists(NOTES, max_size=70),
)
def test_outcomes_are_bounded_too(
    result: str, error_type: str | None, error_code: str | None, released: int | None, seconds: float, notes: list[Note]
) -> None:
    was = Outcome(result, error_type, error_code, released, seconds, notes)
    line = linked(message_record.outcome("e" * 32, "c" * 32, was, 16_384))

    assert is_one_canonical_record(line)
    assert len(line) <= 16_384


@given(text=NAMES)
def test_reasons_are_cut(text: str) -> None:
    assert len(json.loads("{" + fields.reason(text) + "}")["reason"]) <= 80


@pytest.mark.parametrize(("seconds", "wanted"), [(0.0001, 1), (2.5, 2500), (-1, 0), (float("nan"), 0), (float("inf"), 0)])
def test_milliseconds_are_rounded_up(seconds: float, wanted: int) -> None:
    assert fields.milliseconds(seconds) == wanted


def test_a_field_that_nobody_knows_is_refused_by_the_pipeline() -> None:
    with pytest.raises(ValueError, match="unknown fields"):
        pipeline(stream=STREAM, durability="os")({"stage": '"stage":"close"', "text": '"text":"hello"'})


def test_the_application_s_structlog_cannot_touch_a_record(tmp_path: Path) -> None:
    def swallow(_logger: Any, _method: str, _event: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(processors=[swallow], wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        log = AuditLog(tmp_path / "log", keys=KEYS)
        guarded(log)(PHONE, "hello")
        log.close()
    finally:
        structlog.reset_defaults()

    assert [one["stage"] for one in read_records(tmp_path / "log")] == ["genesis", "intent", "outcome", "close"]


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_a_configured_structlog_gets_a_copy_of_each_record(tmp_path: Path, durability: Any) -> None:
    out = io.StringIO()
    structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(out))
    try:
        log = AuditLog(tmp_path / "log", durability=durability, keys=KEYS)
        guarded(log)(PHONE, "hello")
        log.close()
        eventually(lambda: out.getvalue().count("\n") == 4)
    finally:
        structlog.reset_defaults()

    copies = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {one.pop("event") for one in copies} == {"guardrails.audit"}
    assert copies == list(read_records(tmp_path / "log"))


def test_a_structlog_that_raises_or_hangs_holds_nothing_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_logger: Any, _method: str, _event: Any) -> Any:
        raise RuntimeError("ann@example.com")

    structlog.configure(processors=[fail])
    try:
        log = AuditLog(tmp_path / "log", keys=KEYS)
        guarded(log)(PHONE, "hello")
        log.close()
        eventually(lambda: "RuntimeError" in caplog.text)
    finally:
        structlog.reset_defaults()

    assert verify_directory(tmp_path / "log").exit_code == 0
    assert "ann@example.com" not in caplog.text


def test_nothing_is_printed_and_nothing_heavy_is_loaded_to_verify(tmp_path: Path) -> None:
    code = (
        "import sys; from guardrails.audit import verify_directory; verify_directory(sys.argv[1]).lines();"
        "heavy = {'structlog', 'pydantic', 'presidio_analyzer', 'cryptography', 'phonenumbers'} & set(sys.modules);"
        "sys.exit(sorted(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bounds_are_sensible() -> None:
    for useless in (
        {"in_flight": 0},
        {"record_bytes": 100},
        {"recipients": 1_000},
        {"aggregate_keys": 999},
        {"batch_records": True},
    ):
        with pytest.raises(ConfigError):
            Bounds(**useless)
