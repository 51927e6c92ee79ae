"""A canary reads its own record back, from every sink that can be read, and says of which it did not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from guardrails import AuditLog, Guard, MaskPII, canary
from guardrails.audit import PostgresSink, Readable, SqliteSink
from guardrails.keys import Keys
from guardrails.proof.canary import FAILED, HELD, UNTRIED, CanaryCheck
from guardrails.proof.evidence import Evidence, evidence
from guardrails.testing import CapturingSink
from tests.audit.postgres import Server, server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="starts servers")
KEYS = Keys(b"k" * 32)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres", "captured"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    match request.param:
        case "sqlite":
            return SqliteSink(tmp_path / "db" / "audit.sqlite3")
        case "postgres":
            table = f"t{abs(hash(tmp_path.name)) % 10**12}"
            return PostgresSink(request.getfixturevalue("postgres").conninfo, table=table)
        case _:
            return CapturingSink()


def guarded(*sinks: Any, **more: Any) -> Guard:
    log = AuditLog(sinks[0] if len(sinks) == 1 else list(sinks), durability="os", keys=KEYS, **more)
    return Guard(log, MaskPII(names="off"), channel="sms")


def record_check(guard: Guard) -> CanaryCheck:
    (found,) = [one for one in canary(guard).checks if one.tried == "record"]
    return found


def delivered(to: str, body: str) -> str:
    return f"accepted {len(to + body)} characters"


class Shipper:
    """A sink of somebody's that only ever writes."""

    def open(self, stream: str, /) -> None: ...

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None: ...

    def close(self) -> None: ...


class Remembering(Shipper):
    """One that can be read back."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        del durable
        self.lines += lines

    def tails(self, most: int, /) -> Iterable[Sequence[bytes]]:
        return [[line.rstrip(b"\n") for line in self.lines[-most:]]]


class Unreachable(Remembering):
    def tails(self, most: int, /) -> Iterable[Sequence[bytes]]:
        raise ConnectionError(f"{most} lines of ann@example.com")


def test_a_record_is_read_back_from_databases(sink: Any) -> None:
    guard = guarded(sink)
    for _ in range(2):
        found = record_check(guard)
        assert (found.result, found.why) == (HELD, "")
    guard.close()


def test_a_sink_that_acknowledges_and_keeps_nothing_is_found(sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guarded(sink).open()
    assert record_check(guard).result == HELD
    monkeypatch.setattr(sink, "write", lambda *_given, **_named: None)
    found = record_check(guard)
    assert (found.result, found.why) == (FAILED, "there is no record of it")
    guard.close()


def test_g7_a_record_that_was_changed_on_its_way_is_found(sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guarded(sink).open()
    assert record_check(guard).result == HELD
    written = sink.write

    def forged(lines: Sequence[bytes], /, *, durable: bool) -> None:
        written([line.replace(b'"prev":"', b'"prev":"0', 1) for line in lines], durable=durable)

    monkeypatch.setattr(sink, "write", forged)
    assert record_check(guard).result == FAILED
    guard.close()


def test_a_record_is_found_among_those_of_many_other_processes(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "audit.sqlite3")
    guard = guarded(sink).open()
    assert record_check(guard).result == HELD
    others = [guarded(SqliteSink(tmp_path / "audit.sqlite3")).open() for _ in range(20)]
    for other in others:
        assert record_check(other).result == HELD
    assert record_check(guard).result == HELD
    for one in (guard, *others):
        one.close()


def test_a_database_that_cannot_be_read_any_more_is_found(postgres: Server) -> None:
    sink = PostgresSink(postgres.conninfo, table="unread")
    guard = guarded(sink)
    assert record_check(guard).result == HELD
    with psycopg.connect(postgres.conninfo, autocommit=True) as other:
        other.execute("ALTER TABLE unread_streams RENAME TO hidden")
    found = record_check(guard)
    assert (found.result, found.why) == (FAILED, "the records of PostgresSink cannot be read (UndefinedTable)")
    guard.close()


def test_a_sink_of_ones_own_that_cannot_be_read_is_said_to_be_not_read_back() -> None:
    found = record_check(guarded(Shipper()))
    assert found.result == UNTRIED
    assert found.why == "not read back from Shipper: a sink has to be Readable for that"


def test_a_sink_of_ones_own_can_say_how_it_is_read_back() -> None:
    assert isinstance(Remembering(), Readable)
    assert not isinstance(Shipper(), Readable)
    sink = Remembering()
    guard = guarded(sink)
    assert record_check(guard).result == HELD
    sink.write = lambda *_given, **_named: None  # type: ignore[method-assign]  # it is broken on purpose
    assert record_check(guard).result == FAILED


def test_g3_a_sink_that_cannot_be_read_is_named_by_the_class_of_its_error() -> None:
    found = record_check(guarded(Unreachable()))
    assert (found.result, found.why) == (FAILED, "the records of Unreachable cannot be read (ConnectionError)")


def test_of_several_sinks_it_is_said_which_were_not_read_back(tmp_path: Path) -> None:
    found = record_check(guarded(tmp_path / "a", Shipper()))
    assert found.result == HELD
    assert found.why == "read back from JsonlDirectory; not read back from Shipper: a sink has to be Readable for that"


def test_where_enough_sinks_have_it_one_that_cannot_be_read_is_not_needed() -> None:
    has = Remembering()
    guard = guarded(has)
    canary(guard)
    (send_id,) = {json.loads(line).get("send_id") for line in has.lines} - {None}

    def looked(*holders: Any, least: int) -> Evidence:
        return evidence(SimpleNamespace(holders=(holders, least)), send_id)

    assert looked(has, Unreachable(), Shipper(), least=1) == Evidence("", ("Remembering",))
    assert looked(has, Unreachable(), Shipper(), least=2) == Evidence("", ("Remembering",), ("Shipper",))
    assert "cannot be read" in looked(has, Unreachable(), Shipper(), least=3).problem
    assert looked(Remembering(), Shipper(), least=1) == Evidence("", (), ("Shipper",))
    assert looked(Remembering(), Shipper(), least=2).problem == "there is no record of it"


def test_a_record_far_from_the_end_of_a_long_stream_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guarded(tmp_path / "a").open()
    send = guard(delivered)

    def late(log: Any, send_id: str) -> Any:
        for number in range(100):  # what others send until somebody looks
            send("+12125550173", f"message {number}")
        return evidence(log, send_id)

    monkeypatch.setattr("guardrails.proof.passage.evidence", late)
    assert record_check(guard).result == HELD
    guard.close()
