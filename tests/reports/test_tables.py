"""Questions in SQL: answered from tables that follow the log, and from nothing else."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guardrails import check
from guardrails.audit import AuditLog, read_records
from guardrails.core.guard import Guard
from guardrails.errors import ConfigError, Denied
from guardrails.keys import Keys
from guardrails.reports import tables as tables_module
from guardrails.reports.rendering import table
from guardrails.reports.tables import Tables, default_path

ANN = "+12125550173"


@check
def no_second(message: Any) -> None:
    if message.text == "second":
        raise Denied("no second")


def write(folder: Path, *texts: str) -> None:
    log = AuditLog(folder, keys=Keys(b"k" * 32), durability="os")
    with Guard(log, no_second, channel="sms") as guard:
        send = guard(lambda to, body: (to, body))
        for text in texts:
            try:
                send(ANN, text)
            except Denied:
                continue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "log", "first", "second")
    return tmp_path / "log"


@pytest.fixture
def ask(folder: Path, tmp_path: Path) -> Callable[[str], Any]:
    def answer(sql: str) -> Any:
        with Tables(folder, tmp_path / "tables.duckdb") as tables:
            return tables.ask(sql)[1]

    return answer


def test_every_record_is_a_row_and_every_send_and_refusal_has_its_view(ask: Callable[[str], Any], folder: Path) -> None:
    assert ask("SELECT stage, seq FROM records ORDER BY seq") == [
        (one["stage"], one["seq"]) for one in read_records(folder)
    ]
    assert ask("SELECT channel, result, guard_us >= 0 FROM sends") == [("sms", "sent", True)]
    assert ask("SELECT channel, control, decision, deny_code, count FROM refusals") == [
        ("sms", "no_second", "deny", "Denied", 1)
    ]
    assert ask("SELECT DISTINCT control, verdict, degraded FROM guards ORDER BY ALL") == [
        ("no_second", "allow", False),
        ("no_second", "deny", False),
    ]


def test_tables_follow_a_log_that_grows_and_forget_what_is_gone(ask: Callable[[str], Any], folder: Path) -> None:
    count = "SELECT count(*) FROM records"
    before = ask(count)
    write(folder, "third")
    assert ask(count) == [(before[0][0] + 4,)]
    newest = max(folder.glob("*.jsonl"))
    newest.with_name(newest.name + ".gz").write_bytes(gzip.compress(newest.read_bytes()))
    newest.unlink()
    assert ask(count) == [(before[0][0] + 4,)]
    min(folder.iterdir()).unlink()
    assert ask(count) == [(4,)]


def test_bytes_that_are_no_records_leave_the_others_to_be_asked_for(ask: Callable[[str], Any], folder: Path) -> None:
    path = next(folder.iterdir())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\xff\xfe\x00\n{}\n[]\nnull\n" + b"".join(lines[1:]) + b'{"torn')
    assert ask("SELECT count(*) FROM records") == [(len(lines),)]


def test_a_file_of_something_else_is_not_taken_for_tables(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables_module, "_WAIT_SECONDS", 0.0)
    (tmp_path / "other").write_bytes(b"no tables at all")
    with pytest.raises(ConfigError, match="--index"):
        Tables(folder, tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == b"no tables at all"


_HOLDS = """
import sys
from guardrails.reports.tables import Tables
with Tables(sys.argv[1], sys.argv[2]):
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_who_asks_waits_for_another_process_that_has_the_tables(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tables.duckdb"
    command = [sys.executable, "-c", _HOLDS, str(folder), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with monkeypatch.context() as patch:
            patch.setattr(tables_module, "_WAIT_SECONDS", 0.0)
            with pytest.raises(ConfigError, match="--index"):
                Tables(folder, path)
        other.stdin.write("done\n")
        other.stdin.flush()
        with Tables(folder, path) as tables:  # as soon as the other one has let go
            assert tables.ask("SELECT count(*) FROM sends")[1] == [(1,)]


def test_answers_of_any_kind_are_shown_in_every_form(folder: Path, tmp_path: Path) -> None:
    sql = (
        "SELECT ts, NULL AS nothing, 1.5 AS n, [1, 2] AS list, MAP {'=a': 1} AS m, '=1+1' AS evil, true AS yes,"
        " ts::DATE AS day FROM records LIMIT 1"
    )
    with Tables(folder, tmp_path / "tables.duckdb") as tables:
        names, rows = tables.ask(sql)
    (line,) = table(names, rows, "jsonl")
    found = json.loads(line)
    assert (found["nothing"], found["list"], found["m"], found["yes"]) == (None, [1, 2], {"=a": 1}, True)
    head, line = table(names, rows, "csv")
    assert (head.split(",")[:3], "'=1+1" in line) == (["ts", "nothing", "n"], True)
    head, line = table(names, rows, "table")
    assert (head.split()[:3], line.split()[0]) == (["ts", "nothing", "n"], found["ts"])
    assert list(table(["a"], [], "csv")) == ["a"]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE records",
        "SELECT 1; SELECT 2",
        "COPY records TO 'out.csv'",
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT nothing FROM records",
        "",
    ],
)
def test_nothing_but_a_question_over_the_tables_is_answered(ask: Callable[[str], Any], sql: str) -> None:
    with pytest.raises(ConfigError):
        ask(sql)


def test_tables_are_for_their_owner_and_never_lie_in_the_log(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Tables(folder) as tables:
        assert tables.path == default_path(folder)
        assert tables.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="must not lie in the log's folder"):
        Tables(folder, folder / "tables.duckdb")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--index"):
        Tables(folder, tmp_path / "file" / "tables.duckdb")


def test_a_log_with_nothing_in_it_is_answered_too(ask: Callable[[str], Any], folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"")
    assert ask("SELECT count(*) FROM sends") == [(0,)]


def test_masked_text_is_not_in_the_tables(folder: Path, tmp_path: Path) -> None:
    path = next(folder.iterdir())
    first = json.loads(path.read_bytes().splitlines()[0])
    line = json.dumps(first | {"text": [{"characters": 5, "masked": "canary"}]}, sort_keys=True, separators=(",", ":"))
    path.write_text(line + "\n")
    with Tables(folder, tmp_path / "tables.duckdb") as tables:
        assert "canary" not in str(tables.ask("SELECT * FROM records"))
    assert b"canary" not in (tmp_path / "tables.duckdb").read_bytes()
