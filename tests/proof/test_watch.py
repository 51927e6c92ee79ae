"""Somebody outside sees that canaries or checkpoints do not come; a drill says how soon each fault would be known."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from guardrails import AuditLog, Deny, Guard, MaskPII, Message, RateLimit, canary, check, monitor
from guardrails.audit import DirectoryAnchor, Ed25519Signer, SqliteSink
from guardrails.cli.app import app
from guardrails.proof.drill import FAULTS, drill
from guardrails.proof.watch import alarms
from guardrails.proof.writers import Writers

MINUTE: Final = 60.0


def provider(to: str, body: str) -> str:
    return to + body


def look(log: Path | SqliteSink, *, later: float = 0.0, **more: Any) -> dict[str, str]:
    given: dict[str, Any] = {"canary_seconds": MINUTE, "checkpoint_seconds": None, **more}
    return {one.kind: one.what for one in alarms(log, now=datetime.now(UTC) + timedelta(seconds=later), **given)}


@pytest.fixture
def guard(tmp_path: Path) -> Any:
    with Guard(AuditLog(tmp_path / "audit", durability="os"), MaskPII(names="off"), channel="sms") as one:
        yield one


def test_a_log_with_a_fresh_canary_raises_no_alarm(guard: Guard, tmp_path: Path) -> None:
    assert canary(guard).passed
    assert look(tmp_path / "audit") == {}


def test_a_canary_that_does_not_come_is_an_alarm(guard: Guard, tmp_path: Path) -> None:
    guard(provider)("+12125550173", "hello")
    assert look(tmp_path / "audit") == {"no_canary": "there is no canary"}
    canary(guard)
    assert look(tmp_path / "audit", later=100) == {}
    assert "and one is due every 60 s" in look(tmp_path / "audit", later=200)["no_canary"]
    assert look(tmp_path / "audit", later=200, canary_seconds=None) == {}


def test_a_failed_canary_is_an_alarm_until_one_passes(
    guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(MaskPII, "mask", lambda _self, text: (text, []))
        canary(guard)
    told = look(tmp_path / "audit")
    assert list(told) == ["canary_failed"]
    assert told["canary_failed"].endswith("failed in mask_pii")
    canary(guard)
    assert look(tmp_path / "audit") == {}


def test_a_failed_canary_of_a_stream_that_is_closed_is_over(
    guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MaskPII, "mask", lambda _self, text: (text, []))
    canary(guard)
    guard.close()
    assert look(tmp_path / "audit") == {}


def _signer(folder: Path) -> Ed25519Signer:
    pem = folder / "signing.pem"
    key = Ed25519PrivateKey.generate()
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Ed25519Signer(pem, name="audit.example.com")


@pytest.mark.parametrize("where", ["anchor", "log"])
def test_a_checkpoint_that_does_not_come_is_an_alarm(tmp_path: Path, where: str) -> None:
    log = AuditLog(
        tmp_path / "audit",
        durability="os",
        signer=_signer(tmp_path),
        anchors=[DirectoryAnchor(tmp_path / "anchor")],
        checkpoint_every=1,
    )
    more: dict[str, Any] = {"canary_seconds": None, "checkpoint_seconds": MINUTE}
    if where == "anchor":
        more["anchor"] = tmp_path / "anchor"
    with Guard(log, channel="sms") as guard:
        guard(provider)("+12125550173", "hello")
        guard(provider)("+12125550173", "hello")
        assert look(tmp_path / "audit", **more) == {}
        assert list(look(tmp_path / "audit", later=200, **more)) == ["no_checkpoint"]


def test_a_folder_that_is_gone_or_empty_is_an_alarm(tmp_path: Path) -> None:
    assert list(look(tmp_path / "nothing")) == ["unreadable"]
    assert list(look(tmp_path)) == ["no_stream"]


def test_a_clock_that_is_behind_is_an_alarm(guard: Guard, tmp_path: Path) -> None:
    canary(guard)
    assert list(look(tmp_path / "audit", later=-60)) == ["clock"]


def test_lines_that_are_no_records_are_passed_over(guard: Guard, tmp_path: Path) -> None:
    canary(guard)
    (tmp_path / "audit" / "29990101T000000.000000Z-x.jsonl").write_bytes(b'not a record\n{"ts":"yesterday"}\n')
    assert look(tmp_path / "audit") == {}


def _command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "guardrails", *arguments],
        cwd=cwd,
        env={**os.environ, "GUARDRAILS_KEY": "11" * 32},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


@pytest.mark.timeout(60)
def test_the_command_watches_from_another_process(guard: Guard, tmp_path: Path) -> None:
    canary(guard)
    well = _command("watch", "audit", "--once", cwd=tmp_path)
    assert (well.returncode, well.stdout.split()[1:]) == (0, ["ok"])
    late = _command("watch", "audit", "--until-alarm", "--canary", "0.001", "--every", "0.05", "--json", cwd=tmp_path)
    assert late.returncode == 1
    told = [json.loads(line) for line in late.stdout.splitlines()][-1]
    assert (told["state"], told["kind"]) == ("ALARM", "no_canary")
    assert _command("watch", "audit", "--every", "0", cwd=tmp_path).returncode == 2


# -- drill ------------------------------------------------------------------------------------------------------------


@check(refuses=["Buy from Acme"])
def no_competitors(message: Message) -> Deny | None:
    return Deny("names a competitor") if "Acme" in message.text else None


def test_every_fault_of_every_control_is_found_in_one_round(tmp_path: Path) -> None:
    guard = Guard(
        AuditLog(tmp_path / "audit", durability="os"),
        RateLimit("5/minute", per="recipient"),
        MaskPII(names="off"),
        channel="sms",
        canary_every_seconds=30,
    )
    team = guard.extend(no_competitors)
    send = team(provider)
    drilled = list(drill(guard))
    guard.close()
    assert [(one.control, one.fault) for one in drilled if not one.found] == []
    assert len(drilled) == 4 * len(FAULTS)
    assert all(30 < one.alarm_seconds < 45 for one in drilled)
    assert send is not None


def test_a_control_that_fails_as_it_is_comes_first_and_is_not_broken_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = Guard(MaskPII(names="off"), channel="sms").extend(no_competitors)
    monkeypatch.setattr(MaskPII, "mask", lambda _self, text: (text, []))
    drilled = list(drill(guard))
    assert [(one.control, one.fault) for one in drilled if one.control == "mask_pii"] == [("mask_pii", "fails as it is")]
    assert [one.found for one in drilled if one.control == "no_competitors"] == [True] * len(FAULTS)
    module = tmp_path / "failing.py"
    module.write_text(
        "from guardrails import Guard, check\n\n@check(refuses=['no'])\ndef dead(message): return None\n\nguard = Guard(dead)\n"
    )
    ran = _command("drill", "failing:guard", cwd=tmp_path)
    assert (ran.returncode, ran.stdout.split("  ")[0]) == (1, "FAILS NOW")


def test_a_drill_leaves_no_mark(guard: Guard) -> None:
    list(drill(guard))
    assert guard.health().well
    assert canary(guard).passed


def test_what_canaries_cannot_find_is_said() -> None:
    @check
    def silent(message: Message) -> None:
        del message

    told = {one.control: one for one in drill(Guard(monitor(RateLimit("1/hour")), silent)) if one.fault.startswith("lets")}
    assert not told["silent"].found
    assert "refuses" in told["silent"].why
    assert not told["rate_limit"].found
    assert told["rate_limit"].why == "it only watches"


KILLED = """
import sys
from guardrails import AuditLog, Guard
send = Guard(AuditLog(sys.argv[1]), channel="sms")(lambda to, body: to + body)
send("+12125550173", "hello")
print("sent", flush=True)
sys.stdin.read()
"""


def _writer(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "GUARDRAILS_KEY": "11" * 32},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "sent\n"
    return process


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="no locks to see there")
def test_a_process_that_is_killed_is_an_alarm_at_the_next_look_until_another_one_writes(tmp_path: Path) -> None:
    writers = Writers(tmp_path)

    def kinds() -> list[str]:
        found = alarms(tmp_path, canary_seconds=None, checkpoint_seconds=None, writers=writers, now=datetime.now(UTC))
        return [one.kind for one in found]

    with _writer(tmp_path) as first:
        assert kinds() == []
        first.kill()
        first.wait()
        assert kinds() == ["writer_gone"]
        assert kinds() == ["writer_gone"]
    with _writer(tmp_path) as second:
        assert kinds() == []
        assert second.stdin is not None
        second.stdin.close()  # it ends by itself, and closes its stream
        second.wait()
        assert kinds() == []


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="no locks to see there")
def test_one_of_several_processes_that_is_killed_is_an_alarm(tmp_path: Path) -> None:
    writers = Writers(tmp_path)
    with _writer(tmp_path) as first, _writer(tmp_path) as second:
        assert list(writers.gone()) == []
        first.kill()
        first.wait()
        (gone,) = writers.gone()
        assert gone in "".join(path.name for path in tmp_path.iterdir())
        second.kill()


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="no locks to see there")
def test_a_copy_of_a_log_raises_no_alarm_of_writers(tmp_path: Path) -> None:
    with _writer(tmp_path / "audit") as first:
        shutil.copytree(tmp_path / "audit", tmp_path / "copy")
        writers = Writers(tmp_path / "copy")
        assert list(writers.gone()) == []
        first.kill()
        assert list(writers.gone()) == []


@pytest.mark.timeout(60)
def test_the_command_prints_seconds_to_alarm(tmp_path: Path) -> None:
    write: Callable[[str], int] = (tmp_path / "drilled.py").write_text
    write("from guardrails import *\nguard = Guard(AuditLog('audit'), MaskPII(names='off'), channel='sms')\n")
    ran = _command("drill", "drilled:guard", "--every", "10", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("alarm within 10.") == 6
    assert _command("drill", "nothing_here", cwd=tmp_path).returncode == 2


def test_a_log_in_a_database_is_watched_like_one_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.db"
    with Guard(AuditLog(SqliteSink(path), durability="os"), MaskPII(names="off"), channel="sms") as guard:
        guard(provider)("+12125550173", "hello")
        assert look(SqliteSink(path)) == {"no_canary": "there is no canary"}
        canary(guard)
        assert look(SqliteSink(path)) == {}
        assert "and one is due every 60 s" in look(SqliteSink(path), later=200)["no_canary"]
        with monkeypatch.context() as broken:
            broken.setattr(MaskPII, "mask", lambda _self, text: (text, []))
            canary(guard)
        assert list(look(SqliteSink(path))) == ["canary_failed"]


def test_a_database_that_cannot_be_read_is_an_alarm(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    assert list(look(SqliteSink(path))) == ["unreadable"]
    sqlite3.connect(path).close()
    path.write_bytes(b"SQLite format 3\0 and then nothing")
    assert list(look(SqliteSink(path))) == ["unreadable"]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("audit.db", 1, "ALARM no_canary there is no canary"),
        ("notes.txt", 2, "is a file, and no SQLite database"),
        ("postgresql://127.0.0.1/audit", 2, "are watched by a program: guardrails.proof.watch.alarms"),
        ("nothing", 1, "ALARM unreadable"),
    ],
)
def test_the_command_says_what_it_can_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("hello")
    with Guard(AuditLog(SqliteSink("audit.db"), durability="os"), channel="sms") as guard:
        guard(provider)("+12125550173", "hello")
        told = CliRunner().invoke(app, ["watch", name, "--once"])

    assert (told.exit_code, said in told.output) == (code, True), told.output


@pytest.mark.parametrize(
    "ts", ["2026-11-27T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x", None, 7]
)
def test_a_time_that_is_none_is_passed_over(guard: Guard, tmp_path: Path, ts: object) -> None:
    canary(guard)
    record = {"schema_version": 1, "stage": "canary", "passed": True, "stream": "f", "ts": ts}
    (tmp_path / "audit" / "29990101T000000.000000Z-x.jsonl").write_text(json.dumps(record) + "\n")

    assert look(tmp_path / "audit") == {}


def test_overlap_and_inventory_read_the_file_of_a_database_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Guard(AuditLog(SqliteSink("audit.db"), durability="os"), MaskPII(names="off"), channel="sms") as guard:
        guard(provider)("+12125550173", "hello")

    fired, listed = (CliRunner().invoke(app, [one, "audit.db"]) for one in ("overlap", "inventory"))

    assert "`mask_pii`" in fired.output
    assert (fired.exit_code, listed.exit_code) == (0, 0)
    assert "mask_pii" in listed.output
