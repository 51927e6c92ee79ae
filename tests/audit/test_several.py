"""Several sinks at once: who must take a record, who may miss it, and who cannot hold up whom."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from guardrails import ConfigError, Unavailable
from guardrails.audit import AuditLog, JsonlDirectory, SqliteSink, StreamSink, verify_directory
from guardrails.testing import CapturingSink
from tests.audit.sinks import KEYS, PHONE, FailingSink, GatedSink, MemorySink, eventually, guarded

both = pytest.mark.parametrize("durability", ["fsync", "os"])


@both
def test_each_sink_has_the_whole_log(durability: Any, tmp_path: Path) -> None:
    memory = MemorySink()
    log = AuditLog([tmp_path / "a", memory, JsonlDirectory(tmp_path / "b")], keys=KEYS, durability=durability)
    send = guarded(log)
    for number in range(20):
        send(PHONE, str(number))
    log.close()

    reports = [verify_directory(folder) for folder in (tmp_path / "a", memory.dump(tmp_path / "m"), tmp_path / "b")]
    assert [(report.exit_code, dict(report.outcomes)) for report in reports] == [(0, {"sent": 20})] * 3
    (a,), (b,) = (list(folder.iterdir()) for folder in (tmp_path / "a", tmp_path / "b"))
    assert a.read_bytes() == b.read_bytes()


@both
def test_g1_a_required_sink_that_fails_refuses_sends(durability: Any, tmp_path: Path) -> None:
    sent: list[tuple[str, str]] = []
    log = AuditLog([tmp_path / "a", FailingSink(broken=True)], keys=KEYS, durability=durability, deadline_seconds=0.5)
    with pytest.raises(Unavailable):
        guarded(log, send=lambda *message: sent.append(message))(PHONE, "hello")
    log.close()
    assert sent == []


def test_a_best_effort_sink_may_fail_and_joins_again_in_a_new_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guardrails.audit.several._REJOIN_SECONDS", 0.05)
    good, weak = tmp_path / "a", FailingSink()
    log = AuditLog([good, weak], keys=KEYS, required=[good])
    send = guarded(log)
    send(PHONE, "one")
    eventually(lambda: weak.calls >= 2)
    weak.broken = True
    send(PHONE, "two")
    lanes: Any = log._writer._streams._sink
    eventually(lambda: lanes._lanes[1].missed is not None)
    weak.broken = False
    eventually(lambda: bool(send(PHONE, "three")) and len(weak.streams) > 1)
    send(PHONE, "four")
    log.close()

    report = verify_directory(good)
    assert report.exit_code == 0, report.lines()
    assert len(report.streams) >= 2
    copy = verify_directory(weak.dump(tmp_path / "weak"))
    assert [one.code for one in copy.completeness] == ["cut-short"]  # and it says so of itself
    assert copy.integrity == ()


def test_g1_a_best_effort_sink_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    good, slow = tmp_path / "a", GatedSink()
    log = AuditLog([good, slow], keys=KEYS, required=[good], deadline_seconds=5.0)
    send = guarded(log)
    send(PHONE, "one")
    slow.gate.clear()
    began = time.monotonic()
    for number in range(50):
        send(PHONE, str(number))
    assert time.monotonic() - began < 4.0
    slow.gate.set()
    log.close()

    assert dict(verify_directory(good).outcomes) == {"sent": 51}
    copy = verify_directory(slow.dump(tmp_path / "slow"))
    assert (copy.exit_code, dict(copy.outcomes)) == (0, {"sent": 51})  # it caught up


def test_g1_a_required_sink_that_hangs_is_given_up_at_the_deadline_and_the_log_goes_on_with_it_later(
    tmp_path: Path,
) -> None:
    slow = GatedSink()
    sent: list[str] = []
    log = AuditLog([tmp_path / "a", slow], keys=KEYS, deadline_seconds=1.5)
    send = guarded(log, send=lambda _to, body: sent.append(body))
    send(PHONE, "one")
    slow.gate.clear()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        send(PHONE, "two")
    assert time.monotonic() - began < 4.0
    assert sent == ["one"]
    slow.gate.set()

    def works() -> bool:
        try:
            send(PHONE, "three")
        except Unavailable:
            return False
        return True

    eventually(works)
    log.close()
    assert verify_directory(tmp_path / "a").integrity == ()


def test_one_of_several_is_enough_if_you_say_so(tmp_path: Path) -> None:
    weak = FailingSink(broken=True)
    log = AuditLog([tmp_path / "a", weak], keys=KEYS, required=[], min_success=1)
    assert guarded(log)(PHONE, "hello") == "sent"
    log.close()
    two = AuditLog([tmp_path / "b", FailingSink(broken=True)], keys=KEYS, required=[], min_success=2, deadline_seconds=0.3)
    with pytest.raises(Unavailable):
        guarded(two)(PHONE, "hello")
    two.close()


def test_a_sink_that_lags_too_far_behind_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrails.audit.several._LAG_BYTES", 20_000)
    good, slow = tmp_path / "a", GatedSink()
    log = AuditLog([good, slow], keys=KEYS, required=[good])
    send = guarded(log)
    send(PHONE, "one")
    slow.gate.clear()
    for number in range(60):
        send(PHONE, str(number))
    held = sum(size for lane in log._writer._streams._sink._lanes for size in [lane.behind])  # type: ignore[attr-defined]
    assert held < 25_000
    slow.gate.set()
    log.close()
    assert verify_directory(good).exit_code == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_has_threads_of_its_own(tmp_path: Path) -> None:
    log = AuditLog([tmp_path / "a", tmp_path / "b"], keys=KEYS, durability="os")
    send = guarded(log)
    send(PHONE, "before")
    child = os.fork()
    if not child:
        try:
            send(PHONE, "in the child")
            log.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    log.close()

    for folder in ("a", "b"):
        report = verify_directory(tmp_path / folder)
        assert (report.exit_code, dict(report.outcomes)) == (0, {"sent": 2}), report.lines()


@pytest.mark.parametrize(
    "options",
    [
        {"min_success": 0},
        {"min_success": 3},
        {"required": "some"},
        {"required": ["elsewhere"]},
    ],
)
def test_what_cannot_be_met_is_a_config_error(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        AuditLog([tmp_path / "a", tmp_path / "b"], keys=KEYS, **options)
    with pytest.raises(ConfigError):
        AuditLog([], keys=KEYS)
    with pytest.raises(ConfigError):
        AuditLog([tmp_path / "a", 42], keys=KEYS)  # type: ignore[list-item]  # wrong on purpose


# -- streams of others


class _Stopped(BaseException):
    """Such as the panic of a library that is not written in Python."""


class PanickingSink(CapturingSink):
    """Raises what is no Exception while it is told to."""

    panics = False

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        if self.panics:
            raise _Stopped
        super().write(lines, durable=durable)


@pytest.mark.parametrize("several", [False, True])
def test_g10_a_sink_that_raises_what_is_no_exception_refuses_sends_and_is_tried_again(*, several: bool) -> None:
    sink = PanickingSink()
    log = AuditLog([sink, CapturingSink()] if several else sink, keys=KEYS)
    send = guarded(log)
    send(PHONE, "one")
    sink.panics = True
    with pytest.raises(Unavailable):
        send(PHONE, "two")
    sink.panics = False
    eventually(lambda: not log.health().get("problem"))
    assert send(PHONE, "three") == "sent"
    log.close()
    assert sink.records[-1]["stage"] == "close"


def test_g7_a_sink_that_keeps_streams_for_longer_keeps_what_another_one_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = JsonlDirectory(tmp_path / "short", retain_days=30), JsonlDirectory(tmp_path / "long", retain_days=400)

    def some() -> None:
        log = AuditLog([short, long], keys=KEYS)
        guarded(log)(PHONE, "text")
        for sink in (short, long):
            sink._housekeeping.wait()
        guarded(log)(PHONE, "text")
        log.close()
        for sink in (short, long):
            for path in sink.folder.iterdir():
                os.utime(path, (0, 0))

    real = time.time_ns
    some()
    for days, left in ((31, 1), (402, 1)):
        before = len(list(long.folder.iterdir()))
        monkeypatch.setattr("guardrails.audit.record.time.time_ns", lambda days=days: real() + days * 86_400 * 10**9)
        some()
        eventually(lambda left=left: len(list(short.folder.iterdir())) == left)  # type: ignore[misc]  # bound now
        eventually(lambda: len(list(long.folder.iterdir())) == (before + 1 if days == 31 else 2))  # noqa: B023 - at once
        for sink in (short, long):
            report = verify_directory(sink.folder, retain_days=sink._housekeeping.retain_days)
            assert not report.integrity + report.completeness + report.semantics, report.lines()


def test_a_place_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "link").symlink_to("audit")
    sink, file = CapturingSink(), tmp_path / "audit.sqlite3"
    twice: list[Any] = [
        [sink, sink],
        [tmp_path / "audit", tmp_path / "link"],
        [str(tmp_path / "audit"), JsonlDirectory(tmp_path / "audit")],
        [SqliteSink(file), SqliteSink(file)],
    ]
    for places in twice:
        with pytest.raises(ConfigError, match="twice"):
            AuditLog(places, keys=KEYS)
        with pytest.raises(ConfigError, match="reserve another place"):
            AuditLog(places[0], emergency=places[1], keys=KEYS)
    AuditLog([sink, CapturingSink(), tmp_path / "audit", SqliteSink(file)], emergency=tmp_path / "other", keys=KEYS)


def test_lines_go_to_a_stream_that_is_open_already(tmp_path: Path) -> None:
    out = io.BytesIO()
    log = AuditLog(StreamSink(out), keys=KEYS, durability="os")
    guarded(log)(PHONE, "hello")
    log.close()

    lines = out.getvalue()
    stream = lines[lines.index(b'"stream":"') + 10 :][:32].decode()
    (tmp_path / f"1-{stream}.jsonl").write_bytes(lines)
    assert verify_directory(tmp_path).exit_code == 0
    assert not out.closed


def test_a_stream_cannot_promise_what_a_disk_can(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='durability="os"'):
        AuditLog(StreamSink(io.BytesIO()), keys=KEYS)
    with pytest.raises(ConfigError, match='durability="os"'):
        AuditLog([tmp_path / "a", StreamSink(io.BytesIO())], keys=KEYS)
    AuditLog([tmp_path / "a", StreamSink(io.BytesIO())], keys=KEYS, required=[tmp_path / "a"])


def test_g1_a_pipe_that_nobody_reads_refuses_sends() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        log = AuditLog(StreamSink(pipe), keys=KEYS, durability="os", deadline_seconds=0.2)
        with pytest.raises(Unavailable):
            guarded(log)(PHONE, "hello")
        log.close()


def test_short_writes_are_gone_on_with() -> None:
    class Narrow:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes, /) -> int:
            self.data += data[:7]
            return len(data[:7])

        def flush(self) -> None:
            """Nothing is buffered."""

    out = Narrow()
    sink = StreamSink(out)
    sink.open("a" * 32)
    sink.write([b"0123456789\n", b"x\n"], durable=False)
    sink.close()
    assert out.data == b"0123456789\nx\n"


class Stubborn(MemorySink):
    """Raises when closed, too."""

    def write(self, _lines: Sequence[bytes], /, *, durable: bool) -> None:
        raise OSError("no" if durable else "never")

    def close(self) -> None:
        raise OSError("never")


def test_a_sink_that_also_raises_when_closed_does_no_harm(tmp_path: Path) -> None:
    log = AuditLog([tmp_path / "a", Stubborn()], keys=KEYS, required=[tmp_path / "a"])
    assert guarded(log)(PHONE, "hello") == "sent"
    log.close()
    assert verify_directory(tmp_path / "a").exit_code == 0
