"""A log in the file of a `SqliteSink` is asked like one in a folder; what is no log is a mistake, not an empty answer."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardrails import AuditLog, Guard
from guardrails.audit import SqliteSink
from guardrails.cli.app import app
from guardrails.keys import Keys

ANN = "+12125550173"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def database(tmp_path: Path, home: Path) -> Path:
    path = tmp_path / "db" / "audit.sqlite3"
    with Guard(AuditLog(SqliteSink(path), keys=Keys(b"k" * 32)), channel="sms") as guard:
        send = guard(text="body", recipient="to")(lambda to, body: None)  # noqa: ARG005 - a send
        for number in range(3):
            send(ANN, f"text {number}")
    assert home == tmp_path
    return path


def ask(*words: str) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["audit", *words])
    return ran.exit_code, ran.output


def test_a_database_is_verified_and_asked_by_every_command(database: Path, tmp_path: Path) -> None:
    code, said = ask("verify", str(database), "--json")
    assert (code, json.loads(said)["folder"]) == (0, str(database))
    code, said = ask("query", str(database), "--stage", "intent", "--format", "jsonl")
    assert (code, said.count("\n")) == (0, 3)
    code, said = ask("query", str(database), "--sql", "SELECT count(*) AS sends FROM sends", "--format", "csv")
    assert (code, said.split()) == (0, ["sends", "3"])
    assert ask("tail", str(database), "-n", "1", "--format", "jsonl")[1].count('"stage":"close"') == 1
    assert json.loads(ask("stats", str(database))[1])["stages"]["intent"] == 3
    assert ask("report", str(database), "-o", str(tmp_path / "r.html"))[0] == 0
    assert "audit.sqlite3" in (tmp_path / "r.html").read_text("utf-8")
    assert ask("export", str(database), "--format", "csv")[1].count("sent") == 3
    assert not (tmp_path / "cache").exists()  # its tables went with the copy


def test_a_changed_row_of_a_database_is_found(database: Path) -> None:
    with sqlite3.connect(database) as changed:
        changed.execute("DROP TRIGGER guardrails_no_update")
        changed.execute("UPDATE guardrails_audit SET line = replace(line, 'sms', 'rcs') WHERE seq = 1")
    changed.close()

    code, said = ask("verify", str(database))
    assert code == 1
    assert "integrity: BROKEN" in said


def test_a_stream_with_another_name_goes_nowhere_else(database: Path, home: Path) -> None:
    with sqlite3.connect(database) as changed:
        changed.execute("DROP TRIGGER guardrails_no_update")
        changed.execute("UPDATE guardrails_streams SET stream = '../../../escaped'")
        changed.execute("UPDATE guardrails_audit SET stream = '../../../escaped'")
    changed.close()

    code, said = ask("verify", str(database))
    assert (code, "not named after its stream" in said) == (1, True)
    assert not list(home.rglob("*escaped*"))


def test_a_database_is_not_followed(database: Path) -> None:
    code, said = ask("tail", str(database), "--follow")
    assert (code, "--follow watches files" in said) == (2, True)


def test_a_log_that_is_written_is_read_too(tmp_path: Path, home: Path) -> None:
    log = AuditLog(SqliteSink(home / "audit.sqlite3"), keys=Keys(b"k" * 32))
    log.open()
    code, said = ask("verify", str(tmp_path / "audit.sqlite3"))
    assert (code, "unclosed" in said) == (3, True)
    log.close()


@pytest.mark.parametrize("command", ["query", "tail", "stats", "report", "export", "reconcile", "prove"])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "is not there"),
        ("empty", "no audit stream in"),
        ("text.txt", "is a file, and no SQLite database"),
        ("other.db", "no such table"),
        ("broken.db", "not a database"),
        ("json", "no file in"),
        ("postgresql://db.example.com/audit", "write_streams(PostgresSink"),
    ],
)
def test_what_is_no_log_is_one_line_and_exit_2(home: Path, command: str, what: str, said: str) -> None:
    (home / "empty").mkdir()
    (home / "text.txt").write_text("hello")
    sqlite3.connect(home / "other.db").executescript("CREATE TABLE t (a)").connection.close()
    (home / "broken.db").write_bytes(b"SQLite format 3\0" + b"x" * 100)
    (home / "json").mkdir()
    (home / "json" / "x.jsonl").write_text('{"a":1}\n')
    (home / "provider.csv").write_text("To,Status\n")
    more = {
        "report": ["-o", str(home / "r.html")],
        "export": ["--format", "csv"],
        "reconcile": [str(home / "provider.csv"), "--column", "recipient=To"],
        "prove": ["a" * 32, "--anchor", str(home / "empty")],
    }

    code, output = ask(command, what if "//" in what else str(home / what), *more.get(command, []))
    assert (code, output.count("\n"), said in output) == (2, 1, True), output


def test_a_file_that_cannot_be_read_is_named(database: Path, home: Path) -> None:
    folder = home / "folder"
    (folder / "x.jsonl").mkdir(parents=True)
    assert database.exists()
    code, output = ask("query", str(folder))
    assert (code, output) == (2, "guardrails: the log cannot be read (x.jsonl: not a regular file)\n")
