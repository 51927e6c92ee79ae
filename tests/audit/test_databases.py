"""Records in SQLite and in a real PostgreSQL server: the same chain, several processes, and servers that go away."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from guardrails import ConfigError, Unavailable
from guardrails.audit import AuditLog, PostgresSink, SqliteSink, verify_directory, write_streams
from tests.audit.postgres import Server, server
from tests.audit.sinks import KEYS, PHONE, eventually, guarded

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="starts servers"),
    pytest.mark.timeout(60),  # whoever comes first starts a server of PostgreSQL
]
STREAM = "a" * 32
PREAMBLE = """
import os, sys
from guardrails.audit import AuditLog, PostgresSink, SqliteSink
from guardrails import Guard
from guardrails.keys import Keys
kind, where = sys.argv[1:3]
sink = SqliteSink(where) if kind == "sqlite" else PostgresSink(where, table=sys.argv[3])
log = AuditLog(sink, keys=Keys(b"k" * 32), deadline_seconds=20.0)
send = Guard(log, channel="sms")(lambda to, body: "sent")
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with server() as running:
        yield running


class Place:
    """One database, and how to reach it."""

    def __init__(self, kind: str, where: str, table: str) -> None:
        self.kind, self.where, self.table = kind, where, table

    def sink(self) -> Any:
        return SqliteSink(self.where) if self.kind == "sqlite" else PostgresSink(self.where, table=self.table)

    def run(self, code: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", PREAMBLE + code, self.kind, self.where, self.table])


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    table = f"t{abs(hash(tmp_path.name)) % 10**12}"
    if request.param == "sqlite":
        return Place("sqlite", str(tmp_path / "db" / "audit.sqlite3"), table)
    return Place("postgres", request.getfixturevalue("postgres").conninfo, table)


def verified(place: Place, folder: Path) -> Any:
    write_streams(place.sink(), folder)
    return verify_directory(folder)


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_a_log_in_a_database_is_the_same_chain(place: Place, durability: Any, tmp_path: Path) -> None:
    for _ in range(2):
        log = AuditLog(place.sink(), keys=KEYS, durability=durability)
        send = guarded(log)
        for number in range(20):
            send(PHONE, str(number))
        log.close()

    report = verified(place, tmp_path / "out")
    assert (report.exit_code, len(report.streams), dict(report.outcomes)) == (0, 2, {"sent": 40}), report.lines()


def test_several_processes_and_threads_share_a_database(place: Place, tmp_path: Path) -> None:
    code = """
import threading
threads = [threading.Thread(target=lambda: [send("+12125550173", str(n)) for n in range(20)]) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
log.close()
"""
    processes = [place.run(code) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]

    report = verified(place, tmp_path / "out")
    assert (report.exit_code, dict(report.outcomes)) == (0, {"sent": 160}), report.lines()


def test_a_forked_child_leaves_its_parents_connection_alone(place: Place, tmp_path: Path) -> None:
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
send("+12125550173", "before")
child = os.fork()
if not child:
    send("+12125550173", "in the child")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
send("+12125550173", "after")
"""
    assert place.run(code).wait(60) == 0

    report = verified(place, tmp_path / "out")
    assert (report.exit_code, len(report.streams), dict(report.outcomes)) == (0, 2, {"sent": 3}), report.lines()


def test_g1_what_a_child_writes_stays_when_its_parent_closes_first(place: Place, tmp_path: Path) -> None:
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
send("+12125550173", "before")
reading, writing = os.pipe()
child = os.fork()
if not child:
    send("+12125550173", "in the child")
    os.read(reading, 1)
    send("+12125550173", "in the child, alone")
    log.close()
    os._exit(0)
import time; time.sleep(0.5)
send("+12125550173", "after")
log.close()
os.write(writing, b"x")
assert os.waitpid(child, 0)[1] == 0
"""
    assert place.run(code).wait(60) == 0

    report = verified(place, tmp_path / "out")
    assert (report.exit_code, dict(report.outcomes)) == (0, {"sent": 4}), report.lines()


def test_a_stream_that_was_removed_is_missed_by_the_next(place: Place, tmp_path: Path) -> None:
    for _ in range(2):
        log = AuditLog(place.sink(), keys=KEYS)
        log.open()
        log.close()
    write_streams(place.sink(), tmp_path / "out")
    min((tmp_path / "out").iterdir()).unlink()

    assert [one.code for one in verify_directory(tmp_path / "out").completeness] == ["stream-missing"]


def test_nothing_is_written_without_an_open_stream(place: Place) -> None:
    sink = place.sink()
    with pytest.raises(OSError, match="no stream is open"):
        sink.write([b"x\n"], durable=True)
    sink.close()


def test_a_batch_is_there_whole_or_not_at_all(place: Place, tmp_path: Path) -> None:
    sink = place.sink()
    sink.open(STREAM)
    sink.write([b"a\n", b"b\n"], durable=True)
    other = place.sink()
    other.open("b" * 32)
    other._stream, other._seq = STREAM, 1  # a writer that believes the stream is its own
    with pytest.raises((sqlite3.Error, psycopg.Error)):
        other.write([b"c\n", b"d\n"], durable=True)
    other.close()
    sink.close()

    assert {stream: list(lines) for stream, lines in place.sink().streams()}[STREAM] == [b"a\n", b"b\n"]


# -- SQLite


def test_the_database_refuses_changes_through_sql_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite3"
    sink = SqliteSink(path)
    sink.open(STREAM)
    sink.write([b"a\n"], durable=True)
    sink.close()

    assert path.stat().st_mode & 0o777 == 0o600
    database = sqlite3.connect(path)
    for change in ("UPDATE guardrails_audit SET line = 'b'", "DELETE FROM guardrails_audit"):
        with pytest.raises(sqlite3.IntegrityError, match="records are never"):
            database.execute(change)
    database.close()


def test_g1_a_write_ahead_log_that_was_taken_away_refuses_the_send_and_takes_no_record_with_it(tmp_path: Path) -> None:
    where, sent = tmp_path / "audit.sqlite3", list[str]()
    log = AuditLog(SqliteSink(where), keys=KEYS)
    send = guarded(log, send=lambda _to, body: sent.append(body))
    send(PHONE, "one")
    eventually(lambda: log.health()["in_flight"] == 0)
    for left in tmp_path.glob("audit.sqlite3-*"):
        left.unlink()
    with pytest.raises(Unavailable):
        send(PHONE, "two")
    assert sent == ["one"]
    eventually(lambda: not log.health().get("problem"))
    send(PHONE, "three")
    log.close()

    write_streams(SqliteSink(where), tmp_path / "files")
    report = verify_directory(tmp_path / "files")
    assert not report.integrity + report.completeness + report.semantics
    assert report.intents >= 2


@pytest.mark.parametrize("then", ["nothing", "another file"])
def test_g1_a_database_that_was_taken_away_under_its_writer_refuses_sends_until_there_is_one(
    then: str, tmp_path: Path
) -> None:
    path = tmp_path / "audit.sqlite3"
    log = AuditLog(SqliteSink(path), keys=KEYS)
    send = guarded(log)
    send(PHONE, "one")
    eventually(lambda: log.health()["in_flight"] == 0)
    for left in tmp_path.glob("audit.sqlite3*"):
        left.rename(tmp_path / f"old-{left.name}")
    if then == "another file":
        sqlite3.connect(path).close()
        path.touch()
    with pytest.raises(Unavailable):
        send(PHONE, "two")
    eventually(lambda: _works(send))
    log.close()

    write_streams(SqliteSink(path), tmp_path / "out")
    report = verify_directory(tmp_path / "out")
    assert (dict(report.outcomes)["sent"], [one.code for one in report.completeness]) == (1, ["stream-missing"])


def test_g1_a_locked_database_refuses_sends_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite3"
    log = AuditLog(SqliteSink(path), keys=KEYS, deadline_seconds=1.5)
    sent: list[tuple[str, str]] = []
    send = guarded(log, send=lambda *message: sent.append(message))
    send(PHONE, "one")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable):
        send(PHONE, "two")
    assert len(sent) == 1
    other.execute("ROLLBACK")
    other.close()

    eventually(lambda: _works(send))
    log.close()


def _works(send: Any) -> bool:
    try:
        send(PHONE, "again")
    except Unavailable:
        return False
    return True


# -- PostgreSQL


def test_g1_a_server_that_goes_away_refuses_sends_and_one_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with server() as running:
        place = Place("postgres", running.conninfo, "away")
        log = AuditLog(place.sink(), keys=KEYS, deadline_seconds=2.0)
        sent: list[tuple[str, str]] = []
        send = guarded(log, send=lambda *message: sent.append(message))
        send(PHONE, "one")
        running.stop()
        with pytest.raises(Unavailable) as caught:
            send(PHONE, "two")
        assert str(running.port) not in str(caught.value)
        assert len(sent) == 1
        running.start()
        eventually(lambda: _works(send))
        log.close()

        report = verified(place, tmp_path / "out")
        assert (report.integrity, report.completeness, report.semantics) == ((), (), ())
        assert dict(report.outcomes)["sent"] == len(sent)


def test_a_role_that_may_only_add_and_read_is_enough_and_cannot_change(postgres: Server) -> None:
    table = "least"
    owner = PostgresSink(postgres.conninfo, table=table)
    owner.open(STREAM)
    owner.close()
    with psycopg.connect(postgres.conninfo, autocommit=True) as admin:
        admin.execute(b"CREATE ROLE writer LOGIN")
        admin.execute(b"GRANT INSERT, SELECT ON least, least_streams TO writer")
    conninfo = postgres.conninfo.replace("user=tester", "user=writer")
    log = AuditLog(PostgresSink(conninfo, table=table), keys=KEYS)
    guarded(log)(PHONE, "hello")
    log.close()

    with psycopg.connect(conninfo, autocommit=True) as writer:
        for change in (b"UPDATE least SET seq = 7", b"DELETE FROM least", b"TRUNCATE least"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                writer.execute(change)


def test_no_secret_is_in_the_repr_and_a_table_is_a_name() -> None:
    assert "secret" not in repr(PostgresSink("postgresql://u:secret@127.0.0.1/x"))
    with pytest.raises(ConfigError, match="table"):
        PostgresSink("", table="a; drop table b")


def test_without_the_extra_it_is_a_config_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"platform-guardrails\[postgres\]"):
        PostgresSink("")


def test_an_old_file_is_never_overwritten_by_what_comes_out_of_a_database(place: Place, tmp_path: Path) -> None:
    sink = place.sink()
    sink.open(STREAM)
    sink.write([b"a\n"], durable=False)
    sink.close()
    assert write_streams(place.sink(), tmp_path / "out") >= 1
    with pytest.raises(FileExistsError):
        write_streams(place.sink(), tmp_path / "out")


def test_threads_take_turns_at_one_connection(place: Place, tmp_path: Path) -> None:
    log = AuditLog(place.sink(), keys=KEYS, durability="os", deadline_seconds=20.0)
    send = guarded(log)
    threads = [threading.Thread(target=lambda: [send(PHONE, str(number)) for number in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    assert dict(verified(place, tmp_path / "out").outcomes) == {"sent": 40}
