"""What is on record when processes fork, end, or are killed. Each test runs its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from guardrails.audit import read_records, verify_directory
from tests.audit.sinks import stages

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and signals")

PREAMBLE = """
import os, signal, sys, threading, time
from guardrails.audit import AuditLog, intents, read_records, verify_directory
from guardrails.core.guard import Guard
from guardrails.errors import Unavailable
from guardrails.keys import Keys

folder, durability = sys.argv[1:3]
log = AuditLog(folder, durability=durability, keys=Keys(b"k" * 32))
guard = Guard(log, channel="sms")

@guard
def send(to: str, body: str, conversation: str = "c") -> str:
    return "sent"

PHONE = "+12125550173"
"""

both = pytest.mark.parametrize("durability", ["fsync", "os"])


def run(code: str, folder: Path, durability: str = "fsync", *, status: int = 0, measured: bool = True) -> str:
    """Run *code* in a process of its own; what it printed. Not *measured*: without coverage, even when that is on."""
    script = PREAMBLE + textwrap.dedent(code)
    env = {key: value for key, value in os.environ.items() if measured or not key.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), durability],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=env,
    )
    assert (done.returncode, done.stderr) == (status, "")
    return done.stdout


@both
def test_exit_writes_what_is_queued_and_closes_the_stream(durability: str, tmp_path: Path) -> None:
    out = run("[send(PHONE, str(n)) for n in range(20)]", tmp_path / "log", durability)

    report = verify_directory(tmp_path / "log")
    assert out == ""
    assert (dict(report.outcomes), report.exit_code) == ({"sent": 20}, 0)


@both
def test_a_send_at_exit_is_recorded_too(durability: str, tmp_path: Path) -> None:
    run("import atexit; atexit.register(send, PHONE, 'bye'); send(PHONE, 'hello')", tmp_path / "log", durability)

    report = verify_directory(tmp_path / "log")
    assert (dict(report.outcomes), report.exit_code) == ({"sent": 2}, 0)


@both
def test_a_stream_that_the_interpreter_collects_at_exit_does_no_harm(durability: str, tmp_path: Path) -> None:
    run(
        """
        @guard
        def chunks(to: str, body: str):
            yield "one"
            yield "two"
        kept = chunks(PHONE, "hello")
        next(kept)
        sys.kept = kept
        """,
        tmp_path / "log",
        durability,
    )

    report = verify_directory(tmp_path / "log")
    assert report.intents == 1
    assert report.exit_code in {0, 3}


@both
def test_sigterm_writes_what_is_queued_and_still_kills(durability: str, tmp_path: Path) -> None:
    code = """
    log.open()
    [send(PHONE, str(n)) for n in range(20)]
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
    """
    run(code, tmp_path / "log", durability, status=-signal.SIGTERM)

    report = verify_directory(tmp_path / "log")
    assert (dict(report.outcomes), report.exit_code) == ({"sent": 20}, 0)
    assert [record["why"] for record in read_records(tmp_path / "log") if record["stage"] == "close"] == ["sigterm"]


def test_sigterm_in_the_middle_of_a_write_waits_for_that_write(tmp_path: Path) -> None:
    code = """
    from guardrails.audit.files import JsonlDirectory
    class Interrupted(JsonlDirectory):
        def write(self, lines, /, *, durable):
            super().write(lines, durable=durable)
            if len(sys.argv) == 3 and b'"intent"' in lines[0]:
                sys.argv.append("once")
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0)
    send = Guard(AuditLog(Interrupted(folder), durability="os", keys=Keys(b"k" * 32)))(lambda to, body: "sent")
    send(PHONE, "one")
    time.sleep(30)
    """
    run(code, tmp_path / "log", "os", status=-signal.SIGTERM)

    report = verify_directory(tmp_path / "log")
    assert (report.intents, report.exit_code) == (1, 0)


def test_a_handler_of_the_application_is_left_alone(tmp_path: Path) -> None:
    code = """
    signal.signal(signal.SIGTERM, lambda *_: print("mine"))
    send(PHONE, "hello")
    os.kill(os.getpid(), signal.SIGTERM)
    log.close()
    """
    assert run(code, tmp_path / "log") == "mine\n"


def test_the_default_handler_is_put_back_by_close(tmp_path: Path) -> None:
    code = """
    send(PHONE, "hello")
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    log.close()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """
    run(code, tmp_path / "log")


@both
def test_a_forked_child_writes_a_stream_of_its_own(durability: str, tmp_path: Path) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    send(PHONE, "before")
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            send(PHONE, "in the child")
            sys.exit(0)
        children.append(child)
    send(PHONE, "in the parent")
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    """
    run(code, tmp_path / "log", durability)

    report = verify_directory(tmp_path / "log")
    assert (len(report.streams), dict(report.outcomes), report.exit_code) == (4, {"sent": 5}, 0)
    forked = [record for record in read_records(tmp_path / "log") if record.get("why") == "fork"]
    assert len({record["previous_stream"] for record in forked}) == 1


@both
def test_a_fork_while_other_threads_write_does_not_hang_the_child(durability: str, tmp_path: Path) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    stop = threading.Event()
    def work():
        while not stop.is_set():
            send(PHONE, "x")
    threads = [threading.Thread(target=work) for _ in range(3)]
    [thread.start() for thread in threads]
    for _ in range(10):
        child = os.fork()
        if not child:
            send(PHONE, "in the child")
            log.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    [thread.join() for thread in threads]
    """
    # Coverage has locks of its own, which a fork among running threads leaves locked in the child.
    run(code, tmp_path / "log", durability, measured=False)

    report = verify_directory(tmp_path / "log")
    assert (len(report.streams), report.exit_code) == (11, 0)


def test_a_fork_while_another_thread_numbers_a_key_does_not_hang_the_child(tmp_path: Path) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    entered, done = threading.Event(), threading.Event()
    def number() -> None:
        with log._scribe._numbering:
            entered.set()
            done.wait()
    @guard(message_key="key")
    def keyed(to: str, body: str, key: str) -> None:
        pass
    thread = threading.Thread(target=number)
    thread.start()
    entered.wait()
    child = os.fork()
    if not child:
        keyed(PHONE, "in the child", key="k1")
        log.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    done.set()
    """
    run(code, tmp_path / "log")


def test_a_send_that_forks_has_one_outcome(tmp_path: Path) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    @guard
    def forking(to: str, body: str) -> int:
        return os.fork()
    child = forking(PHONE, "hello")
    if child:
        os.waitpid(child, 0)
    """
    run(code, tmp_path / "log")

    report = verify_directory(tmp_path / "log")
    assert (report.intents, dict(report.outcomes), report.exit_code) == (1, {"sent": 1}, 0)


@pytest.mark.parametrize(("durability", "count"), [("fsync", 8), ("os", 2)])
def test_processes_share_a_folder(durability: str, count: int, tmp_path: Path) -> None:
    script = PREAMBLE + "[send(PHONE, str(n)) for n in range(50)]"
    command = [sys.executable, "-c", script, str(tmp_path / "log"), durability]
    processes = [subprocess.Popen(command) for _ in range(count)]
    assert [process.wait(60) for process in processes] == [0] * count

    report = verify_directory(tmp_path / "log")
    assert (len(report.streams), dict(report.outcomes), report.exit_code) == (count, {"sent": 50 * count}, 0)
    assert not [one for one in read_records(tmp_path / "log") if one.get("unclosed")]


@both
def test_g1_a_full_disk_refuses_sends_and_tears_no_file(durability: str, tmp_path: Path) -> None:
    code = """
    import resource
    send(PHONE, "first")
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    sent = refused = 0
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        try:
            send(PHONE, "x")
            sent += 1
        except Unavailable:
            refused += 1
    assert refused, "the disk never was full"
    print(sent + 1)
    """
    script = PREAMBLE + textwrap.dedent(code)
    command = [sys.executable, "-c", script, str(tmp_path / "log"), durability]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    report = verify_directory(tmp_path / "log")
    assert (report.integrity, report.completeness, report.semantics) == ((), (), ())
    assert dict(report.outcomes)["sent"] <= int(done.stdout) <= report.intents
    assert all(path.stat().st_size <= 4000 for path in (tmp_path / "log").iterdir())
    assert set(stages(tmp_path / "log")) >= {"genesis", "intent", "outcome"}
