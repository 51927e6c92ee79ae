"""`guardrails mask` and `scan`: what is personal is masked, everything else is written byte for byte, nothing is lost."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from guardrails.cli.app import app
from guardrails.cli.records import BadRecordError, Csv, JsonLines, Plain
from guardrails.cli.target import Output
from guardrails.cli.usage import UsageError

PHONE, EMAIL = "+1 212 555 0173", "ann@example.com"
CSV = f'id,text,note\n1,"Call {PHONE}, now",x\n\n2,"a ""b""\r\n{EMAIL}",{EMAIL}\r\n'
JSONL = f'{{"text": "{EMAIL}", "n": 1.50,  "x": ["\\u00e9 {EMAIL}"]}}\n\n{{"text": "no", "{EMAIL}": 1}}\n'


def run(*arguments: str | Path, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)


def masked(tmp_path: Path, name: str, content: str | bytes, *arguments: str) -> bytes:
    source = tmp_path / name
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run("mask", source, "--names", "off", "-o", tmp_path / "out", *arguments)
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert not list(tmp_path.glob("out.*"))
    return (tmp_path / "out").read_bytes()


def test_lines_are_masked_and_other_bytes_stay(tmp_path: Path) -> None:
    given_bytes = f"to {EMAIL} \r\n".encode() + b"\xff\xfe no text\n\nlast line"
    assert masked(tmp_path, "a.log", given_bytes) == b"to <EMAIL_ADDRESS> \r\n\xff\xfe no text\n\nlast line"


def test_csv_keeps_its_header_its_other_columns_and_its_line_endings(tmp_path: Path) -> None:
    assert masked(tmp_path, "a.csv", CSV, "--field", "text").decode() == (
        f'id,text,note\n1,"Call <PHONE_NUMBER>, now",x\n\n2,"a ""b""\r\n<EMAIL_ADDRESS>",{EMAIL}\r\n'
    )


def test_csv_finds_its_delimiter(tmp_path: Path) -> None:
    assert masked(tmp_path, "a.csv", f"id;text\n1;{EMAIL}, x\n") == b"id;text\n1;<EMAIL_ADDRESS>, x\n"
    (tmp_path / "out").unlink()
    assert masked(tmp_path, "b.tsv", f"id\ttext\n1\t{EMAIL}\n") == b"id\ttext\n1\t<EMAIL_ADDRESS>\n"


def test_json_lines_keep_what_was_not_changed_as_it_was_written(tmp_path: Path) -> None:
    expected = JSONL.replace(f'"{EMAIL}",', '"<EMAIL_ADDRESS>",').replace(f"00e9 {EMAIL}", "00e9 <EMAIL_ADDRESS>")
    assert masked(tmp_path, "a.jsonl", JSONL).decode() == expected
    (tmp_path / "out").unlink()
    one = masked(tmp_path, "a.jsonl", JSONL, "--field", "text", "--operator", "DEFAULT=redact").decode()
    assert one == JSONL.replace(f'"{EMAIL}",', '"",')


def test_a_paragraph_is_one_text(tmp_path: Path) -> None:
    text = f"To\n{EMAIL}\n\n \nBye\n"
    assert masked(tmp_path, "a.txt", text, "--format", "text") == b"To\n<EMAIL_ADDRESS>\n\n \nBye\n"
    assert len(list(Plain("text").records(io.BytesIO(text.encode()), 1, 0))) == 2


def test_pipes_are_masked_line_by_line() -> None:
    done = run("mask", "--names", "off", "-q", "--operator", "EMAIL_ADDRESS=partial", stdin=f"to {EMAIL}\nbye")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "to ***@example.com\nbye", "")


def test_several_files_go_into_a_folder_and_none_is_written_over(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text(f"{name} {EMAIL}\n")
    (tmp_path / "masked").mkdir()
    files = [tmp_path / "a.log", tmp_path / "b.log"]
    assert run("mask", *files, "--names", "off", "-o", tmp_path / "masked").exit_code == 0
    assert (tmp_path / "masked" / "b.log").read_text() == "b.log <EMAIL_ADDRESS>\n"
    again = run("mask", *files, "--names", "off", "-o", tmp_path / "masked")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert "written over" in run("mask", files[0], "--names", "off", "--force", "-o", files[0]).stderr


def test_a_record_that_cannot_be_read_stops_the_run_or_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"text": "{EMAIL}"}}\n{{secret\n{{"text": "{EMAIL}"}}\n')
    stopped = run("mask", tmp_path / "a.jsonl", "--names", "off", "-o", tmp_path / "out")
    assert stopped.exit_code == 2
    assert "line 2: it is not valid JSON" in stopped.stderr
    assert "secret" not in stopped.output
    assert not (tmp_path / "out").exists()
    options = ("--names", "off", "--skip-bad", "--force", "-o", str(tmp_path / "out"))
    left_out = run("mask", tmp_path / "a.jsonl", *options)
    assert left_out.exit_code == 1
    assert (tmp_path / "out").read_text() == '{"text": "<EMAIL_ADDRESS>"}\n' * 2


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_file_in_which_nothing_would_be_found_is_refused(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_bytes('"a"\n"ann@example.com"\n'.encode(encoding))
    result = run("mask", tmp_path / name, "--names", "off", "--skip-bad")
    assert result.exit_code != 0
    assert "ann" not in result.output.replace("\0", "")


def test_g2_a_blocked_record_is_never_written(tmp_path: Path) -> None:
    options = ("--names", "off", "--operator", "EMAIL_ADDRESS=block")
    done = run("mask", *options, stdin=f"hello\nto {EMAIL}\n")
    assert (done.exit_code, done.stdout) == (2, "hello\n")
    assert run("mask", *options, "--skip-bad", stdin=f"to {EMAIL}\nbye\n").stdout == "bye\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mask", "missing.log"], "No such file"),
        (["mask", "--operator", "x"], "ENTITY=NAME"),
        (["mask", "--operator", "PHONE=keep", "--names", "off"], "PHONE_NUMBER"),
        (["mask", "--operator", "DEFAULT=pseudonym"], "needs a vault"),
        (["mask", "--format", "xml", "--names", "off"], "lines, text, jsonl, csv"),
        (["mask", "--field", "text", "--names", "off"], "--field is for"),
        (["mask", "--resume"], "need files"),
        (["mask", "-", "a.log"], "cannot be mixed"),
        (["mask", "a.log", "b.log"], "--output FOLDER"),
        (["mask", "--delimiter", "::"], "one character"),
        (["mask", "--format", "csv", "--field", "c", "--names", "off"], "there are a, b"),
        (["scan", "--names", "spacy"], "names"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: list[str], says: str) -> None:
    done = run(*arguments, stdin="a,b\n1,2\n")
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_scan_says_where_and_what_and_never_shows_the_text(tmp_path: Path) -> None:
    (tmp_path / "folder" / ".hidden").mkdir(parents=True)
    (tmp_path / "folder" / "a.log").write_text(f"x\nto {EMAIL}\n")
    (tmp_path / "folder" / "b.csv").write_text(CSV, newline="")
    (tmp_path / "folder" / "c.bin").write_bytes(b"\0" + EMAIL.encode())
    (tmp_path / "folder" / ".hidden" / "d.log").write_text(EMAIL)
    done = run("scan", tmp_path / "folder", "--names", "off")
    assert done.exit_code == 1
    assert "a.log:2" in done.stdout.replace("\n", "")
    assert "files left out" in done.stderr
    for text in (EMAIL, PHONE):
        assert text not in done.output
    lines = run("scan", tmp_path / "folder" / "b.csv", "--names", "off", "--json", "-q").stdout.splitlines()
    assert [(one["line"], one["field"], one["type"], one["start"]) for one in map(json.loads, lines)] == [
        (2, "text", "PHONE_NUMBER", 5),
        (4, "text", "EMAIL_ADDRESS", 7),
        (4, "note", "EMAIL_ADDRESS", 0),
    ]
    assert run("scan", "--names", "off", "-q", stdin="nothing here\n").exit_code == 0


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)


@given(text=TEXTS)
@settings(deadline=None)
def test_records_are_the_file(text: str) -> None:
    raw = text.encode()
    for kind in (Plain("lines"), Plain("text"), JsonLines(()), Csv((), ",")):
        try:
            records = list(kind.records(io.BytesIO(raw), 1, 0))
        except BadRecordError:  # a line that ends in a bare carriage return is no CSV
            assert "\r" in text
            continue
        assert "".join(record.raw for record in records).encode() == raw.removeprefix(
            b"\xef\xbb\xbf" if kind.name in {"jsonl", "csv"} else b""
        )
        assert [record.end for record in records][-1:] == ([len(raw)] if raw else [])


def test_only_what_counts_is_gone_on_with(tmp_path: Path) -> None:
    first = Output(tmp_path / "out", "run", resume=False, force=False)
    first.write("one ")
    first.tally.place = (10, 2, first.written)
    first.write("not yet counted")
    first.close()
    again = Output(tmp_path / "out", "run", resume=True, force=False)
    assert (again.tally.place, again.resumed) == ((10, 2, 4), True)
    again.write("two")
    again.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "one two"


@pytest.mark.parametrize("state", ["", "{}", "[]", '{"run": "run", "written": 99}'])
def test_a_progress_file_that_cannot_be_trusted_is_refused(tmp_path: Path, state: str) -> None:
    (tmp_path / "out.part").write_text("x")
    (tmp_path / "out.progress").write_text(state)
    with pytest.raises(UsageError, match="another run"):
        Output(tmp_path / "out", "run", resume=True, force=False)
    with pytest.raises(UsageError, match="interrupted run"):
        Output(tmp_path / "out", "run", resume=False, force=False)


@pytest.mark.timeout(60)  # three interpreters that load Presidio
def test_an_interrupted_run_goes_on_in_several_processes_and_loses_nothing(tmp_path: Path) -> None:
    source, out = tmp_path / "big.log", tmp_path / "out.log"
    words = ["x" * (number % 7) for number in range(3_000)]
    source.write_text("".join(f"line {word} to {EMAIL}\n" for word in words))
    options = ("mask", str(source), "--names", "off", "-o", str(out))
    running = subprocess.Popen([sys.executable, "-m", "guardrails", *options], stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not (tmp_path / "out.log.progress").exists():
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate()
    assert (running.returncode, "go on with --resume" in said, "Traceback" in said) == (130, True, False)
    assert not out.exists()
    done = run(*options, "--resume", "--workers", "2")
    assert done.exit_code == 0, done.stderr
    assert "going on after" in done.stderr
    assert out.read_text() == "".join(f"line {word} to <EMAIL_ADDRESS>\n" for word in words)
