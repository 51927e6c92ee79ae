"""The doctor names what is wrong, says what to do, and finds nothing where nothing is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest

from guardrails import ConfigError, canary
from guardrails.proof import installation, machine
from guardrails.proof.diagnosis import FAIL, OK, WARN, Answer, Diagnosis, asked
from guardrails.proof.doctor import diagnose
from guardrails.proof.network import Watched
from guardrails.proof.target import load

APP = """
from guardrails import AuditLog, Deny, Guard, MaskPII, Message, RateLimit, check, monitor

@check(refuses=["Buy from Acme"])
def no_competitors(message: Message) -> Deny | None:
    return Deny("names a competitor") if "Acme" in message.text else None

guard = Guard(AuditLog({folder!r}), RateLimit("5/minute", per="recipient"), MaskPII(names="off"), channel="sms", owner="platform")
team = guard.extend(no_competitors, owner="payments")

@team
def send(to, body):
    raise AssertionError("the doctor sent something")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Write a module with guards; its name."""

    def write(source: str, name: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        return name

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GUARDRAILS_KEY", "11" * 32)
    return write


def states(found: Diagnosis) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for one in found.answers:
        told.setdefault(one.about, set()).add(one.state)
    return told


def test_a_guard_that_works_has_nothing_that_fails(app: Callable[[str, str], str], tmp_path: Path) -> None:
    found = diagnose(f"{app(APP.format(folder=str(tmp_path / 'audit')), 'doctored')}:guard", workers=1)
    assert found.exit_code == 0, list(found.lines())
    told = states(found)
    assert {"python", "version", "name", "packages", "extras", "name model", "regex engine", "sockets", "key", "clock",
            "disk", "guard platform", "audit_log", "rate_limit", "memory"} <= told.keys()  # fmt: skip
    assert told["sockets"] == {OK}
    assert told["guard platform"] == {OK}
    assert any("canary: 6 of 6 held, through 1 sends" in one.found for one in found.answers)


def test_every_extra_is_listed_by_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    provided = metadata.metadata("platform-guardrails").get_all("Provides-Extra") or []
    (answer,) = [one for one in installation.packages() if one.about == "extras"]
    named = {
        one.strip(" ;") for part in answer.found.split(": ")[1:] for one in part.replace("; not installed", "").split(",")
    }
    assert set(provided) - {"bench", "dev", "integrations-test", "test"} <= named
    found = metadata.version

    def version(name: str) -> str:
        if name in ("twilio", "sinch"):
            raise metadata.PackageNotFoundError(name)
        return {"celery": "4.0", "langgraph": "0.9"}.get(name) or found(name)

    monkeypatch.setattr(metadata, "version", version)
    (answer,) = [one for one in installation.packages() if one.about == "extras"]
    assert answer.state == WARN
    assert "not installed: sinch, twilio" in answer.found
    assert "celery (celery 4.0, 5.4 is needed), langchain (langgraph 0.9, 1.2 is needed)" in answer.found
    assert answer.todo == "pip install -U 'platform-guardrails[celery,langchain]'"


def test_a_guard_of_a_policy_is_called_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("guardrails.yaml").write_text("""\
version: 1
platform:
  quiet_hours: {night: {hours: "02:00-02:30", zone: Europe/Berlin}}
  person_caps: {week: {rate: 20/week, zone: Europe/Berlin}}
  unique_recipients: {day: {amount: 250, window: 24h}}
  concurrency: {at_once: {amount: 20}}
  suppression: {}
  mask: {names: "off"}
""")
    (guard,) = load("guardrails.yaml")
    assert guard.where == "guardrails.yaml:1"
    report = canary(guard)
    assert report.passed, report.failed
    assert {one.control for one in report.checks if one.tried == "limit" and one.result == "held"} == {
        *("night", "week", "day", "at_once", "suppression"),
    }
    guard.close()


def test_memory_limits_under_several_workers_are_said_to_be_each_workers_own(
    app: Callable[[str, str], str], tmp_path: Path
) -> None:
    found = diagnose(f"{app(APP.format(folder=str(tmp_path / 'audit')), 'several')}:guard", workers=4)
    (warned,) = [one for one in found.answers if one.about == "rate_limit" and one.state == WARN]
    assert "4 workers let 4 times as much pass" in warned.found
    assert "storage" in warned.todo


def test_a_control_that_is_dead_fails_and_the_exit_code_says_so(app: Callable[[str, str], str], tmp_path: Path) -> None:
    dead = APP.format(folder=str(tmp_path / "audit")).replace('if "Acme" in message.text', "if False")
    found = diagnose(f"{app(dead, 'dead')}:guard", workers=1)
    assert found.exit_code == 1
    (failed,) = [one for one in found.answers if one.state == FAIL]
    assert failed.about == "no_competitors"
    assert "let example 1 pass" in failed.found


def test_a_folder_that_cannot_be_written_fails(app: Callable[[str, str], str], tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file in its place")
    found = diagnose(f"{app(APP.format(folder=str(tmp_path / 'audit')), 'unwritable')}:guard", workers=1)
    assert found.exit_code == 1
    assert any(one.about == "audit_log" and one.state == FAIL and "is not a folder" in one.found for one in found.answers)


def test_a_folder_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert machine.writable(tmp_path, "audit_log").state == WARN
    tmp_path.chmod(0o700)
    assert machine.writable(tmp_path, "audit_log").state == OK
    assert list(tmp_path.iterdir()) == []
    assert machine.writable(tmp_path / "new" / "audit", "audit_log").state == OK


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nothing_of_that_name:guard", "cannot be imported"),
        ("nothing.yaml", "no such file"),
        ("json:loads", "is not a guard"),
        ("json", "makes no guard"),
    ],
)
def test_a_target_that_is_none_is_said(target: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(target)
    found = diagnose(target, workers=1)
    assert found.exit_code == 1
    assert any(one.about == "target" and one.state == FAIL for one in found.answers)


def test_a_module_that_raises_is_told_by_class(app: Callable[[str, str], str]) -> None:
    with pytest.raises(ConfigError, match=r"raising cannot be imported \(ValueError at raising.py:1\)"):
        load(app("raise ValueError('ann@example.com')", "raising"))


def test_a_module_is_every_platform_guard_that_it_makes(app: Callable[[str, str], str], tmp_path: Path) -> None:
    guards = load(app(APP.format(folder=str(tmp_path / "audit")), "several_guards"))
    assert [guard.owner for guard in guards] == ["platform"]


# -- each question ----------------------------------------------------------------------------------------------------


def test_the_key_in_the_environment_is_named_by_its_id_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_KEY", "ab" * 32)
    answer = machine.key()
    assert answer.state == OK
    assert "abab" not in answer.found
    monkeypatch.setenv("GUARDRAILS_KEY", "short")
    assert [one.state for one in asked("key", machine.key)] == [FAIL]


def test_a_key_file_that_others_can_read_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path))
    assert machine.key().state == WARN
    assert "none yet" in machine.key().found
    from guardrails.keys.file import embedded_key  # noqa: PLC0415 - creates the key file

    embedded_key()
    assert "mode 0600" in machine.key().found
    (tmp_path / "key").chmod(0o644)
    (answer,) = asked("key", machine.key)
    assert answer.state == FAIL
    assert "read or written by others" in answer.found


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.disk(tmp_path).state == OK
    monkeypatch.setattr(machine, "LEAST_FREE_BYTES", 1 << 62)
    assert machine.disk(tmp_path).state == FAIL


def test_more_workers_than_memory_fail() -> None:
    assert [one.state for one in machine.memory(1)] == [OK]
    assert [one.state for one in machine.memory(1_000_000)] == [FAIL]


@pytest.mark.parametrize("state", [True, False, None])
def test_the_clock_says_whether_something_keeps_it(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_synchronised", lambda: state)
    assert machine.clock().state == {True: OK, False: WARN, None: OK}[state]


def test_another_distribution_that_installs_guardrails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.name().state == OK
    monkeypatch.setattr(
        metadata, "packages_distributions", lambda: {"guardrails": ["platform-guardrails", "guardrails-ai"]}
    )
    answer = installation.name()
    assert answer.state == FAIL
    assert "guardrails-ai" in answer.found
    assert "pip uninstall guardrails-ai" in answer.todo


def test_a_model_with_another_digest_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_MODELS", str(tmp_path))
    assert installation.model().state == WARN
    folder = tmp_path / "rampart-1.4.0"
    folder.mkdir()
    (folder / "model_q4.onnx").write_bytes(b"another")
    answer = installation.model()
    assert answer.state == FAIL
    assert "SHA-256" in answer.found


def test_a_version_that_is_not_the_installed_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.version().state == OK
    monkeypatch.setattr(installation, "__version__", "99.0")
    assert installation.version().state == FAIL


def test_requirements_that_are_missing_or_old_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert next(iter(installation.packages())).state == OK
    monkeypatch.setattr(
        metadata,
        "requires",
        lambda _name: ["no-such-package>=1", "limits>=999", 'redis>=99; extra == "redis"'],
    )
    answer = next(iter(installation.packages()))
    assert answer.state == FAIL
    assert "no-such-package is missing" in answer.found
    assert "999 is needed" in answer.found


def test_a_pattern_engine_that_does_not_stop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.regexes().state == OK
    regex = import_module("regex")  # comes with presidio
    monkeypatch.setattr(installation, "_PATHOLOGICAL_SECONDS", 0.001)
    monkeypatch.setattr(regex, "search", lambda *_given, **_named: __import__("time").sleep(0.02))
    assert installation.regexes().state == FAIL


def test_sockets_are_seen_inside_a_block_and_nowhere_else() -> None:
    with Watched() as seen:
        socket.socket().close()
    socket.socket().close()
    assert seen.events == ["socket.__new__"]


def test_a_question_that_cannot_be_asked_is_an_answer() -> None:
    def faints() -> Answer:
        raise ValueError("ann@example.com")

    (answer,) = asked("something", faints)
    assert answer.state == FAIL
    assert "ann@" not in answer.found


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_disk_that_takes_no_more_is_found_before_the_first_send_and_after(tmp_path: Path) -> None:
    program = f"""
import resource, pathlib
from guardrails import AuditLog, Guard
from guardrails.proof import doctor, machine
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
folder = pathlib.Path({str(tmp_path)!r})
print(machine.writable(folder, "audit_log").found, "->", machine.writable(folder, "audit_log").todo)
for one in doctor._examined(Guard(AuditLog(folder / "new")), 1, 5.0):
    print(one.state, one.found, "->", one.todo)
"""
    environment = {**os.environ, "GUARDRAILS_KEY": "11" * 32}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    first, *others = ran.stdout.splitlines()
    assert "cannot be written (File too large) -> make room" in first, ran.stderr
    failed = [line for line in others if line.startswith("fail")]
    assert len(failed) == 2
    assert "the audit log cannot be opened (OSError) -> see what it stands on" in failed[0]
    assert "new cannot be written (File too large) -> make room" in failed[1]


def test_a_folder_that_no_file_system_takes_fails() -> None:
    found = machine.writable(Path("/proc/nowhere/audit"), "audit_log")
    assert (found.state, "cannot be created in /proc" in found.found) == (FAIL, True)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 1\nraise ValueError('ann@example.com')\n", "(ValueError at {name}.py:2)"),
        ("x = 1\n\ndef broken(:\n", "(SyntaxError at {name}.py:3)"),
        ("import json\n\njson.loads('ann@example.com')\n", "(JSONDecodeError at {name}.py:3)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_by_line(
    app: Callable[[str, str], str], source: str, problem: str, request: pytest.FixtureRequest
) -> None:
    name = app(source, f"broken_{abs(hash(request.node.name))}")
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert problem.format(name=name) in str(caught.value)
    assert "ann@" not in str(caught.value)


def test_what_a_guard_cannot_open_comes_with_what_to_do(app: Callable[[str, str], str]) -> None:
    source = "from guardrails import AuditLog, Guard\nfrom guardrails.audit import PostgresSink\n"
    sink = 'PostgresSink("host=127.0.0.1 port=1 user=x dbname=x")'
    found = diagnose(app(f"{source}guard = Guard(AuditLog({sink}), channel='sms')\n", "unreachable"), workers=1)
    (failed,) = [one for one in found.answers if one.state == FAIL]
    assert failed.about == "audit_log"
    assert "a server and its address" in failed.todo


@pytest.mark.timeout(60)
def test_the_command_says_it_in_json_and_by_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "commanded.py").write_text(APP.format(folder=str(tmp_path / "audit")))
    environment = {**os.environ, "GUARDRAILS_KEY": "11" * 32}
    ran = subprocess.run(
        [sys.executable, "-m", "guardrails", "doctor", "commanded:guard", "--json", "--workers", "1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert told["ok"] is True
    assert {one["state"] for one in told["answers"]} <= {"ok", "warn", "skip"}
