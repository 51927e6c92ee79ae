"""What every command has in common, and `audit verify` as a process."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import guardrails
from tests.cli.conftest import Run


def test_the_version_is_the_packages(run: Run) -> None:
    done = run("--version")

    assert (done.returncode, done.stdout.strip()) == (0, guardrails.__version__)


def test_without_a_command_it_shows_the_commands(run: Run) -> None:
    done = run()

    assert "demo" in done.stdout + done.stderr
    assert "audit" in done.stdout + done.stderr


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    done = run("dmeo")

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_help_loads_nothing_heavy() -> None:
    probe = (
        "import sys; sys.argv = ['guardrails', 'demo', '--help']\n"
        "from guardrails.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'presidio_analyzer', 'spacy', 'limits', 'structlog', 'cryptography'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)

    assert "HEAVY []" in done.stdout


def test_verify_says_what_was_changed(run: Run, tmp_path: Path) -> None:
    run("demo", "--count", "5", "--audit", "log")
    (log,) = (tmp_path / "log").glob("*.jsonl")
    log.write_bytes(log.read_bytes().replace(b'"channel":"sms"', b'"channel":"fax"', 1))

    done = run("audit", "verify", "log")

    assert done.returncode == 1
    assert "integrity: BROKEN" in done.stdout


def test_verify_of_a_cut_log_is_open(run: Run, tmp_path: Path) -> None:
    run("demo", "--count", "5", "--audit", "log")
    (log,) = (tmp_path / "log").glob("*.jsonl")
    log.write_bytes(log.read_bytes()[:-10])

    assert run("audit", "verify", "log").returncode == 3


def test_verify_of_nothing_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert run("audit", "verify", "empty").returncode == 2
    assert run("audit", "verify", "missing").returncode == 2
    assert run("audit", "verify").returncode == 2
    assert "Traceback" not in run("audit", "verify", "missing").stderr


@pytest.mark.parametrize("command", ["--help", "audit schema", "audit tail log", "audit verify log"])
def test_output_that_goes_nowhere_is_no_traceback(run: Run, tmp_path: Path, command: str) -> None:
    run("demo", "--count", "2", "--audit", "log")
    program = f"{shlex.quote(sys.executable)} -m guardrails {command}"

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", line], cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )

    full, closed = shell(f"{program} > /dev/full"), shell(f"{program} >&-")

    assert full.returncode == 2
    assert full.stderr == "guardrails: the output cannot be written: No space left on device\n"
    assert "Traceback" not in closed.stderr
