"""What a command prints and does when names, files and code are somebody's who means harm, or has a bad day."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.cli.output import CRASHED, one_line, printable, to_somewhere, unescaped
from guardrails.proof.reading import read_project
from tests.cli.conftest import Run

SENDS = "import smtplib\ndef send(body):\n    smtplib.SMTP().sendmail('a', 'b', body)\n"
ESCAPES = "\x1b]0;title\x07\x1b[31m\x9b31m\u202e"


@given(st.text())
def test_nothing_printable_is_obeyed_by_a_terminal(text: str) -> None:
    said = printable(text)

    assert not any(ord(one) < 32 and one not in "\t\n" for one in said)
    assert not any(127 <= ord(one) < 160 for one in said)
    assert "\n" not in one_line(text)


@given(st.text())
def test_json_is_the_same_json_after_escaping(text: str) -> None:
    told = json.dumps({"text": text}, ensure_ascii=False)

    assert json.loads(printable(told)) == {"text": text}


def _given(monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8") -> io.BytesIO:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    return buffer


def test_whatever_a_command_prints_no_escape_sequence_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = _given(monkeypatch)

    with to_somewhere():
        print(ESCAPES)  # noqa: T201 - as a command would
        unescaped(sys.stdout).write("\x1b[1mours\x1b[0m")
        unescaped(sys.stdout).flush()

    assert buffer.getvalue().replace(b"\x1b[1mours\x1b[0m", b"").isascii()
    assert b"\x1b[1mours" in buffer.getvalue()


def test_a_terminal_in_ascii_gets_numbers_for_what_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = _given(monkeypatch, "ascii")

    with to_somewhere():
        print("caf\u00e9 \udce9")  # noqa: T201 - as a command would

    assert buffer.getvalue() == b"caf\\xe9 \\udce9\n"


def test_a_crash_is_one_line_without_the_errors_text(tmp_path: Path) -> None:
    program = (
        "from guardrails.cli.output import to_somewhere\nwith to_somewhere():\n    raise RuntimeError('ann@example.com')\n"
    )
    (tmp_path / "crash.py").write_text(program)

    done = subprocess.run([sys.executable, "crash.py"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == CRASHED
    assert done.stderr == (
        "guardrails: this command crashed (RuntimeError at crash.py:3); that is a defect of guardrails: please report this line\n"
    )


@pytest.mark.parametrize(
    "command",
    ["sends", "homegrown", "inventory", "watch --once", "overlap", "policy check", "scan", "new-control one --dir"],
)
def test_a_name_that_is_too_long_is_one_line(run: Run, command: str) -> None:
    done = run(*command.split(), "x" * 5_000)

    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert "crashed" not in done.stderr


def test_files_of_code_cannot_forge_lines_or_end_the_process(run: Run, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "\x1b[31m.py").write_text(SENDS)
    (code / "a\nb.py:1:1: guarded.py").write_text(SENDS)
    (code / "deep.py").write_text(f"import smtplib\nx = {'(' * 5_000}{')' * 5_000}\n")
    (code / "newer.py").write_text(f"import smtplib\nx = ] {'(' * 5_000}\n")

    done = run("sends", "code")
    grown = run("homegrown", "code", "--json")

    assert done.returncode == 1
    assert "\\u001b[31m.py:3" in done.stdout
    assert "\nb.py:1:1: guarded" not in done.stdout
    assert "deep.py: could not be read (nested too deeply)" in done.stdout
    assert [one["file"] for one in json.loads(grown.stdout)["unreadable"]] == ["deep.py", "newer.py"]


def test_a_baseline_that_cannot_be_written_or_read_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(SENDS)
    (tmp_path / "deep.json").write_text("[" * 100_000)

    unwritten = run("sends", "code.py", "--baseline", "no/folder/x.json", "--write-baseline")
    unread = run("sends", "code.py", "--baseline", "deep.json")

    assert (unwritten.returncode, unread.returncode) == (2, 2)
    assert unwritten.stderr == "guardrails: no/folder/x.json cannot be written (FileNotFoundError)\n"
    assert unread.stderr.startswith("guardrails: --baseline cannot be read")


def test_a_corpus_that_is_hostile_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from guardrails import Guard\nguard = Guard(channel='sms')\n")
    for number, line in enumerate(("[" * 100_000, '{"text": "a", "seconds": 1' + "0" * 400 + "}")):
        (tmp_path / f"{number}.jsonl").write_text(line)

        done = run("overlap", f"{number}.jsonl", "--guard", "app:guard")

        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_what_a_module_prints_is_no_part_of_json_and_its_exits_are_errors(run: Run, tmp_path: Path) -> None:
    (tmp_path / "talks.py").write_text("from guardrails import Guard\nprint('hello')\nguard = Guard(channel='sms')\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "odd.py").write_text("class Odd(BaseException): pass\nraise Odd('ann@example.com')\n")

    talks, leaves, odd = (run("inventory", name, "--json") for name in ("talks", "leaves", "odd"))

    assert json.loads(talks.stdout)["guards"]
    assert "hello" in talks.stderr
    assert (leaves.returncode, leaves.stderr) == (
        2,
        "guardrails: leaves cannot be imported (SystemExit at leaves.py:2)\n",
    )
    assert (odd.returncode, "ann@example.com" in odd.stderr) == (2, False)


def test_names_of_files_are_no_markup(run: Run, tmp_path: Path) -> None:
    (tmp_path / "[bold].txt").write_text("Write to ann@example.com\n")

    scanned = run("scan", "[bold].txt", "--names", "off")
    masked = run("mask", "[bold].txt", "--names", "off", "--output", "out.txt")

    assert "[bold].txt:1" in scanned.stdout
    assert (masked.returncode, (tmp_path / "out.txt").read_text()) == (0, "Write to <EMAIL_ADDRESS>\n")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code" / "closed").mkdir(parents=True)
    (tmp_path / "code" / "open.py").write_text(SENDS)
    listed = os.scandir

    def closed(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", closed)  # root may list every folder

    project = read_project(tmp_path / "code", tests=False)

    assert list(project.modules) == ["open"]
    assert project.unreadable == [("closed", "PermissionError")]
