"""Faults: kill -9, disks that fail or stall, clocks that go back, hands in the log; and planted values, which are nowhere."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import structlog

from guardrails import Guard, GuardrailsError, MaskPII, Unavailable, context
from guardrails.audit import AuditLog, DirectoryAnchor, SqliteSink, read_records, verify_directory
from tests.audit import killing, tampering
from tests.audit.sinks import KEYS, PHONE, eventually, guarded
from tests.audit.test_anchors import new_signer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and system calls")
both = pytest.mark.parametrize("durability", ["fsync", "os"])
KILLS = 50  # each; `make fault` does more
TAMPERINGS = 10_000


@pytest.mark.timeout(60)  # each round starts, kills and verifies a process
@both
@pytest.mark.parametrize("threads", [1, 8])
def test_g1_kill_9_every_message_that_was_received_has_its_intent_in_the_log(
    durability: str, threads: int, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.audit.killing",
        str(KILLS),
        str(threads),
        durability,
        str(tmp_path),
    ]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False, cwd=root, env=unmeasured())

    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split(": ")[1].split()[0]) >= KILLS
    assert killing.campaign(tmp_path / "more", 0, threads, durability) == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("tamper", tampering.EXPECTED, ids=lambda tamper: tamper.__name__)
def test_g7_every_tampering_with_anchored_records_is_found_by_the_right_verdict(tamper: Any, tmp_path: Path) -> None:
    count = -(-TAMPERINGS // len(tampering.EXPECTED))
    memory = Path("/dev/shm")  # noqa: S108 - in memory, where there is such a place: opening files is most of the work
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    try:
        assert sum(tampering.campaign(tampering.Original(folder), tamper, count, seed=7).values()) >= count
    finally:
        shutil.rmtree(folder)


def unmeasured() -> dict[str, str]:
    """Without coverage, whose own locks a fork may leave locked, and whose own files are system calls too."""
    return {key: value for key, value in os.environ.items() if not key.startswith("COV")}


# -- what the system does, by system call

SENDING = """
import os, sys, time
from guardrails import AuditLog, Guard
from guardrails.keys import Keys
log = AuditLog(sys.argv[1], keys=Keys(b"k" * 32), deadline_seconds=15.0)
send = Guard(log, channel="sms")(lambda to, body: os.write(1, b"@sent\\n"))
for number in range(int(sys.argv[2])):
    try:
        send("+12125550173", "hello")
    except Exception as error:
        os.write(1, b"@refused\\n")
        time.sleep(0.15)  # as an application that tries again
log.close()
"""


def traced(folder: Path, count: int, *options: str) -> str:
    """The system calls of a process that sends so many messages."""
    assert shutil.which("strace") is not None, "strace is missing: install it (.ci/run does)"
    calls = folder / "calls"
    command = ["strace", "-f", "-s", "65536", "-e", "trace=openat,write,fsync,fdatasync", *options, "-o", str(calls)]
    script = [sys.executable, "-c", SENDING, str(folder / "log"), str(count)]
    subprocess.run([*command, *script], check=True, timeout=55, stdout=subprocess.DEVNULL, env=unmeasured())
    return calls.read_text(errors="replace")


@pytest.mark.timeout(60)
def test_g1_each_send_comes_after_an_fsync_of_its_intent(tmp_path: Path) -> None:
    calls = traced(tmp_path, 25)
    synced = intents = sent = 0
    unsynced = False
    for line in calls.splitlines():
        if '\\"stage\\":\\"intent\\"' in line:
            intents, unsynced = intents + 1, True
        elif re.search(r"fsync\(\d+\) += 0|fsync resumed.* = 0", line):
            synced, unsynced = synced + 1, False
        elif '"@sent\\n"' in line:
            sent += 1
            assert not unsynced, "a message went out before its intent was synced"
    assert (intents, sent) == (25, 25)
    assert synced >= 25
    assert dict(verify_directory(tmp_path / "log").outcomes) == {"sent": 25}


@pytest.mark.timeout(60)
def test_g1_after_a_failed_fsync_nothing_is_sent_on_that_stream_and_a_new_one_is_begun(tmp_path: Path) -> None:
    calls = traced(tmp_path, 5, "-e", "inject=fsync:error=EIO:when=6")
    assert "INJECTED" in calls
    report = verify_directory(tmp_path / "log")
    assert (report.integrity, report.completeness, report.semantics) == ((), (), ())
    assert len(report.streams) == 2
    assert [one["why"] for one in read_records(tmp_path / "log") if one["stage"] == "genesis"] == ["start", "sink_failed"]
    assert dict(report.outcomes)["sent"] == calls.count('"@sent\\n"')
    assert calls.count('"@refused\\n"') >= 1


@pytest.mark.timeout(60)
def test_g1_a_disk_that_stalls_delays_and_does_not_lose(tmp_path: Path) -> None:
    calls = traced(tmp_path, 3, "-e", "inject=fsync:delay_enter=300000:when=5+4")
    assert "DELAYED" in calls
    report = verify_directory(tmp_path / "log")
    assert (report.exit_code, dict(report.outcomes)) == (0, {"sent": 3})


# -- clocks


@both
def test_a_clock_that_goes_back_breaks_nothing(durability: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = new_signer(tmp_path)
    anchors = [DirectoryAnchor(tmp_path / "anchor")]
    log = AuditLog(tmp_path / "log", keys=KEYS, durability=durability, signer=signer, anchors=anchors, checkpoint_every=3)
    send = guarded(log)
    now = time.time_ns()
    steps = iter(range(1_000))
    monkeypatch.setattr("guardrails.audit.record.time.time_ns", lambda: now - next(steps) * 3_600 * 10**9)
    for number in range(10):
        send(PHONE, str(number))
    log.close()

    (tmp_path / "trust").write_text(_verifier(signer))
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=tmp_path / "trust")
    assert report.exit_code == 0, report.lines()
    stamps = [one["ts"] for one in read_records(tmp_path / "log")]
    assert stamps[-1] < stamps[0]


def _verifier(signer: Any) -> str:
    from guardrails.audit import verifier_key  # noqa: PLC0415 - here alone

    return verifier_key(signer) + "\n"


# -- planted values

PLANTED = ("+1 212 555 0199", "2125550199", "kim.planted@example.com", "4111 1111 1111 1111", "4111111111111111")


class ProviderError(Exception):
    """Quotes what it was given, as providers do."""


@both
def test_g3_planted_values_are_in_no_record_key_error_mirror_repr_or_report(
    durability: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    out = io.StringIO()
    structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(out))
    signer = new_signer(tmp_path)
    said: list[str] = []
    try:
        log = AuditLog(
            [tmp_path / "log", SqliteSink(tmp_path / "db" / "audit.sqlite3")],
            level="masked",
            durability=durability,
            keys=KEYS,
            signer=signer,
            anchors=[DirectoryAnchor(tmp_path / "anchor")],
            emergency=tmp_path / "reserved",
        )

        def deliver(to: str, body: str) -> object:
            if "fail" in body:
                raise ProviderError(f"{to}: {body}")
            return f"to {to}: {body}"

        guard = Guard(log, MaskPII(names="off"), channel="sms")
        send = guard(deliver)
        with context(conversation="talk with kim.planted@example.com", actor="4111 1111 1111 1111"):
            for body in ("mail kim.planted@example.com", "card 4111 1111 1111 1111", "fail for kim.planted@example.com"):
                try:
                    send("+1 212 555 0199", body)
                except (ProviderError, GuardrailsError) as error:
                    said.append(repr(error) if isinstance(error, GuardrailsError) else "")
        said += [repr(log), repr(guard), repr(log.health())]
        log.close()
        eventually(lambda: out.getvalue().count("\n") >= 8)
    finally:
        structlog.reset_defaults()

    (tmp_path / "trust").write_text(_verifier(signer))
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=tmp_path / "trust")
    assert report.exit_code == 0, report.lines()
    said += [out.getvalue(), caplog.text, json.dumps(report.as_dict()), "\n".join(report.lines())]
    said += [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    everything = "\n".join(said)
    assert [one for one in PLANTED if one in everything] == []
    assert "<EMAIL_ADDRESS>" in everything


def test_g3_a_sink_that_quotes_what_it_was_given_is_named_by_class_alone(tmp_path: Path, caplog: Any) -> None:
    class Talking:
        def open(self, _stream: str, /) -> None:
            """Ready."""

        def write(self, _lines: Any, /, *, durable: bool) -> None:
            raise ValueError(f"kim.planted@example.com {durable}")

        def close(self) -> None:
            raise ValueError("kim.planted@example.com")

    log = AuditLog([tmp_path / "log", Talking()], keys=KEYS, deadline_seconds=0.5)
    with pytest.raises(Unavailable) as caught:
        guarded(log)(PHONE, "hello")
    log.close()
    assert "planted" not in f"{caught.value!r} {caplog.text}"
