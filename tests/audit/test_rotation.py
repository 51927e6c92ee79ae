"""Streams that end: by size and age, compressed, kept for their time and removed with a tombstone; and those torn by a kill."""

from __future__ import annotations

import contextlib
import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guardrails.audit import AuditLog, DirectoryAnchor, JsonlDirectory, Report, read_records, verify_directory
from guardrails.audit.folder import stream_of
from guardrails.audit.reading import lines
from guardrails.audit.stream_reading import read_file
from guardrails.errors import ConfigError, Unavailable
from guardrails.reports.source import blocks
from tests.audit.sinks import KEYS, PHONE, eventually, guarded
from tests.audit.test_anchors import new_signer, trusted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of files")
DAY = 86_400


def sends(sink: JsonlDirectory, count: int, **options: object) -> None:
    log = AuditLog(sink, keys=KEYS, durability="os", **options)  # type: ignore[arg-type]  # what AuditLog takes
    send = guarded(log)
    for number in range(count):
        send(PHONE, str(number))
    log.close()


def holds(report: Report) -> bool:
    return report.exit_code == 0 and not report.liveness


def test_a_full_stream_is_closed_and_the_next_one_names_its_end(tmp_path: Path) -> None:
    sends(JsonlDirectory(tmp_path, rotate_bytes=4_000), 30)

    report = verify_directory(tmp_path)
    assert holds(report), report.lines()
    assert len(report.streams) > 3
    genesis = [one for one in read_records(tmp_path) if one["stage"] == "genesis"]
    closes = [one for one in read_records(tmp_path) if one["stage"] == "close"]
    assert [one["why"] for one in genesis[1:]] == ["rotated"] * (len(genesis) - 1)
    assert [one["previous_records"] for one in genesis[1:]] == [one["records"] for one in closes[:-1]]
    assert genesis[-1]["streams_before"][-1] == genesis[-1]["previous_stream"]


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_an_old_stream_is_closed_at_the_next_write(tmp_path: Path, durability: str) -> None:
    log = AuditLog(JsonlDirectory(tmp_path, rotate_seconds=1e-9), keys=KEYS, durability=durability)  # type: ignore[arg-type]
    send = guarded(log)
    for number in range(3):
        send(PHONE, str(number))
    log.close()

    report = verify_directory(tmp_path)
    assert holds(report), report.lines()
    assert len(report.streams) >= 3


def test_what_was_accepted_of_a_stream_is_missed_even_without_an_anchor(tmp_path: Path) -> None:
    sends(JsonlDirectory(tmp_path, rotate_bytes=4_000), 30)
    first = min(tmp_path.iterdir())
    honest = first.read_bytes()

    first.write_bytes(b"".join(honest.splitlines(keepends=True)[:-1]))  # the close record alone
    report = verify_directory(tmp_path)
    assert [one.code for one in report.completeness] == ["cut-short"]
    assert report.exit_code == 1

    first.write_bytes(honest.replace(b'"why":"rotated"', b'"why":"rotater"'))
    assert "rewritten" in [one.code for one in verify_directory(tmp_path).integrity]


def test_a_stream_that_was_removed_is_missed_by_those_that_came_after_it_also_of_other_processes(tmp_path: Path) -> None:
    for _ in range(3):
        sends(JsonlDirectory(tmp_path), 1)
    min(tmp_path.iterdir()).unlink()

    report = verify_directory(tmp_path)
    assert [one.code for one in report.completeness] == ["stream-missing"]


def compressed(folder: Path) -> None:
    sink = JsonlDirectory(folder, rotate_bytes=4_000, compress=True)
    sends(sink, 30)
    sends(sink, 1)  # tidies what the last stream left
    sink._housekeeping.wait()


def test_closed_streams_are_compressed_and_verified_like_others(tmp_path: Path) -> None:
    compressed(tmp_path)

    names = [path.name for path in tmp_path.iterdir()]
    assert sum(name.endswith(".jsonl.gz") for name in names) > 3
    report = verify_directory(tmp_path)
    assert holds(report), report.lines()
    assert report.intents == 31
    assert sum(one["stage"] == "intent" for one in read_records(tmp_path)) == 31
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_a_stream_that_was_compressed_since_it_was_listed_is_read(tmp_path: Path) -> None:
    sends(JsonlDirectory(tmp_path), 3)
    listed = next(tmp_path.iterdir())
    expected = list(lines(listed))
    listed.with_name(listed.name + ".gz").write_bytes(gzip.compress(listed.read_bytes()))
    listed.unlink()

    assert list(lines(listed)) == expected
    assert b"".join(blocks(listed)) == b"".join(expected)
    assert read_file(listed, None, None, []).state == "closed"


def test_a_log_may_be_verified_while_it_is_rotated_compressed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, anchor = tmp_path / "log", tmp_path / "anchor"
    signer = new_signer(tmp_path)
    sink = JsonlDirectory(folder, rotate_bytes=6_000, compress=True, retain_days=1)
    log = AuditLog(sink, keys=KEYS, durability="os", signer=signer, anchors=[DirectoryAnchor(anchor)], checkpoint_every=5)
    log.open()
    real, codes, over = time.time_ns, list[int](), threading.Event()
    monkeypatch.setattr("guardrails.audit.record.time.time_ns", lambda: real() + len(codes) // 8 * 2 * DAY * 10**9)

    def write() -> None:
        send = guarded(log)
        while not over.is_set():
            with contextlib.suppress(Unavailable):  # a busy machine
                send(PHONE, "text")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(codes) < 24:
            report = verify_directory(folder, anchor=anchor, trust=trusted(tmp_path, signer))
            assert report.exit_code in {0, 3}, [
                str(one) for one in (*report.integrity, *report.completeness, *report.semantics)
            ]
            codes.append(report.exit_code)
    finally:
        over.set()
        writer.join()
        log.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda _data: b"no gzip at all", "damaged"),
        (lambda data: gzip.compress(gzip.decompress(data).replace(b'"sent"', b'"cut"')), "chain-broken"),
        (lambda data: data + gzip.compress(b"more\n"), "after-close"),
    ],
)
def test_changes_inside_a_compressed_stream_are_found(tmp_path: Path, change: Callable[[bytes], bytes], code: str) -> None:
    compressed(tmp_path)
    path = min(tmp_path.glob("*.gz"))
    path.write_bytes(change(path.read_bytes()))

    report = verify_directory(tmp_path)
    assert report.exit_code == 1
    assert code in [one.code for one in report.integrity]


def test_what_is_no_file_of_ours_does_not_keep_the_others_from_being_tidied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"20200101T000000.000000Z-{'a' * 32}.jsonl")
    (tmp_path / f"20200102T000000.000000Z-{'b' * 32}.jsonl").mkdir()
    (tmp_path / f"20200103T000000.000000Z-{'c' * 32}.jsonl").symlink_to(tmp_path / "nowhere")
    sends(JsonlDirectory(tmp_path), 1)
    sink = JsonlDirectory(tmp_path, compress=True, retain_days=1)
    sink.open("b" * 32)
    sink._housekeeping.wait()
    sink.close()

    assert len(list(tmp_path.glob("*.jsonl.gz"))) == 1


def test_a_stream_that_is_there_twice_while_it_is_compressed_is_read_once(tmp_path: Path) -> None:
    sends(JsonlDirectory(tmp_path), 3)
    (path,) = tmp_path.iterdir()
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))

    assert holds(verify_directory(tmp_path))
    assert verify_directory(tmp_path).intents == 3


# -- retention


def aged(folder: Path, days: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if everything there had been written *days* ago."""
    now = time.time_ns()
    monkeypatch.setattr("guardrails.audit.record.time.time_ns", lambda: now + int(days * DAY) * 10**9)
    for path in folder.iterdir():
        os.utime(path, ns=(now, now))


def retained(folder: Path, days: int, monkeypatch: pytest.MonkeyPatch, **options: object) -> list[Path]:
    """Two streams, the first of which is past its time; what was there before."""
    sink = JsonlDirectory(folder, retain_days=30)
    sends(sink, 2, **options)
    sink._housekeeping.wait()  # one at a time
    before = list(folder.iterdir())
    aged(folder, days, monkeypatch)
    log = AuditLog(sink, keys=KEYS, durability="os", **options)  # type: ignore[arg-type]  # what AuditLog takes
    log.open()
    sink._housekeeping.wait()
    guarded(log)(PHONE, "later")
    log.close()
    return before


def test_a_stream_whose_time_is_over_is_removed_with_a_tombstone_and_verify_says_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = retained(tmp_path, 31, monkeypatch)

    report = verify_directory(tmp_path)
    assert not old.exists()
    assert report.expired == (stream_of(old.name),)
    assert holds(report), report.lines()
    assert any("expired" in line for line in report.lines())


def test_tombstones_that_begin_a_stream_name_no_checkpoint_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = new_signer(tmp_path)
    anchored: dict[str, object] = {"signer": signer, "anchors": [DirectoryAnchor(tmp_path / "anchor")]}
    folder = tmp_path / "log"
    sink = JsonlDirectory(folder, retain_days=30, rotate_bytes=3_000)
    sends(sink, 1, **anchored)
    sink._housekeeping.wait()  # one at a time
    aged(folder, 31, monkeypatch)
    log = AuditLog(sink, keys=KEYS, durability="os", checkpoint_every=4, **anchored)  # type: ignore[arg-type]  # as above
    send = guarded(log)
    send(PHONE, "one stream")
    sink._housekeeping.wait()
    while len(list(folder.glob("*.jsonl"))) == 2:  # the stream is full, and what is over is told in the next one
        send(PHONE, "text")
    log.close()

    report = verify_directory(folder, anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert len(report.expired) == 1
    assert holds(report), report.lines()


def test_a_send_whose_intent_expired_before_its_outcome_is_no_contradiction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = JsonlDirectory(tmp_path, rotate_bytes=4_000, retain_days=30)
    log = AuditLog(sink, keys=KEYS, durability="os")
    inner = guarded(log)

    def slow(*_message: object) -> str:
        for number in range(20):  # the stream of its intent is full
            inner(PHONE, str(number))
        return "sent"

    guarded(log, send=slow)(PHONE, "slow")
    aged(tmp_path, 1, monkeypatch)
    log.close()
    streams = len(list(tmp_path.iterdir()))
    aged(tmp_path, 30.5 - 1, monkeypatch)
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    for _ in range(2):
        sink._housekeeping.wait()  # one at a time
        sends(sink, 1)
    sink._housekeeping.wait()
    sends(sink, 1)

    report = verify_directory(tmp_path)
    assert len(report.expired) == streams - 1
    assert holds(report), report.lines()


def test_a_stream_that_cannot_be_removed_stops_no_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a file that the system has made immutable."""

    def refuse(_path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as of a Path
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    (old,) = retained(tmp_path, 31, monkeypatch)

    assert old.exists()
    assert "cannot be removed (PermissionError)" in caplog.text
    report = verify_directory(tmp_path)
    assert (report.exit_code, dict(report.outcomes), len(report.streams)) == (0, {"sent": 3}, 2)


def test_before_its_time_a_stream_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = retained(tmp_path, 29, monkeypatch)

    assert old.exists()
    assert verify_directory(tmp_path).expired == ()


def test_a_reviewer_may_ask_for_more_days_than_the_writer_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retained(tmp_path, 31, monkeypatch)

    assert verify_directory(tmp_path, retain_days=31).exit_code == 0
    report = verify_directory(tmp_path, retain_days=365)
    assert [one.code for one in report.completeness] == ["removed-early"]
    assert report.exit_code == 1


def test_g7_a_tombstone_counts_only_under_a_checkpoint_and_must_agree_with_the_anchor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = new_signer(tmp_path)
    folder, anchor = tmp_path / "log", DirectoryAnchor(tmp_path / "anchor")
    retained(folder, 31, monkeypatch, signer=signer, anchors=[anchor])
    trust = trusted(tmp_path, signer)

    report = verify_directory(folder, anchor=anchor.folder, trust=trust)
    assert len(report.expired) == 1
    assert report.exit_code == 0, report.lines()

    (last,) = folder.iterdir()
    stream = stream_of(last.name)
    for note in anchor.folder.glob(f"{stream}-*"):
        note.unlink()
    report = verify_directory(folder, anchor=anchor.folder, trust=trust)
    assert "under no checkpoint" in " ".join(report.completeness)


def test_tombstones_outlive_the_stream_that_they_lie_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = retained(tmp_path, 31, monkeypatch)
    (second,) = tmp_path.iterdir()
    aged(tmp_path, 90, monkeypatch)
    sink = JsonlDirectory(tmp_path, retain_days=30)
    log = AuditLog(sink, keys=KEYS, durability="os")
    log.open()
    sink._housekeeping.wait()
    guarded(log)(PHONE, "much later")
    log.close()

    told = [one["expired_stream"] for one in read_records(tmp_path) if one["stage"] == "tombstone"]
    assert told == [stream_of(second.name), stream_of(first.name)]


# -- a kill


def test_after_a_kill_the_next_start_reports_the_torn_tail_and_goes_on_in_a_new_stream(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = (
        "import os, signal, sys\nfrom guardrails import AuditLog, Guard\nfrom guardrails.keys import Keys\n"
        "send = Guard(AuditLog(sys.argv[1], keys=Keys(b'k' * 32)), channel='sms')(lambda to, body: 'sent')\n"
        "send('+12125550173', 'hello')\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    (torn,) = tmp_path.iterdir()
    with torn.open("ab") as file:
        file.write(b'{"channel":"sm')  # as far as a crash of the machine let the line get

    sends(JsonlDirectory(tmp_path), 1)

    (genesis,) = [one for one in read_records(tmp_path) if one["stage"] == "genesis" and "unclosed" in one]
    (left,) = genesis["unclosed"]
    assert (left["stream"], left["tail_bytes"]) == (stream_of(torn.name), 14)
    assert left["records"] in {2, 3}
    assert "1 of them cut in a line" in caplog.text
    assert [one.state for one in verify_directory(tmp_path).streams] == ["torn", "closed"]


def test_a_child_that_lives_on_does_not_hide_that_its_parent_died(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time\nfrom guardrails import AuditLog, Guard\nfrom guardrails.keys import Keys\n"
        "send = Guard(AuditLog(sys.argv[1], keys=Keys(b'k' * 32)), channel='sms')(lambda to, body: 'sent')\n"
        "send('+12125550173', 'hello')\nchild = os.fork()\n"
        "if not child:\n    sys.stdin.read()\n    os._exit(0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], stdin=subprocess.PIPE)
    died.wait(60)
    sends(JsonlDirectory(tmp_path), 1)
    died.communicate()  # the end of its input ends the child

    assert [len(one["unclosed"]) for one in read_records(tmp_path) if "unclosed" in one] == [1]


def test_a_stream_of_a_living_process_is_not_reported(tmp_path: Path) -> None:
    alive = AuditLog(tmp_path, keys=KEYS)
    alive.open()
    sends(JsonlDirectory(tmp_path), 1)
    alive.close()

    assert not [one for one in read_records(tmp_path) if "unclosed" in one]


# -- checkpoints in time


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_checkpoints_come_also_when_nothing_is_sent_and_each_commits_to_the_one_before(
    tmp_path: Path, durability: str
) -> None:
    signer = new_signer(tmp_path)
    log = AuditLog(
        tmp_path / "log",
        keys=KEYS,
        durability=durability,  # type: ignore[arg-type]  # a parameter
        signer=signer,
        anchors=[DirectoryAnchor(tmp_path / "anchor")],
        checkpoint_seconds=0.05,
    )
    log.open()
    eventually(lambda: len(list((tmp_path / "anchor").iterdir())) >= 4)
    log.close()

    trust = trusted(tmp_path, signer)
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trust)
    assert report.exit_code == 0, report.lines()
    numbers = [one["number"] for one in read_records(tmp_path / "log") if "number" in one]
    assert numbers == list(range(2, len(numbers) + 2))
    middle = sorted((tmp_path / "anchor").iterdir())[1]
    middle.unlink()
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trust)
    assert [one.code for one in report.completeness] == ["note-missing"]


def test_a_silence_longer_than_promised_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = new_signer(tmp_path)
    log = AuditLog(tmp_path / "log", keys=KEYS, signer=signer, anchors=[DirectoryAnchor(tmp_path / "anchor")])
    log.open()
    now = time.time_ns()
    monkeypatch.setattr("guardrails.audit.record.time.time_ns", lambda: now + 3_600 * 10**9)
    log.close()

    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert [one.code for one in report.liveness] == ["silent"]
    assert report.exit_code == 3


@pytest.mark.parametrize(
    "options", [{"rotate_bytes": 0}, {"rotate_seconds": 0}, {"retain_days": 0}, {"rotate_bytes": True}]
)
def test_a_useless_bound_is_a_config_error(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        JsonlDirectory(tmp_path, **options)  # type: ignore[arg-type]  # wrong on purpose
